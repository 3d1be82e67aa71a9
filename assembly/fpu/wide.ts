/** 64 x 64 to 128-bit multiplication. */

/** Low half of the last `highMul`. */
export let lowBits: u64 = 0;

/** High half of a * b; the low half goes to `lowBits`. */
export function highMul(a: u64, b: u64): u64 {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const p00 = a0 * b0;
  const p01 = a0 * b1;
  const p10 = a1 * b0;
  const middle = (p00 >> 32) + (p01 & 0xffffffff) + (p10 & 0xffffffff);
  lowBits = (p00 & 0xffffffff) | (middle << 32);
  return a1 * b1 + (p01 >> 32) + (p10 >> 32) + (middle >> 32);
}

// Numbers of 128 bits: value = (-1)^sign * (hi:lo) / 2^127 * 2^exp, bit 63 of hi set; hi = 0 is zero. Operations
// truncate, so each is good to about 2^-126.

/** A number with 128 significant bits, for transcendental functions. */
@unmanaged
export class Wide {
  hi: u64;
  lo: u64;
  exp: i32;
  sign: u32;

  set(hi: u64, lo: u64, exp: i32, sign: u32): void {
    this.hi = hi;
    this.lo = lo;
    this.exp = exp;
    this.sign = sign;
  }

  copy(from: Wide): void {
    this.set(from.hi, from.lo, from.exp, from.sign);
  }

  /** Sets from a 128-bit integer times 2^(exp - 127), not normalised. */
  normalise(hi: u64, lo: u64, exp: i32, sign: u32): void {
    let h = hi;
    let l = lo;
    let e = exp;
    if (h === 0) {
      h = l;
      l = 0;
      e -= 64;
    }
    const shift = <u32>clz<u64>(h);
    if (h !== 0 && shift !== 0) {
      h = (h << shift) | (l >> (64 - shift));
      l <<= shift;
      e -= <i32>shift;
    }
    this.set(h, l, e, sign);
  }
}

/** Upper 128 bits of a 128 x 128-bit product; the low part of the result is `productLow`. */
export let productLow: u64 = 0;
export function product128(ah: u64, al: u64, bh: u64, bl: u64): u64 {
  const high = highMul(ah, bh);
  const middle = lowBits;
  const cross1 = highMul(ah, bl);
  const cross2 = highMul(al, bh);
  const sum = middle + cross1;
  let carry: u64 = sum < middle ? 1 : 0;
  const total = sum + cross2;
  if (total < sum) carry++;
  productLow = total;
  return high + carry;
}

/** r := a * b. */
export function wideMultiply(r: Wide, a: Wide, b: Wide): void {
  const high = product128(a.hi, a.lo, b.hi, b.lo);
  r.normalise(high, productLow, a.exp + b.exp + 1, a.sign ^ b.sign);
}

/** r := a + b. */
export function wideAdd(r: Wide, a: Wide, b: Wide): void {
  if (b.hi === 0) {
    r.copy(a);
    return;
  }
  if (a.hi === 0) {
    r.copy(b);
    return;
  }
  const aLess =
    a.exp < b.exp || (a.exp === b.exp && (a.hi < b.hi || (a.hi === b.hi && a.lo < b.lo)));
  const big = aLess ? b : a;
  const small = aLess ? a : b;
  const shift = <u32>(big.exp - small.exp);
  let hi: u64 = 0;
  let lo: u64 = 0;
  if (shift === 0) {
    hi = small.hi;
    lo = small.lo;
  } else if (shift < 64) {
    hi = small.hi >> shift;
    lo = (small.lo >> shift) | (small.hi << (64 - shift));
  } else if (shift < 128) lo = small.hi >> (shift - 64);
  const exp = big.exp;
  const sign = big.sign;
  if (a.sign === b.sign) {
    const low = big.lo + lo;
    const carry: u64 = low < lo ? 1 : 0;
    const high = big.hi + hi + carry;
    if (high < big.hi || (carry !== 0 && high === big.hi)) {
      r.set((high >> 1) | 0x8000000000000000, (low >> 1) | (high << 63), exp + 1, sign);
    } else r.set(high, low, exp, sign);
    return;
  }
  const low = big.lo - lo;
  r.normalise(big.hi - hi - <u64>(big.lo < lo), low, exp, sign);
}

/** (hi:lo) / d for a small d; the low part of the result is `productLow`. */
export function divideSmall(hi: u64, lo: u64, d: u64): u64 {
  const q3 = hi / d;
  let rest = ((hi - q3 * d) << 32) | (lo >> 32);
  const q1 = rest / d;
  rest = ((rest - q1 * d) << 32) | (lo & 0xffffffff);
  productLow = (q1 << 32) | (rest / d);
  return q3;
}
