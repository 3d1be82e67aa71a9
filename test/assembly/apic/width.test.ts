/** Widths of a guest's accesses to the xAPIC page: only aligned writes of four bytes count. */
import { describe, expect, it } from "vitest";
import { BUILDS, PD, longMode, writeU64 } from "../../support/machine.js";

const TPR = 0x80;
/** The linear page at 400000H is the APIC page. */
const WINDOW = 0x400000n;

// code that writes 0x20 to [rbx], and the value of TPR afterwards
const WRITES = [
  ["mov byte [rbx], 20h", "c6 03 20", 0n],
  ["mov word [rbx], 20h", "66 c7 03 20 00", 0n],
  ["mov dword [rbx], 20h", "c7 03 20 00 00 00", 0x20n],
  ["mov qword [rbx], 20h", "48 c7 03 20 00 00 00", 0n],
  ["mov [rbx], rdx", "48 89 13", 0n],
  ["movq [rbx], xmm0", "66 0f d6 03", 0n],
  ["movups [rbx], xmm0", "0f 11 03", 0n],
] as const;

// code that reads [rbx] to rax, of SVR = 000000FFH
const READS = [
  ["movzx eax, byte [rbx]", "0f b6 03", 0xffn],
  ["movzx eax, word [rbx]", "0f b7 03", 0xffn],
  ["mov eax, [rbx]", "8b 03", 0xffn],
  ["mov rax, [rbx]", "48 8b 03", 0n],
] as const;

describe.each(BUILDS)("the xAPIC page (%s)", (build) => {
  const prepare = async (code: string, register: number) => {
    const target = await longMode(build, `${code} f4`); // hlt
    writeU64(target, PD + 16, 0xfee00000n | 0x83n);
    const [cpu] = target.vcpus;
    cpu!.control.cr4 |= 0x600n; // OSFXSR, OSXMMEXCPT
    cpu!.gpr.rbx = WINDOW + BigInt(register);
    cpu!.gpr.rdx = 0x20n;
    cpu!.fpu.setXmm(0, 0x20n);
    return { target, cpu: cpu! };
  };

  it.each(WRITES)("after %s", async (_name, code, tpr) => {
    const { target, cpu } = await prepare(code, TPR);
    expect(target.run().reason).toBe("idle");
    cpu.writeMsr(0x1b, 0xfee00d00n);
    expect(cpu.readMsr(0x808)).toBe(tpr);
  });

  it.each(READS)("read by %s", async (_name, code, value) => {
    const { target, cpu } = await prepare(code, 0xf0);
    expect(target.run().reason).toBe("idle");
    expect(cpu.gpr.rax).toBe(value);
  });

  it.each(READS.slice(2))("all ones in x2APIC mode, read by %s", async (name, code) => {
    const { target, cpu } = await prepare(code, 0xf0);
    cpu.writeMsr(0x1b, 0xfee00d00n);
    target.run();
    expect(cpu.gpr.rax).toBe(name.includes("rax") ? 0xffffffffffffffffn : 0xffffffffn);
  });
});
