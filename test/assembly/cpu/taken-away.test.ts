/**
 * Features that a CPU is made without: their instructions raise #UD, their control bits and MSRs #GP, as on a CPU that
 * never had them. Source: SDM 2 "Exceptions" of the instructions; SDM 3A "Control Registers"; SDM 4 for the MSRs.
 */
import { describe, expect, it } from "vitest";
import { BUILDS, hex, PDPT, writeU64 } from "../../support/machine.js";
import { worldOf, DATA } from "../../support/worlds.js";

const UD = 6;
const GP = 13;
const PF = 14;

/** Instructions by the feature in whose absence they do not exist. */
const INSTRUCTIONS: Readonly<Record<string, readonly string[]>> = {
  tsc: ["0f 31"],
  cx8: ["0f c7 0b"],
  sep: ["0f 34", "0f 35"],
  clflush: ["0f ae 3b"],
  mmx: ["0f 77", "0f fc c1", "0f 6e c1", "0f 7f 03"],
  fxsr: ["0f ae 03", "48 0f ae 0b"],
  sse: ["0f 58 c1", "f3 0f 10 03", "0f ae 5b 08", "0f c6 c1 00", "0f 28 c1", "f3 0f 51 c1"],
  sse2: [
    "66 0f 58 c1",
    "f2 0f 2a c1",
    "66 0f 6f c1",
    "0f c3 03",
    "66 0f f4 c1",
    "66 0f ef c1",
    "f3 0f 5a c1",
  ],
  pni: ["f2 0f f0 03", "f2 0f 12 c1", "66 0f 7c c1", "df 0b", "db 0b", "dd 0b"],
  monitor: ["0f 01 c8", "0f 01 c9"],
  ssse3: ["66 0f 38 00 c1", "0f 38 00 c1", "0f 3a 0f c1 01"],
  cx16: ["48 0f c7 0b"],
  sse4_1: ["66 0f 38 17 c1", "66 0f 3a 0b c1 00", "66 0f 38 40 c1"],
  sse4_2: ["66 0f 3a 63 c1 00", "66 0f 38 37 c1", "f2 0f 38 f0 c1"],
  movbe: ["0f 38 f0 03", "48 0f 38 f1 03"],
  popcnt: ["f3 0f b8 c1"],
  rdrand: ["0f c7 f0"],
  rdseed: ["0f c7 f8"],
  invpcid: ["66 0f 38 82 03"],
  smap: ["0f 01 ca", "0f 01 cb"],
  rdpid: ["f3 0f c7 f8"],
  xsaveopt: ["0f ae 33", "48 0f ae 33"],
  xsavec: ["0f c7 23", "48 0f c7 23"],
  lahf_lm: ["9e", "9f"],
  rdtscp: ["0f 01 f9"],
  fsgsbase: ["f3 0f ae c0", "f3 48 0f ae d9"],
  syscall: ["0f 05", "48 0f 07"],
};

/** CR4 bits. */
const CR4_BITS: readonly [feature: string, bit: number][] = [
  ["tsc", 2],
  ["de", 3],
  ["pse", 4],
  ["mce", 6],
  ["pge", 7],
  ["fxsr", 9],
  ["sse", 10],
  ["umip", 11],
  ["fsgsbase", 16],
  ["pcid", 17],
  ["xsave", 18],
  ["smep", 20],
  ["smap", 21],
];

const MSRS: readonly [feature: string, msr: number, value: bigint][] = [
  ["sep", 0x174, 0n],
  ["sep", 0x175, 0n],
  ["sep", 0x176, 0n],
  ["tsc_adjust", 0x3b, 0n],
  ["mtrr", 0x2ff, 0n],
  ["mca", 0x17a, 0n],
  ["tsc_deadline_timer", 0x6e0, 0n],
  ["syscall", 0xc0000080, 0x501n],
  ["nx", 0xc0000080, 0xd00n],
];

describe.each(BUILDS)("a CPU (%s)", (build) => {
  it.each(Object.entries(INSTRUCTIONS))(
    "without %s has not its instructions",
    async (name, codes) => {
      for (const code of codes) {
        const there = await worldOf(build, "64-bit ring 0", hex(code), { cpu: "x2vm" });
        const missing = await worldOf(build, "64-bit ring 0", hex(code), { cpu: `x2vm,-${name}` });
        for (const target of [there, missing]) {
          const { control, gpr } = target.vcpus[0]!;
          gpr.rbx = BigInt(DATA + 0x100);
          gpr.rcx = 0n;
          gpr.rax = BigInt(DATA + 0x200);
          if (target === there && name === "fsgsbase") control.cr4 |= 1n << 16n;
          if (name.startsWith("xsave")) control.cr4 |= 1n << 18n;
          if (target === there && name === "syscall") control.efer |= 1n;
        }
        expect([code, there.step(0).exception?.vector]).not.toEqual([code, UD]);
        expect([code, missing.step(0).exception?.vector]).toEqual([code, UD]);
      }
    },
  );

  it.each(CR4_BITS)("without %s has CR4 bit %i reserved", async (name, bit) => {
    for (const [cpu, vector] of [
      ["x2vm", undefined],
      [`x2vm,-${name}`, GP],
    ] as const) {
      const target = await worldOf(build, "64-bit ring 0", hex("0f 22 e0"), { cpu }); // mov cr4, rax
      const { control, gpr } = target.vcpus[0]!;
      control.cr4 = 0x20n;
      gpr.rax = 0x20n | (1n << BigInt(bit));
      expect(target.step(0).exception?.vector).toBe(vector);
    }
  });

  it.each(MSRS)("without %s refuses MSR %i = %i", async (name, msr, value) => {
    for (const [cpu, vector] of [
      ["x2vm", undefined],
      [`x2vm,-${name}`, GP],
    ] as const) {
      const target = await worldOf(build, "64-bit ring 0", hex("0f 30"), { cpu }); // wrmsr
      const { gpr } = target.vcpus[0]!;
      Object.assign(gpr, { rcx: BigInt(msr), rax: value, rdx: 0n });
      expect([cpu, target.step(0).exception?.vector]).toEqual([cpu, vector]);
    }
  });

  it("without pdpe1gb has PS reserved in a PDPTE", async () => {
    for (const [cpu, vector] of [
      ["x2vm", undefined],
      ["x2vm,-pdpe1gb", PF],
    ] as const) {
      const target = await worldOf(build, "64-bit ring 0", hex("8b 03"), { cpu }); // mov eax, [rbx]
      writeU64(target, PDPT + 8, 0x83n);
      target.vcpus[0]!.gpr.rbx = 0x40000000n;
      const { exception } = target.step(0);
      expect([cpu, exception?.vector]).toEqual([cpu, vector]);
    }
  });

  it("of AMD's has SYSCALL in compatibility mode, to CSTAR, and no SYSENTER in long mode", async () => {
    for (const [cpu, vector] of [
      ["qemu64", undefined],
      ["kvm64", UD],
    ] as const) {
      const target = await worldOf(build, "compatibility ring 3", hex("0f 05"), { cpu });
      const vcpu = target.vcpus[0]!;
      vcpu.control.efer |= 1n;
      vcpu.writeMsr(0xc0000081, 0x0018000800000000n);
      vcpu.writeMsr(0xc0000083, 0x12345n);
      const { exception } = target.step(0);
      expect([cpu, exception?.vector]).toEqual([cpu, vector]);
      if (vector === undefined) expect(vcpu.rip).toBe(0x12345n);
    }
    const sysenter = await worldOf(build, "64-bit ring 3", hex("0f 34"), { cpu: "qemu64" });
    sysenter.vcpus[0]!.writeMsr(0x174, 8n);
    expect(sysenter.step(0).exception?.vector).toBe(UD);
  });

  it("of AMD's, and no other, has AMD's MSRs", async () => {
    for (const [cpu, isThere] of [
      ["qemu64", true],
      ["x2vm", false],
    ] as const) {
      const vcpu = (await worldOf(build, "64-bit ring 0", hex("90"), { cpu })).vcpus[0]!;
      for (const msr of [0xc0010010, 0xc0010015, 0xc0010055])
        expect(vcpu.readMsr(msr)).toBe(isThere ? 0n : undefined);
      expect([0x40n, 0x10n].map((value) => vcpu.writeMsr(0xc0010015, value))).toEqual([
        isThere,
        false,
      ]);
    }
  });
});
