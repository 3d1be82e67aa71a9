/** Fault injection: rules on messages, and the messages on hold. */
import { beforeEach, describe, expect, it } from "vitest";
import * as abi from "../../../assembly/abi.js";
import { describeApicEvent } from "../../../src/trace/apic-text.js";
import { TRACE_MESSAGES } from "../../../src/trace/apic.js";
import { Apics, INIT, NMI, STARTUP } from "../../support/apics.js";

const apics = await Apics.create();

interface RuleSetup {
  readonly filters?: number;
  readonly sender?: number;
  readonly modes?: number;
  readonly vector?: number;
  readonly dest?: number;
  readonly first?: number;
  readonly every?: number;
  readonly chance?: number;
  readonly argument?: number;
}

function rule(action: number, setup: RuleSetup = {}): number {
  const { filters = 0, sender = 0, modes = 0, vector = 0, dest = 0, first = 0, every = 0 } = setup;
  const { chance = 0, argument = 0 } = setup;
  return apics.x.apicInject(
    action,
    filters,
    sender,
    modes,
    vector,
    dest,
    first,
    every,
    chance,
    argument,
    0,
  );
}

beforeEach(() => {
  apics.clear().add(0);
  for (const id of [1, 2, 3]) apics.add(id);
});

/** Who takes each of several unicasts to CPU 1. */
const series = (count: number): boolean[] =>
  Array.from({ length: count }, () => apics.send(0, 1, { vector: 0x40 }).includes(1));

describe("a rule", () => {
  it.each([
    [{}, [false, false, false, false, false, false]],
    [{ first: 2 }, [true, false, true, true, true, true]],
    [{ first: 2, every: 3 }, [true, false, true, true, false, true]],
    [{ first: 1, every: 1 }, [false, false, false, false, false, false]],
    [{ filters: abi.FILTER_DEST, dest: 2 }, [true, true, true, true, true, true]],
    [{ filters: abi.FILTER_DEST, dest: 1, first: 1 }, [false, true, true, true, true, true]],
    [{ filters: abi.FILTER_SENDER, sender: 3 }, [true, true, true, true, true, true]],
    [{ filters: abi.FILTER_SENDER, sender: 0 }, [false, false, false, false, false, false]],
    [{ filters: abi.FILTER_VECTOR, vector: 0x41 }, [true, true, true, true, true, true]],
    [{ filters: abi.FILTER_VECTOR, vector: 0x40 }, [false, false, false, false, false, false]],
    [{ filters: abi.FILTER_MODES, modes: 1 << NMI }, [true, true, true, true, true, true]],
  ])("that drops with %j lets through %j", (setup, through) => {
    rule(abi.INJECT_DROP, setup);
    expect(series(6)).toEqual(through);
  });

  it("acts by chance, the same for the same seed", () => {
    const run = (seed: number): boolean[] => {
      apics.x.apicClearRules();
      apics.x.apicInjectSeed(seed, 0);
      rule(abi.INJECT_DROP, { chance: 0x40000000 });
      return series(400);
    };
    const first = run(7);
    const dropped = first.filter((took) => !took).length;
    expect(dropped).toBeGreaterThan(60);
    expect(dropped).toBeLessThan(140);
    expect(run(7)).toEqual(first);
    expect(run(8)).not.toEqual(first);
  });

  it("is the only one that acts on a message, the first of those that would", () => {
    rule(abi.INJECT_MISROUTE, { first: 1, argument: 2 });
    rule(abi.INJECT_DROP);
    expect(apics.send(0, 1)).toEqual([2]);
    expect(apics.send(0, 1)).toEqual([]);
  });

  it("takes messages without a sender by sender -1", () => {
    rule(abi.INJECT_DROP, { filters: abi.FILTER_SENDER, sender: -1 });
    expect(apics.x.apicSignalMsi(0xfee01000, 0, 0x40)).toBe(0);
    expect(apics.send(0, 1)).toEqual([1]);
  });

  it("sends elsewhere, a broadcast too", () => {
    rule(abi.INJECT_MISROUTE, { argument: 3 });
    expect(apics.send(0, 1)).toEqual([3]);
    expect(apics.send(0, 0, { shorthand: 3 })).toEqual([3]);
  });

  it("delivers twice", () => {
    rule(abi.INJECT_DUPLICATE, { argument: 1 });
    apics.send(0, 1, { mode: NMI });
    expect(apics.field(1, 196) >> 8).toBe(2);
  });

  it.each([0, 5, 99])("with action %i is refused", (action) => {
    expect(rule(action)).toBe(-1);
  });

  it("is refused when sixteen are there", () => {
    const numbers = Array.from({ length: 17 }, () => rule(abi.INJECT_DROP, { first: 1000 }));
    expect(numbers).toEqual([...Array.from({ length: 16 }, (_, n) => n), -1]);
    apics.x.apicClearRules();
    expect(rule(abi.INJECT_DROP)).toBe(0);
  });
});

describe("a delayed message", () => {
  it("arrives when its time has come", () => {
    rule(abi.INJECT_DELAY, { first: 1, argument: 500 });
    apics.now = 100n;
    apics.setMsr(0, 0x830, (1n << 32n) | 0x4041n);
    expect(apics.fabricDeadline()).toBe(600n);
    apics.now = 599n;
    apics.releaseHeld();
    expect(apics.x.apicHighestPending(1)).toBe(-1);
    apics.now = 600n;
    apics.releaseHeld();
    expect(apics.x.apicHighestPending(1)).toBe(0x41);
    expect(apics.fabricDeadline()).toBeNull();
  });

  it("keeps its place among others: by time, then by order of sending", () => {
    apics.x.setTraceMask(TRACE_MESSAGES);
    rule(abi.INJECT_DELAY, { first: 1, argument: 500 });
    rule(abi.INJECT_DELAY, { argument: 300 });
    for (const vector of [0x41, 0x42, 0x43]) apics.send(0, 1, { vector });
    apics.events.length = 0;
    apics.now = 1000n;
    apics.releaseHeld();
    const order = apics.events.flatMap((event) => (event.kind === "message" ? [event.vector] : []));
    expect(order).toEqual([0x42, 0x43, 0x41]);
  });

  it("can turn INIT and STARTUP around", () => {
    rule(abi.INJECT_DELAY, { filters: abi.FILTER_MODES, modes: 1 << INIT, argument: 10 });
    apics.setRunState(1, abi.WAIT_FOR_SIPI);
    apics.send(0, 1, { mode: INIT, vector: 0 });
    apics.send(0, 1, { mode: STARTUP, vector: 0x10 });
    apics.now = 10n;
    apics.releaseHeld();
    apics.x.apicProcessEvents(1);
    expect(apics.runState(1)).toBe(abi.WAIT_FOR_SIPI);
  });

  it("is delivered at once when 256 are on hold", () => {
    rule(abi.INJECT_DELAY, { argument: 10 });
    for (let n = 0; n < 256; n++) expect(apics.send(0, 1)).toEqual([]);
    expect(apics.send(0, 1)).toEqual([1]);
  });
});

describe("the trace of a message that was tampered with", () => {
  it("says so", () => {
    apics.x.setTraceMask(TRACE_MESSAGES);
    rule(abi.INJECT_DROP, { first: 1 });
    rule(abi.INJECT_MISROUTE, { first: 1, argument: 2 });
    rule(abi.INJECT_DELAY, { argument: 10 });
    for (let n = 0; n < 3; n++) apics.send(0, 1, { mode: NMI });
    apics.now = 10n;
    apics.releaseHeld();
    expect(apics.events.map((event) => describeApicEvent(event, (n) => apics.apicId(n)))).toEqual([
      "#1 0x0: NMI to physical 0x1, dropped by rule 0",
      "#2 0x0: NMI to physical 0x2, misrouted by rule 1, by the map",
      "#2 accepted by one",
      "#3 0x0: NMI to physical 0x1, delayed by rule 2",
      "#3 0x0: NMI to physical 0x1, delayed by rule 2, by the map",
      "#3 accepted by one",
    ]);
  });
});
