/**
 * Elementary functions with 128-bit arithmetic: series in fixed point, the result in `value`.
 *
 * Arguments are significand (bit 63 set), exponent and sign, as in soft.ts. Fixed-point fractions are hi:lo / 2^128.
 * Truncation costs less than 2^-118 of the result, so rounding to 64 bits goes wrong once in 2^50 cases.
 */
import { divide128, remainder128 } from "./soft";
import {
  divideSmall,
  highMul,
  lowBits,
  product128,
  productLow,
  Wide,
  wideAdd,
  wideMultiply,
} from "./wide";

/** The result of every function here. */
export const value: Wide = changetype<Wide>(memory.data(24, 8));
const t: Wide = changetype<Wide>(memory.data(24, 8));
const u: Wide = changetype<Wide>(memory.data(24, 8));
const v: Wide = changetype<Wide>(memory.data(24, 8));
const w: Wide = changetype<Wide>(memory.data(24, 8));

const PI_HI: u64 = 0xc90fdaa22168c234;
const PI_LO: u64 = 0xc4c6628b80dc1cd1;
const LN2_HI: u64 = 0xb17217f7d1cf79ab;
const LN2_LO: u64 = 0xc9e3b39803f2f6af;
/** 2 / ln 2. */
const TWO_LOG2E_HI: u64 = 0xb8aa3b295c17f0bb;
const TWO_LOG2E_LO: u64 = 0xbe87fed0691d3e89;

/** atan(j / 16). */
const ATAN_HI: StaticArray<u64> = [
  0x0000000000000000, 0xffaaddb967ef4e36, 0xfeadd4d5617b6e32, 0xbdcbda5e72d81134,
  0xfadbafc96406eb15, 0x9b13b9b83f5e5e69, 0xb7b0ca0f26f78473, 0xd327761e611fe5b6,
  0xed63382b0dda7b45, 0x832bf4a6d9867e2a, 0x8f005d5ef7f59f9b, 0x9a2f80e671bdda20,
  0xa4bc7d1934f70924, 0xaeac4c38b4d8c080, 0xb8053e2bc2319e73, 0xc0ce85b8ac526640,
  0xc90fdaa22168c234,
];
const ATAN_LO: StaticArray<u64> = [
  0x0000000000000000, 0xcb2792dc0e2e0d51, 0xc897989f3e888ef8, 0x7b0b4f881c9c7488,
  0x6dc79ef5f7a217e6, 0xc5abb498d27af328, 0x8aa32122dcfe4483, 0x427c95e9001e7136,
  0x6fe445ecbc3a8d03, 0x4b6a09cb61a515c1, 0x5c835e1665c43748, 0x4226f8e2204ff3bd,
  0x19a87f2a457dac9f, 0x14725e2f3e52070a, 0xcb2da55210a4443d, 0x89dd62c46e92fa25,
  0xc4c6628b80dc1cd1,
];
const ATAN_EXP: StaticArray<i32> = [
  0, -5, -4, -3, -3, -2, -2, -2, -2, -1, -1, -1, -1, -1, -1, -1, -1,
];

// A fixed-point accumulator.
let accHi: u64 = 0;
let accLo: u64 = 0;

/** Fraction of a number below 1, as fixed point in fixedHi:fixedLo. */
let fixedHi: u64 = 0;
let fixedLo: u64 = 0;
function toFixed(x: Wide): void {
  const shift = <u32>(-1 - x.exp);
  if (x.hi === 0 || shift >= 128) {
    fixedHi = 0;
    fixedLo = 0;
  } else if (shift === 0) {
    fixedHi = x.hi;
    fixedLo = x.lo;
  } else if (shift < 64) {
    fixedHi = x.hi >> shift;
    fixedLo = (x.lo >> shift) | (x.hi << (64 - shift));
  } else {
    fixedHi = 0;
    fixedLo = x.hi >> (shift - 64);
  }
}

/** acc := acc * fixed / d. */
function scaleAccumulator(d: u64): void {
  const high = product128(accHi, accLo, fixedHi, fixedLo);
  accHi = divideSmall(high, productLow, d);
  accLo = productLow;
}

/** acc := c - acc, or c + acc, with c given as a fraction. */
function complementAccumulator(cHi: u64, cLo: u64, negative: bool): void {
  if (negative) {
    const low = cLo - accLo;
    accHi = cHi - accHi - <u64>(cLo < accLo);
    accLo = low;
  } else {
    const low = cLo + accLo;
    accHi = cHi + accHi + <u64>(low < cLo);
    accLo = low;
  }
}

const HALF: u64 = 0x8000000000000000;

/** value := 2^x - 1 for |x| < 1. */
export function powerMinusOne(sig: u64, exp: i32, sign: u32): void {
  t.set(sig, 0, exp, sign);
  u.set(LN2_HI, LN2_LO, -1, 0);
  wideMultiply(t, t, u);
  toFixed(t);
  // acc = (1 + y/2 (1 + y/3 (1 + ...))) / 2
  accHi = HALF;
  accLo = 0;
  for (let n: u64 = 28; n >= 2; n--) {
    scaleAccumulator(n);
    complementAccumulator(HALF, 0, sign !== 0);
  }
  u.normalise(accHi, accLo, 0, 0);
  wideMultiply(value, t, u);
}

/** value := atanh(t) * 2 / ln 2, which is log2((1 + t) / (1 - t)), for |t| below 0.18. */
function logSeries(): void {
  wideMultiply(u, t, t);
  toFixed(u);
  // acc = (1 + u/3 + u^2/5 + ...) / 2
  accHi = 0;
  accLo = 0;
  for (let n: i64 = 41; n >= 1; n -= 2) {
    scaleAccumulator(1);
    const high = divideSmall(HALF, 0, <u64>n);
    complementAccumulator(high, productLow, false);
  }
  u.normalise(accHi, accLo, 0, 0);
  wideMultiply(value, t, u);
  u.set(TWO_LOG2E_HI, TWO_LOG2E_LO, 1, 0);
  wideMultiply(value, value, u);
}

/** r := a / b. */
function wideDivide(r: Wide, a: Wide, b: Wide): void {
  if (a.hi === 0) {
    r.copy(a);
    return;
  }
  let hi = a.hi;
  let lo = a.lo;
  let exp = a.exp - b.exp;
  let third: u64 = 0;
  if (hi > b.hi || (hi === b.hi && lo >= b.lo)) {
    third = lo << 63;
    lo = (lo >> 1) | (hi << 63);
    hi >>= 1;
  } else exp--;
  const first = digit(hi, lo, third, b);
  const second = digit(restHi, restLo, 0, b);
  r.normalise(first, second, exp, a.sign ^ b.sign);
}

let restHi: u64 = 0;
let restLo: u64 = 0;

/** One base-2^64 digit of (hi:lo:next) / b, with hi:lo below b; the remainder is left in restHi:restLo. */
function digit(hi: u64, lo: u64, next: u64, b: Wide): u64 {
  let q: u64;
  let r: u64;
  let over = false;
  if (hi >= b.hi) {
    q = -1;
    r = lo + b.hi;
    over = r < lo;
  } else {
    q = divide128(hi, lo, b.hi);
    r = remainder128();
  }
  let high = highMul(q, b.lo);
  let low = lowBits;
  while (!over && (high > r || (high === r && low > next))) {
    q--;
    if (low < b.lo) high--;
    low -= b.lo;
    r += b.hi;
    over = r < b.hi;
  }
  restLo = next - low;
  restHi = r - high - <u64>(next < low);
  return q;
}

/**
 * value := log2(x).
 *
 * @returns true when x is a power of two: value is exact
 */
export function log2(sig: u64, exp: i32): bool {
  if (sig === HALF) {
    integer(value, exp);
    return true;
  }
  // m in [sqrt 1/2, sqrt 2)
  let e = exp;
  const large = sig >= 0xb504f333f9de6485;
  if (large) e++;
  // t = (m - 1) / (m + 1), with m = sig / 2^63, or half of it
  if (large) {
    t.normalise(-sig, 0, -1, 1); // 1 - m = (2^64 - sig) / 2^64
    u.set(HALF + (sig >> 1), sig << 63, 0, 0); // 1 + m = (2^64 + sig) / 2^64
  } else {
    t.normalise(sig - HALF, 0, 0, 0);
    // 1 + m = (2^63 + sig) / 2^63, 65 bits
    u.set(HALF | ((sig - HALF) >> 1), sig << 63, 1, 0);
  }
  wideDivide(t, t, u);
  logSeries();
  integer(v, e);
  wideAdd(value, value, v);
  return false;
}

/** x := n. */
function integer(x: Wide, n: i32): void {
  if (n === 0) x.set(0, 0, 0, 0);
  else x.normalise(<u64>abs<i32>(n), 0, 63, n < 0 ? 1 : 0);
}

/** value := log2(1 + x) for -1 < x. */
export function log2PlusOne(sig: u64, exp: i32, sign: u32): void {
  v.set(sig, 0, exp, sign);
  if (exp >= -1) {
    // Beyond the range of the instruction, but well-defined: through 1 + x, which has at most 128 bits.
    if (exp > 63) {
      log2(sig, exp);
      return;
    }
    t.set(HALF, 0, 0, 0);
    wideAdd(w, t, v);
    log2Wide();
    return;
  }
  // t = x / (2 + x)
  u.set(HALF, 0, 1, 0);
  wideAdd(u, u, v);
  wideDivide(t, v, u);
  logSeries();
}

/** value := log2(w). */
function log2Wide(): void {
  let e = w.exp;
  if (w.hi >= 0xb504f333f9de6485) e++;
  w.exp -= e;
  t.set(HALF, 0, 0, 1);
  wideAdd(u, w, t);
  t.sign = 0;
  wideAdd(v, w, t);
  wideDivide(t, u, v);
  logSeries();
  integer(v, e);
  wideAdd(value, value, v);
}

/** value := value * y. */
export function multiplyBy(sig: u64, exp: i32, sign: u32): void {
  t.set(sig, 0, exp, sign);
  wideMultiply(value, value, t);
}

/** value := n * pi / 4. */
export function eighths(n: u32): void {
  // 3 pi / 4 = pi - pi / 4
  value.set(PI_HI, PI_LO, n === 1 ? -1 : n === 2 ? 0 : 1, 0);
  if (n !== 3) return;
  t.set(PI_HI, PI_LO, -1, 1);
  wideAdd(value, value, t);
}

/** value := angle of (x, y) in 0..pi, both positive; `left`: x is to be taken negative. */
export function arcTangent(xSig: u64, xExp: i32, ySig: u64, yExp: i32, left: bool): void {
  const steep = yExp > xExp || (yExp === xExp && ySig > xSig);
  // v = the smaller, w = the larger side
  if (steep) {
    v.set(xSig, 0, xExp, 0);
    w.set(ySig, 0, yExp, 0);
  } else {
    v.set(ySig, 0, yExp, 0);
    w.set(xSig, 0, xExp, 0);
  }
  // j / 16 is near v / w
  let j: u32 = 0;
  const distance = w.exp - v.exp;
  if (distance < 8) {
    const ratio = <f64>v.hi / <f64>w.hi / <f64>(1 << distance);
    j = <u32>nearest<f64>(ratio * 16.0);
  }
  if (j !== 0) {
    // t = (v - w j/16) / (w + v j/16)
    u.normalise(<u64>j, 0, 59, 0);
    wideMultiply(t, w, u);
    t.sign = 1;
    wideMultiply(u, v, u);
    wideAdd(t, v, t);
    wideAdd(u, w, u);
    wideDivide(t, t, u);
  } else wideDivide(t, v, w);
  tangentSeries();
  if (j !== 0) {
    u.set(unchecked(ATAN_HI[j]) /* j is 1..16 */, unchecked(ATAN_LO[j]), unchecked(ATAN_EXP[j]), 0);
    wideAdd(value, value, u);
  }
  if (steep) {
    value.sign ^= 1;
    u.set(PI_HI, PI_LO, 0, 0);
    wideAdd(value, value, u);
  }
  if (left) {
    value.sign ^= 1;
    u.set(PI_HI, PI_LO, 1, 0);
    wideAdd(value, value, u);
  }
}

/** value := atan(t) for |t| up to 1/16. */
function tangentSeries(): void {
  wideMultiply(u, t, t);
  toFixed(u);
  // acc = 1 - u/3 + u^2/5 - ..., just below 1
  accHi = 0;
  accLo = 0;
  for (let n: i64 = 31; n >= 1; n -= 2) {
    scaleAccumulator(1);
    const high = n === 1 ? -1 : divideSmall(-1, -1, <u64>n);
    complementAccumulator(high, n === 1 ? -1 : productLow, true);
  }
  u.normalise(accHi, accLo, -1, 0);
  wideMultiply(value, t, u);
}

/** Half of the 66-bit pi, in units of 2^-65. */
const HALF_PI_HI: u64 = 3;
const HALF_PI_LO: u64 = 0x243f6a8885a308d3;
/** Quarter turns taken off by `reduce`, modulo 4. */
let quadrant: u32 = 0;

/** t := |x| reduced to -pi/4 .. pi/4. */
function reduce(sig: u64, exp: i32): void {
  quadrant = 0;
  if (exp < -1) {
    t.set(sig, 0, exp, 0);
    return;
  }
  // x = sig * 2^(exp + 2) units, modulo pi / 2: one bit a step
  let hi: u64 = 0;
  let lo = sig;
  for (let n = exp + 2; n > 0; n--) {
    hi = (hi << 1) | (lo >> 63);
    lo <<= 1;
    quadrant <<= 1;
    if (hi > HALF_PI_HI || (hi === HALF_PI_HI && lo >= HALF_PI_LO)) {
      hi = hi - HALF_PI_HI - <u64>(lo < HALF_PI_LO);
      lo -= HALF_PI_LO;
      quadrant++;
    }
  }
  // Beyond pi / 4: from the other side.
  const otherHi = HALF_PI_HI - hi - <u64>(HALF_PI_LO < lo);
  const otherLo = HALF_PI_LO - lo;
  if (hi > otherHi || (hi === otherHi && lo > otherLo)) {
    quadrant++;
    t.normalise(otherHi, otherLo, 62, 1);
  } else t.normalise(hi, lo, 62, 0);
}

/** r := sin(t) for |t| up to pi / 4. */
function sineSeries(r: Wide): void {
  wideMultiply(u, t, t);
  toFixed(u);
  accHi = -1;
  accLo = -1;
  for (let n: u64 = 28; n >= 2; n -= 2) {
    scaleAccumulator(n * (n + 1));
    complementAccumulator(-1, -1, true);
  }
  u.normalise(accHi, accLo, -1, 0);
  wideMultiply(r, t, u);
}

/** r := cos(t). */
function cosineSeries(r: Wide): void {
  wideMultiply(u, t, t);
  toFixed(u);
  accHi = -1;
  accLo = -1;
  for (let n: u64 = 28; n >= 2; n -= 2) {
    scaleAccumulator(n * (n - 1));
    complementAccumulator(-1, -1, true);
  }
  r.normalise(accHi, accLo, -1, 0);
}

/** value := sin(x), |x| below 2^63. */
export function sine(sig: u64, exp: i32, sign: u32): void {
  reduce(sig, exp);
  if (quadrant & 1) cosineSeries(value);
  else sineSeries(value);
  value.sign ^= sign ^ ((quadrant >> 1) & 1);
}

/** value := cos(x). */
export function cosine(sig: u64, exp: i32): void {
  reduce(sig, exp);
  if (quadrant & 1) sineSeries(value);
  else cosineSeries(value);
  value.sign ^= ((quadrant + 1) >> 1) & 1;
}

/** value := tan(x). */
export function tangent(sig: u64, exp: i32, sign: u32): void {
  reduce(sig, exp);
  sineSeries(v);
  cosineSeries(w);
  if (quadrant & 1) {
    wideDivide(value, w, v);
    value.sign ^= 1;
  } else wideDivide(value, v, w);
  value.sign ^= sign;
}
