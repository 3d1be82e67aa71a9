/** What a peer's runs come to: a time, a bound, or a reason. */
import { describe, expect, it } from "vitest";
import { IPI_ROWS } from "../../../src/bench/ipi-rows.js";
import { PeerRuns, type PeerFigure } from "../../../src/bench/ipi-peers.js";
import {
  arrivalNs,
  PeerTimeoutError,
  type Peer,
  type PeerGuest,
  type PeerLine,
} from "../../../src/bench/peers/peer.js";

const row = { ...IPI_ROWS.find(({ name }) => name === "self")!, inAll: 1000 };
const TRIAL = 5;

const line = (text: string, atMs: number, cpuMs?: number): PeerLine => ({ text, atMs, cpuMs });
const countOf = ({ commandLine }: PeerGuest) => Number(/count=(\d+)/.exec(commandLine)![1]);
/** A guest whose interrupts take so long each. */
const taking = (msEach: number) => (guest: PeerGuest) => {
  const count = countOf(guest);
  const end = 1 + count * msEach;
  return [line("START", 1), line(`interrupts ${count}, ticks 5`, end), line("DONE", end)];
};
const late = (hasStarted: boolean) => () => {
  throw new PeerTimeoutError("killed", hasStarted);
};
const failing = () => {
  throw new Error("Other ended with 1\nand more");
};
const noRow = () => [line("FAIL APIC: CPUID offers no x2APIC mode", 1), line("DONE", 2)];

/** @returns what the peer comes to, and how many interrupts each of its runs had */
async function measure(
  answer: (guest: PeerGuest) => PeerLine[],
  {
    cpus = 2,
    ways,
    repetitions = 2,
  }: { cpus?: number; ways?: string[]; repetitions?: number } = {},
): Promise<{ figure: PeerFigure; counts: number[]; ways: (string | undefined)[] }> {
  const guests: PeerGuest[] = [];
  const peer: Peer = {
    name: "Other",
    version: "1",
    title: "Other 1",
    share: 1,
    ...(ways === undefined ? {} : { ways }),
    obstacle: (needs) => (needs.cpus > 2 ? "ends at 2 CPUs" : undefined),
    async run(guest) {
      guests.push(guest);
      return answer(guest);
    },
    wallNs: arrivalNs,
  };
  const runs = new PeerRuns(peer, { row, cpus, mode: "x2apic" }, "image");
  await runs.try();
  for (let i = 0; i < repetitions; i++) await runs.repeat(i === 0);
  return { figure: runs.figure, counts: guests.map(countOf), ways: guests.map(({ way }) => way) };
}

const each = (ms: number) => ({ median: ms * 1e6, least: ms * 1e6, most: ms * 1e6 });

describe("a peer", () => {
  it.each([
    ["took a time", taking(1), 2, { nsEach: each(1) }],
    ["has not enough CPUs", taking(1), 3, { reason: "ends at 2 CPUs" }],
    [
      "cannot, as the guest says",
      noRow,
      2,
      { reason: "Other ran no row: CPUID offers no x2APIC mode" },
    ],
    ["ends by itself", failing, 2, { reason: "Other failed: Error: Other ended with 1" }],
    ["does not begin", late(false), 2, { reason: "Other did not start in 30 s" }],
    ["does not end", late(true), 2, { overNs: 10e9 / TRIAL }],
  ])("that %s is shown so", async (_, answer, cpus, figure) => {
    expect((await measure(answer, { cpus })).figure).toEqual(figure);
  });

  it.each([
    ["fast", 0.001, [TRIAL, 1000, 1000]],
    ["of middling speed", 2, [TRIAL, 100, 100]],
    ["slow", 50, [TRIAL, TRIAL, TRIAL]],
    ["very slow", 500, [TRIAL]],
  ])("that is %s gets its share of interrupts", async (_, ms, expected) => {
    expect((await measure(taking(ms))).counts).toEqual(expected);
  });

  const byWay = (guest: PeerGuest) => taking(guest.way === "b" ? 3 : 5)(guest);

  it("is measured in its faster way", async () => {
    const { figure, ways } = await measure(byWay, { ways: ["a", "b"] });
    expect(ways).toEqual(["a", "b", "b", "b"]);
    expect(figure).toEqual({ nsEach: each(3), way: "b" });
  });

  it("is measured in its usual way without a word about it", async () => {
    const { figure } = await measure(byWay, { ways: ["b", "a"] });
    expect(figure).toEqual({ nsEach: each(3) });
  });

  it("is measured in the way that ends", async () => {
    const { figure } = await measure((guest) => (guest.way === "a" ? late(true)() : byWay(guest)), {
      ways: ["a", "b"],
    });
    expect(figure).toEqual({ nsEach: each(3), way: "b" });
  });

  it("with one CPU has but one way", async () => {
    const { ways } = await measure(byWay, { cpus: 1, ways: ["a", "b"], repetitions: 0 });
    expect(ways).toEqual([undefined]);
  });

  it("has CPU time where the system tells", async () => {
    const { figure } = await measure(() => [
      line("START", 1, 1),
      line("interrupts 100, ticks 5", 101, 51),
      line("DONE", 102, 52),
    ]);
    expect(figure).toEqual({ nsEach: each(1), cpuNsEach: each(0.5) });
  });

  it("keeps the trial's figure when no repetition ends", async () => {
    let runs = 0;
    const { figure } = await measure((guest) => (runs++ === 0 ? taking(1)(guest) : late(true)()));
    expect(figure).toEqual({ nsEach: each(1) });
  });
});
