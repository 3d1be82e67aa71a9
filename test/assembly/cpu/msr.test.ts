/**
 * Every MSR: value after RESET, and what each single bit of a write does. Source: SDM 4 "Architectural MSRs" (bits,
 * enumeration), SDM 3A "Processor State After Reset"; KVM `kvm_set_msr_common` for what software finds there under KVM.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import { BUILDS, hex, machine, type Build } from "../../support/machine.js";
import { worldOf, type WorldName } from "../../support/worlds.js";

const GP = 13;
const ALL = (1n << 64n) - 1n;
const LOW_32 = 0xffffffffn;
const PHYSICAL = (1n << 40n) - 1n;

interface Msr {
  number: number;
  /** Value after RESET. */
  reset?: bigint;
  /** Bits that a write changes. None, and no `ignored`: only zero can be written. */
  writable?: bigint;
  /** Bits that a write may have set and that keep their value. All others raise #GP. */
  ignored?: bigint;
  isReadOnly?: boolean;
  isCanonical?: boolean;
  /** Whether a value of allowed bits is allowed. */
  allows?: (value: bigint) => boolean;
  /** CPU models without it. */
  absent?: string[];
  /** What other tests are for: neither bits nor value are looked at. */
  isOwn?: boolean;
  /** Needed to be there at all. */
  cpu?: string;
}

const bytesOf = (value: bigint) =>
  Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(i * 8)) & 0xffn));
const isMtrrType = (type: number) => [0, 1, 4, 5, 6].includes(type);
const lowType = (value: bigint) => isMtrrType(Number(value & 0xffn));
const allTypes = (value: bigint) => bytesOf(value).every(isMtrrType);
const allPatTypes = (value: bigint) =>
  bytesOf(value).every((type) => isMtrrType(type) || type === 7);

const mtrr = { absent: ["x2vm,-mtrr"] };
const sep = { absent: ["x2vm,-sep"] };
const mca = { absent: ["x2vm,-mca"] };
const lm = { absent: ["x2vm,-lm"] };
const amd = { cpu: "qemu64", absent: ["x2vm"] };
const readOnly = { isReadOnly: true };

const MSRS: Record<string, Msr> = {
  IA32_TIME_STAMP_COUNTER: { number: 0x10, isOwn: true },
  IA32_PLATFORM_ID: { number: 0x17, ...readOnly },
  IA32_APIC_BASE: { number: 0x1b, isOwn: true },
  IA32_FEATURE_CONTROL: { number: 0x3a, reset: 1n, ...readOnly },
  IA32_TSC_ADJUST: { number: 0x3b, writable: ALL, absent: ["x2vm,-tsc_adjust"] },
  IA32_BIOS_SIGN_ID: { number: 0x8b, reset: 1n << 32n, ignored: ALL },
  MSR_PLATFORM_INFO: { number: 0xce, reset: 0x80000a00n, ...readOnly },
  IA32_MTRRCAP: { number: 0xfe, reset: 0x508n, ...readOnly, ...mtrr },
  IA32_ARCH_CAPABILITIES: {
    number: 0x10a,
    reset: 0x179n,
    ...readOnly,
    absent: ["x2vm,-arch_capabilities"],
  },
  MSR_MISC_FEATURES_ENABLES: { number: 0x140, writable: 1n },
  IA32_SYSENTER_CS: { number: 0x174, writable: LOW_32, ignored: ALL & ~LOW_32, ...sep },
  IA32_SYSENTER_ESP: { number: 0x175, writable: ALL, isCanonical: true, ...sep },
  IA32_SYSENTER_EIP: { number: 0x176, writable: ALL, isCanonical: true, ...sep },
  IA32_MCG_CAP: { number: 0x179, ...readOnly, ...mca },
  IA32_MCG_STATUS: { number: 0x17a, ...mca },
  IA32_PERF_STATUS: { number: 0x198, reset: 0xa00n, ...readOnly },
  IA32_MISC_ENABLE: {
    number: 0x1a0,
    reset: 0x41801n,
    writable: 1n | (1n << 18n) | (1n << 22n) | (1n << 34n),
    ignored: 0x1800n, // branch trace storage, processor event based sampling: not there
  },
  IA32_DEBUGCTL: { number: 0x1d9 },
  IA32_PAT: { number: 0x277, reset: 0x7040600070406n, writable: ALL, allows: allPatTypes },
  IA32_MTRR_DEF_TYPE: { number: 0x2ff, writable: 0xcffn, allows: lowType, ...mtrr },
  IA32_TSC_DEADLINE: { number: 0x6e0, isOwn: true, absent: ["x2vm,-tsc_deadline_timer"] },
  IA32_EFER: { number: 0xc0000080, isOwn: true, absent: ["x2vm,-nx,-syscall,-lm"] },
  IA32_STAR: { number: 0xc0000081, writable: ALL, absent: ["x2vm,-syscall,-lm"] },
  IA32_LSTAR: { number: 0xc0000082, writable: ALL, isCanonical: true, ...lm },
  IA32_CSTAR: { number: 0xc0000083, writable: ALL, isCanonical: true, ...lm },
  IA32_FMASK: { number: 0xc0000084, writable: LOW_32, ignored: ALL & ~LOW_32, ...lm },
  IA32_FS_BASE: { number: 0xc0000100, writable: ALL, isCanonical: true, ...lm },
  IA32_GS_BASE: { number: 0xc0000101, writable: ALL, isCanonical: true, ...lm },
  IA32_KERNEL_GS_BASE: { number: 0xc0000102, writable: ALL, isCanonical: true, ...lm },
  IA32_TSC_AUX: { number: 0xc0000103, writable: LOW_32, absent: ["x2vm,-rdtscp,-rdpid"] },
  MSR_AMD64_SYSCFG: { number: 0xc0010010, ...readOnly, ...amd },
  MSR_K7_HWCR: { number: 0xc0010015, ignored: 0x148n, ...amd },
  MSR_K8_INT_PENDING_MSG: { number: 0xc0010055, ...readOnly, ...amd },
};
for (let n = 0; n < 8; n++) {
  MSRS[`IA32_MTRR_PHYSBASE${n}`] = {
    number: 0x200 + n * 2,
    writable: PHYSICAL & ~0xf00n,
    allows: lowType,
    ...mtrr,
  };
  MSRS[`IA32_MTRR_PHYSMASK${n}`] = { number: 0x201 + n * 2, writable: PHYSICAL & ~0x7ffn, ...mtrr };
}
for (const number of [0x250, 0x258, 0x259, ...Array.from({ length: 8 }, (_, i) => 0x268 + i)]) {
  const name = `fixed MTRR ${number.toString(16)}`;
  MSRS[name] = { number, writable: ALL, allows: allTypes, ...mtrr };
}

const CODE = 0x10000n;

/** One instruction, which may raise #GP(0). @returns false when it did */
function steps(target: Machine): boolean {
  const { exception } = target.step(0);
  if (exception === undefined) return true;
  expect(exception.vector).toBe(GP);
  const error = new DataView(target.readMemory(Number(target.vcpus[0]!.gpr.rsp), 4).buffer);
  expect(error.getUint32(0, true)).toBe(0);
  return false;
}

/** RDMSR. @returns undefined for #GP(0) */
function rdmsr(target: Machine, number: number): bigint | undefined {
  const vcpu = target.vcpus[0]!;
  vcpu.rip = CODE;
  // Upper halves of RCX mean nothing, those of RAX and RDX are cleared.
  Object.assign(vcpu.gpr, { rcx: BigInt(number) | (1n << 40n), rax: ALL, rdx: ALL });
  return steps(target) ? (vcpu.gpr.rdx << 32n) | vcpu.gpr.rax : undefined;
}

/** WRMSR. @returns false for #GP(0) */
function wrmsr(target: Machine, number: number, value: bigint): boolean {
  const vcpu = target.vcpus[0]!;
  vcpu.rip = CODE + 2n;
  // Upper halves of all three registers mean nothing.
  const high = 0x5a5a5a5an << 32n;
  const [rax, rdx] = [(value & LOW_32) | high, (value >> 32n) | high];
  Object.assign(vcpu.gpr, { rcx: BigInt(number) | high, rax, rdx });
  return steps(target);
}

/** A CPU with RDMSR and WRMSR at CODE. */
async function cpuOf(build: Build, cpu = "x2vm", world: WorldName = "64-bit ring 0") {
  return worldOf(build, world, hex("0f 32 0f 30"), { cpu });
}

const isCanonical = (value: bigint) => BigInt.asUintN(64, BigInt.asIntN(48, value)) === value;

/** By the columns above: what is there after a write of `value`, or undefined for #GP. */
function written(row: Msr, before: bigint, value: bigint): bigint | undefined {
  const { writable = 0n, ignored = 0n, isReadOnly, allows = () => true } = row;
  if (isReadOnly === true || (value & ~(writable | ignored)) !== 0n) return undefined;
  if ((row.isCanonical === true && !isCanonical(value)) || !allows(value)) return undefined;
  return (value & writable) | (before & ignored);
}

/** Each bit alone, each byte and half alone, all types, and what is or is not canonical. */
const VALUES: bigint[] = [
  0n,
  ALL,
  LOW_32,
  ...Array.from({ length: 64 }, (_, i) => 1n << BigInt(i)),
  ...Array.from({ length: 9 }, (_, type) => BigInt(type) * 0x0101010101010101n),
  ...Array.from({ length: 9 }, (_, type) => BigInt(type) | 0x800n),
  0x0706050401000006n,
  (1n << 47n) - 1n,
  ALL << 47n,
  ALL << 46n,
  (ALL << 48n) & ALL,
].map((value) => BigInt.asUintN(64, value));

describe.each(BUILDS)("MSRs (%s)", (build) => {
  const rows = Object.entries(MSRS).map(([name, row]) => [name, row] as const);
  // Where RESET leaves FS and GS in a world is not RESET's value.
  it.each(rows.filter(([, { isOwn }]) => isOwn !== true))("%s after RESET", async (_, row) => {
    const target = await machine(build, { cpu: row.cpu ?? "x2vm" });
    expect(target.vcpus[0]!.readMsr(row.number)).toBe(row.reset ?? 0n);
  });

  it.each(rows.filter(([, { isOwn }]) => isOwn !== true))("%s, bit by bit", async (_, row) => {
    const target = await cpuOf(build, row.cpu);
    let before = rdmsr(target, row.number)!;
    for (const value of VALUES) {
      const after = written(row, before, value);
      const what = `${value.toString(16)} over ${before.toString(16)}`;
      expect([what, wrmsr(target, row.number, value)]).toEqual([what, after !== undefined]);
      before = after ?? before;
      expect([what, rdmsr(target, row.number)]).toEqual([what, before]);
    }
  });

  const absences = rows.flatMap(([name, row]) =>
    (row.absent ?? []).map((cpu) => [name, cpu, row] as const),
  );
  it.each(absences)("%s is not there on %s", async (_, cpu, row) => {
    // A CPU without EFER or LM is in no 64-bit mode.
    const target = await cpuOf(build, cpu, "32-bit ring 0");
    expect(rdmsr(target, row.number)).toBeUndefined();
    expect(wrmsr(target, row.number, 0n)).toBe(false);
    const there = await cpuOf(build, row.cpu, "32-bit ring 0");
    expect(rdmsr(there, row.number)).toBeDefined();
  });

  it.each([
    "v86",
    "16-bit ring 3",
    "32-bit ring 3",
    "compatibility ring 3",
    "64-bit ring 3",
  ] as const)("cannot be accessed from %s", async (world) => {
    const isShort = world === "v86" || world === "16-bit ring 3";
    const read = await cpuOf(build, "x2vm", world);
    read.vcpus[0]!.gpr.rcx = 0x277n;
    expect(steps(read)).toBe(false);
    const write = await cpuOf(build, "x2vm", world);
    write.vcpus[0]!.rip = (isShort ? 0n : CODE) + 2n;
    Object.assign(write.vcpus[0]!.gpr, { rcx: 0x174n, rax: 8n, rdx: 0n });
    expect(steps(write)).toBe(false);
    expect(write.vcpus[0]!.readMsr(0x174)).toBe(0n);
  });

  it("are accessed in real-address mode", async () => {
    const target = await cpuOf(build, "x2vm", "real");
    const vcpu = target.vcpus[0]!;
    Object.assign(vcpu.gpr, { rcx: 0x277n, rax: 0n, rdx: 0n });
    expect(target.step(0).exception).toBeUndefined();
    expect([vcpu.gpr.rdx, vcpu.gpr.rax]).toEqual([0x70406n, 0x70406n]);
  });

  it("are there at no other number", async () => {
    // In xAPIC mode, where those of 800H to 8FFH are not there.
    const vcpu = (await machine(build)).vcpus[0]!;
    const known = new Set(rows.filter(([, { cpu }]) => cpu === undefined).map(([, r]) => r.number));
    const found = new Set<number>();
    const spaces = [0, 0x40000000, 0x4b564d00, 0x80000000, 0xc0000000, 0xc0010000, 0xffffe000];
    for (const base of spaces) {
      for (let number = base; number < base + 0x2000; number++) {
        if (vcpu.readMsr(number) !== undefined) found.add(number);
      }
    }
    expect([...found].toSorted((a, b) => a - b)).toEqual([...known].toSorted((a, b) => a - b));
  });
});

describe.each(BUILDS)("IA32_EFER (%s)", (build) => {
  const EFER = 0xc0000080;
  const SCE = 1n;
  const LME = 0x100n;
  const LMA = 0x400n;
  const NXE = 0x800n;
  /** Bits that can be set, by CPU. */
  const BITS: [cpu: string, bits: bigint][] = [
    ["x2vm", SCE | LME | LMA | NXE],
    ["x2vm,-syscall", LME | LMA | NXE],
    ["x2vm,-nx", SCE | LME | LMA],
    ["x2vm,-lm", SCE | LMA | NXE],
  ];
  let target: Machine;
  beforeAll(async () => {
    target = await cpuOf(build, "x2vm", "64-bit ring 0");
  });

  it.each(BITS)("on %s", async (cpu, bits) => {
    // Without paging, so that LME can change.
    const each = await cpuOf(build, cpu, "32-bit ring 0");
    each.vcpus[0]!.control.cr0 &= ~0x80000000n;
    for (let bit = 0n; bit < 64n; bit++) {
      const value = 1n << bit;
      expect([bit, wrmsr(each, EFER, value)]).toEqual([bit, (bits & value) !== 0n]);
      // LMA is read-only.
      if ((bits & value) !== 0n) expect(rdmsr(each, EFER)).toBe(value & ~LMA);
    }
  });

  it("keeps LME and LMA while paging is on", () => {
    expect(wrmsr(target, EFER, LMA | NXE)).toBe(false);
    expect(wrmsr(target, EFER, 0n)).toBe(false);
    expect(wrmsr(target, EFER, LME)).toBe(true); // LMA cannot be cleared by a write either
    expect(rdmsr(target, EFER)).toBe(LME | LMA);
  });

  it("has no NXE while IA32_MISC_ENABLE disables it", () => {
    expect(wrmsr(target, 0x1a0, 1n << 34n)).toBe(true);
    expect(wrmsr(target, EFER, LME | NXE)).toBe(false);
    expect(wrmsr(target, 0x1a0, 0n)).toBe(true);
    expect(wrmsr(target, EFER, LME | NXE)).toBe(true);
  });
});

describe.each(BUILDS)("the TSC's MSRs (%s)", (build) => {
  it("move the TSC with TSC_ADJUST and TSC_ADJUST with the TSC", async () => {
    const target = await cpuOf(build);
    expect(wrmsr(target, 0x3b, 1n << 62n)).toBe(true);
    expect(rdmsr(target, 0x10)! >> 62n).toBe(1n);
    expect(wrmsr(target, 0x10, 5n)).toBe(true);
    expect(rdmsr(target, 0x10)! - 5n).toBeLessThan(100n);
    const adjust = BigInt.asIntN(64, rdmsr(target, 0x3b)!);
    expect(adjust).toBeGreaterThan(-100n);
    expect(adjust).toBeLessThanOrEqual(5n);
  });

  it("let the host set TSC_ADJUST alone", async () => {
    const vcpu = (await cpuOf(build)).vcpus[0]!;
    const before = vcpu.readMsr(0x10)!;
    expect(vcpu.writeMsr(0x3b, 1n << 60n)).toBe(true);
    expect(vcpu.readMsr(0x10)).toBe(before);
  });
});
