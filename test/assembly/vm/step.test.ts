/** `Machine.step`: one instruction, and what it delivered. */
import { describe, expect, it } from "vitest";
import type { Vcpu } from "../../../src/index.js";
import {
  BUILDS,
  CODE,
  enterLongMode,
  hex,
  longMode,
  machine,
  setGate64,
} from "../../support/machine.js";

describe.each(BUILDS)("step (%s)", (build) => {
  it("names the exception that was delivered, not the one that was raised first", async () => {
    const target = await longMode(build, "0f 0b"); // ud2, without a gate for #UD
    setGate64(target, 13, CODE + 0x100);
    expect(target.step(0).exception).toEqual({ vector: 13, hasErrorCode: true });
    expect(target.vcpus[0]!.rip).toBe(BigInt(CODE + 0x100));
  });

  it("says that a double fault was delivered", async () => {
    // A divide error without a gate: #DE and #GP make #DF.
    const target = await longMode(build, "31 c9 f7 f1"); // xor ecx,ecx; div ecx
    setGate64(target, 8, CODE + 0x200);
    target.step(0);
    expect(target.step(0).exception).toEqual({ vector: 8, hasErrorCode: true });
  });

  it("reports nothing for an instruction that retires", async () => {
    const target = await longMode(build, "90");
    const result = target.step(0);
    expect(result.exception).toBeUndefined();
    expect(result).toMatchObject({ reason: "stepped", instructions: 1 });
  });
});

describe.each(BUILDS)("the clock between runs (%s)", (build) => {
  it("counts no instruction twice when the host writes the TSC", async () => {
    // RDTSC asks the clock in the middle of its block.
    const target = await longMode(build, "90 90 0f 31 90 90 90 f4"); // nop; nop; rdtsc; nop ...
    target.run({ maxInstructions: 5 });
    const vcpu = target.vcpus[0]!;
    vcpu.writeMsr(0x10, 1000n);
    expect(vcpu.readMsr(0x10)).toBe(1000n);
    target.run({ maxInstructions: 1 });
    expect(vcpu.readMsr(0x10)).toBe(1001n);
  });
});

describe.each(BUILDS)("a trap at the end of a slice (%s)", (build) => {
  it("does not swallow an interrupt that came meanwhile", async () => {
    const target = await machine(build, { cpus: 2, memoryBytes: 1 << 20 });
    const [first, second] = target.vcpus as [Vcpu, Vcpu];
    first.writeMsr(0x1b, first.readMsr(0x1b)! | 0x400n);
    first.writeMsr(0x830, 0x1_0000_4500n); // INIT
    first.writeMsr(0x830, 0x1_0000_4600n | BigInt(CODE >> 12)); // STARTUP
    target.writeMemory(CODE, hex("90"));
    target.step(1);
    for (const vcpu of [first, second]) enterLongMode(target, vcpu);
    second.writeMsr(0x1b, second.readMsr(0x1b)! | 0x400n);
    second.writeMsr(0x80f, 0x1ffn);
    second.gpr.rsp = 0x70000n;
    setGate64(target, 1, CODE + 0x100);
    setGate64(target, 0x40, CODE + 0x200);
    target.writeMemory(CODE, hex("0f 30 f4")); // wrmsr; hlt: an IPI to the second
    target.writeMemory(CODE + 0x40, hex("f3 90 f4")); // pause; hlt
    // #DB: and qword [rsp+16], ~TF; inc r8; iretq. The interrupt: inc r9; iretq.
    target.writeMemory(CODE + 0x100, hex("48 81 64 24 10 ff fe ff ff 49 ff c0 48 cf"));
    target.writeMemory(CODE + 0x200, hex("49 ff c1 48 cf"));
    first.gpr.rcx = 0x830n;
    first.gpr.rdx = 1n;
    first.gpr.rax = 0x4040n;
    second.rip = BigInt(CODE + 0x40);
    second.rflags = 0x302n; // IF and TF: the trap comes with the PAUSE that gives the slice away
    target.run({ maxInstructions: 100 });
    expect([second.gpr.r8, second.gpr.r9]).toEqual([1n, 1n]);
  });
});
