/**
 * x87 operations on one or two registers: FSQRT FRNDINT FSCALE FXTRACT FPREM FPREM1.
 *
 * Source: SDM 2A, by instruction.
 */
import {
  A,
  B,
  INFINITY,
  invalid,
  NORMAL,
  raiseFlags,
  R,
  remainder128,
  resultInfinity,
  resultExact,
  resultOf,
  resultZero,
  round,
  roundToIntegral,
  squareRoot,
  divide128,
  ZE,
  ZERO,
  packHigh80,
  packSig80,
} from "./soft";
import { Fpu, FSW_C0, FSW_C1, FSW_C2, FSW_C3 } from "./state";
import { loadSt } from "./x87-arith";
import {
  begin,
  beginWithPrecision,
  nanOperand,
  nanOperands,
  noteDenormals,
  push,
  setIndefinite,
  stackOverflow,
  stackUnderflow,
  stopped,
  storeResult,
  underflowTo,
} from "./x87-result";

/** FSQRT. */
export function squareRootOf(fpu: Fpu): void {
  if (fpu.isEmpty(0)) {
    underflowTo(fpu, 0);
    return;
  }
  beginWithPrecision(fpu);
  loadSt(fpu, A, 0);
  if (!nanOperand()) {
    // A negative operand is invalid, whether denormal or not.
    if (!A.sign) noteDenormals(false);
    if (!stopped()) squareRoot();
  }
  storeResult(fpu, 0);
}

/** FRNDINT. */
export function roundInteger(fpu: Fpu): void {
  if (fpu.isEmpty(0)) {
    underflowTo(fpu, 0);
    return;
  }
  begin(fpu);
  loadSt(fpu, A, 0);
  if (!nanOperand()) {
    noteDenormals(false);
    if (!stopped()) roundToIntegral();
  }
  storeResult(fpu, 0);
}

/** FSCALE: ST(0) * 2^trunc(ST(1)). */
export function scale(fpu: Fpu): void {
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
    underflowTo(fpu, 0);
    return;
  }
  begin(fpu);
  loadSt(fpu, A, 0);
  loadSt(fpu, B, 1);
  if (!nanOperands()) scaled();
  storeResult(fpu, 0);
}

function scaled(): void {
  if (B.kind === INFINITY) {
    if (B.sign) {
      if (A.kind === INFINITY) invalid();
      else {
        noteDenormals(false);
        resultZero(A.sign);
      }
    } else if (A.kind === ZERO) invalid();
    else {
      noteDenormals(false);
      resultInfinity(A.sign);
    }
    return;
  }
  noteDenormals(true);
  if (stopped()) return;
  if (A.kind !== NORMAL) {
    resultOf(A);
    return;
  }
  if (B.kind === ZERO) {
    // A denormal stays as it is, and that is no underflow: silicon, where the manual is silent.
    resultExact(A);
    return;
  }
  let by: i32 = 0;
  if (B.exp >= 0) {
    by = B.exp > 16 ? 0x20000 : <i32>(B.sig >> (63 - B.exp));
    if (B.sign) by = -by;
  }
  round(A.sign, A.exp + by, A.sig, 0);
}

/** FXTRACT: ST(0) becomes the exponent, the significand is pushed. */
export function extract(fpu: Fpu): void {
  if (fpu.isEmpty(0)) {
    if (!stackUnderflow(fpu)) return;
    setIndefinite(fpu, 0);
    fpu.setTop(fpu.top() - 1);
    setIndefinite(fpu, 0);
    return;
  }
  if (!fpu.isEmpty(7)) {
    if (!stackOverflow(fpu)) return;
    setIndefinite(fpu, 0);
    fpu.setTop(fpu.top() - 1);
    setIndefinite(fpu, 0);
    return;
  }
  begin(fpu);
  loadSt(fpu, A, 0);
  let high: u32;
  let sig: u64;
  if (nanOperand()) {
    high = packHigh80();
    sig = packSig80();
  } else if (A.kind === INFINITY) {
    high = fpu.high(0);
    sig = fpu.sig(0);
    resultInfinity(0);
  } else if (A.kind === ZERO) {
    raiseFlags(ZE);
    high = fpu.high(0);
    sig = fpu.sig(0);
    resultInfinity(1);
  } else {
    noteDenormals(false);
    high = (A.sign << 15) | 16383;
    sig = A.sig;
    exponentToResult(A.exp);
  }
  if (storeResult(fpu, 0)) push(fpu, high, sig);
}

/** R := a small integer. */
function exponentToResult(exp: i32): void {
  if (exp === 0) {
    resultZero(0);
    return;
  }
  const magnitude = <u64>abs<i32>(exp);
  const places = <u32>clz<u64>(magnitude);
  R.kind = NORMAL;
  R.sign = exp < 0 ? 1 : 0;
  R.sig = magnitude << places;
  R.exp = 63 - <i32>places;
}

/**
 * FPREM (quotient truncated) and FPREM1 (quotient to nearest): exact; at most 63 exponent steps at a time, and C2 = 1
 * while the reduction is incomplete. C0 C3 C1: low three bits of the quotient.
 */
export function partialRemainder(fpu: Fpu, nearest: bool): void {
  let conditions = fpu.fsw() & (FSW_C0 | FSW_C3);
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
    underflowTo(fpu, 0);
    fpu.setFsw(fpu.fsw() & ~FSW_C2);
    return;
  }
  begin(fpu);
  loadSt(fpu, A, 0);
  loadSt(fpu, B, 1);
  // Without a quotient C0 and C3 stay.
  if (!nanOperands()) {
    if (A.kind === INFINITY || B.kind === ZERO) invalid();
    else {
      noteDenormals(true);
      if (!stopped()) {
        conditions = 0;
        if (A.kind === ZERO || B.kind === INFINITY) resultOf(A);
        else conditions = reduce(nearest);
        if (R.kind === NORMAL) round(R.sign, R.exp, R.sig, 0);
      }
    }
  }
  storeResult(fpu, 0);
  fpu.setFsw((fpu.fsw() & ~(FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)) | conditions);
}

function quotientBits(quotient: u64): u32 {
  return (quotient & 4 ? FSW_C0 : 0) | (quotient & 2 ? FSW_C3 : 0) | (quotient & 1 ? FSW_C1 : 0);
}

/** R := A reduced by B. @returns the condition codes */
function reduce(nearest: bool): u32 {
  resultOf(A);
  R.kind = NORMAL;
  const distance = A.exp - B.exp;
  if (distance < -1 || (distance < 0 && !nearest)) return 0;
  if (distance >= 64) {
    // Partial: take off a multiple of B * 2^(distance - n), n of 32..63 as the manual has it.
    const n = (distance & 31) + 32;
    setRemainder(remainderOf(A.sig, <u32>n, B.sig), B.exp + (distance - n));
    return FSW_C2;
  }
  let quotient: u64 = 0;
  let rest: u64;
  let exp = B.exp;
  if (distance === -1) {
    // A is below B: compare 2A with B, in units of A's last place.
    exp = A.exp;
    if (A.sig > B.sig) {
      // A > B/2: quotient 1, remainder B - A, of the other sign.
      R.sign ^= 1;
      const twice = B.sig - (A.sig - B.sig);
      setRemainder(twice, exp);
      return quotientBits(1);
    }
    return 0;
  }
  rest = remainderOf(A.sig, <u32>distance, B.sig);
  quotient = lastQuotient;
  if (nearest) {
    const more = rest > B.sig - rest || (rest === B.sig - rest && (quotient & 1) !== 0);
    if (more && rest !== 0) {
      rest = B.sig - rest;
      R.sign ^= 1;
      quotient++;
    }
  }
  setRemainder(rest, exp);
  return quotientBits(quotient);
}

let lastQuotient: u64 = 0;

/** (a * 2^shift) mod b, with bit 63 of both set and shift 0..63; the quotient's low bits go to `lastQuotient`. */
function remainderOf(a: u64, shift: u32, b: u64): u64 {
  let first: u64 = 0;
  let rest = a;
  if (a >= b) {
    first = 1;
    rest = a - b;
  }
  if (shift === 0) {
    lastQuotient = first;
    return rest;
  }
  // rest < b: (rest : 0) / b gives 64 more quotient bits; only `shift` of them are wanted.
  const hi = rest >> (64 - shift);
  const lo = rest << shift;
  const more = divide128(hi, lo, b);
  lastQuotient = (first << shift) | more;
  return remainder128();
}

/** R := rest / 2^63 * 2^exp with R's sign; a zero keeps the sign. */
function setRemainder(rest: u64, exp: i32): void {
  if (rest === 0) {
    resultZero(A.sign);
    return;
  }
  const places = <u32>clz<u64>(rest);
  R.kind = NORMAL;
  R.sig = rest << places;
  R.exp = exp - <i32>places;
}
