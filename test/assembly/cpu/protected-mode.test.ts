/**
 * Protected and virtual-8086 mode against Bochs: guest.asm runs about a thousand cases and prints what each left behind;
 * bochs.txt holds the lines of Bochs 2.7 (recorded with boot.asm and bochsrc), zeros in front of numbers left out.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { BUILDS, machine, type Build } from "../../support/machine.js";

const FOLDER = new URL("protected-mode/", import.meta.url);
const fileOf = (name: string) => readFileSync(new URL(name, FOLDER));
const LOAD_ADDRESS = 0x10000;
const MAX_INSTRUCTIONS = 5e7;
const NASM = "nasm";

/** Cases in which Bochs does not do what the manual says, or silicon does. */
const NOT_AS_BOCHS: Record<string, string> = {
  "iret3ss 0 12":
    "IRET to an SS that is not present raises #SS on silicon (test/silicon/system64.bin), #NP in Bochs",
  "iret to v86 eip":
    "Bochs does not check EIP against 64 KiB (SDM 2 IRET, RETURN-TO-VIRTUAL-8086-MODE)",
  "task fault 11 0":
    "Bochs does not mark the code segment of a task accessed (SDM 3A Segment Descriptors)",
};

/** "name: " and a line of numbers, in turn. */
function casesOf(text: string): Map<string, string> {
  const cases = new Map<string, string>();
  const lines = text.split("\n").filter((line) => line.trim() !== "" && line !== "END");
  let name = "";
  for (const line of lines) {
    const match = /^(.*\S): *$/.exec(line);
    if (match) name = match[1]!;
    else if (name !== "") cases.set(name, line.replace(/\b0+(?=[0-9a-f])/g, "").trim());
  }
  return cases;
}

async function run(build: Build): Promise<Map<string, string>> {
  const target = await machine(build, { cpu: "x2vm,+vme" });
  const vcpu = target.vcpus[0]!;
  target.writeMemory(LOAD_ADDRESS, fileOf("guest.bin"));
  vcpu.control.cr0 = 0x11n;
  const flat = { base: 0n, limit: 0xffffffff };
  for (const name of ["ds", "es", "ss", "fs", "gs"] as const)
    vcpu.setSegment(name, { ...flat, selector: 0x10, accessRights: 0xc093 });
  vcpu.setSegment("cs", { ...flat, selector: 8, accessRights: 0xc09b });
  vcpu.rip = BigInt(LOAD_ADDRESS);
  const output: number[] = [];
  target.onSerial((byte) => output.push(byte));
  expect(target.run({ maxInstructions: MAX_INSTRUCTIONS }).reason).toBe("exit");
  return casesOf(Buffer.from(output).toString());
}

describe("the protected-mode guest", () => {
  it.each(BUILDS)("does as Bochs does in every case (%s)", async (build) => {
    const expected = casesOf(fileOf("bochs.txt").toString());
    const found = await run(build);
    expect(expected.size).toBeGreaterThan(1000);
    for (const name of Object.keys(NOT_AS_BOCHS)) {
      expect(found.get(name), name).not.toBe(expected.get(name));
      found.delete(name);
      expected.delete(name);
    }
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(expected));
  });

  const hasNasm = spawnSync(NASM, ["-v"]).error === undefined;
  it.skipIf(!hasNasm)("is what guest.asm assembles to (skipped without nasm)", () => {
    const folder = mkdtempSync(join(tmpdir(), "x2vm-"));
    const output = join(folder, "guest.bin");
    const source = fileURLToPath(new URL("guest.asm", FOLDER));
    expect(spawnSync(NASM, ["-f", "bin", "-o", output, source]).status).toBe(0);
    expect(readFileSync(output).equals(fileOf("guest.bin"))).toBe(true);
    rmSync(folder, { recursive: true });
  });
});
