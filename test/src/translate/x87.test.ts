/**
 * Random loops of x87 instructions: the same run with translation and without, pointers, tags and status included.
 *
 * What the interpreter does is compared with the exact ways in test/assembly/fpu/x87-short.test.ts.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Machine } from "../../../src/index.js";
import { hex } from "../../support/machine.js";
import { DATA, finish, LIMIT, loopOf, prepare, SEARCH, stepThrough, type Bytes } from "./loops.js";

// Data by its distance from RBP.
const DOUBLES = 0;
const SINGLES = 64;
const EXTENDED = 96;
const INTEGERS = -128;
const CONTROLS = -64;
const RESULTS = -48;

const DOUBLE_VALUES = [0, -0, 1, -1.5, 0.1, 3e300, -2e-300, Number.NaN];
const SINGLE_VALUES = [0, 2, -0.75, 1e30, -1e-30, 16777217, Infinity, 1e-40];
const EXTENDED_VALUES = [
  [0x3fff, 0x8000000000000001n],
  [0xc03e, 0xfffffffffffffbffn],
  [0x3bff, 0x8000000000000400n],
] as const;
const INTEGER_VALUES = [0n, 1n, -1n, 1n << 62n, -(1n << 63n), 0x7fffffffn, -0x80000000n, 0x8001n];
/** Every rounding and precision, and two that do not mask all exceptions. */
const CONTROL_VALUES = [0x37f, 0x27f, 0x07f, 0x77f, 0xb7f, 0xf7f, 0x35f, 0x67a];

const disp = (from: number, index: number, size: number) => (from + index * size) & 0xff;
/** [rbp + disp8] */
const memory = (opcode: number, extension: number, at: number): Bytes => [
  opcode,
  0x45 | (extension << 3),
  at & 0xff,
];
const index = fc.nat(7);
/** ST(i): mostly one near the top. */
const st = fc.oneof({ weight: 4, arbitrary: fc.nat(2) }, { weight: 1, arbitrary: fc.nat(7) });
/** Of memory operands that are real or integer, by the escape opcode. */
const operand = (opcode: number) =>
  index.map((i) => {
    if (opcode === 0xd8 || opcode === 0xd9) return disp(SINGLES, i, 4);
    if (opcode === 0xdc || opcode === 0xdd) return disp(DOUBLES, i, 8);
    return disp(INTEGERS, i, 8);
  });
const result = fc.nat(4).map((i) => disp(RESULTS, i, 8));

const push: fc.Arbitrary<Bytes> = fc.oneof(
  fc
    .constantFrom<[number, number]>([0xd9, 0], [0xdd, 0], [0xdb, 0], [0xdf, 0], [0xdf, 5])
    .chain(([opcode, extension]) => operand(opcode).map((at) => memory(opcode, extension, at))),
  fc.nat(2).map((i) => memory(0xdb, 5, disp(EXTENDED, i, 10))),
  fc.constantFrom<Bytes>([0xd9, 0xe8], [0xd9, 0xee], [0xd9, 0xeb]),
  st.map((i) => [0xd9, 0xc0 | i]),
);

const pop: fc.Arbitrary<Bytes> = fc.oneof(
  fc
    .constantFrom<[number, number]>(
      [0xd9, 3],
      [0xdd, 3],
      [0xdb, 3],
      [0xdf, 3],
      [0xdf, 7],
      [0xdb, 7],
      [0xdb, 1],
    )
    .chain(([opcode, extension]) => result.map((at) => memory(opcode, extension, at))),
  // What is stored comes back as an operand.
  index.map((i) => memory(0xdd, 3, disp(DOUBLES, i, 8))),
  st.map((i) => [0xdd, 0xd8 | i]),
);

/** Needs ST(0), and changes the stack's height by nothing. */
const one: fc.Arbitrary<Bytes> = fc.oneof(
  fc
    .tuple(fc.constantFrom(0xd8, 0xdc, 0xda, 0xde), fc.constantFrom(0, 1, 2, 4, 5, 6, 7))
    .chain(([opcode, extension]) => operand(opcode).map((at) => memory(opcode, extension, at))),
  fc.constantFrom<Bytes>(
    [0xd9, 0xe0],
    [0xd9, 0xe1],
    [0xd9, 0xe4],
    [0xd9, 0xe5],
    [0xd9, 0xfa],
    [0xd9, 0xfc],
  ),
  fc
    .constantFrom<[number, number]>([0xd9, 2], [0xdd, 2], [0xdb, 2], [0xdf, 2])
    .chain(([opcode, extension]) => result.map((at) => memory(opcode, extension, at))),
);

/** Needs ST(0) and ST(1). */
const two: fc.Arbitrary<Bytes> = fc
  .tuple(
    fc.constantFrom(
      0xd8c0,
      0xd8c8,
      0xd8d0,
      0xd8e0,
      0xd8e8,
      0xd8f0,
      0xd8f8,
      0xdcc0,
      0xdcc8,
      0xdce0,
      0xdce8,
      0xdcf0,
      0xdcf8,
      0xd9c8,
      0xddd0,
      0xdde0,
      0xdbe8,
      0xdbf0,
      0xdac0,
      0xdac8,
      0xdad0,
      0xdad8,
      0xdbc0,
      0xdbc8,
      0xdbd0,
      0xdbd8,
    ),
    st,
  )
  .map(([opcode, i]) => [opcode >> 8, (opcode & 0xff) | i]);
const twoAndPop: fc.Arbitrary<Bytes> = fc
  .tuple(
    fc.constantFrom(0xdec0, 0xdec8, 0xdee0, 0xdee8, 0xdef0, 0xdef8, 0xd8d8, 0xdde8, 0xdfe8, 0xdff0),
    fc.constantFrom(1, 1, 1, 2, 0),
  )
  .map(([opcode, i]) => [opcode >> 8, (opcode & 0xff) | i]);

const control: fc.Arbitrary<Bytes> = fc.oneof(
  index.map((i) => memory(0xd9, 5, disp(CONTROLS, i, 2))),
  fc.constantFrom<Bytes>(
    memory(0xd9, 7, RESULTS),
    memory(0xdd, 7, RESULTS + 2),
    [0xdf, 0xe0], // fnstsw ax
    [0x9b],
    [0xdb, 0xe2],
    [0xd9, 0xf6],
    [0xd9, 0xf7],
    [0xdd, 0xc3],
    [0xda, 0xe9],
    [0xde, 0xd9],
  ),
);

const join = (...parts: readonly fc.Arbitrary<Bytes>[]) =>
  fc.tuple(...parts).map((all) => all.flat());
const some = (part: fc.Arbitrary<Bytes>) =>
  fc.array(part, { maxLength: 3 }).map((all) => all.flat());

/** Mostly what keeps the stack's height. */
const snippet: fc.Arbitrary<Bytes> = fc.oneof(
  { weight: 4, arbitrary: join(push, some(one), pop) },
  { weight: 4, arbitrary: join(push, push, some(fc.oneof(one, two)), twoAndPop, pop) },
  { weight: 1, arbitrary: control },
  { weight: 1, arbitrary: fc.oneof(push, pop, one, two, twoAndPop) },
);

const START = [
  [],
  hex("db e3"), // fninit
  hex("db e3 d9 e8 dd 45 20"), // fninit; fld1; fld qword [rbp + 32]
];

const loop = fc
  .tuple(
    fc.constantFrom(...START),
    fc.option(index, { nil: undefined }),
    fc.array(fc.tuple(snippet, fc.option(fc.nat(15), { freq: 3, nil: undefined })), {
      minLength: 2,
      maxLength: 10,
    }),
  )
  .map(([start, rounding, parts]) => [
    ...start,
    ...(rounding === undefined ? [] : memory(0xd9, 5, disp(CONTROLS, rounding, 2))),
    ...parts.flatMap(([bytes, condition]) =>
      condition === undefined ? bytes : [0x70 | condition, bytes.length, ...bytes],
    ),
  ])
  .map((bytes) => loopOf(bytes));

function fillData(target: Machine): void {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  const at = (from: number, i: number, size: number) => 128 + from + i * size;
  DOUBLE_VALUES.forEach((value, i) => view.setFloat64(at(DOUBLES, i, 8), value, true));
  SINGLE_VALUES.forEach((value, i) => view.setFloat32(at(SINGLES, i, 4), value, true));
  EXTENDED_VALUES.forEach(([high, sig], i) => {
    view.setBigUint64(at(EXTENDED, i, 10), sig, true);
    view.setUint16(at(EXTENDED, i, 10) + 8, high, true);
  });
  INTEGER_VALUES.forEach((value, i) => view.setBigInt64(at(INTEGERS, i, 8), value, true));
  CONTROL_VALUES.forEach((value, i) => view.setUint16(at(CONTROLS, i, 2), value, true));
  target.writeMemory(DATA - 128, bytes);
}

async function ready(code: Bytes, translateAfter: number | undefined): Promise<Machine> {
  const target = await prepare(code, translateAfter);
  fillData(target);
  return target;
}

describe("random loops of x87 instructions", () => {
  it("run the same translated and interpreted, in one go and in pieces", async () => {
    await fc.assert(
      fc.asyncProperty(
        loop,
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 4 }),
        async (code, cuts) => {
          const expected = finish(await ready(code, undefined), [LIMIT]);
          expect(finish(await ready(code, 1), [LIMIT])).toBe(expected);
          expect(finish(await ready(code, 2), cuts)).toBe(expected);
        },
      ),
      { ...SEARCH, numRuns: SEARCH.numRuns / 2 },
    );
  });

  it("step the same translated and interpreted", async () => {
    await fc.assert(
      fc.asyncProperty(loop, async (code) => {
        const expected = stepThrough(await ready(code, undefined));
        expect(stepThrough(await ready(code, 1))).toBe(expected);
      }),
      { numRuns: 20, seed: 20161206 },
    );
  });
});

describe("what a region knows of the x87 stack", () => {
  // fninit; test r15b, 1: then every other pass, the last one too, finds ST(0) empty
  const start = "db e3 41 f6 c7 01";
  it.each([
    ["ends where ways meet", `${start} 75 02 d9 e8 d9 e0 d9 e0`], // jnz 1f; fld1; 1: fchs; fchs
    ["is not that of a taken branch", `${start} 74 04 d9 e0 eb 06 d9 e8 d9 e0 eb 00 d9 e1`], // jz 1f; fchs; jmp 2f; 1: fld1; fchs; jmp 2f; 2: fabs
    // fninit; fld1; fld1; mov ecx, 4; 1: fchs; fstp st0; dec ecx; jnz 1b
    ["ends at a loop", "db e3 d9 e8 d9 e8 b9 04 00 00 00 d9 e0 dd d8 ff c9 75 f8"],
    // fld1; fchs; fninit; fchs
    ["ends at an instruction of the core", "d9 e8 d9 e0 db e3 d9 e0"],
  ])("%s", async (_, bytes) => {
    const code = loopOf([...hex(bytes)]);
    const expected = finish(await ready(code, undefined), [LIMIT]);
    // Branches are followed when they have been taken before.
    for (const translateAfter of [1, 3, 10]) {
      expect(finish(await ready(code, translateAfter), [LIMIT])).toBe(expected);
    }
  });
});
