import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import { BUILDS, CODE, hex, longMode, setGate64 } from "../../support/machine.js";

const HANDLER = 0x11000;
const GP = 13;
const UD = 6;

/** Runs one instruction of a CPU in 64-bit mode, ring 0. @returns the vector that it raised, or -1 */
function stepped(target: Machine): number {
  return target.step(0).exception?.vector ?? -1;
}

async function prepared(build: (typeof BUILDS)[number], code: string): Promise<Machine> {
  const target = await longMode(build, code);
  for (const vector of [1, UD, GP]) setGate64(target, vector, HANDLER);
  return target;
}

type Row = [what: string, code: string, registers: Record<string, bigint>, vector: number];

/** MOV to control registers from RAX, WRMSR of EDX:EAX to ECX. */
const ROWS: Row[] = [
  ["CR0: bits 63:32", "0f 22 c0", { rax: 0x1_80000011n }, GP],
  ["CR0: PG without PE", "0f 22 c0", { rax: 0x80000010n }, GP],
  ["CR0: NW without CD", "0f 22 c0", { rax: 0xa0000011n }, GP],
  ["CR0: PG cleared in 64-bit mode", "0f 22 c0", { rax: 0x11n }, GP],
  ["CR0: reserved low bits are ignored", "0f 22 c0", { rax: 0x8000ffd1n }, -1],
  ["CR1 does not exist", "0f 22 c8", {}, UD],
  ["CR3: bits above MAXPHYADDR", "0f 22 d8", { rax: 1n << 40n }, GP],
  ["CR3: bit 63 without PCIDE", "0f 22 d8", { rax: (1n << 63n) | 0x1000n }, GP],
  ["CR4: PAE cleared in IA-32e mode", "0f 22 e0", { rax: 0n }, GP],
  ["CR4: a bit without a feature", "0f 22 e0", { rax: 0x1020n }, GP],
  ["CR4: PCIDE", "0f 22 e0", { rax: 0x20020n }, -1],
  ["CR8: bits 63:4", "44 0f 22 c0", { rax: 0x10n }, GP],
  ["DR7: bits 63:32", "0f 23 f8", { rax: 1n << 32n }, GP],
  ["EFER: LME changed while paging", "0f 30", { rcx: 0xc0000080n, rax: 0x400n }, GP],
  ["EFER: a reserved bit", "0f 30", { rcx: 0xc0000080n, rax: 0x502n }, GP],
  ["LSTAR: not canonical", "0f 30", { rcx: 0xc0000082n, rdx: 0x8000n }, GP],
  ["PAT: no such type", "0f 30", { rcx: 0x277n, rax: 2n }, GP],
  ["an MTRR of write-back", "0f 30", { rcx: 0x200n, rax: 6n }, -1],
  ["an MTRR of no type", "0f 30", { rcx: 0x200n, rax: 2n }, GP],
  ["RDMSR of nothing", "0f 32", { rcx: 0x400n }, GP],
  ["RDPMC of nothing", "0f 33", {}, GP],
  ["INVPCID of an unknown type", "66 0f 38 82 00", { rax: BigInt(CODE) }, GP],
];

describe.each(BUILDS)("system registers, %s core", (build) => {
  it.each(ROWS)("%s", async (_, code, registers, vector) => {
    const target = await prepared(build, code);
    Object.assign(target.vcpus[0]!.gpr, { rdx: 0n, ...registers });
    expect(stepped(target)).toBe(vector);
  });

  it("moves the TSC with TSC_ADJUST and TSC_ADJUST with the TSC", async () => {
    const vcpu = (await longMode(build, "90")).vcpus[0]!;
    const before = vcpu.readMsr(0x10)!;
    vcpu.writeMsr(0x10, before + 1000n);
    expect(vcpu.readMsr(0x3b)).toBe(1000n);
  });

  it("repeats RDRAND by seed", async () => {
    const values = [];
    for (const seed of [1, 1, 2]) {
      const target = await longMode(build, "48 0f c7 f0", { seed });
      target.step(0);
      values.push(target.vcpus[0]!.gpr.rax);
    }
    expect(values[0]).toBe(values[1]);
    expect(values[0]).not.toBe(values[2]);
  });
});

describe.each(BUILDS)("CPUID, %s core", (build) => {
  async function cpuid(leaf: bigint, subleaf = 0n) {
    const target = await longMode(build, "0f a2", { apicIds: [0x123] });
    const vcpu = target.vcpus[0]!;
    Object.assign(vcpu.gpr, { rax: leaf, rcx: subleaf });
    target.step(0);
    return vcpu.gpr;
  }

  it("gives the low byte of the x2APIC ID as the initial APIC ID", async () => {
    expect((await cpuid(1n)).rbx >> 24n).toBe(0x23n);
  });

  it("gives the whole x2APIC ID in leaf 0BH and shifts that split it", async () => {
    const { rax, rcx, rdx } = await cpuid(0xbn, 1n);
    expect([rax, rcx, rdx]).toEqual([8n, 0x201n, 0x123n]);
  });

  it("answers beyond its highest leaf with that leaf", async () => {
    expect((await cpuid(0x7fffffffn, 1n)).rdx).toBe(0x123n);
  });
});

describe.each(BUILDS)("data breakpoints, %s core", (build) => {
  it("trap after the instruction that writes, with DR6 telling which", async () => {
    // mov [rbx], eax
    const target = await prepared(build, "89 03 90");
    const vcpu = target.vcpus[0]!;
    vcpu.gpr.rbx = 0x20000n;
    vcpu.debug.dr1 = 0x20002n;
    vcpu.debug.dr7 = 0x400n | 4n | (0x5n << 20n); // DR1: write, 2 bytes
    expect(stepped(target)).toBe(1);
    expect(vcpu.debug.dr6 & 0xfn).toBe(2n);
    const frame = target.readMemory(Number(vcpu.gpr.rsp), 8);
    expect(new DataView(frame.buffer).getBigUint64(0, true)).toBe(BigInt(CODE + 2));
  });

  it("do not trap on a read when they are for writes", async () => {
    const target = await prepared(build, "8b 03 90");
    const vcpu = target.vcpus[0]!;
    vcpu.gpr.rbx = 0x20000n;
    vcpu.debug.dr0 = 0x20000n;
    vcpu.debug.dr7 = 0x400n | 1n | (0xdn << 16n);
    expect(stepped(target)).toBe(-1);
  });
});

describe.each(BUILDS)("MWAIT, %s core", (build) => {
  // monitor; mwait; mov [0x20100], 1; jmp $
  const WAITER = "0f 01 c8 0f 01 c9 c6 04 25 00 01 02 00 01 eb fe";

  it("waits until somebody else stores to the line", async () => {
    const target = await longMode(build, WAITER);
    const vcpu = target.vcpus[0]!;
    vcpu.gpr.rax = 0x20040n;
    for (let i = 0; i < 3; i++) target.step(0);
    expect(vcpu.runState).toBe("halted");
    target.writeMemory(0x20080, hex("01"));
    expect(vcpu.runState).toBe("halted");
    target.writeMemory(0x2003f, hex("01 02"));
    expect(vcpu.runState).toBe("runnable");
    target.step(0);
    expect(target.readMemory(0x20100, 1)[0]).toBe(1);
  });

  it("does not wait when the store came between MONITOR and MWAIT", async () => {
    const target = await longMode(build, WAITER);
    const vcpu = target.vcpus[0]!;
    vcpu.gpr.rax = 0x10040n;
    target.step(0);
    // The code page holds the line: a store by the CPU itself, mov [0x10040], 1
    target.writeMemory(CODE + 3, hex("c6 04 25 40 00 01 00 01 0f 01 c9"));
    target.step(0);
    target.step(0);
    expect(vcpu.runState).toBe("runnable");
  });
});
