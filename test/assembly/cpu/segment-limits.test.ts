/**
 * Limits and rights of data segments that expand up and down, of 16 and 32 bits, at both of their ends, for accesses of
 * every size, in rings 0 and 3, and of stacks. Source: SDM 3A "Limit Checking", "Type Checking", "Stack-Segment
 * Descriptors"; SDM 3A "Segment Descriptors" for the B flag, which sets the upper bound of an expand-down segment.
 */
import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import { BUILDS, hex, writeU64, type Build } from "../../support/machine.js";
import { rewinder } from "../../support/rewind.js";
import { CODE, DATA, PT, worldOf } from "../../support/worlds.js";

const SS = 12;
const GP = 13;

/** Access rights of data segments. */
const DATA_AR = 0x91;
const WRITABLE = 2;
const EXPAND_DOWN = 4;
const CODE_AR = 0x99;
const READABLE = 2;
const BIG = 0x4000;
const UNUSABLE = 0x10000;

/** Where the end of the segment that a case is about lies in memory. */
const EDGE = DATA + 0x4000;

interface Access {
  size: number;
  read?: string;
  write?: string;
}
/** Instructions at [EBX], by size; what reads and writes is refused like a write. */
const ACCESSES: Access[] = [
  { size: 1, read: "8a 03", write: "88 03" },
  { size: 2, read: "66 8b 03", write: "66 89 03" },
  { size: 4, read: "8b 03", write: "89 03" },
  { size: 4, write: "01 03" }, // add [ebx], eax
  { size: 2, write: "66 87 03" }, // xchg [ebx], ax
  { size: 4, write: "f0 0f c1 03" }, // lock xadd [ebx], eax
  { size: 8, read: "0f 6f 03", write: "0f 7f 03" }, // movq
  { size: 8, read: "dd 03", write: "dd 1b" }, // fld, fstp m64
  { size: 8, write: "0f c7 0b" }, // cmpxchg8b
  { size: 10, read: "db 2b", write: "db 3b" }, // fld, fstp m80
  { size: 16, read: "0f 10 03", write: "0f 11 03" }, // movups
  { size: 28, read: "d9 23", write: "d9 33" }, // fldenv, fnstenv
  { size: 512, read: "0f ae 0b", write: "0f ae 03" }, // fxrstor, fxsave
];

type Kind = readonly [name: string, ar: number, limit: number, edge: number];
/** Segments by type, with the offset around which accesses are tried. */
const KINDS: Kind[] = [
  ["expand-up", DATA_AR | WRITABLE | BIG, 0x2fff, 0x2fff],
  ["expand-up of 4 GiB", DATA_AR | WRITABLE | BIG, 0xffffffff, 0xffffffff],
  ["expand-up, read-only", DATA_AR | BIG, 0x2fff, 0x2fff],
  ["expand-down, 32 bits, lower end", DATA_AR | WRITABLE | EXPAND_DOWN | BIG, 0x2fff, 0x2fff],
  ["expand-down, 32 bits, upper end", DATA_AR | WRITABLE | EXPAND_DOWN | BIG, 0x2fff, 0xffffffff],
  ["expand-down, 32 bits, beyond 64 KiB", DATA_AR | WRITABLE | EXPAND_DOWN | BIG, 0x2fff, 0xffff],
  ["expand-down, 16 bits, lower end", DATA_AR | WRITABLE | EXPAND_DOWN, 0x2fff, 0x2fff],
  ["expand-down, 16 bits, upper end", DATA_AR | WRITABLE | EXPAND_DOWN, 0x2fff, 0xffff],
  ["expand-down, 16 bits, limit 0", DATA_AR | WRITABLE | EXPAND_DOWN, 0, 0],
  ["expand-down, 16 bits, of nothing", DATA_AR | WRITABLE | EXPAND_DOWN, 0xffff, 0xffff],
  ["expand-down, 32 bits, of nothing", DATA_AR | WRITABLE | EXPAND_DOWN | BIG, 0xffffffff, 0],
  ["expand-down, read-only", DATA_AR | EXPAND_DOWN | BIG, 0x2fff, 0x2fff],
  ["code, readable", CODE_AR | READABLE | BIG, 0x2fff, 0x2fff],
  ["code, conforming, readable", CODE_AR | READABLE | EXPAND_DOWN | BIG, 0x2fff, 0x2fff],
  ["code, execute-only", CODE_AR | BIG, 0x2fff, 0x2fff],
  ["unusable", UNUSABLE | DATA_AR | WRITABLE | BIG, 0xffffffff, 0x2fff],
];

/** What the manual says of an access. */
function isAllowed([, ar, limit]: Kind, offset: number, size: number, isWrite: boolean): boolean {
  if ((ar & UNUSABLE) !== 0) return false;
  const isCode = (ar & 8) !== 0;
  if (isWrite ? isCode || (ar & WRITABLE) === 0 : isCode && (ar & READABLE) === 0) return false;
  const last = offset + size - 1;
  if (isCode || (ar & EXPAND_DOWN) === 0) return last <= limit;
  return offset > limit && last <= ((ar & BIG) !== 0 ? 0xffffffff : 0xffff);
}

/** Offsets from which an access of `size` bytes ends before, at and behind the edge, or begins there. */
function offsetsAround(edge: number, size: number): number[] {
  const offsets = [
    edge - size,
    edge - size + 1,
    edge - size + 2,
    edge - 1,
    edge,
    edge + 1,
    edge + 2,
  ];
  return [...new Set(offsets)].filter((offset) => offset >= 0 && offset <= 0xffffffff);
}

/** In compatibility mode a fault in ring 0 finds a stack, whatever SS is. */
const WORLDS = ["32-bit ring 3", "compatibility ring 0", "compatibility ring 3"] as const;
const ringOf = (world: (typeof WORLDS)[number]) => (world.endsWith("3") ? 3 : 0);

async function worldWithEdge(build: Build, world: (typeof WORLDS)[number]): Promise<Machine> {
  const target = await worldOf(build, world, hex("90"));
  target.vcpus[0]!.fpu.fcw = 0x37f;
  // What lies 64 KiB around the edge is there for ring 3 too.
  for (const gpa of [EDGE - 0x10000, EDGE + 0xf000, EDGE + 0x10000])
    writeU64(target, PT + (gpa >> 12) * 8, BigInt(gpa) | 7n);
  return target;
}

describe.each(BUILDS)("data segments (%s)", (build) => {
  const rows = KINDS.flatMap((kind) => WORLDS.map((world) => [kind[0], world, kind] as const));
  it.each(rows)("%s, %s", async (_, world, kind) => {
    const [, ar, limit, edge] = kind;
    const ring = ringOf(world);
    const target = await worldWithEdge(build, world);
    const vcpu = target.vcpus[0]!;
    const base = BigInt.asUintN(32, BigInt(EDGE - edge));
    vcpu.setSegment("fs", { base, limit, accessRights: ar | (ring << 5) });
    const rewind = rewinder(vcpu);
    const found: string[] = [];
    const expected: string[] = [];
    for (const { size, read, write } of ACCESSES) {
      for (const [code, isWrite] of [
        [read, false],
        [write, true],
      ] as const) {
        if (code === undefined) continue;
        target.writeMemory(CODE, hex(`64 ${code}`)); // fs
        for (const offset of offsetsAround(edge, size)) {
          // FXSAVE wants its area aligned.
          if (size === 512 && ((EDGE + offset - edge) & 15) !== 0) continue;
          rewind();
          vcpu.fpu.fsw = 0;
          // Contents of which every load makes something legal.
          target.writeMemory(EDGE - 0x800, new Uint8Array(0x1000));
          vcpu.gpr.rbx = BigInt(offset);
          const what = `${code} at ${offset.toString(16)}`;
          expected.push(`${what}: ${isAllowed(kind, offset, size, isWrite) ? "done" : GP}`);
          found.push(`${what}: ${target.step(0).exception?.vector ?? "done"}`);
        }
      }
    }
    expect(found).toEqual(expected);
  });
});

type Stack = readonly [name: string, ar: number, limit: number, edge: number, width: 2 | 4];
const STACKS: Stack[] = [
  ["expand-up, SP", DATA_AR | WRITABLE, 0x2fff, 0x2fff, 2],
  ["expand-up, SP at its start", DATA_AR | WRITABLE, 0x2fff, 0, 2],
  ["expand-up of 64 KiB, SP", DATA_AR | WRITABLE, 0xffff, 0, 2],
  ["expand-up, ESP", DATA_AR | WRITABLE | BIG, 0x2fff, 0x2fff, 4],
  ["expand-up of 4 GiB, ESP", DATA_AR | WRITABLE | BIG, 0xffffffff, 0, 4],
  ["expand-down, SP, lower end", DATA_AR | WRITABLE | EXPAND_DOWN, 0x2fff, 0x2fff, 2],
  ["expand-down, SP, upper end", DATA_AR | WRITABLE | EXPAND_DOWN, 0x2fff, 0, 2],
  ["expand-down, ESP, lower end", DATA_AR | WRITABLE | EXPAND_DOWN | BIG, 0x2fff, 0x2fff, 4],
  ["expand-down, ESP, upper end", DATA_AR | WRITABLE | EXPAND_DOWN | BIG, 0x2fff, 0, 4],
];
/** Pushes and pops of 2 and 4 bytes, by immediate and by register. */
const STACK_OPS: [code: string, size: number, isPush: boolean][] = [
  ["66 50", 2, true],
  ["50", 4, true],
  ["6a 01", 4, true],
  ["66 9c", 2, true],
  ["9c", 4, true],
  ["66 58", 2, false],
  ["58", 4, false],
];

describe.each(BUILDS)("stack segments (%s)", (build) => {
  const rows = STACKS.flatMap((kind) => WORLDS.map((world) => [kind[0], world, kind] as const));
  it.each(rows)("%s, %s", async (_, world, [name, ar, limit, edge, width]) => {
    const ring = ringOf(world);
    const target = await worldWithEdge(build, world);
    const vcpu = target.vcpus[0]!;
    const base = BigInt.asUintN(32, BigInt(EDGE - edge));
    const rewind = rewinder(vcpu);
    const mask = width === 2 ? 0xffff : 0xffffffff;
    const found: unknown[] = [];
    const expected: unknown[] = [];
    for (const [code, size, isPush] of STACK_OPS) {
      target.writeMemory(CODE, hex(code));
      for (let delta = -6; delta <= 6; delta++) {
        rewind();
        vcpu.setSegment("ss", { base, limit, accessRights: ar | (ring << 5) });
        const before = (edge + delta) & mask;
        const high = width === 2 ? 0x12340000n : 0n;
        vcpu.gpr.rsp = high | BigInt(before >>> 0);
        const at = ((isPush ? before - size : before) & mask) >>> 0;
        const ok = isAllowed([name, ar, limit, edge], at, size, isPush);
        const after = ((isPush ? before - size : before + size) & mask) >>> 0;
        const what = `${code} at ${(before >>> 0).toString(16)}`;
        expected.push([what, ok ? "done" : SS, ok ? high | BigInt(after) : undefined]);
        const { exception } = target.step(0);
        const rsp = exception === undefined ? vcpu.gpr.rsp : undefined;
        found.push([what, exception?.vector ?? "done", rsp]);
      }
    }
    expect(found).toEqual(expected);
  });
});
