/**
 * x87 transcendental functions: F2XM1 FYL2X FYL2XP1 FPTAN FPATAN FSIN FCOS FSINCOS.
 *
 * Source: SDM 2A, by instruction; SDM 1 "Transcendental Instruction Accuracy", "Approximation of Pi". Results are
 * computed with 128-bit arithmetic (transcendental.ts) and rounded once, so they are good to slightly more than half a
 * unit in the last place. Trigonometric arguments are reduced with a pi of 66 bits, as CPUs do.
 */
import {
  A,
  B,
  INFINITY,
  invalid,
  NORMAL,
  packHigh80,
  packSig80,
  PE,
  R,
  raiseFlags,
  resultInfinity,
  resultOf,
  resultZero,
  round,
  ZE,
  ZERO,
} from "./soft";
import { Fpu, FSW_C1, FSW_C2 } from "./state";
import * as math from "./transcendental";
import { loadSt } from "./x87-arith";
import {
  begin,
  nanOperand,
  nanOperands,
  noteDenormals,
  pop,
  push,
  setIndefinite,
  stackOverflow,
  stackUnderflow,
  stopped,
  storeResult,
  underflowTo,
} from "./x87-result";

const ONE_HIGH: u32 = 0x3fff;
const ONE_SIG: u64 = 0x8000000000000000;

/** R := what transcendental.ts left, which is never exact. */
function roundWide(): void {
  round(math.value.sign, math.value.exp, math.value.hi, math.value.lo | 1);
}

/** R := 1. */
function resultOne(sign: u32): void {
  R.kind = NORMAL;
  R.sign = sign;
  R.exp = 0;
  R.sig = ONE_SIG;
}

/** F2XM1: 2^ST(0) - 1 for -1 <= ST(0) <= 1. Beyond that the result is undefined: ST(0) stays. */
export function f2xm1(fpu: Fpu): void {
  if (fpu.isEmpty(0)) {
    underflowTo(fpu, 0);
    return;
  }
  begin(fpu);
  loadSt(fpu, A, 0);
  if (!nanOperand()) {
    noteDenormals(false);
    if (!stopped()) powerMinusOne();
  }
  storeResult(fpu, 0);
}

function powerMinusOne(): void {
  if (A.kind === INFINITY && A.sign) resultOne(1);
  else if (A.kind !== NORMAL || A.exp > 0 || (A.exp === 0 && A.sig !== ONE_SIG)) resultOf(A);
  else if (A.exp === 0) {
    // 2 - 1 and 1/2 - 1 are exact.
    resultOne(A.sign);
    if (A.sign) R.exp = -1;
  } else {
    math.powerMinusOne(A.sig, A.exp, A.sign);
    roundWide();
  }
}

/** FYL2X: ST(1) * log2(ST(0)), and a pop. */
export function fyl2x(fpu: Fpu): void {
  logarithm(fpu, false);
}

/** FYL2XP1: ST(1) * log2(ST(0) + 1), and a pop. */
export function fyl2xp1(fpu: Fpu): void {
  logarithm(fpu, true);
}

function logarithm(fpu: Fpu, plusOne: bool): void {
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
    if (underflowTo(fpu, 1)) pop(fpu);
    return;
  }
  begin(fpu);
  loadSt(fpu, A, 0);
  loadSt(fpu, B, 1);
  if (!nanOperands()) {
    if (plusOne) logPlusOne();
    else log();
  }
  if (storeResult(fpu, 1)) pop(fpu);
}

/** R := B * log2(A). */
function log(): void {
  if (A.sign && A.kind !== ZERO) {
    invalid();
    return;
  }
  const isOne = A.kind === NORMAL && A.exp === 0 && A.sig === ONE_SIG;
  const below = A.kind === ZERO || (A.kind === NORMAL && A.exp < 0);
  if (A.kind === ZERO) {
    if (B.kind === ZERO) {
      invalid();
      return;
    }
    if (B.kind !== INFINITY) raiseFlags(ZE);
    resultInfinity(B.sign ^ 1);
    return;
  }
  if (A.kind === INFINITY || B.kind === INFINITY) {
    if (B.kind === ZERO || isOne) {
      invalid();
      return;
    }
    noteDenormals(true);
    resultInfinity(B.sign ^ <u32>below);
    return;
  }
  noteDenormals(true);
  if (stopped()) return;
  if (B.kind === ZERO || isOne) {
    resultZero(B.sign ^ <u32>below);
    return;
  }
  if (math.log2(A.sig, A.exp)) {
    math.multiplyBy(B.sig, B.exp, B.sign);
    // A power of two: the logarithm is a whole number and the product may be exact; CPUs report #P all the same.
    raiseFlags(PE);
    round(math.value.sign, math.value.exp, math.value.hi, math.value.lo);
    return;
  }
  math.multiplyBy(B.sig, B.exp, B.sign);
  roundWide();
}

/** R := B * log2(A + 1). */
function logPlusOne(): void {
  if (A.kind === INFINITY || B.kind === INFINITY) {
    const bad = A.kind === INFINITY ? A.sign !== 0 || B.kind === ZERO : A.kind === ZERO;
    if (bad) {
      invalid();
      return;
    }
    noteDenormals(true);
    resultInfinity(A.sign ^ B.sign);
    return;
  }
  noteDenormals(true);
  if (stopped()) return;
  if (A.kind === ZERO || B.kind === ZERO) {
    resultZero(A.sign ^ B.sign);
    return;
  }
  if (A.exp >= 0 && A.sign) {
    // ST(0) <= -1 is outside the range of the instruction, and the result undefined; silicon gives back ST(0).
    raiseFlags(PE);
    resultOf(A);
    return;
  }
  math.log2PlusOne(A.sig, A.exp, A.sign);
  math.multiplyBy(B.sig, B.exp, B.sign);
  roundWide();
}

/** FPATAN: the angle of (ST(0), ST(1)), and a pop. */
export function fpatan(fpu: Fpu): void {
  if (fpu.isEmpty(0) || fpu.isEmpty(1)) {
    if (underflowTo(fpu, 1)) pop(fpu);
    return;
  }
  begin(fpu);
  loadSt(fpu, A, 0);
  loadSt(fpu, B, 1);
  if (!nanOperands()) {
    noteDenormals(true);
    if (!stopped()) angle();
  }
  if (storeResult(fpu, 1)) pop(fpu);
}

/** R := angle of x = A, y = B. */
function angle(): void {
  const left = A.sign !== 0;
  if (B.kind === INFINITY) {
    // In eighths of a turn.
    if (A.kind === INFINITY) eighths(left ? 3 : 1);
    else eighths(2);
  } else if (A.kind === INFINITY || B.kind === ZERO) {
    if (left) eighths(4);
    else resultZero(B.sign);
  } else if (A.kind === ZERO) eighths(2);
  else {
    math.arcTangent(A.sig, A.exp, B.sig, B.exp, left);
    math.value.sign = B.sign;
    roundWide();
  }
}

function eighths(n: u32): void {
  math.eighths(n);
  math.value.sign = B.sign;
  roundWide();
}

/** C2 := 1: the argument is out of range, nothing else changes. */
function outOfRange(fpu: Fpu): void {
  fpu.setFsw((fpu.fsw() & ~FSW_C1) | FSW_C2);
}

function inRange(fpu: Fpu): void {
  fpu.setFsw(fpu.fsw() & ~FSW_C2);
}

const SINE: u32 = 0;
const COSINE: u32 = 1;
const TANGENT: u32 = 2;

/** R := a function of A, which is finite and below 2^63. */
function evaluate(what: u32): void {
  if (A.kind === ZERO) {
    if (what === COSINE) resultOne(0);
    else resultOf(A);
    return;
  }
  noteDenormals(false);
  if (stopped()) return;
  if (what === SINE) math.sine(A.sig, A.exp, A.sign);
  else if (what === COSINE) math.cosine(A.sig, A.exp);
  else math.tangent(A.sig, A.exp, A.sign);
  roundWide();
}

/** FSIN. */
export function fsin(fpu: Fpu): void {
  single(fpu, SINE);
}

/** FCOS. */
export function fcos(fpu: Fpu): void {
  single(fpu, COSINE);
}

function single(fpu: Fpu, what: u32): void {
  if (fpu.isEmpty(0)) {
    underflowTo(fpu, 0);
    inRange(fpu);
    return;
  }
  begin(fpu);
  loadSt(fpu, A, 0);
  if (!nanOperand()) {
    if (A.kind === INFINITY) invalid();
    else if (A.kind === NORMAL && A.exp >= 63) {
      outOfRange(fpu);
      return;
    } else evaluate(what);
  }
  storeResult(fpu, 0);
  inRange(fpu);
}

/** FPTAN: the tangent, then 1 is pushed. */
export function fptan(fpu: Fpu): void {
  pair(fpu, TANGENT);
}

/** FSINCOS: the sine, then the cosine is pushed. */
export function fsincos(fpu: Fpu): void {
  pair(fpu, SINE);
}

/** Both results are default NaNs: empty operand, or no room for the second. */
function twoIndefinite(fpu: Fpu): void {
  setIndefinite(fpu, 0);
  fpu.setTop(fpu.top() - 1);
  setIndefinite(fpu, 0);
}

function pair(fpu: Fpu, what: u32): void {
  inRange(fpu);
  if (fpu.isEmpty(0)) {
    if (stackUnderflow(fpu)) twoIndefinite(fpu);
    return;
  }
  if (!fpu.isEmpty(7)) {
    if (stackOverflow(fpu)) twoIndefinite(fpu);
    return;
  }
  begin(fpu);
  loadSt(fpu, A, 0);
  let high: u32 = ONE_HIGH;
  let sig: u64 = ONE_SIG;
  if (nanOperand() || A.kind === INFINITY) {
    if (A.kind === INFINITY) invalid();
    high = packHigh80();
    sig = packSig80();
  } else if (A.kind === NORMAL && A.exp >= 63) {
    outOfRange(fpu);
    return;
  } else if (what === SINE) {
    evaluate(COSINE);
    high = packHigh80();
    sig = packSig80();
    evaluate(SINE);
  } else evaluate(TANGENT);
  if (storeResult(fpu, 0)) push(fpu, high, sig);
}
