/** Random flow graphs in one page: loops in loops, ways that meet, calls, instructions that the core executes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DATA, finish, LIMIT, prepare, SEARCH, stepThrough, type Bytes } from "./loops.js";

const HLT = 0xf4;
const BLOCKS = 7;
/** Bytes of a block: what it does, then NOPs, then where it goes. */
const BLOCK_BYTES = 40;
const END_BYTES = 12;

/** RAX RCX RDX RBX RSI RDI. */
const register = fc.constantFrom(0, 1, 2, 3, 6, 7);
const modRm = (reg: number, rm: number) => 0xc0 | (reg << 3) | rm;
const place = fc.nat(7).map((i) => i * 8);

const simple: fc.Arbitrary<Bytes> = fc.oneof(
  // MOV, ADD, SBB, XOR, CMP, TEST of 64 and 32 bits
  fc
    .tuple(fc.constantFrom(0x89, 0x01, 0x19, 0x31, 0x39, 0x85), register, register, fc.boolean())
    .map(([opcode, a, b, isWide]) => [...(isWide ? [0x48] : []), opcode, modRm(a, b)]),
  // the same of bytes: AL CL DL BL
  fc
    .tuple(fc.constantFrom(0x88, 0x00, 0x18, 0x38), fc.nat(3), fc.nat(3))
    .map(([opcode, a, b]) => [opcode, modRm(a, b)]),
  // INC, DEC; CMOVB; SHL by CL
  fc.tuple(fc.nat(1), register).map(([kind, r]) => [0x48, 0xff, modRm(kind, r)]),
  fc.tuple(register, register).map(([a, b]) => [0x48, 0x0f, 0x42, modRm(a, b)]),
  register.map((r) => [0xd3, modRm(4, r)]),
  // IMUL and BT, which store the flags of what was before
  fc
    .tuple(fc.constantFrom(0xaf, 0xa3), register, register)
    .map(([opcode, a, b]) => [0x0f, opcode, modRm(a, b)]),
  // MOV to and from memory; CMPXCHG
  fc.tuple(register, place).map(([r, at]) => [0x48, 0x8b, 0x45 | (r << 3), at]),
  fc.tuple(register, place).map(([r, at]) => [0x48, 0x89, 0x45 | (r << 3), at]),
  fc.tuple(register, place).map(([r, at]) => [0x48, 0x0f, 0xb1, 0x45 | (r << 3), at]),
  // the same by a constant address
  fc.tuple(register, place).map(([r, at]) => [0x8b, 0x04 | (r << 3), 0x25, at, 0, 2, 0]),
  fc.tuple(register, place).map(([r, at]) => [0x89, 0x04 | (r << 3), 0x25, at, 0, 2, 0]),
  // PUSH and POP, XCHG AL,AH; BSWAP, which the core executes
  fc.tuple(register, register).map(([a, b]) => [0x50 | a, 0x50 | b, 0x58 | a, 0x58 | b]),
  fc.constant<Bytes>([0x86, 0xe0]),
  register.map((r) => [0x48, 0x0f, 0xc8 | r]),
);

interface End {
  readonly kind: "next" | "jump" | "branch" | "two branches" | "call" | "return" | "fault";
  readonly condition: number;
  readonly to: number;
  readonly also: number;
}
const end: fc.Arbitrary<End> = fc.record({
  kind: fc.constantFrom(
    "next",
    "jump",
    "branch",
    "branch",
    "two branches",
    "call",
    "return",
    "fault",
  ),
  condition: fc.nat(15),
  to: fc.nat(BLOCKS - 1),
  also: fc.nat(BLOCKS - 1),
});

function relative(opcode: Bytes, from: number, to: number): number[] {
  const distance = to * BLOCK_BYTES - (from + opcode.length + 4);
  return [...opcode, ...[0, 8, 16, 24].map((shift) => (distance >> shift) & 0xff)];
}

function bytesOf({ kind, condition, to, also }: End, at: number): number[] {
  switch (kind) {
    case "jump":
      return relative([0xe9], at, to);
    case "call":
      return relative([0xe8], at, to);
    case "branch":
      return relative([0x0f, 0x80 | condition], at, to);
    case "two branches":
      return [
        ...relative([0x0f, 0x80 | condition], at, to),
        ...relative([0x0f, 0x80 | (condition ^ 5)], at + 6, also),
      ];
    case "return":
      // push rsi; lea rsi,[the block]; xchg rsi,[rsp]; ret
      return [0x56, ...relative([0x48, 0x8d, 0x35], at + 1, to), 0x48, 0x87, 0x34, 0x24, 0xc3];
    case "fault":
      // div cl: #DE at times, which ends the run
      return [0xf6, 0xf1];
    default:
      return [];
  }
}

function codeOf(blocks: readonly { body: readonly Bytes[]; end: End }[]): number[] {
  const bytes: number[] = [];
  for (const block of blocks) {
    const start = bytes.length;
    for (const each of block.body) {
      if (bytes.length - start + each.length <= BLOCK_BYTES - END_BYTES) bytes.push(...each);
    }
    bytes.push(...bytesOf(block.end, bytes.length));
    while (bytes.length - start < BLOCK_BYTES) bytes.push(0x90);
  }
  return [...bytes, HLT];
}

const program = fc
  .array(fc.record({ body: fc.array(simple, { maxLength: 6 }), end }), {
    minLength: BLOCKS,
    maxLength: BLOCKS,
  })
  .map(codeOf);

describe("a random flow graph", () => {
  it("does the same translated and interpreted, in one go and in pieces", async () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(program, cuts, async (code, pieces) => {
        const expected = finish(await prepare(code, undefined), [LIMIT]);
        for (const after of [1, 3]) {
          expect(finish(await prepare(code, after), [LIMIT])).toBe(expected);
          expect(finish(await prepare(code, after), pieces)).toBe(expected);
        }
      }),
      SEARCH,
    );
  }, 600_000);

  it("steps the same", async () => {
    await fc.assert(
      fc.asyncProperty(program, async (code) => {
        expect(stepThrough(await prepare(code, 1))).toBe(
          stepThrough(await prepare(code, undefined)),
        );
      }),
      { ...SEARCH, numRuns: Math.ceil(SEARCH.numRuns / 6) },
    );
  }, 600_000);

  it("has its data where the instructions with constant addresses look for it", () => {
    expect(DATA).toBe(0x20000);
  });
});
