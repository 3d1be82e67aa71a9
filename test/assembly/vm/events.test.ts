/** Interrupt shadows and the queue of NMIs: KVM `vmx_interrupt_blocked`, `vmx_nmi_blocked`, `process_nmi`. */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import { BUILDS, CODE, DATA, hex, longMode, readU64, setGate64 } from "../../support/machine.js";

const VECTOR = 0x51;
const NMI = 2;
const HANDLER = 0x20000;
const COUNT = 0x30000;
const IF = 0x200n;
const ICR_SELF = 0x40000n;

describe.each(BUILDS)("events at an instruction boundary (%s)", (build) => {
  /** A CPU in x2APIC mode about to run the code; the handler of both vectors counts at COUNT and returns. */
  async function prepare(code: string): Promise<{ target: Machine; cpu: Vcpu }> {
    const target = await longMode(build, `${code} 90 90 90 f4`);
    const cpu = target.vcpus[0]!;
    for (const vector of [NMI, VECTOR]) setGate64(target, vector, HANDLER);
    target.writeMemory(HANDLER, hex("48 ff 03 48 cf")); // inc qword [rbx]; iretq
    cpu.gpr.rbx = BigInt(COUNT);
    cpu.gpr.rax = BigInt(DATA);
    cpu.writeMsr(0x1b, 0xfee00d00n);
    cpu.writeMsr(0x80f, 0x1ffn);
    return { target, cpu };
  }

  const raise = (cpu: Vcpu, vector: number): void => {
    const fields = vector === NMI ? 0x4400n : BigInt(0x4000 | vector);
    expect(cpu.writeMsr(0x830, ICR_SELF | fields)).toBe(true);
  };

  // code, instructions to step before it is raised, vector, IF at the start, where the handler returns to
  it.each<[string, string, number, number, boolean, number]>([
    ["an interrupt, at once", "90 90", 1, VECTOR, true, 1],
    ["an interrupt, behind the instruction after STI", "fb 90 90", 1, VECTOR, false, 2],
    ["an NMI, at once", "90 90", 1, NMI, false, 1],
    ["an NMI, behind the instruction after STI", "fb 90 90", 1, NMI, false, 2],
    ["an NMI, at once after STI that changes nothing", "fb 90 90", 1, NMI, true, 1],
    ["an interrupt, at once after STI that changes nothing", "fb 90 90", 1, VECTOR, true, 1],
    ["an interrupt, behind the second of two STI", "fb fb 90", 1, VECTOR, false, 2],
    ["an interrupt, behind the instruction after MOV SS", "8e d0 90 90", 1, VECTOR, true, 3],
    ["an NMI, behind the instruction after MOV SS", "8e d0 90 90", 1, NMI, true, 3],
    ["an interrupt, behind STI, MOV SS and one more", "fb 8e d0 90 90", 1, VECTOR, false, 4],
  ])("take %s", async (_, code, before, vector, isOpen, at) => {
    const { target, cpu } = await prepare(code);
    if (isOpen) cpu.rflags |= IF;
    for (let n = 0; n < before; n++) target.step(0);
    raise(cpu, vector);
    while (cpu.rip < BigInt(HANDLER)) target.step(0);
    expect(readU64(target, Number(cpu.gpr.rsp)) - BigInt(CODE)).toBe(BigInt(at));
  });

  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [9, 2],
  ])("take of %i NMIs at once %i", async (sent, taken) => {
    const { target, cpu } = await prepare("90");
    for (let n = 0; n < sent; n++) raise(cpu, NMI);
    expect(target.run().reason).toBe("idle");
    expect(readU64(target, COUNT)).toBe(BigInt(taken));
  });

  it.each([
    [1, 2],
    [2, 2],
    [5, 2],
  ])("keep of %i NMIs during the handling of one just one", async (sent, taken) => {
    const { target, cpu } = await prepare("90");
    raise(cpu, NMI);
    while (cpu.rip < BigInt(HANDLER)) target.step(0);
    for (let n = 0; n < sent; n++) raise(cpu, NMI);
    expect(target.run().reason).toBe("idle");
    expect(readU64(target, COUNT)).toBe(BigInt(taken));
  });

  it("take an NMI before an interrupt", async () => {
    const { target, cpu } = await prepare("90");
    target.writeMemory(HANDLER + 0x100, hex("f4"));
    setGate64(target, NMI, HANDLER + 0x100);
    cpu.rflags |= IF;
    raise(cpu, VECTOR);
    raise(cpu, NMI);
    target.step(0);
    expect(cpu.rip).toBe(BigInt(HANDLER + 0x101));
    expect(readU64(target, COUNT)).toBe(0n);
  });

  const TPR = 0x808;
  /** KVM's kick of a CPU travels as a remote read. */
  const KICK_SELF = 0x40300n;

  // what comes, code of the wait, IF, TPR, then: taken, where the CPU goes on or waits
  it.each<[string, string, boolean, number, (cpu: Vcpu) => void, number, number]>([
    ["HLT: an interrupt", "f4 f4", true, 0, (cpu) => raise(cpu, VECTOR), 1, 2],
    ["HLT with IF = 0: no interrupt", "f4 f4", false, 0, (cpu) => raise(cpu, VECTOR), 0, 1],
    ["HLT: no interrupt below TPR", "f4 f4", true, 0x60, (cpu) => raise(cpu, VECTOR), 0, 1],
    ["HLT with IF = 0: an NMI", "f4 f4", false, 0, (cpu) => raise(cpu, NMI), 1, 2],
    ["HLT with IF = 0: a kick", "f4 f4", false, 0, (cpu) => cpu.writeMsr(0x830, KICK_SELF), 0, 2],
    ["STI, HLT: an interrupt", "fb f4 f4", false, 0, (cpu) => raise(cpu, VECTOR), 1, 3],
    [
      "HLT: an NMI before an interrupt, and then that",
      "f4 f4 f4",
      true,
      0,
      (cpu) => {
        raise(cpu, VECTOR);
        raise(cpu, NMI);
      },
      2,
      2,
    ],
  ])("end a %s", async (_, code, isOpen, tpr, happen, taken, at) => {
    const { target, cpu } = await prepare(code);
    if (isOpen) cpu.rflags |= IF;
    expect(cpu.writeMsr(TPR, BigInt(tpr))).toBe(true);
    expect(target.run().reason).toBe("idle");
    happen(cpu);
    expect(target.run().reason).toBe("idle");
    expect(readU64(target, COUNT)).toBe(BigInt(taken));
    expect(cpu.rip - BigInt(CODE)).toBe(BigInt(at));
  });

  // Without an IDT the interrupt is a #GP, that a #DF, and that a triple fault.
  it.each([
    ["halted", "f4 48 ff 03 f4", 1],
    ["given its slice away", "f3 90 48 ff 03 f4", 2],
  ])("shut a CPU down that has %s", async (_, code, at) => {
    const { target, cpu } = await prepare(code);
    cpu.idtr = { base: 0n, limit: 0 };
    cpu.rflags |= IF;
    target.run({ maxInstructions: 1 });
    raise(cpu, VECTOR);
    expect(target.run().reason).toBe("shutdown");
    expect(cpu.runState).toBe("shutdown");
    expect(cpu.rip - BigInt(CODE)).toBe(BigInt(at));
    expect(readU64(target, COUNT)).toBe(0n);
  });

  it("shut a CPU down that is stepped", async () => {
    const { target, cpu } = await prepare("48 ff 03");
    cpu.idtr = { base: 0n, limit: 0 };
    cpu.rflags |= IF;
    raise(cpu, VECTOR);
    expect(target.step(0).reason).toBe("shutdown");
    expect(cpu.rip).toBe(BigInt(CODE));
  });
});
