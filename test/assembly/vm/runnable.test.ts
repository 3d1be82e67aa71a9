/** Whose turn it is: vCPUs that run follow each other by vcpuIndex, around the end, whoever waits in between. */
import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import { BUILDS, hex, longMode } from "../../support/machine.js";

const START = 0x20000;
const COUNT = 0x30000;
const TURNS = 2; // behind the count
const INIT_OTHERS = 0xc4500n;
const SIPI_OTHERS = 0xc4600n | BigInt(START >> 12);

/** Real-address mode: writes its APIC ID to the next place of TURNS in each of (ID & 3) + 1 turns, then halts. */
const TAKE_TURNS = `
  b8 00 30  8e d8
  66 b8 0b 00 00 00  66 31 c9  0f a2
  89 d7  83 e7 03  47
  b8 01 00  f0 0f c1 06 00 00
  01 c0  89 c3  89 57 02
  f3 90
  4f  75 eb
  f4`;
// mov ax, 3000h; mov ds, ax
// mov eax, 0bh; xor ecx, ecx; cpuid
// mov di, dx; and di, 3; inc di
// turn: mov ax, 1; lock xadd [0], ax
// add ax, ax; mov bx, ax; mov [bx + 2], dx
// pause
// dec di; jnz turn
// hlt

/** Real-address mode: counts for ever. */
const COUNT_ON = "b8 00 30  8e d8  ff 06 00 00  eb fa"; // mov ax, 3000h; mov ds, ax; on: inc word [0]; jmp on

describe.each(BUILDS)("the vCPUs that run (%s)", (build) => {
  /** A halted boot CPU, and others that begin with `code`. */
  async function start(cpus: number, code: string, instructionNs = 1): Promise<Machine> {
    const target = await longMode(build, "f4", { cpus, instructionNs });
    target.writeMemory(START, hex(code));
    const boot = target.vcpus[0]!;
    boot.writeMsr(0x1b, 0xfee00d00n);
    for (const message of [INIT_OTHERS, SIPI_OTHERS]) boot.writeMsr(0x830, message);
    return target;
  }

  it.each([3, 64, 65, 150, 4200])("of %i take turns in order", async (cpus) => {
    const target = await start(cpus, TAKE_TURNS);
    expect(target.run().reason).toBe("idle");
    const expected: number[] = [];
    for (let turn = 0; turn < 4; turn++)
      for (let id = 1; id < cpus; id++) if (turn <= (id & 3)) expected.push(id);
    const view = new DataView(target.readMemory(COUNT, 0x10000).buffer);
    expect(view.getUint16(0, true)).toBe(expected.length);
    const turns = expected.map((_, n) => view.getUint16(TURNS + 2 * n, true));
    expect(turns).toEqual(expected);
  });

  it("are not those that are taken out in the middle of their slice", async () => {
    const target = await start(2, COUNT_ON);
    expect(target.run({ maxInstructions: 20 }).reason).toBe("budget");
    const before = target.readMemory(COUNT, 2);
    target.unplug({ apicId: 1, force: true });
    expect(target.run({ maxInstructions: 20 }).reason).toBe("idle");
    expect(target.readMemory(COUNT, 2)).toEqual(before);
  });

  it.each([
    [1, 1],
    [3, 1],
    [3, 255],
    [3, 256],
    [7, 1000],
  ])("are %i at a time, with %i ns for an instruction", async (running, instructionNs) => {
    const target = await start(1 + running, COUNT_ON, instructionNs);
    target.run({ maxInstructions: 5_000 * running }); // the boot CPU has halted
    const before = target.virtualNs;
    target.run({ maxInstructions: 40_000 * running });
    const passed = target.virtualNs - before;
    expect(Math.abs(passed - 40_000 * instructionNs)).toBeLessThan(3);
  });
});
