/** KVM's paravirtual parts as a guest meets them: hypercalls, PV EOI, and what CPUID says of them. */
import { describe, expect, it } from "vitest";
import type { Machine, Vcpu } from "../../../src/index.js";
import {
  CODE,
  enterLongMode,
  hex,
  longMode,
  readU64,
  setGate64,
  writeU64,
} from "../../support/machine.js";

const PV_EOI = 1 << 6;
const PV_UNHALT = 1 << 7;
const PV_SEND_IPI = 1 << 11;
const PV_SCHED_YIELD = 1 << 13;
const ALL = PV_EOI | PV_UNHALT | PV_SEND_IPI | PV_SCHED_YIELD;
const VMCALL = "0f 01 c1";
const ENOSYS = BigInt.asUintN(64, -1000n);
const NMI = 0x400n;
const ENABLE_X2APIC: readonly [number, bigint] = [0x1b, 0xfee00c00n];

/** One hypercall from 64-bit mode. @returns RAX */
function call(target: Machine, number: bigint, ...args: bigint[]): bigint {
  const vcpu = target.vcpus[0]!;
  vcpu.rip = BigInt(CODE);
  vcpu.gpr.rax = number;
  vcpu.gpr.rbx = args[0] ?? 0n;
  vcpu.gpr.rcx = args[1] ?? 0n;
  vcpu.gpr.rdx = args[2] ?? 0n;
  vcpu.gpr.rsi = args[3] ?? 0n;
  target.step(0);
  expect(vcpu.rip).toBe(BigInt(CODE + 3));
  return vcpu.gpr.rax;
}

const guest = (kvmFeatures: number): Promise<Machine> =>
  longMode("release", VMCALL, { apicIds: [0, 0x23, 0x123], kvmFeatures });

describe("hypercall", () => {
  it.each([
    ["VAPIC_POLL_IRQ", 1n, 0, 0n],
    ["KICK_CPU", 5n, PV_UNHALT, 0n],
    ["KICK_CPU without the feature", 5n, 0, ENOSYS],
    ["SEND_IPI without the feature", 10n, ALL & ~PV_SEND_IPI, ENOSYS],
    ["SCHED_YIELD", 11n, PV_SCHED_YIELD, 0n],
    ["SCHED_YIELD without the feature", 11n, 0, ENOSYS],
    ["an unknown number", 99n, ALL, ENOSYS],
    ["a number that has high bits", 0x1_00000001n, ALL, ENOSYS],
  ])("%s", async (_name, number, features, result) => {
    expect(call(await guest(features), number)).toBe(result);
  });

  it("SEND_IPI reaches a CPU above 255 that is still in xAPIC mode, and counts", async () => {
    const target = await guest(ALL);
    // Bit 0x23 of the first word, bit 0 of the second with lowest ID 0xe3: 0x106 does not exist, 0x123 does.
    expect(call(target, 10n, 1n << 0x23n, 0n, 0n, NMI)).toBe(1n);
    expect(call(target, 10n, 0n, 1n, 0xe3n, NMI)).toBe(1n);
    expect(call(target, 10n, 1n, 0n, 0x124n, NMI)).toBe(0n);
    expect(call(target, 10n, 1n, 0n, 0x23n, 0x800n)).toBe(BigInt.asUintN(64, -22n));
  });

  it("is for CPL 0", async () => {
    const target = await guest(ALL);
    target.vcpus[0]!.setSegment("cs", {
      selector: 0x0b,
      base: 0n,
      limit: 0xffffffff,
      accessRights: 0xa0fb,
    });
    target.vcpus[0]!.setSegment("ss", {
      selector: 0x13,
      base: 0n,
      limit: 0xffffffff,
      accessRights: 0xc0f3,
    });
    expect(call(target, 1n)).toBe(BigInt.asUintN(64, -1n));
  });
});

describe("the KVM leaves", () => {
  const CPUID = "0f a2";

  async function cpuid(leaf: bigint, kvmFeatures?: number): Promise<bigint[]> {
    const target = await longMode(
      "release",
      CPUID,
      kvmFeatures === undefined ? {} : { kvmFeatures },
    );
    const { gpr } = target.vcpus[0]!;
    gpr.rax = leaf;
    target.step(0);
    return [gpr.rax, gpr.rbx, gpr.rcx, gpr.rdx];
  }

  it("are there with the features asked for, or not at all", async () => {
    expect(await cpuid(0x40000000n, ALL)).toEqual([0x40000001n, 0x4b4d564bn, 0x564b4d56n, 0x4dn]);
    expect((await cpuid(0x40000001n, ALL))[0]).toBe(BigInt(ALL));
    expect((await cpuid(0x40000001n))[0]).toBe(0n);
  });

  it("and CPUID.1:ECX follow the policy", async () => {
    const ecx = async (policy: string): Promise<bigint> => {
      const target = await longMode("release", CPUID, { policy });
      target.vcpus[0]!.gpr.rax = 1n;
      target.step(0);
      return target.vcpus[0]!.gpr.rcx;
    };
    expect((await ecx("kvm")) & 0x1200000n).toBe(0x1200000n);
    expect((await ecx("kvm,x2apic=off")) & 0x1200000n).toBe(0x1000000n);
    expect((await ecx("kvm,tscDeadline=off")) & 0x1200000n).toBe(0x200000n);
  });
});

describe("PV EOI in a guest", () => {
  const WORD = 0x7000;
  const HANDLER = CODE + 0x100;
  const MSR = 0x4b564d04;
  const EOI_IF_NEEDED = "0f ba 34 25 00 70 00 00 00 72 0b b9 0b 08 00 00 31 c0 31 d2 0f 30 48 cf";

  /** A guest that waits with interrupts on; its handler skips the EOI where it may, then returns. */
  async function waiting(handler: string): Promise<{ target: Machine; vcpu: Vcpu }> {
    const target = await longMode("release", "fb f4 eb fd", { kvmFeatures: ALL }); // sti; hlt; jmp hlt
    const vcpu = target.vcpus[0]!;
    setGate64(target, 0x41, HANDLER);
    setGate64(target, 0x31, HANDLER);
    target.writeMemory(HANDLER, hex(handler));
    for (const [msr, value] of [ENABLE_X2APIC, [0x80f, 0x1ffn], [MSR, BigInt(WORD | 1)]] as const) {
      expect(vcpu.writeMsr(msr, value)).toBe(true);
    }
    return { target, vcpu };
  }

  const isr = (vcpu: Vcpu): bigint => vcpu.readMsr(0x812)!;

  it("lets the handler skip the EOI, which counts before the next interrupt", async () => {
    // btr dword [WORD], 0; jc done; mov ecx, 80bh; xor eax, eax; xor edx, edx; wrmsr; done: iretq
    const { target, vcpu } = await waiting(EOI_IF_NEEDED);
    target.run({ maxInstructions: 100 });
    vcpu.writeMsr(0x83f, 0x41n);
    target.run({ maxInstructions: 100 });
    expect(readU64(target, WORD) & 1n).toBe(0n); // the guest cleared it
    expect(vcpu.runState).toBe("halted");
    expect(isr(vcpu)).toBe(0n); // reading it fetches the word first
    vcpu.writeMsr(0x83f, 0x31n); // a lower class comes through
    const before = vcpu.retired;
    target.run({ maxInstructions: 100 });
    expect(vcpu.retired - before).toBeGreaterThan(3n);
  });

  it("keeps the vector in service where the guest does nothing", async () => {
    const { target, vcpu } = await waiting("48 cf"); // iretq
    target.run({ maxInstructions: 100 });
    vcpu.writeMsr(0x83f, 0x41n);
    target.run({ maxInstructions: 100 });
    expect(readU64(target, WORD) & 1n).toBe(1n);
    expect(isr(vcpu)).toBe(2n);
    expect(readU64(target, WORD) & 1n).toBe(0n); // withdrawn
  });

  it("is not offered where CPUID does not have it", async () => {
    const target = await longMode("release", "90", { kvmFeatures: 0 });
    expect(target.vcpus[0]!.writeMsr(MSR, 0x7001n)).toBe(false);
  });

  it("is not offered where the word is not RAM", async () => {
    const { target, vcpu } = await waiting(EOI_IF_NEEDED);
    vcpu.writeMsr(MSR, 0xfffff001n);
    writeU64(target, WORD, 0n);
    target.run({ maxInstructions: 100 });
    vcpu.writeMsr(0x83f, 0x41n);
    target.run({ maxInstructions: 100 });
    expect(isr(vcpu)).toBe(0n); // by a written EOI
  });
});

describe("the spurious vector in a guest", () => {
  it("comes when TPR overtook an interrupt, and needs no EOI", async () => {
    const target = await longMode("release", "fa 90 fb 90 90", { policy: "kvm,spurious=on" }); // cli; nop; sti; nop; nop
    const vcpu = target.vcpus[0]!;
    enterLongMode(target, vcpu);
    setGate64(target, 0xef, CODE + 0x100);
    setGate64(target, 0x71, CODE + 0x200);
    for (const [msr, value] of [
      ENABLE_X2APIC,
      [0x80f, 0x1efn],
      [0x83f, 0x71n],
      [0x808, 0x80n],
    ] as const) {
      vcpu.writeMsr(msr, value);
    }
    for (let n = 0; n < 4; n++) target.step(0);
    target.step(0);
    expect(Number(vcpu.rip)).toBeGreaterThanOrEqual(CODE + 0x100);
    expect(Number(vcpu.rip)).toBeLessThan(CODE + 0x200);
    expect(vcpu.readMsr(0x817)).toBe(0n);
  });
});
