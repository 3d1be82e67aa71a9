/**
 * The debug registers: which bits they have, and which accesses a breakpoint of every length and kind sees, against a
 * model. Source: SDM 3B "Debug Registers", "Breakpoint Field Recognition"; SDM 2 "MOV—Move to/from Debug Registers".
 */
import { describe, expect, it } from "vitest";
import { BUILDS, hex } from "../../support/machine.js";
import { rewinder } from "../../support/rewind.js";
import { CODE, DATA, worldOf, type WorldName } from "../../support/worlds.js";

const [DB, UD, GP] = [1, 6, 13];
const DR6_FIXED = 0xffff0ff0n;
const BD = 1n << 13n;

/** R/W fields. */
const [ON_EXECUTE, ON_WRITE, ON_IO, ON_ACCESS] = [0, 1, 2, 3];
/** LEN fields by length. */
const LENGTHS: readonly [bytes: number, field: number][] = [
  [1, 0],
  [2, 1],
  [4, 3],
  [8, 2],
];

/** DR7 with breakpoint `n` on, locally or globally. */
const dr7Of = (n: number, kind: number, field: number, isGlobal = false) =>
  0x400n |
  (BigInt(isGlobal ? 2 : 1) << BigInt(n * 2)) |
  (BigInt(kind | (field << 2)) << BigInt(16 + n * 4));

/** Reads and writes of each size at [RBX], in 64-bit code and in 32-bit code. */
const DATA_CODES: [world: WorldName, size: number, read: string, write: string][] = [
  ["64-bit ring 3", 1, "8a 03", "88 03"],
  ["64-bit ring 3", 2, "66 8b 03", "66 89 03"],
  ["64-bit ring 3", 4, "8b 03", "89 03"],
  ["64-bit ring 3", 8, "48 8b 03", "48 89 03"],
  ["64-bit ring 3", 10, "db 2b", "db 3b"],
  ["64-bit ring 3", 16, "0f 10 03", "0f 11 03"],
  ["32-bit ring 0", 1, "8a 03", "88 03"],
  ["32-bit ring 0", 2, "66 8b 03", "66 89 03"],
  ["32-bit ring 0", 4, "8b 03", "89 03"],
  ["compatibility ring 3", 4, "8b 03", "89 03"],
];

describe.each(BUILDS)("breakpoints (%s)", (build) => {
  it.each(DATA_CODES)("on data see what touches them: %s, %i bytes", async (...row) => {
    const [world, size, read, write] = row;
    const target = await worldOf(build, world, hex("90"));
    const vcpu = target.vcpus[0]!;
    vcpu.fpu.fcw = 0x37f;
    const rewind = rewinder(vcpu);
    const found: string[] = [];
    const expected: string[] = [];
    const at = DATA + 0x200;
    for (const [code, isWrite] of [
      [read, false],
      [write, true],
    ] as const) {
      target.writeMemory(CODE, hex(code));
      for (const [length, field] of LENGTHS) {
        for (const kind of [ON_WRITE, ON_ACCESS]) {
          for (let offset = -9; offset <= size + 1; offset++) {
            const n = (offset + 12) & 3;
            rewind();
            target.writeMemory(at - 16, new Uint8Array(48));
            vcpu.gpr.rbx = BigInt(at);
            const address = at + offset;
            vcpu.debug[`dr${n as 0 | 1 | 2 | 3}`] = BigInt(address);
            vcpu.debug.dr7 = dr7Of(n, kind, field, (offset & 4) !== 0);
            // Conditions of earlier exceptions give way, BD stays.
            vcpu.debug.dr6 = DR6_FIXED | BD | 15n;
            const first = address & -length;
            const overlaps = first < at + size && first + length > at;
            const hits = overlaps && (isWrite || kind === ON_ACCESS);
            const dr6 = hits ? DR6_FIXED | BD | (1n << BigInt(n)) : DR6_FIXED | BD | 15n;
            const what = `${code}, ${length} bytes at ${offset}, kind ${kind}`;
            expected.push(`${what}: ${hits ? DB : "none"} ${dr6.toString(16)}`);
            const vector = target.step(0).exception?.vector ?? "none";
            found.push(`${what}: ${vector} ${vcpu.debug.dr6.toString(16)}`);
          }
        }
      }
    }
    expect(found).toEqual(expected);
  });

  it("on ports see what touches them", async () => {
    const target = await worldOf(build, "32-bit ring 0", hex("90"));
    const vcpu = target.vcpus[0]!;
    vcpu.control.cr4 |= 8n;
    const rewind = rewinder(vcpu);
    const codes: [size: number, code: string][] = [
      [1, "e6 80"],
      [2, "66 e7 80"],
      [4, "e7 80"],
      [1, "e4 80"],
      [4, "e5 80"],
      [2, "66 6d"],
      [1, "6e"],
    ];
    for (const [size, code] of codes) {
      target.writeMemory(CODE, hex(code));
      for (const [length, field] of LENGTHS.slice(0, 3)) {
        for (let port = 0x78; port < 0x88; port++) {
          rewind();
          vcpu.gpr.rdx = 0x80n;
          vcpu.debug.dr1 = BigInt(port);
          vcpu.debug.dr7 = dr7Of(1, ON_IO, field);
          const first = port & -length;
          const hits = first < 0x80 + size && first + length > 0x80;
          const what = `${code}, ${length} at ${port}`;
          expect([what, target.step(0).exception?.vector]).toEqual([what, hits ? DB : undefined]);
        }
      }
    }
  });

  it("on instructions see their first byte alone", async () => {
    for (let offset = -1; offset < 6; offset++) {
      const target = await worldOf(build, "64-bit ring 3", hex("b8 00 00 00 00 90")); // mov eax, 0
      const vcpu = target.vcpus[0]!;
      vcpu.debug.dr0 = BigInt(CODE + offset);
      vcpu.debug.dr7 = dr7Of(0, ON_EXECUTE, 0);
      vcpu.debug.dr6 = DR6_FIXED | 14n;
      expect(target.step(0).exception?.vector).toBe(offset === 0 ? DB : undefined);
      expect(vcpu.debug.dr6).toBe(offset === 0 ? DR6_FIXED | 1n : DR6_FIXED | 14n);
    }
  });

  it("that are off see nothing", async () => {
    const target = await worldOf(build, "64-bit ring 3", hex("89 03"));
    const vcpu = target.vcpus[0]!;
    vcpu.debug.dr0 = vcpu.gpr.rbx;
    vcpu.debug.dr1 = BigInt(CODE);
    vcpu.debug.dr7 = 0x400n | (BigInt(ON_WRITE) << 16n);
    expect(target.step(0).exception).toBeUndefined();
    expect(vcpu.debug.dr6).toBe(DR6_FIXED);
  });
});

describe.each(BUILDS)("bits of debug registers (%s)", (build) => {
  /** Registers by number: bits that can be written, bits that are always 1. */
  const REGISTERS: [n: number, writable: bigint, fixed: bigint][] = [
    [0, -1n, 0n],
    [1, -1n, 0n],
    [2, -1n, 0n],
    [3, -1n, 0n],
    [4, 0xe00fn, DR6_FIXED],
    [5, 0xffff03ffn, 0x400n], // without GD, which a read would meet
    [6, 0xe00fn, DR6_FIXED],
    [7, 0xffff03ffn, 0x400n],
  ];
  it.each(REGISTERS)("DR%i", async (n, writable, fixed) => {
    const modrm = (0xc0 | (n << 3)).toString(16);
    const move = `0f 23 ${modrm} 31 c0 0f 21 ${modrm}`; // mov drN, eax; xor eax, eax; mov eax, drN
    for (const world of ["64-bit ring 0", "32-bit ring 0", "real"] as const) {
      const target = await worldOf(build, world, hex(move));
      const vcpu = target.vcpus[0]!;
      const rewind = rewinder(vcpu);
      const is64 = world.startsWith("64");
      for (let bit = 0n; bit < 64n; bit++) {
        if (n >= 5 && n !== 6 && (bit === 13n || bit < 8n)) continue; // GD and enables do things of their own
        rewind();
        vcpu.gpr.rax = 1n << bit;
        const first = target.step(0).exception?.vector;
        // Only 64-bit code moves 64 bits, and DR6 and DR7 have no upper half.
        const isRefused = is64 && n >= 4 && bit >= 32n;
        expect([bit, first]).toEqual([bit, isRefused ? GP : undefined]);
        if (isRefused) continue;
        target.step(0);
        expect(target.step(0).exception).toBeUndefined();
        const value = is64 || bit < 32n ? 1n << bit : 0n;
        expect([bit, vcpu.gpr.rax]).toEqual([bit, (value & BigInt.asUintN(64, writable)) | fixed]);
      }
    }
  });

  it("ModRM.mod does not matter", async () => {
    const target = await worldOf(build, "64-bit ring 0", hex("0f 21 30 0f 23 33")); // mov rax, dr6; mov dr6, rbx
    const vcpu = target.vcpus[0]!;
    vcpu.gpr.rbx = 1n;
    for (let i = 0; i < 2; i++) expect(target.step(0).exception).toBeUndefined();
    expect([vcpu.gpr.rax, vcpu.debug.dr6]).toEqual([DR6_FIXED, DR6_FIXED | 1n]);
  });

  it("GD comes after #UD and privilege, and for every register", async () => {
    for (const [world, code, vector] of [
      ["64-bit ring 0", "0f 21 c0", DB],
      ["64-bit ring 0", "0f 23 d8", DB],
      ["64-bit ring 0", "0f 21 f0", DB],
      ["64-bit ring 0", "0f 23 f8", DB],
      ["64-bit ring 0", "0f 21 e0", DB],
      ["64-bit ring 0", "44 0f 21 c0", UD],
      ["64-bit ring 3", "0f 21 c0", GP],
      ["64-bit ring 3", "44 0f 21 c0", UD],
    ] as const) {
      const target = await worldOf(build, world, hex(code));
      const vcpu = target.vcpus[0]!;
      vcpu.debug.dr7 = 0x2400n;
      vcpu.debug.dr6 = DR6_FIXED | 0x400fn;
      expect([code, target.step(0).exception?.vector]).toEqual([code, vector]);
      const after = vector === DB ? 0x6000n : 0x400fn;
      expect([vcpu.debug.dr6, vcpu.debug.dr7]).toEqual([
        DR6_FIXED | after,
        vector === DB ? 0x400n : 0x2400n,
      ]);
    }
  });
});
