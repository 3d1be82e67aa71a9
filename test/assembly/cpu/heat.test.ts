/** Which translated blocks stay so: those that are worth the way into them, and those that wait. */
import { afterEach, describe, expect, it, vi } from "vitest";
import * as abi from "../../../assembly/op-abi.js";
import { Core } from "../../../src/core.js";
import type { Machine } from "../../../src/index.js";
import { Translator } from "../../../src/translate/translator.js";
import { BUILDS, CODE, hex, longMode, setGate64, type Build } from "../../support/machine.js";

const VECTOR = 0x50;
/** The least of KVM's. */
const PERIOD_NS = 200_000;
const PF = 14;
const HANDLER = 0xf000;
/** As in assembly/cpu/block.ts: never to be translated. */
const COLD = 0x7fff_ffff;

afterEach(() => void vi.restoreAllMocks());

/** Watches translations. @returns what the heat of the block at a physical address is, once it was translated */
function watchHeat(): (gpa: number) => number {
  const translated = vi.spyOn(Translator.prototype, "translate");
  const added = vi.spyOn(Core.prototype, "addRegion");
  return (gpa) => {
    const { view } = added.mock.contexts[0] as Core;
    const [block] = translated.mock.calls.find(([at]) => view.getUint32(at, true) === gpa)!;
    return view.getInt32(block + abi.BLOCK_HEAT, true);
  };
}

// push rax; push rcx; push rdx; mov ecx,80Bh; xor eax,eax; xor edx,edx; wrmsr (EOI); pop rdx; pop rcx; pop rax; iretq
const EOI_HANDLER = "50 51 52 b9 0b 08 00 00 31 c0 31 d2 0f 30 5a 59 58 48 cf";

/** A machine in x2APIC mode whose interrupts are counted off by EOI, about to run `code`. */
async function withInterrupts(build: Build, code: string): Promise<Machine> {
  const target = await longMode(build, code, { translateAfter: 50 });
  target.writeMemory(HANDLER, hex(EOI_HANDLER));
  setGate64(target, VECTOR, HANDLER);
  const vcpu = target.vcpus[0]!;
  vcpu.writeMsr(0x1b, 0xfee00d00n); // x2APIC mode
  vcpu.writeMsr(0x80f, 0x1ffn); // software-enabled
  return target;
}

describe.each(BUILDS)("a translated block (%s)", (build) => {
  it("stays so when it waits, however few its instructions are", async () => {
    const heatAt = watchHeat();
    const target = await withInterrupts(build, "fb f4 eb fd"); // sti; L: hlt; jmp L
    const vcpu = target.vcpus[0]!;
    vcpu.writeMsr(0x83e, 0xbn); // divide by 1
    vcpu.writeMsr(0x832, BigInt(0x20000 | VECTOR)); // periodic
    vcpu.writeMsr(0x838, BigInt(PERIOD_NS));
    target.run({ untilNs: 600 * PERIOD_NS });
    expect(heatAt(CODE + 2)).toBeLessThan(0); // JMP, and the HLT behind it
    target.dispose();
  });

  it("stays so when the ends of slices cut it short now and then", async () => {
    const heatAt = watchHeat();
    // sti; L: mov ecx,830h; mov eax,44050h (to itself); xor edx,edx; wrmsr; inc ebx; dec edi; jmp L
    const code = "fb b9 30 08 00 00 b8 50 40 04 00 31 d2 0f 30 ff c3 ff cf eb ec";
    const target = await withInterrupts(build, code);
    for (let cuts = 0; cuts < 3000; cuts++) target.run({ maxInstructions: 50 });
    expect(heatAt(CODE + 15)).toBeLessThan(0); // INC, where the handler returns to
    expect(heatAt(HANDLER)).toBeLessThan(0);
    target.dispose();
  });

  it("is interpreted again when it is left before it has done anything, time after time", async () => {
    const heatAt = watchHeat();
    // L: mov rax,[40000000H]; dec ecx; jnz L; hlt
    const code = "48 8b 04 25 00 00 00 40 ff c9 75 f4 f4";
    const target = await longMode(build, code, { translateAfter: 50 });
    // add rsp,8; add qword [rsp],8; iretq
    target.writeMemory(HANDLER, hex("48 83 c4 08 48 83 04 24 08 48 cf"));
    setGate64(target, PF, HANDLER);
    target.vcpus[0]!.gpr.rcx = 600n;
    expect(target.run({ maxInstructions: 100_000 }).reason).toBe("idle");
    expect(heatAt(CODE)).toBe(COLD);
    target.dispose();
  });
});
