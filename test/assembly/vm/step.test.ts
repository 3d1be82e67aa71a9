/** `Machine.step`: one instruction, and what it delivered. */
import { describe, expect, it } from "vitest";
import { BUILDS, CODE, longMode, setGate64 } from "../../support/machine.js";

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
