/**
 * What CPUID offers exists, and what it does not offer is #UD: an instruction or more for every feature bit that stands for
 * instructions. Source: SDM 2 "CPUID", the instructions; encodings that would be hints or older instructions without
 * their feature (TZCNT, LZCNT, CLDEMOTE, ENDBR, XACQUIRE, RDSSP) are rows of their own.
 */
import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import { BUILDS, hex, type Build } from "../../support/machine.js";
import { CODE, DATA, worldOf } from "../../support/worlds.js";

type Register = "rax" | "rbx" | "rcx" | "rdx";
/** CPUID leaf, register and bit. */
type Bit = readonly [leaf: number, register: Register, bit: number];

const FEATURES: Record<string, [bit: Bit, codes: string[]]> = {
  FPU: [
    [1, "rdx", 0],
    ["d9 e8", "dd 03", "9b", "db e3", "df e0", "d9 f2", "db e9", "da c1"],
  ],
  TSC: [[1, "rdx", 4], ["0f 31"]],
  MSR: [[1, "rdx", 5], ["0f 32"]],
  CX8: [[1, "rdx", 8], ["0f c7 0b"]],
  SEP: [
    [1, "rdx", 11],
    ["0f 34", "0f 35"],
  ],
  CMOV: [
    [1, "rdx", 15],
    ["0f 44 c1", "da c1", "db f1"],
  ],
  CLFLUSH: [[1, "rdx", 19], ["0f ae 3b"]],
  MMX: [
    [1, "rdx", 23],
    ["0f 77", "0f fc c1", "0f 6e c1", "0f 7f 03", "0f f5 c1", "0f 63 c1"],
  ],
  FXSR: [
    [1, "rdx", 24],
    ["0f ae 03", "48 0f ae 03"],
  ],
  SSE: [
    [1, "rdx", 25],
    [
      "0f 58 c1",
      "f3 0f 10 03",
      "0f ae 5b 08",
      "0f 16 c1",
      "0f c6 c1 00",
      "0f f7 c1",
      "0f e0 c1",
      "0f ae f8",
    ],
  ],
  SSE2: [
    [1, "rdx", 26],
    [
      "66 0f 58 c1",
      "f2 0f 2a c1",
      "66 0f 6f c1",
      "0f c3 03",
      "66 0f f4 c1",
      "0f d4 c1",
      "0f ae e8",
      "0f ae f0",
      "f3 90",
    ],
  ],
  SSE3: [
    [1, "rcx", 0],
    ["f2 0f f0 03", "f2 0f 12 c1", "66 0f 7c c1", "f2 0f d0 c1", "df 0b", "f3 0f 16 c1"],
  ],
  PCLMULQDQ: [[1, "rcx", 1], ["66 0f 3a 44 c1 00"]],
  MONITOR: [
    [1, "rcx", 3],
    ["0f 01 c8", "0f 01 c9"],
  ],
  VMX: [
    [1, "rcx", 5],
    ["0f 01 c2", "0f 01 c4", "0f 78 c1", "f3 0f c7 33"],
  ],
  SMX: [[1, "rcx", 6], ["0f 37"]],
  SSSE3: [
    [1, "rcx", 9],
    ["66 0f 38 00 c1", "0f 38 00 c1", "0f 3a 0f c1 01", "66 0f 38 1c c1", "0f 38 04 c1"],
  ],
  FMA: [[1, "rcx", 12], ["c4 e2 71 98 c2"]],
  CX16: [[1, "rcx", 13], ["48 0f c7 0b"]],
  SSE41: [
    [1, "rcx", 19],
    [
      "66 0f 38 17 c1",
      "66 0f 3a 0b c1 00",
      "66 0f 38 40 c1",
      "66 0f 3a 14 c1 00",
      "66 0f 38 2a 03",
      "66 0f 3a 42 c1 00",
    ],
  ],
  SSE42: [
    [1, "rcx", 20],
    ["66 0f 3a 63 c1 00", "66 0f 38 37 c1", "f2 0f 38 f0 c1", "f2 48 0f 38 f1 c1"],
  ],
  MOVBE: [
    [1, "rcx", 22],
    ["0f 38 f0 03", "48 0f 38 f1 03"],
  ],
  POPCNT: [[1, "rcx", 23], ["f3 0f b8 c1"]],
  AES: [
    [1, "rcx", 25],
    ["66 0f 38 dc c1", "66 0f 38 db c1", "66 0f 3a df c1 00"],
  ],
  XSAVE: [
    [1, "rcx", 26],
    ["0f ae 23", "48 0f ae 2b", "0f 01 d0", "0f 01 d1"],
  ],
  XSAVEOPT: [
    [0xd, "rax", 0],
    ["0f ae 33", "48 0f ae 33"],
  ],
  XSAVEC: [
    [0xd, "rax", 1],
    ["0f c7 23", "48 0f c7 23"],
  ],
  XSAVES: [
    [0xd, "rax", 3],
    ["0f c7 2b", "48 0f c7 1b"],
  ],
  AVX: [
    [1, "rcx", 28],
    ["c5 f0 58 c2", "c5 f8 77", "c5 f8 28 c1"],
  ],
  F16C: [[1, "rcx", 29], ["c4 e2 79 13 c1"]],
  RDRAND: [
    [1, "rcx", 30],
    ["0f c7 f0", "48 0f c7 f0"],
  ],
  FSGSBASE: [
    [7, "rbx", 0],
    ["f3 0f ae c0", "f3 48 0f ae d9"],
  ],
  BMI1: [[7, "rbx", 3], ["c4 e2 70 f2 c2"]],
  AVX2: [[7, "rbx", 5], ["c4 e2 7d 58 c1"]],
  BMI2: [[7, "rbx", 8], ["c4 e2 73 f5 c2"]],
  INVPCID: [[7, "rbx", 10], ["66 0f 38 82 03"]],
  RTM: [
    [7, "rbx", 11],
    ["c7 f8 00 00 00 00", "c6 f8 00", "0f 01 d5", "0f 01 d6"],
  ],
  AVX512F: [[7, "rbx", 16], ["62 f1 74 48 58 c2"]],
  RDSEED: [[7, "rbx", 18], ["0f c7 f8"]],
  ADX: [
    [7, "rbx", 19],
    ["66 0f 38 f6 c1", "f3 0f 38 f6 c1"],
  ],
  SMAP: [
    [7, "rbx", 20],
    ["0f 01 ca", "0f 01 cb"],
  ],
  CLFLUSHOPT: [[7, "rbx", 23], ["66 0f ae 3b"]],
  CLWB: [[7, "rbx", 24], ["66 0f ae 33"]],
  SHA: [
    [7, "rbx", 29],
    ["0f 38 c8 c1", "0f 3a cc c1 00"],
  ],
  PKU: [
    [7, "rcx", 3],
    ["0f 01 ee", "0f 01 ef"],
  ],
  WAITPKG: [
    [7, "rcx", 5],
    ["66 0f ae f1", "f3 0f ae f1"],
  ],
  GFNI: [
    [7, "rcx", 8],
    ["66 0f 38 cf c1", "66 0f 3a ce c1 00"],
  ],
  RDPID: [[7, "rcx", 22], ["f3 0f c7 f8"]],
  MOVDIRI: [[7, "rcx", 27], ["0f 38 f9 03"]],
  MOVDIR64B: [[7, "rcx", 28], ["66 0f 38 f8 03"]],
  SERIALIZE: [[7, "rdx", 14], ["0f 01 e8"]],
  LAHF: [
    [0x80000001, "rcx", 0],
    ["9f", "9e"],
  ],
  SVM: [
    [0x80000001, "rcx", 2],
    ["0f 01 d8", "0f 01 dd", "0f 01 de"],
  ],
  SSE4A: [
    [0x80000001, "rcx", 6],
    ["f2 0f 79 c1", "66 0f 79 c1", "f3 0f 2b 03"],
  ],
  PREFETCHW: [[0x80000001, "rcx", 8], ["0f 0d 0b"]],
  XOP: [[0x80000001, "rcx", 11], ["8f e8 78 a2 c1 10"]],
  MONITORX: [
    [0x80000001, "rcx", 29],
    ["0f 01 fa", "0f 01 fb"],
  ],
  SYSCALL: [
    [0x80000001, "rdx", 11],
    ["0f 05", "48 0f 07"],
  ],
  RDTSCP: [[0x80000001, "rdx", 27], ["0f 01 f9"]],
  "3DNow!": [
    [0x80000001, "rdx", 31],
    ["0f 0f c1 9e", "0f 0e"],
  ],
};

const UD = 6;

/** A CPU of 64-bit mode, ring 0, with every control bit that its features let it set. */
async function prepared(build: Build, code: string): Promise<Machine> {
  const target = await worldOf(build, "64-bit ring 0", hex(code));
  const vcpu = target.vcpus[0]!;
  vcpu.control.cr4 |= (1n << 16n) | (1n << 18n); // FSGSBASE OSXSAVE
  vcpu.control.efer |= 1n;
  vcpu.gpr.rbx = BigInt(DATA + 0x100) & ~15n;
  vcpu.gpr.rax = BigInt(CODE + 0x800);
  vcpu.gpr.rcx = 0n;
  return target;
}

async function hasFeature(build: Build, [leaf, register, bit]: Bit): Promise<boolean> {
  const target = await prepared(build, "0f a2");
  const { gpr } = target.vcpus[0]!;
  gpr.rax = BigInt(leaf);
  gpr.rcx = leaf === 0xd ? 1n : 0n; // the feature bits of leaf 0DH are in its subleaf 1
  target.step(0);
  return ((gpr[register] >> BigInt(bit)) & 1n) === 1n;
}

describe.each(BUILDS)("instructions and their CPUID bit (%s)", (build) => {
  const rows = Object.entries(FEATURES).map(([name, [bit, codes]]) => [name, bit, codes] as const);
  it.each(rows)("%s", async (_, bit, codes) => {
    const isOffered = await hasFeature(build, bit);
    for (const code of codes) {
      const target = await prepared(build, code);
      const vector = target.step(0).exception?.vector;
      expect(`${code}: ${vector === UD ? "missing" : "there"}`).toBe(
        `${code}: ${isOffered ? "there" : "missing"}`,
      );
    }
  });

  /** Encodings that mean something else where their feature is missing. */
  const OTHERS: [what: string, code: string, check: (target: Machine) => void][] = [
    ["TZCNT is BSF", "f3 0f bc c8", ({ vcpus: [vcpu] }) => expect(vcpu!.gpr.rcx).toBe(11n)],
    ["LZCNT is BSR", "f3 0f bd c8", ({ vcpus: [vcpu] }) => expect(vcpu!.gpr.rcx).toBe(16n)],
    [
      "ENDBR64 is NOP",
      "f3 0f 1e fa",
      ({ vcpus: [vcpu] }) => expect(vcpu!.rip).toBe(BigInt(CODE + 4)),
    ],
    [
      "RDSSP is NOP",
      "f3 48 0f 1e c8",
      ({ vcpus: [vcpu] }) => expect(vcpu!.gpr.rax).toBe(BigInt(CODE + 0x800)),
    ],
    [
      "CLDEMOTE is NOP",
      "0f 1c 03",
      ({ vcpus: [vcpu] }) => expect(vcpu!.rip).toBe(BigInt(CODE + 3)),
    ],
    [
      "PREFETCHWT1 is NOP",
      "0f 0d 13",
      ({ vcpus: [vcpu] }) => expect(vcpu!.rip).toBe(BigInt(CODE + 3)),
    ],
    [
      "XACQUIRE is nothing",
      "f2 f0 01 0b",
      ({ vcpus: [vcpu] }) => expect(vcpu!.rip).toBe(BigInt(CODE + 4)),
    ],
    [
      "BND is nothing",
      "f2 eb 10",
      ({ vcpus: [vcpu] }) => expect(vcpu!.rip).toBe(BigInt(CODE + 0x13)),
    ],
  ];
  it.each(OTHERS)("%s", async (_, code, check) => {
    const target = await prepared(build, code);
    target.step(0);
    check(target);
  });
});
