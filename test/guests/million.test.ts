/** guests/million with more CPUs than other machines can have. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Machine, type MachineOptions, type RunResult } from "../../src/index.js";
import { BUILDS, type Build } from "../support/machine.js";
import { GUESTS } from "./manifest.js";

const image = readFileSync(new URL("million.bin", GUESTS));
const MiB = 2 ** 20;

async function run(
  build: Build,
  options: MachineOptions,
  commandLine: string,
): Promise<{ machine: Machine; lines: string[]; result: RunResult }> {
  const machine = await Machine.create({ build, ...options });
  let output = "";
  machine.onSerial((byte) => (output += String.fromCharCode(byte)));
  machine.load(image, { name: "million.bin", commandLine });
  const result = machine.run();
  return { machine, lines: output.trimEnd().split("\n"), result };
}

describe.each(BUILDS)("million, %s core", (build) => {
  // CPUs, words, guest memory
  it.each([
    [4096, "", 64],
    [4096, "each", 64],
    [65536, "", 64],
    [65536, "each stacks", 64],
  ])("passes with %i CPUs and words '%s'", async (cpus, words, mebibytes) => {
    const { machine, lines, result } = await run(
      build,
      { cpus, memoryBytes: mebibytes * MiB },
      words,
    );
    expect(lines[0]).toBe(`CPUs: ${cpus}`);
    expect(lines.filter((line) => line.startsWith("FAIL"))).toEqual([]);
    expect(lines.at(-1)).toBe("DONE");
    expect(result.exitCode).toBe(1);
    expect(machine.vcpus).toHaveLength(cpus);
    expect(machine.vcpus[cpus - 1]!.runState).toBe("halted");
  });

  it("keeps 4,096 busy CPUs with timers going, on one virtual clock", async () => {
    const { lines, result } = await run(build, { cpus: 4096 }, "timers");
    expect(lines).toContain("PASS all took their timer's interrupts");
    expect(lines).toContain("PASS all got on with their work");
    expect(lines).toContain("PASS time never went backwards between CPUs");
    expect(result.exitCode).toBe(1);
  });

  it("notices a CPU that a lost STARTUP left asleep", async () => {
    const machine = await Machine.create({ build, cpus: 300 });
    let output = "";
    machine.onSerial((byte) => (output += String.fromCharCode(byte)));
    machine.load(image, { name: "million.bin", commandLine: "each" });
    machine.interrupts.injectFault({ action: "drop", modes: ["SIPI"], dest: 299 });
    expect(machine.run().exitCode).toBe(3);
    expect(output).toContain("FAIL all other CPUs counted themselves: got 0x12a, expected 0x12b");
    expect(output).toContain("FAIL each set the bit of its ID: got 0x12a, expected 0x12b");
  });
});
