/** `x2vm diff`, the built program, on the guests and on a small one. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { SPIN, bootSector } from "../guest-code.js";

const MAIN = new URL("../../../dist/src/cli/main.js", import.meta.url).pathname;
const FOLDER = mkdtempSync(join(tmpdir(), "x2vm-"));
const guest = (name: string) => new URL(`../../../guests/${name}.bin`, import.meta.url).pathname;
const HOTPLUG = [guest("hotplug"), "--apic-ids", "0,0x23", "--hotplug", "0x123@2ms"];

function diff(...args: string[]) {
  const { stdout, stderr, status } = spawnSync(process.execPath, [MAIN, "diff", ...args], {
    encoding: "utf8",
  });
  return { stdout, stderr, status };
}

describe("x2vm diff", () => {
  it("shows the first message that others take, why, and what came of it", () => {
    const { stdout, status } = diff(...HOTPLUG, "--policies", "kvm,kvm-legacy,knl");
    const [base, legacy, knl] = stdout.split("\n\n");
    expect(base).toMatch(/^kvm: guest exit code 1, [\d,]+ instructions, 2\.\d\d ms$/);
    expect(legacy).toMatch(/^kvm-legacy: guest exit code 3/);
    expect(legacy).toContain("CPU 0x123 was added by force: a CPU in xAPIC mode has its 8-bit ID");
    expect(legacy).toContain("message 4, from 0x00 at 2.00 ms: INIT to 0x123.");
    expect(legacy).toMatch(/^ {4}kvm-legacy {2}reaches nobody\n {4}kvm {9}reaches 0x123$/m);
    expect(legacy).toMatch(/^ {4}kvm-legacy {2}not selected: the destination came in the other/m);
    expect(legacy).toMatch(/^ {4}kvm {9}accepts it: the map has it/m);
    expect(legacy).toContain("CPU 0x123 ends uninitialized, under kvm halted");
    expect(legacy).toContain("  + FAIL woke: CPU 0x123 did not arrive\n");
    expect(legacy).toContain("  - PASS woke\n");
    expect(knl).toContain("Every message reaches the same CPUs.");
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(status).toBe(1);
  });

  it("gives the same as one JSON document", () => {
    const { stdout, status } = diff(...HOTPLUG, "--policies", "kvm-legacy,kvm", "--json");
    const { base, others } = JSON.parse(stdout);
    expect(base).toMatchObject({
      policy: "kvm-legacy",
      reason: "exit",
      exitCode: 3,
      refusals: [{ apicId: 0x123 }],
    });
    expect(others).toHaveLength(1);
    expect(others[0]).toMatchObject({
      policy: "kvm",
      exitCode: 1,
      refusals: [],
      difference: {
        kind: "receivers",
        alike: 3,
        message: { name: "INIT to 0x123", senderId: 0, takers: [0x123] },
        base: { name: "INIT to 0x123", takers: [] },
      },
      addedLines: expect.arrayContaining(["PASS woke"]),
      missingLines: expect.arrayContaining(["FAIL woke: CPU 0x123 did not arrive"]),
    });
    const { cpus } = others[0].difference.message;
    expect(cpus.find(({ apicId }: { apicId: number }) => apicId === 0x123)).toEqual({
      apicId: 0x123,
      takes: true,
      reason: expect.stringContaining("the map has it"),
      outcome: "accepts it",
    });
    expect(status).toBe(1);
  });

  it("exits with 0 when nothing differs, however many slices the runs have", () => {
    const { stdout, status } = diff(guest("ipi"), "--cpus", "4", "--policies", "kvm,kvm-scan");
    expect(stdout).toMatch(/^kvm-scan: guest exit code 1, 1\d,\d{3},\d{3} instructions/m);
    expect(stdout).toContain("  Every message reaches the same CPUs.\n");
    expect(status).toBe(0);
  });

  it("compares under the same faults", () => {
    const faults = ["--fault", "drop:INIT,dest=0x123"];
    const { stdout, status } = diff(...HOTPLUG, "--policies", "kvm,kvm-scan", ...faults);
    expect(stdout).not.toContain("First difference");
    expect(stdout.match(/guest exit code 3/g)).toHaveLength(2);
    expect(status).toBe(0);
  });

  it("ends a guest that never ends", () => {
    const spin = join(FOLDER, "spin.img");
    writeFileSync(spin, bootSector(...SPIN));
    const limit = ["--max-instructions", "5M"];
    const { stdout, status } = diff(spin, "--policies", "kvm,knl", ...limit);
    expect(stdout.match(/: budget, 5,000,000 instructions, 5\.00 ms/g)).toHaveLength(2);
    expect(status).toBe(0);
  });

  it.each([
    [[guest("hello")], "required option '--policies <list>' not specified"],
    [[guest("hello"), "--policies", "kvm"], '"kvm" is not a list of policies'],
    [[guest("hello"), "--policies", "kvm,kvn"], 'no policy "kvn"'],
    [[guest("hello"), "--policies", "kvm,knl", "--policy", "kvm"], "unknown option '--policy'"],
    [[join(FOLDER, "none.bin"), "--policies", "kvm,knl"], "there is no such file"],
  ])("answers %j by a sentence, with exit status 2", (args, words) => {
    const { stderr, status } = diff(...args);
    expect(stderr).toContain(words);
    expect(stderr).not.toMatch(/^ {4}at /m);
    expect(status).toBe(2);
  });

  it("is explained by --help", () => {
    const { stdout, status } = diff("--help");
    expect(stdout).toContain("Exit status: 0 when nothing differs; 1 when something does");
    expect(status).toBe(0);
  });
});
