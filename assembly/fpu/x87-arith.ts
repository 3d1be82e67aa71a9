/**
 * x87 arithmetic and comparison.
 *
 *     FADD FMUL FSUB FSUBR FDIV FDIVR (with P and I forms)   FCOM FCOMP FCOMPP FUCOM.. FCOMI FUCOMI ..   FCMOVcc
 *
 * Source: SDM 2A, by instruction. In every encoding /4 and /6 are ST(0) op other, /5 and /7 are other op ST(0).
 */
import { condition, setArithmetic } from "../cpu/flags";
import { Vcpu } from "../vcpu";
import { CF, PF_FLAG, ZF } from "../x86/eflags";
import {
  A,
  add,
  B,
  compare,
  divide,
  IE,
  multiply,
  NORMAL,
  QNAN,
  raiseFlags,
  SNAN,
  Soft,
  unpack80,
  UNSUPPORTED,
  ZERO,
} from "./soft";
import { Fpu, FSW_C0, FSW_C1, FSW_C2, FSW_C3 } from "./state";
import {
  begin,
  beginWithPrecision,
  commit,
  nanOperands,
  noteDenormals,
  pop,
  stackUnderflow,
  stopped,
  storeResult,
  underflowTo,
} from "./x87-result";

function swapOperands(): void {
  const sig = A.sig;
  const exp = A.exp;
  const sign = A.sign;
  const kind = A.kind;
  const denormal = A.denormal;
  A.sig = B.sig;
  A.exp = B.exp;
  A.sign = B.sign;
  A.kind = B.kind;
  A.denormal = B.denormal;
  B.sig = sig;
  B.exp = exp;
  B.sign = sign;
  B.kind = kind;
  B.denormal = denormal;
}

/** Loads ST(i) into a Soft. */
export function loadSt(fpu: Fpu, u: Soft, i: u32): void {
  unpack80(u, fpu.high(i), fpu.sig(i));
}

/** A op B to R. @param operation - ModRM.reg: 0 add, 1 mul, 4 sub, 5 subr, 6 div, 7 divr */
function operate(operation: u32): void {
  if (nanOperands()) return;
  // A zero divisor is reported before a denormal dividend; an invalid pair before both.
  const divides = operation >= 6;
  if (operation & 1 && operation >= 4) swapOperands();
  const byZero = divides && B.kind === ZERO && A.kind === NORMAL;
  if (!byZero) noteDenormals(true);
  if (stopped()) return;
  if (operation === 0) add(false);
  else if (operation === 1) multiply();
  else if (operation < 6) add(true);
  else divide();
}

/** ST(0) := ST(0) op other, which is ST(i) or, for memory operands, already in B. */
export function arithmetic(fpu: Fpu, operation: u32, i: u32, fromRegister: bool): void {
  if (fpu.isEmpty(0) || (fromRegister && fpu.isEmpty(i))) {
    underflowTo(fpu, 0);
    return;
  }
  beginWithPrecision(fpu);
  loadSt(fpu, A, 0);
  if (fromRegister) loadSt(fpu, B, i);
  operate(operation);
  storeResult(fpu, 0);
}

/** ST(i) := ST(i) op ST(0), perhaps with a pop. */
export function arithmeticPop(fpu: Fpu, operation: u32, i: u32, pops: bool): void {
  if (fpu.isEmpty(0) || fpu.isEmpty(i)) {
    if (underflowTo(fpu, i) && pops) pop(fpu);
    return;
  }
  beginWithPrecision(fpu);
  loadSt(fpu, A, 0);
  loadSt(fpu, B, i);
  operate(operation);
  if (storeResult(fpu, i) && pops) pop(fpu);
}

function isNan(u: Soft): bool {
  return u.kind === QNAN || u.kind === SNAN || u.kind === UNSUPPORTED;
}

/**
 * Compares A with B and raises their exceptions.
 *
 * @param quiet - quiet NaNs are not invalid
 * @returns C3 C2 C0: 0 above, C0 below, C3 equal, all unordered
 */
function comparison(quiet: bool): u32 {
  if (isNan(A) || isNan(B)) {
    const signals =
      A.kind === SNAN || B.kind === SNAN || A.kind === UNSUPPORTED || B.kind === UNSUPPORTED;
    if (signals || !quiet) raiseFlags(IE);
    return FSW_C3 | FSW_C2 | FSW_C0;
  }
  noteDenormals(true);
  const order = compare();
  return order > 0 ? 0 : order < 0 ? FSW_C0 : FSW_C3;
}

function setConditions(fpu: Fpu, set: u32): void {
  fpu.setFsw((fpu.fsw() & ~(FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)) | set);
}

/** Compares ST(0), already known to hold something, with B. An unmasked exception prevents only the pops. */
function compareAndPop(fpu: Fpu, quiet: bool, pops: u32): void {
  begin(fpu);
  loadSt(fpu, A, 0);
  const conditions = comparison(quiet);
  const done = commit(fpu);
  setConditions(fpu, conditions);
  if (!done) return;
  for (let i: u32 = 0; i < pops; i++) pop(fpu);
}

function unorderedUnderflow(fpu: Fpu, pops: u32): void {
  const masked = stackUnderflow(fpu);
  setConditions(fpu, FSW_C3 | FSW_C2 | FSW_C0);
  if (!masked) return;
  for (let i: u32 = 0; i < pops; i++) pop(fpu);
}

/** FCOM, FCOMP, FCOMPP ST(i). @param pops - 0..2 */
export function fcom(fpu: Fpu, i: u32, pops: u32): void {
  compareRegister(fpu, i, pops, false);
}

/** FUCOM, FUCOMP, FUCOMPP ST(i). */
export function fucom(fpu: Fpu, i: u32, pops: u32): void {
  compareRegister(fpu, i, pops, true);
}

function compareRegister(fpu: Fpu, i: u32, pops: u32, quiet: bool): void {
  if (fpu.isEmpty(0) || fpu.isEmpty(i)) {
    unorderedUnderflow(fpu, pops);
    return;
  }
  loadSt(fpu, B, i);
  compareAndPop(fpu, quiet, pops);
}

/** FCOM, FICOM of a memory operand that is in B already. */
export function compareInteger(fpu: Fpu, pops: bool): void {
  if (fpu.isEmpty(0)) unorderedUnderflow(fpu, <u32>pops);
  else compareAndPop(fpu, false, <u32>pops);
}

/** FTST: ST(0) with +0.0. */
export function compareZero(fpu: Fpu): void {
  if (fpu.isEmpty(0)) {
    unorderedUnderflow(fpu, 0);
    return;
  }
  B.kind = ZERO;
  B.sign = 0;
  B.denormal = 0;
  compareAndPop(fpu, false, 0);
}

/** FCOMI, FUCOMI and their popping forms: ZF PF CF; OF SF AF := 0. */
export function fcomi(cpu: Vcpu, fpu: Fpu, i: u32, quiet: bool, pops: bool): void {
  let conditions: u32;
  let done: bool;
  const c1 = fpu.fsw() & FSW_C1;
  if (fpu.isEmpty(0) || fpu.isEmpty(i)) {
    done = stackUnderflow(fpu);
    conditions = FSW_C3 | FSW_C2 | FSW_C0;
  } else {
    begin(fpu);
    loadSt(fpu, A, 0);
    loadSt(fpu, B, i);
    conditions = comparison(quiet);
    done = commit(fpu);
    // Only a stack underflow changes C1.
    fpu.setFsw(fpu.fsw() | c1);
  }
  setArithmetic(
    cpu,
    (conditions & FSW_C3 ? ZF : 0) |
      (conditions & FSW_C2 ? PF_FLAG : 0) |
      (conditions & FSW_C0 ? CF : 0),
  );
  if (pops && done) pop(fpu);
}

/** FCMOVcc: below, equal, below or equal, unordered. @param positive - false: the negated conditions */
export function fcmov(cpu: Vcpu, fpu: Fpu, kind: u32, i: u32, positive: bool): void {
  if (fpu.isEmpty(0) || fpu.isEmpty(i)) {
    underflowTo(fpu, 0);
    return;
  }
  // Condition codes of Jcc: B 2, E 4, BE 6, P 10.
  const code: u32 = kind === 3 ? 10 : 2 + (kind << 1);
  if (condition(cpu, code) === positive) fpu.set(0, fpu.high(i), fpu.sig(i));
}
