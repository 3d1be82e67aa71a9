/** 128-bit products and quotients from 64-bit parts. */

/** High half of the product of two unsigned numbers; the low half is `a * b`. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const middle = aHigh * bLow + ((aLow * bLow) >> 32);
  // Cannot overflow: (2^32 - 1)^2 + 2 * (2^32 - 1) < 2^64.
  const cross = aLow * bHigh + (middle & 0xffffffff);
  return aHigh * bHigh + (middle >> 32) + (cross >> 32);
}

/** High half of the product of two signed numbers. */
export function multiplyHighSigned(a: i64, b: i64): i64 {
  // As unsigned, a negative factor counts 2^64 too much: that times the other factor is taken off the high half.
  return <i64>(multiplyHigh(a, b) - <u64>((a >> 63) & b) - <u64>((b >> 63) & a));
}

/** Remainder of the last `divideWide`. */
export let remainder: u64 = 0;

/**
 * Divides high:low by `divisor`, leaving the rest in `remainder`.
 *
 * @param high - below the divisor, so that the quotient fits
 */
export function divideWide(high: u64, low: u64, divisor: u64): u64 {
  if (high === 0) {
    remainder = low % divisor;
    return low / divisor;
  }
  // Long division in two digits of 32 bits; normalised, so that an estimated digit is at most 2 too large.
  const shift = clz<u64>(divisor);
  const d = divisor << shift;
  const dHigh = d >> 32;
  const dLow = d & 0xffffffff;
  const top = shift === 0 ? high : (high << shift) | (low >> (64 - shift));
  const rest = low << shift;

  const q1 = digit(top, rest >> 32, dHigh, dLow);
  const middle = (top << 32) + (rest >> 32) - q1 * d;
  const q0 = digit(middle, rest & 0xffffffff, dHigh, dLow);
  remainder = ((middle << 32) + (rest & 0xffffffff) - q0 * d) >> shift;
  return (q1 << 32) + q0;
}

/** One digit of the quotient: (top * 2^32 + next) / (dHigh * 2^32 + dLow), exact. */
function digit(top: u64, next: u64, dHigh: u64, dLow: u64): u64 {
  let q = top / dHigh;
  let r = top % dHigh;
  while (q > 0xffffffff || q * dLow > ((r << 32) | next)) {
    q--;
    r += dHigh;
    if (r > 0xffffffff) break;
  }
  return q;
}
