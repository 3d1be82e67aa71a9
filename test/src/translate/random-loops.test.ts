/**
 * Random loops of the instructions that are translated: the same run with translation and without, in one go, in pieces
 * and step by step.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODE, hex } from "../../support/machine.js";
import { DATA, finish, LIMIT, loopOf, prepare, SEARCH, stepThrough, type Bytes } from "./loops.js";

/** RAX RCX RDX RBX RSI RDI R8-R14: not the stack pointer, not RBP = data, not R15 = counter. */
const register = fc.constantFrom(0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14);
const legacy = fc.constantFrom(0, 1, 2, 3, 6, 7);
const wide = fc.boolean();
const byte = fc.integer({ min: 0, max: 255 });

function rex(w: boolean, reg: number, rm: number): number {
  return 0x40 | (w ? 8 : 0) | (reg >= 8 ? 4 : 0) | (rm >= 8 ? 1 : 0);
}
const modRegister = (reg: number, rm: number) => 0xc0 | ((reg & 7) << 3) | (rm & 7);
/** [rbp + disp8] */
const modData = (reg: number) => 0x45 | ((reg & 7) << 3);

/** Little-endian, 32 bits. */
const dword = (value: number): Bytes => [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);
/** Nothing, LOCK, 66, or both. */
const prefixes = fc.constantFrom<Bytes>([], [0xf0], [0x66], [0xf0, 0x66]);

/** 66, F2 and F3 forms of two-byte opcodes with xmm, xmm/m. */
const SSE_OPCODES = [
  ...[
    0x28, 0x29, 0x54, 0x55, 0x57, 0x60, 0x61, 0x62, 0x64, 0x65, 0x66, 0x68, 0x69, 0x6a, 0x6c, 0x6d,
    0x6f, 0x7f, 0x74, 0x75, 0x76, 0xd4, 0xd5, 0xd6, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
    0xe0, 0xe3, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef, 0xf5, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc,
    0xfd, 0xfe, 0xd1, 0xf4, 0x2e, 0x2f, 0x63, 0x67, 0x6b, 0xd2, 0xd3, 0xe1, 0xe2, 0xe4, 0xe5, 0xf1,
    0xf2, 0xf3, 0xf6,
  ].map((opcode) => ({ prefix: [0x66], opcode })),
  ...[0x10, 0x11, 0x51, 0x58, 0x59, 0x5c, 0x5e, 0x5a, 0x58, 0x59, 0x5c, 0x5e].flatMap((opcode) => [
    { prefix: [0xf2], opcode },
    { prefix: [0xf3], opcode },
  ]),
  ...[0x6f, 0x7f, 0x7e].map((opcode) => ({ prefix: [0xf3], opcode })),
  ...[
    0x10, 0x11, 0x14, 0x15, 0x28, 0x29, 0x2e, 0x51, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5c, 0x5d,
    0x5e, 0x5f,
  ].flatMap((opcode) => [
    { prefix: [], opcode },
    { prefix: [0x66], opcode },
  ]),
  ...[0x12, 0x16].map((opcode) => ({ prefix: [], opcode })),
];

/** Forms with xmm, xmm/m and an immediate that chooses lanes. */
const SHUFFLES = [
  { prefix: [0x66], opcode: 0x70 },
  { prefix: [0xf2], opcode: 0x70 },
  { prefix: [0xf3], opcode: 0x70 },
  { prefix: [], opcode: 0xc6 },
  { prefix: [0x66], opcode: 0xc6 },
];

const instructions: readonly fc.Arbitrary<Bytes>[] = [
  // ALU r/m, reg and reg, r/m, on registers and memory, all widths.
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 3 }), wide, register, register)
    .map(([operation, form, w, a, b]) => [
      rex(w, a, b),
      (operation << 3) | form,
      modRegister(a, b),
    ]),
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 3 }), wide, register, byte)
    .map(([operation, form, w, a, disp]) => [
      rex(w, a, 0),
      (operation << 3) | form,
      modData(a),
      disp,
    ]),
  // ALU with an immediate.
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), wide, register, byte)
    .map(([operation, w, a, imm]) => [rex(w, 0, a), 0x83, modRegister(operation, a), imm]),
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.constantFrom(0x80, 0x83), wide, byte, byte)
    .map(([operation, opcode, w, disp, imm]) => [
      rex(w, 0, 0),
      opcode,
      modData(operation),
      disp,
      imm,
    ]),
  // Bytes: AL .. BH.
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 0, max: 3 }), fc.constantFrom(0, 2))
    .chain(([operation, rm, form]) =>
      fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 7).map((reg) => {
        return [(operation << 3) | form, modRegister(reg, rm)];
      }),
    ),
  // INC DEC NOT NEG MUL IMUL DIV IDIV TEST
  fc
    .tuple(fc.constantFrom(0, 1), wide, register)
    .map(([extension, w, a]) => [rex(w, 0, a), 0xff, modRegister(extension, a)]),
  fc
    .tuple(fc.constantFrom(0, 1), wide, byte)
    .map(([extension, w, disp]) => [rex(w, 0, 0), 0xff, modData(extension), disp]),
  fc
    .tuple(fc.constantFrom(2, 3, 4, 5), wide, register)
    .map(([extension, w, a]) => [rex(w, 0, a), 0xf7, modRegister(extension, a)]),
  fc.tuple(wide, register, register).map(([w, a, b]) => [rex(w, a, b), 0x85, modRegister(a, b)]),
  // Shifts and rotates.
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), wide, register, byte)
    .map(([extension, w, a, count]) => [rex(w, 0, a), 0xc1, modRegister(extension, a), count]),
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), fc.constantFrom(0xd1, 0xd3), wide, register)
    .map(([extension, opcode, w, a]) => [rex(w, 0, a), opcode, modRegister(extension, a)]),
  // Moves.
  fc
    .tuple(fc.constantFrom(0x88, 0x89, 0x8a, 0x8b), wide, register, byte)
    .map(([opcode, w, a, disp]) => [rex(w, a, 0), opcode, modData(a), disp]),
  fc
    .tuple(fc.constantFrom(0x88, 0x89, 0x8b), wide, register, register)
    .map(([opcode, w, a, b]) => [rex(w, a, b), opcode, modRegister(a, b)]),
  fc
    .tuple(fc.constantFrom(0xb6, 0xb7, 0xbe, 0xbf, 0xaf), wide, register, register)
    .map(([opcode, w, a, b]) => [rex(w, a, b), 0x0f, opcode, modRegister(a, b)]),
  fc
    .tuple(fc.constantFrom(0xb6, 0xb7, 0xbe, 0xbf, 0xaf), wide, register, byte)
    .map(([opcode, w, a, disp]) => [rex(w, a, 0), 0x0f, opcode, modData(a), disp]),
  fc.tuple(wide, register, register).map(([w, a, b]) => [rex(w, a, b), 0x63, modRegister(a, b)]),
  fc
    .tuple(wide, register, register, byte)
    .map(([w, a, b, imm]) => [rex(w, a, b), 0x6b, modRegister(a, b), imm]),
  fc.tuple(wide, register, byte).map(([w, a, disp]) => [rex(w, a, 0), 0x8d, modData(a), disp]),
  // Conditions: SETcc, CMOVcc.
  fc
    .tuple(fc.integer({ min: 0, max: 15 }), legacy)
    .map(([condition, a]) => [0x0f, 0x90 | condition, modRegister(0, a & 3)]),
  fc
    .tuple(fc.integer({ min: 0, max: 15 }), wide, register, register)
    .map(([condition, w, a, b]) => [rex(w, a, b), 0x0f, 0x40 | condition, modRegister(a, b)]),
  // Stack, flags, widening, exchange, bits.
  register.map((a) => [rex(false, 0, a), 0x50 | (a & 7)]),
  register.map((a) => [rex(false, 0, a), 0x58 | (a & 7)]),
  fc.constantFrom<Bytes>(
    [0x9c],
    [0xf8],
    [0xf9],
    [0xf5],
    [0x98],
    [0x48, 0x98],
    [0x99],
    [0x48, 0x99],
    [0x9e],
    [0x9f],
    [0x90],
    [0x6a, 0x85],
  ),
  fc.tuple(wide, register, register).map(([w, a, b]) => [rex(w, a, b), 0x87, modRegister(a, b)]),
  fc
    .tuple(fc.integer({ min: 4, max: 7 }), wide, register, byte)
    .map(([extension, w, a, bit]) => [rex(w, 0, a), 0x0f, 0xba, modRegister(extension, a), bit]),
  fc
    .tuple(wide, register, register)
    .map(([w, a, b]) => [rex(w, a, b), 0x0f, 0xa3, modRegister(a, b)]),
  // Division, by something that is seldom 0: of EDX = 0, and of what is there.
  fc
    .tuple(fc.constantFrom(6, 7), wide, fc.constantFrom(1, 3, 6, 7, 8))
    .map(([extension, w, a]) => [0x31, 0xd2, rex(w, 0, a), 0xf7, modRegister(extension, a)]),
  fc
    .tuple(wide, fc.constantFrom(1, 3, 6, 7, 8))
    .map(([w, a]) => [rex(w, 0, 0), 0x99, rex(w, 0, a), 0xf7, modRegister(7, a)]),
  // Immediates into registers and memory of all widths.
  fc.tuple(legacy, byte).map(([a, imm]) => [0xb0 | a, imm]),
  fc.tuple(byte, byte).map(([disp, imm]) => [0xc6, modData(0), disp, imm]),
  fc.tuple(byte, byte).map(([disp, imm]) => [0x66, 0xc7, modData(0), disp, imm, 0x12]),
  fc
    .tuple(fc.constantFrom(0x89, 0x8b, 0x01, 0x13, 0x39, 0x85), legacy, byte)
    .map(([opcode, a, disp]) => [0x66, opcode, modData(a), disp]),
  fc
    .tuple(fc.integer({ min: 0, max: 15 }), byte)
    .map(([condition, disp]) => [0x0f, 0x90 | condition, modData(0), disp]),
  // A call inside the page, and back.
  fc
    .tuple(legacy, legacy)
    .map(([a, b]) => [0xe8, 2, 0, 0, 0, 0xeb, 3, 0x01, modRegister(a, b), 0xc3]),
  // SSE: moves, packed integers, scalar doubles and singles, on registers and (aligned) memory.
  fc
    .tuple(fc.constantFrom(...SSE_OPCODES), fc.nat(7), fc.nat(7), fc.boolean(), fc.nat(5))
    .map(([{ prefix, opcode }, a, b, isMemory, line]) => [
      ...prefix,
      0x0f,
      opcode,
      ...(isMemory ? [modData(a), line * 16] : [modRegister(a, b)]),
    ]),
  fc
    .tuple(fc.constantFrom(...SHUFFLES), fc.nat(7), fc.nat(7), byte, fc.boolean(), fc.nat(5))
    .map(([{ prefix, opcode }, a, b, imm, isMemory, line]) => [
      ...prefix,
      0x0f,
      opcode,
      ...(isMemory ? [modData(a), line * 16] : [modRegister(a, b)]),
      imm,
    ]),
  // MOVMSKPS, MOVMSKPD; MOVLPS .. MOVHPD with memory of any alignment; PSRLDQ, PSLLDQ.
  fc
    .tuple(fc.boolean(), fc.nat(7), fc.nat(3))
    .map(([is66, a, b]) => [...(is66 ? [0x66] : []), 0x0f, 0x50, modRegister(a, b)]),
  fc
    .tuple(fc.boolean(), fc.constantFrom(0x12, 0x13, 0x16, 0x17), fc.nat(4), byte)
    .map(([is66, opcode, a, disp]) => [...(is66 ? [0x66] : []), 0x0f, opcode, modData(a), disp]),
  fc
    .tuple(fc.constantFrom(3, 7), fc.nat(7), fc.nat(20))
    .map(([extension, a, count]) => [0x66, 0x0f, 0x73, modRegister(extension, a), count]),
  fc
    .tuple(fc.constantFrom(0x71, 0x72, 0x73), fc.constantFrom(2, 4, 6), fc.nat(7), fc.nat(70))
    .filter(([opcode, extension]) => opcode !== 0x73 || extension !== 4)
    .map(([opcode, extension, a, count]) => [0x66, 0x0f, opcode, modRegister(extension, a), count]),
  fc
    .tuple(wide, fc.constantFrom(0x6e, 0x7e), fc.nat(7), register)
    .map(([w, opcode, a, b]) => [0x66, rex(w, a, b), 0x0f, opcode, modRegister(a, b)]),
  fc
    .tuple(wide, fc.constantFrom(0x2a, 0x2c), fc.nat(7), fc.nat(7))
    .map(([w, opcode, a, b]) => [0xf2, rex(w, a, b), 0x0f, opcode, modRegister(a, b)]),
  // XCHG, CMPXCHG (half of them find rAX equal) and XADD of memory, and ALU with LOCK.
  fc
    .tuple(prefixes, fc.constantFrom<Bytes>([0x86], [0x87]), wide, register, byte)
    .map(([prefix, opcode, w, a, disp]) => [...prefix, rex(w, a, 0), ...opcode, modData(a), disp]),
  fc
    .tuple(prefixes, fc.constantFrom(0xb0, 0xb1, 0xc0, 0xc1), wide, register, byte, fc.boolean())
    .map(([prefix, opcode, w, a, disp, isEqual]) => [
      ...(isEqual ? [rex(true, 0, 0), 0x8b, modData(0), disp] : []),
      ...prefix,
      rex(w, a, 0),
      0x0f,
      opcode,
      modData(a),
      disp,
    ]),
  fc
    .tuple(fc.integer({ min: 0, max: 6 }), fc.constantFrom(0, 1), wide, register, byte)
    .map(([operation, form, w, a, disp]) => [
      0xf0,
      rex(w, a, 0),
      (operation << 3) | form,
      modData(a),
      disp,
    ]),
  // Several PUSHes, and as many POPs; of RSP too, which is not popped.
  fc
    .tuple(
      fc.array(fc.constantFrom(0, 1, 2, 3, 4, 6, 7), { minLength: 2, maxLength: 6 }),
      fc.array(legacy, { minLength: 6, maxLength: 6 }),
    )
    .map(([pushed, popped]) => [
      ...pushed.map((a) => 0x50 | a),
      ...popped.slice(0, pushed.length).map((a) => 0x58 | a),
    ]),
  // Constant addresses, and such relative to RIP: at the data and around the end of its page.
  fc
    .tuple(
      fc.constantFrom(0x00, 0x01, 0x03, 0x13, 0x29, 0x39, 0x85, 0x88, 0x89, 0x8a, 0x8b),
      wide,
      register,
      fc.constantFrom(0, 8, 0x7c, 0xff0, 0xff4, 0xff9, 0xffe),
      fc.boolean(),
    )
    .map(([opcode, w, a, offset, isRelative]) => [
      rex(w, a, 0),
      opcode,
      ...(isRelative
        ? [((a & 7) << 3) | 5, ...dword(DATA - CODE + offset)]
        : [((a & 7) << 3) | 4, 0x25, ...dword(DATA + offset)]),
    ]),
  // CLI, STI and PAUSE.
  fc.constantFrom<Bytes>([0xfa], [0xfb], [0xf3, 0x90]),
  // 16-bit operands.
  fc
    .tuple(fc.integer({ min: 0, max: 7 }), legacy, legacy)
    .map(([operation, a, b]) => [0x66, (operation << 3) | 1, modRegister(a, b)]),
];

/** Instructions, some of them behind a conditional jump over the next ones. */
const body = fc
  .array(
    fc.tuple(
      fc.oneof(...instructions),
      fc.option(fc.integer({ min: 0, max: 15 }), { freq: 3, nil: undefined }),
    ),
    { minLength: 3, maxLength: 24 },
  )
  .map((parts) =>
    parts.flatMap(([bytes, condition]) =>
      condition === undefined ? bytes : [0x70 | condition, bytes.length, ...bytes],
    ),
  );

/** Changes every operand from one iteration to the next; XMM0 and XMM1 are bits, XMM2 to XMM4 are doubles. */
const MIX = [
  ...hex("48 01 d8 48 c1 c3 07 48 29 c1 48 31 ca 49 01 d0 48 01 c6 4c 01 c7 49 31 c1 4d 01 ca"),
  ...hex("66 48 0f 6e c0 66 48 0f 6e cb f2 0f 2a d0 f2 0f 2a d9 f2 0f 5e d3 f2 0f 58 e3"),
];
/** R13 takes in all flags: pushfq; pop r14; and r14d, 8d5h; add r13, r14; rol r13, 3. */
const TAKE_FLAGS = [...hex("9c 41 5e 41 81 e6 d5 08 00 00 4d 01 f5 49 c1 c5 03")];

describe("each kind of instruction", () => {
  it.each(instructions.map((arbitrary, kind) => ({ kind, arbitrary })))(
    "$kind does the same translated and interpreted, flags and all",
    async ({ arbitrary }) => {
      for (let seed = 1; seed <= 4; seed++) {
        const all = fc.sample(arbitrary, { numRuns: 7, seed });
        const code = loopOf([...MIX, ...all.flatMap((bytes) => [...bytes, ...TAKE_FLAGS])]);
        const expected = finish(await prepare(code, undefined), [LIMIT]);
        const text = all.map((bytes) => Buffer.from(bytes).toString("hex")).join(" ");
        expect(`${text} ${finish(await prepare(code, 1), [LIMIT])}`).toBe(`${text} ${expected}`);
      }
    },
  );
});

describe("SSE instructions", () => {
  const forms = SSE_OPCODES.flatMap(({ prefix, opcode }, i) => [
    [...prefix, 0x0f, opcode, modRegister(i % 5, (i + 1) % 5)],
    [...prefix, 0x0f, opcode, modData(i % 5), (i % 6) * 16],
  ]);
  const programs = Array.from({ length: Math.ceil(forms.length / 8) }, (_, i) =>
    forms.slice(i * 8, i * 8 + 8),
  );

  it("do the same translated and interpreted, on registers and memory", async () => {
    for (const all of programs) {
      const code = loopOf([...MIX, ...all.flatMap((bytes) => [...bytes, ...TAKE_FLAGS])]);
      const expected = finish(await prepare(code, undefined), [LIMIT]);
      const text = all.map((bytes) => Buffer.from(bytes).toString("hex")).join(" ");
      expect(`${text} ${finish(await prepare(code, 1), [LIMIT])}`).toBe(`${text} ${expected}`);
    }
  });
});

describe("random loops", () => {
  it("run the same translated and interpreted, in one go and in pieces", async () => {
    await fc.assert(
      fc.asyncProperty(
        body,
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 4 }),
        async (bytes, cuts) => {
          const code = loopOf(bytes);
          const expected = finish(await prepare(code, undefined), [LIMIT]);
          expect(finish(await prepare(code, 1), [LIMIT])).toBe(expected);
          expect(finish(await prepare(code, 4), [LIMIT])).toBe(expected);
          expect(finish(await prepare(code, 2), cuts)).toBe(expected);
        },
      ),
      SEARCH,
    );
  });

  it("step the same translated and interpreted", async () => {
    await fc.assert(
      fc.asyncProperty(body, async (bytes) => {
        const code = loopOf(bytes);
        expect(stepThrough(await prepare(code, 1))).toBe(
          stepThrough(await prepare(code, undefined)),
        );
      }),
      { numRuns: 20, seed: 20161206 },
    );
  });
});
