/**
 * Arithmetic on ordinary x87 numbers without unpacking them, rounded as FCW says; nothing but an inexact result is
 * reported, which must be masked.
 *
 * A number is a pair: sign and exponent as in the upper 16 bits of the register, and the significand. Whatever is not
 * ordinary (denormals, infinities, NaNs, results out of range) is left to soft.ts: the answer is NO, and nothing has
 * changed. What is done is bit for bit what soft.ts does.
 *
 * Source: SDM 1 "Rounding"; IEEE 754.
 */
import { divide128, integerRoot, RC_DOWN, RC_NEAREST, RC_UP, remainder128, rootTail } from "./soft";
import { FSW_C0, FSW_C3 } from "./state";
import { highMul, lowBits } from "./wide";

export const TOP: u64 = 0x8000000000000000;
export const SIGN: u32 = 0x8000;
export const EXPONENT: u32 = 0x7fff;
export const BIAS: i32 = 16383;
const BIAS_64: i32 = 1023;
const BIAS_32: i32 = 127;

// Rounding and precision of FCW, and what both are after FNINIT: nearest, 64 bits.
const ROUNDING: u32 = 0x0f00;
const ROUNDING_USUAL: u32 = 0x0300;
const PC_SHIFT: u32 = 8;
const PC_24: u32 = 0;
const PC_53: u32 = 2;
const RC_SHIFT: u32 = 10;

// Bits of the status word that operations report.
const PE_SHIFT: u32 = 5;
const C1_SHIFT: u32 = 9;

/** Not for the short way. */
export const NO: i32 = -1;

// The number that `fromDouble` and its like have made.
export let high: u32 = 0;
export let sig: u64 = 0;

export class Numbers {
  /** Neither zero nor denormal, infinite or a NaN. */
  @inline
  static isNormal(h: u32, s: u64): bool {
    return ((h & EXPONENT) - 1 < 0x7ffe) & (<i64>s < 0);
  }

  @inline
  static isZero(h: u32, s: u64): bool {
    return ((h & EXPONENT) === 0) & (s === 0);
  }

  /** Stores a number to a register. @returns exceptions and C1: none */
  @inline
  static put(to: usize, h: u32, s: u64): i32 {
    store<u64>(to, s);
    store<u16>(to, <u16>h, 8);
    return 0;
  }

  /**
   * Stores s and its continuation t, rounded as FCW says.
   *
   * @param exp - biased
   * @returns exceptions and C1, or NO
   */
  @inline
  static round(fcw: u32, to: usize, sign: u32, exp: i32, s: u64, t: u64): i32 {
    if ((fcw & ROUNDING) !== ROUNDING_USUAL) return roundOtherwise(fcw, to, sign, exp, s, t);
    return Numbers.deliver(to, sign, exp, s, 1, t !== 0, (t > TOP) | ((t === TOP) & <bool>(s & 1)));
  }

  /** Stores s, one `unit` higher where it is rounded up. */
  @inline
  static deliver(
    to: usize,
    sign: u32,
    exp: i32,
    s: u64,
    unit: u64,
    isInexact: bool,
    isUp: bool,
  ): i32 {
    let value = s + unit * <u64>isUp;
    let e = exp;
    if (value < s) {
      value = TOP;
      e++;
    }
    if (<u32>(e - 1) >= EXPONENT - 1) return NO;
    Numbers.put(to, sign | <u32>e, value);
    return ((<i32>isInexact) << PE_SHIFT) | ((<i32>isUp) << C1_SHIFT);
  }

  /** Whether a number with that tail, a fraction of 2^64 in its last place, goes up in magnitude. */
  @inline
  static goesUp(fcw: u32, sign: u32, isOdd: bool, tail: u64): bool {
    const mode = (fcw >> RC_SHIFT) & 3;
    if (mode === RC_NEAREST) return tail > TOP || (tail === TOP && isOdd);
    return tail !== 0 && mode === (sign !== 0 ? RC_DOWN : RC_UP);
  }

  /** Stores (h, s) as a double or a single. @param bias - of the exponent @returns exceptions and C1, or NO */
  @inline
  static toFormat<T>(fcw: u32, to: usize, h: u32, s: u64, bias: i32): i32 {
    const fraction = sizeof<T>() === 8 ? 52 : 23;
    const sign = (<u64>(h >> 15)) << (sizeof<T>() * 8 - 1);
    if (!Numbers.isNormal(h, s)) {
      if (!Numbers.isZero(h, s)) return NO;
      store<T>(to, <T>sign);
      return 0;
    }
    const cut = 63 - fraction;
    const tail = s << (64 - cut);
    let value = s >> cut;
    const up = Numbers.goesUp(fcw, h & SIGN, (value & 1) !== 0, tail);
    let exp = <i32>(h & EXPONENT) - BIAS + bias;
    value += <u64>up;
    if (value >> (fraction + 1) !== 0) {
      value >>= 1;
      exp++;
    }
    if (exp <= 0 || exp > bias << 1) return NO;
    const rest = value & (((<u64>1) << fraction) - 1);
    store<T>(to, <T>(sign | ((<u64>exp) << fraction) | rest));
    return ((<i32>(tail !== 0)) << PE_SHIFT) | ((<i32>up) << C1_SHIFT);
  }
}

/** Precision of 24 or 53 bits, or another rounding mode. */
function roundOtherwise(fcw: u32, to: usize, sign: u32, exp: i32, s: u64, t: u64): i32 {
  const precision = (fcw >> PC_SHIFT) & 3;
  const cut: u64 = precision === PC_24 ? 40 : precision === PC_53 ? 11 : 0;
  let value = s;
  let tail = t;
  if (cut !== 0) {
    tail = (s << (64 - cut)) | <u64>(t !== 0);
    value = (s >> cut) << cut;
  }
  const unit = (<u64>1) << cut;
  const isUp = Numbers.goesUp(fcw, sign, (value & unit) !== 0, tail);
  return Numbers.deliver(to, sign, exp, value, unit, tail !== 0, isUp);
}

/** to := x + y, which are not both zero. @param to - address of a register @returns exceptions and C1, or NO */
export function sum(fcw: u32, to: usize, hx: u32, sx: u64, hy: u32, sy: u64): i32 {
  const ex = hx & EXPONENT;
  const ey = hy & EXPONENT;
  if (!(Numbers.isNormal(hx, sx) & Numbers.isNormal(hy, sy))) {
    if (Numbers.isZero(hx, sx) && Numbers.isNormal(hy, sy)) {
      return Numbers.round(fcw, to, hy & SIGN, ey, sy, 0);
    }
    if (Numbers.isZero(hy, sy) && Numbers.isNormal(hx, sx)) {
      return Numbers.round(fcw, to, hx & SIGN, ex, sx, 0);
    }
    return NO;
  }
  // Chosen without branches: which is the larger is as good as random.
  const isLess = (ey > ex) | ((ey === ex) & (sy > sx));
  let sign = select<u32>(hy, hx, isLess) & SIGN;
  const exp = select<u32>(ey, ex, isLess);
  const big = select<u64>(sy, sx, isLess);
  let small = select<u64>(sx, sy, isLess);
  const distance = exp - select<u32>(ex, ey, isLess);
  // small, shifted to the place of big, and what falls off its end
  let tail: u64;
  if (distance < 64) {
    tail = (small << 1) << (63 - distance);
    small >>= distance;
  } else {
    tail = distance === 64 ? small : 1;
    small = 0;
  }
  if (!((hx ^ hy) & SIGN)) {
    const s = big + small;
    if (s >= big) return Numbers.round(fcw, to, sign, exp, s, tail);
    // With a carry the tail is the end of small itself: its last bit is 0.
    return Numbers.round(fcw, to, sign, exp + 1, (s >> 1) | TOP, (tail >> 1) | (s << 63));
  }
  let s = big - small - <u64>(tail !== 0);
  tail = -tail;
  let e = <i32>exp;
  if (<i64>s >= 0) {
    if (s === 0) {
      if (tail === 0) {
        // An exact difference of equals: +0, or -0 when rounding down.
        sign = ((fcw >> RC_SHIFT) & 3) === RC_DOWN ? SIGN : 0;
        return Numbers.put(to, sign, 0);
      }
      s = tail;
      tail = 0;
      e -= 64;
    }
    const shift = clz<u64>(s);
    s = (s << shift) | ((tail >> 1) >> (63 - shift));
    tail <<= shift;
    e -= <i32>shift;
  }
  return Numbers.round(fcw, to, sign, e, s, tail);
}

/** to := x * y. */
export function product(fcw: u32, to: usize, hx: u32, sx: u64, hy: u32, sy: u64): i32 {
  const sign = (hx ^ hy) & SIGN;
  if (!(Numbers.isNormal(hx, sx) & Numbers.isNormal(hy, sy))) {
    const isZero =
      (Numbers.isZero(hx, sx) && (Numbers.isZero(hy, sy) || Numbers.isNormal(hy, sy))) ||
      (Numbers.isZero(hy, sy) && Numbers.isNormal(hx, sx));
    return isZero ? Numbers.put(to, sign, 0) : NO;
  }
  const s = highMul(sx, sy);
  const tail = lowBits;
  // The product of two significands has its first bit in one of two places.
  const shift = <u64>(<i64>s >= 0);
  const exp = <i32>(hx & EXPONENT) + <i32>(hy & EXPONENT) - BIAS + 1 - <i32>shift;
  return Numbers.round(fcw, to, sign, exp, (s << shift) | ((tail >> 63) & shift), tail << shift);
}

/** to := x / y. */
export function quotient(fcw: u32, to: usize, hx: u32, sx: u64, hy: u32, sy: u64): i32 {
  if (!Numbers.isNormal(hy, sy)) return NO;
  const sign = (hx ^ hy) & SIGN;
  if (!Numbers.isNormal(hx, sx)) return Numbers.isZero(hx, sx) ? Numbers.put(to, sign, 0) : NO;
  const shift = <u64>(sx >= sy);
  const exp = <i32>(hx & EXPONENT) - <i32>(hy & EXPONENT) + BIAS - 1 + <i32>shift;
  const s = divide128(sx >> shift, (sx << 63) & -shift, sy);
  // Of the rest only matters how it compares with half the divisor.
  const rest = remainder128();
  const tail = rest === 0 ? 0 : rest > sy - rest ? TOP | 1 : rest === sy - rest ? TOP : <u64>1;
  return Numbers.round(fcw, to, sign, exp, s, tail);
}

/** to := square root of a number that is not negative. */
export function root(fcw: u32, to: usize, h: u32, s: u64): i32 {
  if (h & SIGN || !Numbers.isNormal(h, s)) return NO;
  const exp = <i32>h - BIAS;
  const isOdd = <u64>(exp & 1);
  const result = integerRoot(s >> (1 - isOdd), (s << 63) & (isOdd - 1));
  return Numbers.round(fcw, to, 0, (exp >> 1) + BIAS, result, rootTail());
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

/** Stores (h, s) as a double. @param to - host address @returns exceptions and C1, or NO */
export function storeDouble(fcw: u32, to: usize, h: u32, s: u64): i32 {
  return Numbers.toFormat<u64>(fcw, to, h, s, BIAS_64);
}

/** The same as a single. */
export function storeSingle(fcw: u32, to: usize, h: u32, s: u64): i32 {
  return Numbers.toFormat<u32>(fcw, to, h, s, BIAS_32);
}

/** The same as an integer. @param size - bytes */
export function storeInteger(fcw: u32, to: usize, h: u32, s: u64, size: u32): i32 {
  let value: u64 = 0;
  let tail: u64 = 0;
  let up = false;
  if (Numbers.isNormal(h, s)) {
    // Bits behind the point: beyond 64 they leave nothing but a tail.
    const cut = BIAS + 63 - <i32>(h & EXPONENT);
    if (cut <= 0) return NO;
    if (cut < 64) value = s >> cut;
    tail = cut < 64 ? s << (64 - cut) : cut === 64 ? s : 1;
    up = Numbers.goesUp(fcw, h & SIGN, (value & 1) !== 0, tail);
    value += <u64>up;
    if (value >> ((size << 3) - 1) !== 0) return NO;
    if (h & SIGN) value = -value;
  } else if (!Numbers.isZero(h, s)) return NO;
  if (size === 2) store<u16>(to, <u16>value);
  else if (size === 4) store<u32>(to, <u32>value);
  else store<u64>(to, value);
  return ((<i32>(tail !== 0)) << PE_SHIFT) | ((<i32>up) << C1_SHIFT);
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
