/**
 * A guest that is stopped anywhere, saved, restored and run on does exactly what it does without that: every instruction
 * count, every message between the APICs, every byte of output, and the state at the end.
 */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CoreBuild } from "../../src/core-source.js";
import { Machine, parseFault, type ApicEvent } from "../../src/index.js";
import { GUESTS, machineRun, readManifest, type Guest, type GuestRun } from "./manifest.js";

const MAX_INSTRUCTIONS = 1e9;
const BUILDS = ["release", "debug"] as const;

interface Case {
  readonly guest: Guest;
  readonly run: GuestRun;
  /** Messages are tampered with. */
  readonly fault?: string;
}

interface Journey {
  readonly serial: string;
  readonly events: readonly string[];
  readonly retired: readonly bigint[];
  readonly reason: string;
  readonly instructions: number;
  readonly virtualNs: number;
  readonly stateHash: string;
}

/**
 * Runs to the end.
 *
 * @param stops - instruction counts at which the machine is saved, and another goes on with the snapshot
 * @param builds - of the machines, one after the other
 */
async function travel(each: Case, stops: readonly number[], builds: readonly CoreBuild[]) {
  const { options, hotplug, load } = machineRun(each.guest, each.run);
  let serial = "";
  const events: string[] = [];
  let isAdded = false;
  const watch = (machine: Machine) => {
    machine.onSerial((byte) => (serial += String.fromCharCode(byte)));
    machine.trace((event) => events.push(lineOf(event)), { others: true });
    for (const { atNs, request } of isAdded ? [] : hotplug) {
      machine.at(atNs, () => {
        isAdded = true;
        machine.hotplug(request);
      });
    }
  };
  let machine = await Machine.create({ ...options, build: builds[0]! });
  machine.load(readFileSync(new URL(each.guest.binary.file, GUESTS)), load);
  if (each.fault !== undefined) machine.interrupts.injectFault(parseFault(each.fault));
  watch(machine);
  let result = machine.run({ maxInstructions: stops[0] ?? MAX_INSTRUCTIONS });
  for (let i = 0; i < stops.length && result.reason === "budget"; i++) {
    const snapshot = machine.snapshot();
    machine.dispose();
    machine = await Machine.restore(snapshot, { build: builds[(i + 1) % builds.length]! });
    watch(machine);
    const next = stops[i + 1] ?? MAX_INSTRUCTIONS;
    result = machine.run({ maxInstructions: Math.max(0, next - machine.instructions) });
  }
  const journey: Journey = {
    serial,
    events,
    retired: machine.vcpus.map(({ retired }) => retired),
    reason: result.reason,
    instructions: machine.instructions,
    virtualNs: machine.virtualNs,
    stateHash: machine.stateHash(),
  };
  machine.dispose();
  return journey;
}

function lineOf(event: ApicEvent): string {
  return JSON.stringify(event, (_, value: unknown) =>
    typeof value === "bigint" ? value.toString() : value,
  );
}

const runs: Case[] = readManifest().guests.flatMap((guest) =>
  guest.runs.map((run) => ({ guest, run })),
);
const named = (guest: string, run: string) =>
  runs.find((each) => each.guest.name === guest && each.run.name === run)!;

const CASES: readonly Case[] = [
  named("smp", "default"),
  named("ipi", "default"),
  named("timer", "default"),
  named("modes", "default"),
  named("hotplug", "default"),
  named("hotplug", "knl-xapic"),
  named("hotplug", "legacy"),
  named("compute", "modify"),
  named("compute", "wake"),
  { ...named("hotplug", "reonline"), fault: "delay:INIT@20us" },
  { ...named("ipi-bench", "mesh"), fault: "delay=3us,chance=0.5" },
  { ...named("ipi-bench", "nmi"), fault: "duplicate:NMI@2" },
];

describe.each(BUILDS)("a snapshot on the %s build", (build) => {
  it.each(CASES.map((each) => [`${each.guest.name}, ${each.run.name} ${each.fault ?? ""}`, each]))(
    "goes on as if nothing had happened: %s",
    async (_, each) => {
      const whole = await travel(each as Case, [], [build]);
      const count = whole.instructions;
      const stop = fc.integer({ min: 0, max: count - 1 });
      await fc.assert(
        fc.asyncProperty(fc.array(stop, { minLength: 1, maxLength: 3 }), async (stops) => {
          const broken = await travel(
            each as Case,
            stops.toSorted((a, b) => a - b),
            [build],
          );
          expect(broken).toEqual(whole);
        }),
        { numRuns: build === "debug" ? 1 : 4 },
      );
    },
  );
});

describe("a snapshot", () => {
  it("of one build goes on with the other", async () => {
    const whole = await travel(named("ipi", "default"), [], ["release"]);
    const stops = [0.2, 0.4, 0.6, 0.8].map((part) => Math.floor(whole.instructions * part));
    expect(await travel(named("ipi", "default"), stops, BUILDS)).toEqual(whole);
  });

  it("is the same whenever it is taken twice, and taking it changes nothing", async () => {
    const { options, load } = machineRun(CASES[2]!.guest, CASES[2]!.run);
    const machine = await Machine.create(options);
    machine.load(readFileSync(new URL(CASES[2]!.guest.binary.file, GUESTS)), load);
    machine.run({ maxInstructions: 123_456 });
    const hash = machine.stateHash();
    const snapshot = machine.snapshot();
    expect(machine.snapshot()).toEqual(snapshot);
    expect(machine.stateHash()).toBe(hash);
    const twin = await Machine.restore(snapshot);
    expect(twin.stateHash()).toBe(hash);
    expect(twin.virtualNs).toBe(machine.virtualNs);
  });
});
