/**
 * Binary floating point in software: unpacked numbers, exact results with IEEE rounding and exception flags.
 *
 * Source: SDM 1 "Floating-Point Exceptions", IEEE 754. Used for x87 (64-bit significand, precision control) and for
 * whatever SSE cannot get exactly from WASM: other rounding modes, denormals, flags.
 *
 *     value of NORMAL = (-1)^sign * sig / 2^63 * 2^exp, bit 63 of sig set (except denormal results after rounding)
 *
 * Flags have the same positions in MXCSR and in the x87 status word. Tininess is detected after rounding.
 */
import { highMul, lowBits } from "./wide";

export const ZERO: u32 = 0;
export const NORMAL: u32 = 1;
export const INFINITY: u32 = 2;
export const QNAN: u32 = 3;
export const SNAN: u32 = 4;
/** x87 only: unnormals, pseudo-infinities and pseudo-NaNs, which are invalid operands. */
export const UNSUPPORTED: u32 = 5;

// Exception flags and masks.
export const IE: u32 = 1;
export const DE: u32 = 2;
export const ZE: u32 = 4;
export const OE: u32 = 8;
export const UE: u32 = 16;
export const PE: u32 = 32;

// Rounding modes, as in MXCSR.RC and FCW.RC.
export const RC_NEAREST: u32 = 0;
export const RC_DOWN: u32 = 1;
export const RC_UP: u32 = 2;
export const RC_ZERO: u32 = 3;

const TOP: u64 = 0x8000000000000000;
/** Quiet bit of an unpacked NaN's `sig`. */
export const QUIET: u64 = 0x4000000000000000;

/** An unpacked number. */
@unmanaged
export class Soft {
  sig: u64;
  exp: i32;
  sign: u32;
  kind: u32;
  /** 1 when it was a denormal of its format. */
  denormal: u32;
}

/** Operands and result: static, as nothing here is re-entered. */
export const A: Soft = changetype<Soft>(memory.data(32, 8));
export const B: Soft = changetype<Soft>(memory.data(32, 8));
export const R: Soft = changetype<Soft>(memory.data(32, 8));

// The environment of an operation: set by the caller before, read after.
export let rounding: u32 = 0;
export let masks: u32 = 0x3f;
export let flushToZero: bool = false;
/** Added exponent when an unmasked overflow or underflow wraps the result: 24576 for x87, 0 for SSE. */
export let wrap: i32 = 0;
export let flags: u32 = 0;
/** C1 of x87: the magnitude was rounded up. */
export let roundedUp: bool = false;

export function setEnvironment(rc: u32, exceptionMasks: u32, ftz: bool, exponentWrap: i32): void {
  rounding = rc;
  masks = exceptionMasks;
  flushToZero = ftz;
  wrap = exponentWrap;
  flags = 0;
  roundedUp = false;
}

export function raiseFlags(set: u32): void {
  flags |= set;
}
export function clearFlags(): void {
  flags = 0;
}
/** What was found is replaced by an invalid operation: a conversion whose result does not fit. */
export function onlyInvalid(): void {
  flags = IE;
  roundedUp = false;
}
/** No result, so no #P either. */
export function dropPrecision(): void {
  flags &= ~PE;
  roundedUp = false;
}
export function setRounding(rc: u32): void {
  rounding = rc;
}

// The format that a result is rounded to.
let precision: u32 = 64;
let minExp: i32 = -16382;
let maxExp: i32 = 16383;

/** Single precision. */
export function format32(): void {
  precision = 24;
  minExp = -126;
  maxExp = 127;
}
/** Double precision. */
export function format64(): void {
  precision = 53;
  minExp = -1022;
  maxExp = 1023;
}
/** Extended range with `bits` of significand: 24, 53 or 64. */
export function format80(bits: u32): void {
  precision = bits;
  minExp = -16382;
  maxExp = 16383;
}

/** Unpacks single precision. */
export function unpack32(u: Soft, bits: u32): void {
  const exp = (bits >> 23) & 0xff;
  const fraction = bits & 0x7fffff;
  unpack(u, bits >> 31, exp, (<u64>fraction) << 40, 0xff, 127);
}

/** Unpacks double precision. */
export function unpack64(u: Soft, bits: u64): void {
  unpack(
    u,
    <u32>(bits >> 63),
    <u32>(bits >> 52) & 0x7ff,
    (bits & 0xfffffffffffff) << 11,
    0x7ff,
    1023,
  );
}

/** @param fraction - without the integer bit, left-justified below bit 63 */
function unpack(u: Soft, sign: u32, exp: u32, fraction: u64, top: u32, bias: i32): void {
  u.sign = sign;
  u.denormal = 0;
  if (exp === top) {
    u.sig = fraction | TOP;
    u.kind = fraction === 0 ? INFINITY : fraction & QUIET ? QNAN : SNAN;
  } else if (exp !== 0) {
    u.kind = NORMAL;
    u.exp = <i32>exp - bias;
    u.sig = fraction | TOP;
  } else if (fraction === 0) {
    u.kind = ZERO;
    u.sig = 0;
  } else {
    const shift = <u32>clz<u64>(fraction);
    u.kind = NORMAL;
    u.denormal = 1;
    u.sig = fraction << shift;
    u.exp = 1 - bias - <i32>shift;
  }
}

/** Unpacks double extended precision. @param high - sign and exponent; @param sig - significand */
export function unpack80(u: Soft, high: u32, sig: u64): void {
  const exp = high & 0x7fff;
  u.sign = (high >> 15) & 1;
  u.sig = sig;
  u.denormal = 0;
  if (exp === 0) {
    if (sig === 0) {
      u.kind = ZERO;
      return;
    }
    // Denormals, and pseudo-denormals with bit 63 set, which count as such.
    const shift = <u32>clz<u64>(sig);
    u.kind = NORMAL;
    u.denormal = 1;
    u.sig = sig << shift;
    u.exp = -16382 - <i32>shift;
  } else if (!(sig >> 63)) u.kind = UNSUPPORTED;
  else if (exp === 0x7fff) u.kind = sig === TOP ? INFINITY : sig & QUIET ? QNAN : SNAN;
  else {
    u.kind = NORMAL;
    u.exp = <i32>exp - 16383;
  }
}

/** R as single precision. */
export function pack32(): u32 {
  const sign = R.sign << 31;
  switch (R.kind) {
    case ZERO:
      return sign;
    case NORMAL: {
      const exp = R.sig >> 63 ? <u32>(R.exp + 127) : 0;
      return sign | (exp << 23) | (<u32>(R.sig >> 40) & 0x7fffff);
    }
    case INFINITY:
      return sign | 0x7f800000;
    default:
      return sign | 0x7f800000 | (<u32>(R.sig >> 40) & 0x7fffff);
  }
}

/** R as double precision. */
export function pack64(): u64 {
  const sign = (<u64>R.sign) << 63;
  switch (R.kind) {
    case ZERO:
      return sign;
    case NORMAL: {
      const exp = R.sig >> 63 ? <u64>(R.exp + 1023) : 0;
      return sign | (exp << 52) | ((R.sig >> 11) & 0xfffffffffffff);
    }
    case INFINITY:
      return sign | 0x7ff0000000000000;
    default:
      return sign | 0x7ff0000000000000 | ((R.sig >> 11) & 0xfffffffffffff);
  }
}

/** Sign and exponent of R in double extended precision; its significand is `packSig80`. */
export function packHigh80(): u32 {
  const sign = R.sign << 15;
  switch (R.kind) {
    case ZERO:
      return sign;
    case NORMAL:
      return sign | (R.sig >> 63 ? <u32>(R.exp + 16383) & 0x7fff : 0);
    default:
      return sign | 0x7fff;
  }
}

export function packSig80(): u64 {
  if (R.kind === ZERO) return 0;
  return R.kind === INFINITY ? TOP : R.sig;
}

/** R := zero, infinity or the default NaN ("real indefinite"). */
export function resultZero(sign: u32): void {
  R.kind = ZERO;
  R.sign = sign;
  R.sig = 0;
}
export function resultInfinity(sign: u32): void {
  R.kind = INFINITY;
  R.sign = sign;
  R.sig = TOP;
}
export function resultIndefinite(): void {
  R.kind = QNAN;
  R.sign = 1;
  R.sig = TOP | QUIET;
}
/** R := u, as it is. */
export function resultOf(u: Soft): void {
  memory.copy(changetype<usize>(R), changetype<usize>(u), 24);
}

/** R := u, a number that the format holds: no underflow, not even an unmasked one. */
export function resultExact(u: Soft): void {
  resultOf(u);
  if (u.exp < minExp) denormalise(u.sign, minExp - u.exp, u.sig, 0);
}

/** Invalid operation: raises IE, R is the default NaN. */
export function invalid(): void {
  flags |= IE;
  resultIndefinite();
}

/** True when the tail (hi above lo, as fractions of the last place) rounds the magnitude up. */
function roundsUp(sign: u32, odd: bool, tail: u64, sticky: bool): bool {
  switch (rounding) {
    case RC_NEAREST:
      return tail > TOP || (tail === TOP && (sticky || odd));
    case RC_DOWN:
      return sign !== 0 && (tail !== 0 || sticky);
    case RC_UP:
      return sign === 0 && (tail !== 0 || sticky);
    default:
      return false;
  }
}

/**
 * R := (-1)^sign * (hi + lo / 2^64) / 2^63 * 2^exp, rounded to the format. Raises OE, UE and PE.
 *
 * @param hi - bit 63 set; @param lo - continues hi; nonzero also stands for bits beyond
 */
export function round(sign: u32, exp: i32, hi: u64, lo: u64): void {
  R.kind = NORMAL;
  R.sign = sign;
  const cut = 64 - precision;
  let tail: u64;
  let sticky = false;
  let kept = hi;
  if (cut === 0) tail = lo;
  else {
    tail = hi << precision;
    sticky = lo !== 0;
    kept = (hi >> cut) << cut;
  }
  const last = (<u64>1) << cut;
  const up = roundsUp(sign, (kept & last) !== 0, tail, sticky);
  const inexact = tail !== 0 || sticky;
  let roundedExp = exp;
  let rounded = kept;
  if (up) {
    rounded += last;
    if (rounded === 0) {
      rounded = TOP;
      roundedExp++;
    }
  }
  if (roundedExp < minExp) {
    if (!(masks & UE)) {
      // Unmasked underflow: exact or not, the result keeps its precision and wraps its exponent.
      flags |= UE | (inexact ? PE : 0);
      if (wrap !== 0 && roundedExp + wrap < minExp) {
        // Only FSCALE gets that far. What is below all denormals becomes zero, however it is rounded.
        const distance = minExp - exp - wrap;
        if (distance <= 64) denormalise(sign, distance, hi, lo);
        else {
          flags |= PE;
          roundedUp = false;
          resultZero(sign);
        }
        return;
      }
      roundedUp = up;
      R.sig = rounded;
      R.exp = roundedExp + wrap;
      return;
    }
    if (flushToZero) {
      flags |= UE | PE;
      resultZero(sign);
      return;
    }
    denormalise(sign, minExp - exp, hi, lo);
    return;
  }
  if (roundedExp > maxExp) {
    flags |= OE;
    if (!(masks & OE)) {
      flags |= inexact ? PE : 0;
      if (wrap !== 0 && roundedExp - wrap > maxExp) {
        // Only FSCALE gets that far.
        flags |= PE;
        resultInfinity(sign);
        roundedUp = true;
        return;
      }
      roundedUp = up;
      R.sig = rounded;
      R.exp = roundedExp - wrap;
      return;
    }
    flags |= PE;
    overflow(sign);
    return;
  }
  if (inexact) flags |= PE;
  roundedUp = up && inexact;
  R.sig = rounded;
  R.exp = roundedExp;
}

/** Masked overflow: infinity or the largest finite number. */
function overflow(sign: u32): void {
  const toInfinity =
    rounding === RC_NEAREST ||
    (rounding === RC_DOWN && sign !== 0) ||
    (rounding === RC_UP && sign === 0);
  roundedUp = toInfinity;
  if (toInfinity) resultInfinity(sign);
  else {
    R.sig = ~(<u64>0) << (64 - precision);
    R.exp = maxExp;
  }
}

/** Rounds a tiny number to a multiple of the smallest denormal. @param shift - places below `minExp`, at least 1 */
function denormalise(sign: u32, shift: i32, hi: u64, lo: u64): void {
  let sig: u64;
  let tail: u64;
  let sticky: bool;
  const cut = 64 - precision;
  const total = cut + <u32>min<i32>(shift, 200);
  // `total` bits of hi:lo are cut off; it is at least 1.
  if (total < 64) {
    sig = (hi >> total) << cut;
    tail = (hi << (64 - total)) | (lo >> total);
    sticky = lo << (64 - total) !== 0;
  } else if (total === 64) {
    sig = 0;
    tail = hi;
    sticky = lo !== 0;
  } else {
    sig = 0;
    tail = total < 128 ? hi >> (total - 64) : 0;
    sticky = true;
  }
  const inexact = tail !== 0 || sticky;
  const last = (<u64>1) << cut;
  roundedUp = roundsUp(sign, (sig & last) !== 0, tail, sticky);
  if (roundedUp) sig += last;
  if (inexact) flags |= UE | PE;
  if (sig === 0) resultZero(sign);
  else {
    // May have become the smallest normal number: bit 63 then says so.
    R.sig = sig;
    R.exp = minExp;
  }
}

/** hi:lo >> count with everything that is lost ORed into the last bit. @param count - 0 or more */
let shiftedHi: u64 = 0;
let shiftedLo: u64 = 0;
function shiftRightJam(hi: u64, lo: u64, count: u32): void {
  if (count === 0) {
    shiftedHi = hi;
    shiftedLo = lo;
  } else if (count < 64) {
    shiftedHi = hi >> count;
    shiftedLo = (hi << (64 - count)) | (lo >> count) | <u64>(lo << (64 - count) !== 0);
  } else if (count < 128) {
    shiftedHi = 0;
    const lost = count === 64 ? lo : (hi << (128 - count)) | lo;
    shiftedLo = (count === 64 ? hi : hi >> (count - 64)) | <u64>(lost !== 0);
  } else {
    shiftedHi = 0;
    shiftedLo = <u64>((hi | lo) !== 0);
  }
}

/** R := A + B, or A - B. Both NORMAL, ZERO or INFINITY. */
export function add(subtract: bool): void {
  const signB = B.sign ^ <u32>subtract;
  if (A.kind === INFINITY || B.kind === INFINITY) {
    if (A.kind === B.kind && A.sign !== signB) invalid();
    else resultInfinity(A.kind === INFINITY ? A.sign : signB);
    return;
  }
  if (A.kind === ZERO && B.kind === ZERO) {
    resultZero(A.sign === signB ? A.sign : rounding === RC_DOWN ? 1 : 0);
    return;
  }
  if (B.kind === ZERO) {
    round(A.sign, A.exp, A.sig, 0);
    return;
  }
  if (A.kind === ZERO) {
    round(signB, B.exp, B.sig, 0);
    return;
  }
  const swap = B.exp > A.exp || (B.exp === A.exp && B.sig > A.sig);
  const big = swap ? B : A;
  const small = swap ? A : B;
  const sign = swap ? signB : A.sign;
  shiftRightJam(small.sig, 0, <u32>(big.exp - small.exp));
  let exp = big.exp;
  let hi: u64;
  let lo = shiftedLo;
  if (A.sign === signB) {
    hi = big.sig + shiftedHi;
    if (hi < big.sig) {
      lo = (lo >> 1) | (lo & 1) | (hi << 63);
      hi = (hi >> 1) | TOP;
      exp++;
    }
  } else {
    hi = big.sig - shiftedHi - <u64>(lo !== 0);
    lo = -lo;
    if ((hi | lo) === 0) {
      resultZero(rounding === RC_DOWN ? 1 : 0);
      return;
    }
    if (hi === 0) {
      hi = lo;
      lo = 0;
      exp -= 64;
    }
    const shift = <u32>clz<u64>(hi);
    if (shift !== 0) {
      hi = (hi << shift) | (lo >> (64 - shift));
      lo <<= shift;
      exp -= <i32>shift;
    }
  }
  round(sign, exp, hi, lo);
}

/** R := A * B. Both NORMAL, ZERO or INFINITY. */
export function multiply(): void {
  const sign = A.sign ^ B.sign;
  if (A.kind === INFINITY || B.kind === INFINITY) {
    if (A.kind === ZERO || B.kind === ZERO) invalid();
    else resultInfinity(sign);
    return;
  }
  if (A.kind === ZERO || B.kind === ZERO) {
    resultZero(sign);
    return;
  }
  let hi = highMul(A.sig, B.sig);
  let lo = lowBits;
  let exp = A.exp + B.exp + 1;
  if (!(hi >> 63)) {
    hi = (hi << 1) | (lo >> 63);
    lo <<= 1;
    exp--;
  }
  round(sign, exp, hi, lo);
}

/** Quotient and remainder of (hi:lo) / d, with hi < d and bit 63 of d set. @returns the quotient */
let remainder: u64 = 0;
export function divide128(hi: u64, lo: u64, d: u64): u64 {
  const high = divideStep(hi, lo >> 32, d);
  const low = divideStep(remainder, lo & 0xffffffff, d);
  return (high << 32) | low;
}
export function remainder128(): u64 {
  return remainder;
}

/** One digit of base 2^32: (hi * 2^32 + digit) / d. */
function divideStep(hi: u64, digit: u64, d: u64): u64 {
  const top = d >> 32;
  const rest = d & 0xffffffff;
  let q = hi / top;
  let r = hi - q * top;
  while (q >> 32 !== 0 || q * rest > ((r << 32) | digit)) {
    q--;
    r += top;
    if (r >> 32) break;
  }
  remainder = ((hi << 32) | digit) - q * d;
  return q;
}

/** R := A / B. Both NORMAL, ZERO or INFINITY. Raises ZE. */
export function divide(): void {
  const sign = A.sign ^ B.sign;
  if (A.kind === INFINITY) {
    if (B.kind === INFINITY) invalid();
    else resultInfinity(sign);
    return;
  }
  if (B.kind === INFINITY) {
    resultZero(sign);
    return;
  }
  if (B.kind === ZERO) {
    if (A.kind === ZERO) invalid();
    else {
      flags |= ZE;
      resultInfinity(sign);
    }
    return;
  }
  if (A.kind === ZERO) {
    resultZero(sign);
    return;
  }
  let exp = A.exp - B.exp;
  let hi: u64;
  let lo: u64;
  if (A.sig >= B.sig) {
    hi = divide128(A.sig >> 1, A.sig << 63, B.sig);
  } else {
    exp--;
    hi = divide128(A.sig, 0, B.sig);
  }
  const left = remainder;
  // Half a place more exactly: compare twice the remainder with the divisor.
  if (left === 0) lo = 0;
  else if (left >> 63) lo = TOP | 1;
  else {
    const twice = left << 1;
    lo = twice > B.sig ? TOP | 1 : twice === B.sig ? TOP : 1;
  }
  round(sign, exp, hi, lo);
}

/** R := square root of A, which is NORMAL, ZERO or +INFINITY; negative numbers are invalid. */
export function squareRoot(): void {
  if (A.kind === ZERO) {
    resultZero(A.sign);
    return;
  }
  if (A.sign !== 0) {
    invalid();
    return;
  }
  if (A.kind === INFINITY) {
    resultInfinity(0);
    return;
  }
  // m in [2^126, 2^128), root in [2^63, 2^64): one bit a step, from an estimate of the upper 26 bits.
  const odd = (A.exp & 1) !== 0;
  const exp = A.exp >> 1;
  const hi = odd ? A.sig : A.sig >> 1;
  const lo = odd ? 0 : A.sig << 63;
  const root = integerRoot(hi, lo);
  round(0, exp, root, rootTail());
}

/** What follows the last `integerRoot`, as `round` takes it. */
let tailOfRoot: u64 = 0;
export function rootTail(): u64 {
  return tailOfRoot;
}

/** Floor of the square root of hi:lo, hi at least 2^62. */
export function integerRoot(hi: u64, lo: u64): u64 {
  // The estimate has some 52 good bits; a Newton step gives all, then the last unit is corrected.
  const estimate = sqrt<f64>(<f64>hi) * 4294967296.0;
  let root = estimate >= 18446744073709551615.0 ? <u64>-1 : <u64>estimate;
  const quotient = hi >= root ? <u64>-1 : divide128(hi, lo, root);
  root = (root >> 1) + (quotient >> 1) + (root & quotient & 1);
  let high = highMul(root, root);
  while (high > hi || (high === hi && lowBits > lo)) high = highMul(--root, root);
  let restLow = lo - lowBits;
  let restHigh = hi - high - <u64>(lo < lowBits);
  // (root + 1)^2 is greater by 2 root + 1.
  while (restHigh > root >> 63 || (restHigh === root >> 63 && restLow > root << 1)) {
    const step = (root << 1) | 1;
    restHigh -= (root >> 63) + <u64>(restLow < step);
    restLow -= step;
    root++;
  }
  // Exactness and the half-way point: (2 root + 1)^2 is odd, so there are no ties.
  tailOfRoot = (restHigh | restLow) === 0 ? 0 : restHigh !== 0 || restLow > root ? TOP | 1 : 1;
  return root;
}

/** How A compares with B: neither is a NaN. @returns -1, 0 or 1 */
export function compare(): i32 {
  if (A.kind === ZERO && B.kind === ZERO) return 0;
  if (A.kind === ZERO) return B.sign ? 1 : -1;
  if (B.kind === ZERO) return A.sign ? -1 : 1;
  if (A.sign !== B.sign) return A.sign ? -1 : 1;
  let order: i32;
  if (A.kind === INFINITY || B.kind === INFINITY) {
    order = A.kind === B.kind ? 0 : A.kind === INFINITY ? 1 : -1;
  } else if (A.exp !== B.exp) order = A.exp > B.exp ? 1 : -1;
  else order = A.sig === B.sig ? 0 : A.sig > B.sig ? 1 : -1;
  return A.sign ? -order : order;
}

/** R := A rounded to an integral value. Raises PE. A is NORMAL, ZERO or INFINITY. */
export function roundToIntegral(): void {
  resultOf(A);
  if (A.kind !== NORMAL || A.exp >= 63) return;
  const one: u64 = 1;
  if (A.exp < -1) {
    // Below one half: zero or one.
    flags |= PE;
    roundedUp = roundsUp(A.sign, false, 1, true);
    if (roundedUp) {
      R.sig = TOP;
      R.exp = 0;
    } else resultZero(A.sign);
    return;
  }
  const shift = <u32>(63 - A.exp);
  const whole = shift === 64 ? 0 : A.sig >> shift;
  const tail = shift === 64 ? A.sig : A.sig << (64 - shift);
  if (tail === 0) return;
  flags |= PE;
  roundedUp = roundsUp(A.sign, (whole & one) !== 0, tail, false);
  const value = whole + <u64>roundedUp;
  if (value === 0) {
    resultZero(A.sign);
    return;
  }
  const places = <u32>clz<u64>(value);
  R.sig = value << places;
  R.exp = 63 - <i32>places;
}

/**
 * A as a signed integer of `bits` bits. Raises IE (also for what is out of range) or PE.
 *
 * @returns the value; the most negative one when invalid
 */
export function toInteger(bits: u32, truncate: bool): i64 {
  const indefinite = <i64>((<u64>-1) << (bits - 1));
  if (A.kind === ZERO) return 0;
  if (A.kind !== NORMAL || A.exp > 63) {
    flags |= IE;
    return indefinite;
  }
  let whole: u64 = 0;
  let tail: u64 = 0;
  let sticky = false;
  if (A.exp === 63) whole = A.sig;
  else if (A.exp >= -1) {
    const shift = <u32>(63 - A.exp);
    whole = shift === 64 ? 0 : A.sig >> shift;
    tail = shift === 64 ? A.sig : A.sig << (64 - shift);
  } else sticky = true;
  let up = false;
  if (!truncate && (tail !== 0 || sticky)) up = roundsUp(A.sign, (whole & 1) !== 0, tail, sticky);
  const magnitude = whole + <u64>up;
  const limit = (<u64>1) << (bits - 1);
  if (
    (whole !== 0 && magnitude === 0) ||
    magnitude > limit ||
    (magnitude === limit && A.sign === 0)
  ) {
    flags |= IE;
    return indefinite;
  }
  if (tail !== 0 || sticky) {
    flags |= PE;
    roundedUp = up;
  }
  return A.sign ? -(<i64>magnitude) : <i64>magnitude;
}

/** A := a signed integer, exactly. */
export function fromInteger(value: i64): void {
  A.denormal = 0;
  if (value === 0) {
    A.kind = ZERO;
    A.sign = 0;
    A.sig = 0;
    return;
  }
  A.kind = NORMAL;
  A.sign = value < 0 ? 1 : 0;
  const magnitude = value < 0 ? <u64>-value : <u64>value;
  const shift = <u32>clz<u64>(magnitude);
  A.sig = magnitude << shift;
  A.exp = 63 - <i32>shift;
}

/** R := A rounded to the format; A is NORMAL, ZERO or INFINITY. */
export function convert(): void {
  if (A.kind === NORMAL) round(A.sign, A.exp, A.sig, 0);
  else resultOf(A);
}
