/** FSQRT against the square root of whole numbers, under every rounding mode and precision. */
import { describe, expect, it } from "vitest";
import { BUILDS } from "../../support/machine.js";
import { CASE_BYTES, CASE_COUNT, chooser, loopOverCases, runExact, runShort } from "./cases.js";

const FCW = 10;
const OUT = 16;
const BIAS = 16383n;
const PRECISION = [24n, 0n, 53n, 64n];
const NEAREST = 0;
const UP = 2;

const CODE = loopOverCases(
  [
    [0xdb, 0xe3], // fninit
    [0xd9, 0x6f, FCW], // fldcw [edi + FCW]
    [0xdb, 0x2f], // fld tword [edi]
    [0xd9, 0xfa], // fsqrt
    [0xdb, 0x7f, OUT], // fstp tword [edi + OUT]
  ].flat(),
);

/** Floor. */
function rootOf(n: bigint): bigint {
  let low = 0n;
  let high = 1n << 160n;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle * middle <= n) low = middle;
    else high = middle;
  }
  return low;
}

/** Exponent and significand of the root as a register has them. */
function expected(exponent: bigint, significand: bigint, fcw: number): [bigint, bigint] {
  const mode = (fcw >> 10) & 3;
  const precision = PRECISION[(fcw >> 8) & 3]!;
  // significand * 2^(exponent - BIAS - 63), with an even power of two
  const power = exponent - BIAS;
  const isOdd = (power & 1n) !== 0n;
  // 2 * precision bits and one more of the root for the half
  const scale = 2n * (precision + 1n) - 64n + (isOdd ? 0n : -1n);
  const n = scale >= 0n ? significand << scale : significand >> -scale;
  const lost = scale >= 0n ? false : n << -scale !== significand;
  const twice = rootOf(n);
  const isExact = twice * twice === n && !lost;
  let root = twice >> 1n;
  const isHalf = (twice & 1n) === 1n;
  const goesUp =
    mode === NEAREST
      ? isHalf && (!isExact || (root & 1n) === 1n)
      : mode === UP && (isHalf || !isExact);
  if (goesUp) root++;
  let result = BIAS + (isOdd ? power - 1n : power) / 2n;
  if (root >> precision !== 0n) {
    root >>= 1n;
    result++;
  }
  return [result, root << (64n - precision)];
}

function operands(): { bytes: Uint8Array; roots: string[] } {
  const bytes = new Uint8Array(CASE_COUNT * CASE_BYTES);
  const view = new DataView(bytes.buffer);
  const { random, one } = chooser(0x5eedn);
  const bits = (count: number) => BigInt(random(2 ** 31)) << BigInt(count);
  const roots: string[] = [];
  for (let i = 0; i < CASE_COUNT; i++) {
    const at = i * CASE_BYTES;
    const square = ((bits(1) | 1n) ** 2n) << 1n;
    const significand =
      (1n << 63n) |
      one([
        0n,
        1n,
        (1n << 63n) - 1n,
        bits(32) | bits(5),
        bits(32) ^ bits(1),
        square & ((1n << 63n) - 1n),
      ]);
    const exponent = BIAS + BigInt(random(200) - 100);
    const fcw = (random(4) << 10) | (one([0, 2, 3]) << 8) | 0x7f;
    view.setBigUint64(at, significand, true);
    view.setUint16(at + 8, Number(exponent), true);
    view.setUint16(at + FCW, fcw, true);
    const [high, sig] = expected(exponent, significand, fcw);
    roots.push(`${high.toString(16)} ${sig.toString(16)}`);
  }
  return { bytes, roots };
}

/** @param outcome - of a case, in hexadecimal */
function rootIn(outcome: string): string {
  const view = new DataView(Uint8Array.from(Buffer.from(outcome, "hex")).buffer);
  return `${view.getUint16(OUT + 8, true).toString(16)} ${view.getBigUint64(OUT, true).toString(16)}`;
}

describe.each(BUILDS)("FSQRT on the %s build", (build) => {
  it("gives the root to the last bit", async () => {
    const { bytes, roots } = operands();
    const guest = { code: CODE, cases: bytes };
    expect((await runExact(build, guest)).map(rootIn)).toEqual(roots);
    expect((await runShort(build, guest, { translate: false })).map(rootIn)).toEqual(roots);
    expect((await runShort(build, guest, { translateAfter: 1 })).map(rootIn)).toEqual(roots);
  });
});
