/**
 * Arithmetic on ordinary x87 numbers without unpacking them: 64-bit significands, rounded to nearest; nothing but an
 * inexact result is reported.
 *
 * A number is a pair: sign and exponent as in the upper 16 bits of the register, and the significand. Whatever is not
 * ordinary (denormals, infinities, NaNs, results out of range) is left to soft.ts: the answer is NO, and nothing has
 * changed. What is done is bit for bit what soft.ts does.
 *
 * Source: SDM 1 "Rounding"; IEEE 754.
 */
import { divide128, PE, remainder128 } from "./soft";
import { FSW_C0, FSW_C1, FSW_C3 } from "./state";
import { highMul, lowBits } from "./wide";

export const TOP: u64 = 0x8000000000000000;
export const SIGN: u32 = 0x8000;
export const EXPONENT: u32 = 0x7fff;
export const BIAS: i32 = 16383;
const BIAS_64: i32 = 1023;
const BIAS_32: i32 = 127;

/** Not for the short way. */
export const NO: i32 = -1;

// The number that `fromDouble` and its like have made.
export let high: u32 = 0;
export let sig: u64 = 0;

/** The bits that `toDouble` or `toSingle` has made. */
export let bits: u64 = 0;

export class Numbers {
  /** Neither zero nor denormal, infinite or a NaN. */
  @inline
  static isNormal(h: u32, s: u64): bool {
    return (h & EXPONENT) - 1 < 0x7ffe && <i64>s < 0;
  }

  @inline
  static isZero(h: u32, s: u64): bool {
    return (h & EXPONENT) === 0 && s === 0;
  }

  /** Stores a number to a register. @returns exceptions and C1: none */
  @inline
  static put(to: usize, h: u32, s: u64): i32 {
    store<u64>(to, s);
    store<u16>(to, <u16>h, 8);
    return 0;
  }

  /** Stores s and its continuation t, rounded to 64 bits. @param exp - biased @returns exceptions and C1, or NO */
  @inline
  static round(to: usize, sign: u32, exp: i32, s: u64, t: u64): i32 {
    const up = t > TOP || (t === TOP && (s & 1) !== 0);
    let value = s + <u64>up;
    let e = exp;
    if (up && value === 0) {
      value = TOP;
      e++;
    }
    if (e <= 0 || e >= <i32>EXPONENT) return NO;
    Numbers.put(to, sign | <u32>e, value);
    return (t !== 0 ? <i32>PE : 0) | (up ? <i32>FSW_C1 : 0);
  }

  /** @param fraction - bits of the significand without the first: 52 or 23; @param bias - of the exponent */
  @inline
  static toFormat(h: u32, s: u64, fraction: u32, bias: i32): i32 {
    const sign = (<u64>(h >> 15)) << (fraction === 52 ? 63 : 31);
    if (!Numbers.isNormal(h, s)) {
      bits = sign;
      return Numbers.isZero(h, s) ? 0 : NO;
    }
    const cut = 63 - fraction;
    const tail = s << (64 - cut);
    let value = s >> cut;
    const up = tail > TOP || (tail === TOP && (value & 1) !== 0);
    let exp = <i32>(h & EXPONENT) - BIAS + bias;
    value += <u64>up;
    if (value >> (fraction + 1) !== 0) {
      value >>= 1;
      exp++;
    }
    if (exp <= 0 || exp > bias << 1) return NO;
    bits = sign | ((<u64>exp) << fraction) | (value & (((<u64>1) << fraction) - 1));
    return (tail !== 0 ? <i32>PE : 0) | (up ? <i32>FSW_C1 : 0);
  }
}

/** to := x + y, which are not both zero. @param to - address of a register @returns exceptions and C1, or NO */
export function sum(to: usize, hx: u32, sx: u64, hy: u32, sy: u64): i32 {
  if (!Numbers.isNormal(hx, sx)) {
    return Numbers.isZero(hx, sx) && Numbers.isNormal(hy, sy) ? Numbers.put(to, hy, sy) : NO;
  }
  if (!Numbers.isNormal(hy, sy)) return Numbers.isZero(hy, sy) ? Numbers.put(to, hx, sx) : NO;
  let ex = hx & EXPONENT;
  let ey = hy & EXPONENT;
  let sign = hx & SIGN;
  let big = sx;
  let small = sy;
  if (ey > ex || (ey === ex && sy > sx)) {
    const e = ex;
    ex = ey;
    ey = e;
    sign = hy & SIGN;
    big = sy;
    small = sx;
  }
  const distance = ex - ey;
  // small, shifted to the place of big, and what falls off its end
  let tail: u64 = 0;
  if (distance !== 0) {
    if (distance < 64) {
      tail = small << (64 - distance);
      small >>= distance;
    } else {
      tail = distance === 64 ? small : 1;
      small = 0;
    }
  }
  if (!((hx ^ hy) & SIGN)) {
    const s = big + small;
    if (s >= big) return Numbers.round(to, sign, ex, s, tail);
    return Numbers.round(to, sign, ex + 1, (s >> 1) | TOP, (tail >> 1) | (tail & 1) | (s << 63));
  }
  let s = big - small - <u64>(tail !== 0);
  tail = -tail;
  if ((s | tail) === 0) return Numbers.put(to, 0, 0);
  let e = <i32>ex;
  if (s === 0) {
    s = tail;
    tail = 0;
    e -= 64;
  }
  const shift = clz<u64>(s);
  if (shift !== 0) {
    s = (s << shift) | (tail >> (64 - shift));
    tail <<= shift;
    e -= <i32>shift;
  }
  return Numbers.round(to, sign, e, s, tail);
}

/** to := x * y. */
export function product(to: usize, hx: u32, sx: u64, hy: u32, sy: u64): i32 {
  const sign = (hx ^ hy) & SIGN;
  if (!Numbers.isNormal(hx, sx) || !Numbers.isNormal(hy, sy)) {
    const isZero =
      (Numbers.isZero(hx, sx) && (Numbers.isZero(hy, sy) || Numbers.isNormal(hy, sy))) ||
      (Numbers.isZero(hy, sy) && Numbers.isNormal(hx, sx));
    return isZero ? Numbers.put(to, sign, 0) : NO;
  }
  const exp = <i32>(hx & EXPONENT) + <i32>(hy & EXPONENT) - BIAS;
  const s = highMul(sx, sy);
  const tail = lowBits;
  if (<i64>s < 0) return Numbers.round(to, sign, exp + 1, s, tail);
  return Numbers.round(to, sign, exp, (s << 1) | (tail >> 63), tail << 1);
}

/** to := x / y. */
export function quotient(to: usize, hx: u32, sx: u64, hy: u32, sy: u64): i32 {
  if (!Numbers.isNormal(hy, sy)) return NO;
  const sign = (hx ^ hy) & SIGN;
  if (!Numbers.isNormal(hx, sx)) return Numbers.isZero(hx, sx) ? Numbers.put(to, sign, 0) : NO;
  let exp = <i32>(hx & EXPONENT) - <i32>(hy & EXPONENT) + BIAS;
  let s: u64;
  if (sx >= sy) s = divide128(sx >> 1, sx << 63, sy);
  else {
    exp--;
    s = divide128(sx, 0, sy);
  }
  // Of the rest only matters how it compares with half the divisor.
  const rest = remainder128();
  let tail: u64 = 0;
  if (rest !== 0) tail = rest > sy - rest ? TOP | 1 : rest === sy - rest ? TOP : 1;
  return Numbers.round(to, sign, exp, s, tail);
}

/** The number is that double. @returns false for denormals, infinities and NaNs */
export function fromDouble(bits: u64): bool {
  const exp = <u32>(bits >> 52) & 0x7ff;
  const sign = <u32>(bits >> 48) & SIGN;
  if (exp - 1 < 0x7fe) {
    high = sign | (exp + <u32>(BIAS - BIAS_64));
    sig = TOP | (bits << 11);
    return true;
  }
  high = sign;
  sig = 0;
  return bits << 1 === 0;
}

/** The number is that single. @returns as `fromDouble` */
export function fromSingle(bits: u32): bool {
  const exp = (bits >> 23) & 0xff;
  const sign = (bits >> 16) & SIGN;
  if (exp - 1 < 0xfe) {
    high = sign | (exp + <u32>(BIAS - BIAS_32));
    sig = TOP | ((<u64>bits) << 40);
    return true;
  }
  high = sign;
  sig = 0;
  return bits << 1 === 0;
}

/** The number is that integer. */
export function fromInteger(value: i64): void {
  if (value === 0) {
    high = 0;
    sig = 0;
    return;
  }
  const magnitude = value < 0 ? <u64>-value : <u64>value;
  const shift = <u32>clz<u64>(magnitude);
  sig = magnitude << shift;
  high = (value < 0 ? SIGN : 0) | (<u32>(BIAS + 63) - shift);
}

/** Rounds (h, s) to a double. @returns exceptions and C1, or NO */
export function toDouble(h: u32, s: u64): i32 {
  return Numbers.toFormat(h, s, 52, BIAS_64);
}

/** The same to a single. */
export function toSingle(h: u32, s: u64): i32 {
  return Numbers.toFormat(h, s, 23, BIAS_32);
}

/** C3 and C0 of two numbers that are normal or zero, or NO. */
export function ordered(hx: u32, sx: u64, hy: u32, sy: u64): i32 {
  const zeroX = Numbers.isZero(hx, sx);
  const zeroY = Numbers.isZero(hy, sy);
  if (!zeroX && !Numbers.isNormal(hx, sx)) return NO;
  if (!zeroY && !Numbers.isNormal(hy, sy)) return NO;
  if (zeroX && zeroY) return FSW_C3;
  if (zeroX) return hy & SIGN ? 0 : FSW_C0;
  if (zeroY || (hx ^ hy) & SIGN) return hx & SIGN ? FSW_C0 : 0;
  const ex = hx & EXPONENT;
  const ey = hy & EXPONENT;
  if (ex === ey && sx === sy) return FSW_C3;
  const isBelow = ex < ey || (ex === ey && sx < sy);
  return isBelow !== ((hx & SIGN) !== 0) ? FSW_C0 : 0;
}
