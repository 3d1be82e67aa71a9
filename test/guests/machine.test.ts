/** The guests run on the machine, on both builds of the core, and print what the manifest says. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { CoreBuild } from "../../src/core-source.js";
import { Machine, type MachineOptions, type RunResult } from "../../src/index.js";
import {
  GUESTS,
  expectedLines,
  linesOf,
  machineRun,
  readManifest,
  type Guest,
  type GuestRun,
} from "./manifest.js";

/** More than any guest needs: one that runs away ends here. */
const MAX_INSTRUCTIONS = 1e9;

interface Outcome {
  readonly lines: readonly string[];
  readonly result: RunResult;
  readonly stateHash: string;
}

/** @param slice - instructions for each call of `run`; @param more - options of the machine */
async function runGuest(
  guest: Guest,
  run: GuestRun,
  build: CoreBuild,
  slice = MAX_INSTRUCTIONS,
  more: MachineOptions = {},
): Promise<Outcome> {
  const { options, hotplug, load } = machineRun(guest, run);
  const machine = await Machine.create({ ...options, ...more, build });
  let output = "";
  machine.onSerial((byte) => (output += String.fromCharCode(byte)));
  machine.load(readFileSync(new URL(guest.binary.file, GUESTS)), load);
  for (const { atNs, request } of hotplug) machine.at(atNs, () => machine.hotplug(request));
  let result: RunResult;
  do {
    result = machine.run({ maxInstructions: slice });
  } while (result.reason === "budget" && machine.instructions < MAX_INSTRUCTIONS);
  const stateHash = machine.stateHash();
  machine.dispose();
  return { lines: linesOf(output), result, stateHash };
}

const runs = readManifest().guests.flatMap((guest) =>
  guest.runs.map((run) => ({ guest, run, title: `${guest.name}, run ${run.name}` })),
);

const defaults = runs.filter(({ run }) => run.name === "default");

describe.each([
  { build: "release", each: runs },
  { build: "debug", each: defaults },
] as const)("guests on the $build build", ({ build, each }) => {
  it.each(each)("$title, prints its lines", async ({ guest, run }) => {
    const { lines, result } = await runGuest(guest, run, build);
    expect(lines).toEqual(expectedLines(lines, run.lines));
    expect(result).toMatchObject({ reason: "exit", exitCode: run.exitCode });
  });
});

describe("guests, run twice", () => {
  it.each(defaults)("$title, ends in the same state, however the run is sliced", async (each) => {
    const whole = await runGuest(each.guest, each.run, "release");
    const sliced = await runGuest(each.guest, each.run, "release", 99_991);
    expect(sliced.lines).toEqual(whole.lines);
    expect(sliced.stateHash).toBe(whole.stateHash);
  });

  it.each(defaults)("$title, ends in the same state, translated and interpreted", async (each) => {
    const { guest, run } = each;
    const plain = await runGuest(guest, run, "release", MAX_INSTRUCTIONS, { translate: false });
    const early = await runGuest(guest, run, "release", 99_991, { translateAfter: 20 });
    expect(early.lines).toEqual(plain.lines);
    expect(early.stateHash).toBe(plain.stateHash);
  });
});
