/**
 * The short ways of x87 instructions, interpreted and translated, give what the exact ways give.
 *
 * Operands are made so that results are often exact, halfway between two numbers, zero, or at the end
 * of a format, under every rounding mode and precision.
 */
import { describe, expect, it } from "vitest";
import { BUILDS } from "../../support/machine.js";
import { CASE_BYTES, CASE_COUNT, chooser, loopOverCases, runExact, runShort } from "./cases.js";

// Offsets in a case: memory operand, ST(1), ST(0), FCW; then what comes out.
const X = 8;
const Y = 18;
const FCW = 28;
const OUT = 30;

/** Two bytes each: with ST(1) the first operand and ST(0) the second. */
const OPERATIONS = [
  ["fadd st0, st1", 0xd8, 0xc1],
  ["fmul st0, st1", 0xd8, 0xc9],
  ["fcom st1", 0xd8, 0xd1],
  ["fsub st0, st1", 0xd8, 0xe1],
  ["fsubr st0, st1", 0xd8, 0xe9],
  ["fdiv st0, st1", 0xd8, 0xf1],
  ["fdivr st0, st1", 0xd8, 0xf9],
  ["fadd st1, st0", 0xdc, 0xc1],
  ["fsub st1, st0", 0xdc, 0xe9],
  ["faddp", 0xde, 0xc1],
  ["fmulp", 0xde, 0xc9],
  ["fsubp", 0xde, 0xe9],
  ["fsubrp", 0xde, 0xe1],
  ["fdivp", 0xde, 0xf9],
  ["fdivrp", 0xde, 0xf1],
  ["fxch", 0xd9, 0xc9],
  ["fchs", 0xd9, 0xe0],
  ["fabs", 0xd9, 0xe1],
  ["fld st1", 0xd9, 0xc1],
  ["fst st3", 0xdd, 0xd3],
  ["fucomp st1", 0xdd, 0xe9],
  ["fld1", 0xd9, 0xe8],
  ["fldz", 0xd9, 0xee],
  ["fadd m64", 0xdc, 0x07],
  ["fsubr m64", 0xdc, 0x2f],
  ["fmul m64", 0xdc, 0x0f],
  ["fdiv m64", 0xdc, 0x37],
  ["fadd m32", 0xd8, 0x07],
  ["fcomp m64", 0xdc, 0x1f],
  ["fild m16", 0xdf, 0x07],
  ["fild m32", 0xdb, 0x07],
  ["fild m64", 0xdf, 0x2f],
  ["fsqrt", 0xd9, 0xfa],
  ["ftst", 0xd9, 0xe4],
  ["fucompp", 0xda, 0xe9],
  ["fcompp", 0xde, 0xd9],
  ["fiadd m32", 0xda, 0x07],
  ["fidivr m16", 0xde, 0x3f],
  ["ficomp m16", 0xde, 0x1f],
  ["ffree st1", 0xdd, 0xc1],
] as const;

/** For each case: loads both, does it, and stores status and result in all formats, each with the status after it. */
function program(operation: readonly [string, number, number]): number[] {
  const result = OUT + 2;
  let out = result + 10;
  const stored = (opcode: number, extension: number, size: number) => {
    const bytes = [
      [0xdb, 0x6f, result], // fld tword [edi + result]
      [opcode, 0x47 | (extension << 3), out],
      [0xdd, 0x7f, out + size], // fnstsw
      [0xdb, 0xe2], // fnclex
    ];
    out += size + 2;
    return bytes.flat();
  };
  const body = [
    [0xdb, 0xe3], // fninit
    [0xd9, 0x6f, FCW], // fldcw [edi + FCW]
    [0xdb, 0x6f, X], // fld tword [edi + X]
    [0xdb, 0x6f, Y], // fld tword [edi + Y]
    [operation[1], operation[2]],
    [0xdd, 0x7f, OUT], // fnstsw [edi + OUT]
    [0xdb, 0x7f, result], // fstp tword [edi + result]
    [0xdb, 0xe2], // fnclex
    stored(0xdd, 3, 8), // fstp m64
    stored(0xd9, 3, 4), // fstp m32
    stored(0xdf, 7, 8), // fistp m64
    stored(0xdb, 3, 4), // fistp m32
    stored(0xdf, 3, 2), // fistp m16
  ].flat();
  return loopOverCases(body);
}

const BIAS = 16383;
/** All masked, for every rounding and precision; once in a while something is not. */
const CONTROLS = [
  0x37f, 0x77f, 0xb7f, 0xf7f, 0x27f, 0x67f, 0xa7f, 0xe7f, 0x07f, 0x47f, 0x87f, 0xc7f,
];
const UNMASKED = [0x35f, 0x37e, 0x367, 0x340, 0x25f];

/** Numbers with few bits set, at the ends of the significands of all formats, and exponents near each other or an end. */
function operands(): Uint8Array {
  const bytes = new Uint8Array(CASE_COUNT * CASE_BYTES);
  const view = new DataView(bytes.buffer);
  const { random, one } = chooser(0x9e3779b9n);
  const fraction = (width: number): bigint => {
    const all = (1n << BigInt(width)) - 1n;
    const place = 1n << BigInt(random(width));
    // halfway places of 53 and 24 bits in 64, and what is around them
    const half = one([1n << 10n, 1n << 39n]);
    const bits = one([
      0n,
      place,
      all,
      all - place,
      half,
      half | 1n,
      half - 1n,
      3n * half,
      all - half,
      BigInt(random(2 ** 31)) << BigInt(random(33)),
    ]);
    return (bits ^ BigInt(random(4) === 0 ? 1 : 0)) & all;
  };
  const exponent = (): number => {
    const edge = one([
      0, 0, 0, 1, 15, 31, 62, 63, 64, -64, 126, 127, 1022, 1023, -126, -149, -1022, -1074,
    ]);
    return one([BIAS + edge + random(3) - 1, BIAS + random(140) - 70, BIAS + random(8) - 4]);
  };
  const extended = (at: number): void => {
    const kind = random(24);
    let high = exponent();
    let sig = (1n << 63n) | fraction(63);
    if (kind === 0) [high, sig] = [0, 0n];
    else if (kind === 1) high = one([1, 2, 60, 0x7ffd, 0x7ffe, 0x7fff]);
    else if (kind === 2)
      [high, sig] = [one([0, 0, 0x7fff, BIAS]), sig & one([1n << 63n, ~(1n << 63n)])];
    view.setBigUint64(at, sig, true);
    view.setUint16(at + 8, high | (random(2) << 15), true);
  };
  const double = (): bigint => {
    const kind = random(16);
    if (kind === 0) return 0n;
    if (kind === 1) return (BigInt(one([0, 1, 0x7fe, 0x7ff])) << 52n) | fraction(52);
    return (BigInt(1023 + random(140) - 70) << 52n) | fraction(52);
  };
  const single = (): number => ((127 + random(60) - 30) << 23) | (random(2) * random(2 ** 23));
  for (let i = 0; i < CASE_COUNT; i++) {
    const at = i * CASE_BYTES;
    view.setBigUint64(at, double() | (BigInt(random(2)) << 63n), true);
    if (random(3) === 0) view.setUint32(at, single() | (random(2) << 31), true);
    if (random(8) === 0) view.setInt32(at, random(2 ** 16) - 2 ** 15, true);
    extended(at + X);
    extended(at + Y);
    // equal magnitudes and neighbours cancel
    if (random(8) === 0) bytes.copyWithin(at + Y, at + X, at + X + 9);
    view.setUint16(at + FCW, random(12) === 0 ? one(UNMASKED) : one(CONTROLS), true);
  }
  return bytes;
}

describe.each(BUILDS)("short ways of the x87 on the %s build", (build) => {
  it.each(OPERATIONS)("%s is exact", async (...operation) => {
    const guest = { code: program(operation), cases: operands() };
    const expected = await runExact(build, guest);
    expect(await runShort(build, guest, { translate: false })).toEqual(expected);
    expect(await runShort(build, guest, { translateAfter: 1 })).toEqual(expected);
    expect(new Set(expected).size).toBeGreaterThan(CASE_COUNT / 2);
  });
});
