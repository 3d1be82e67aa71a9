/**
 * What every x87 instruction ends with: exception flags into the status word, results to the stack when no unmasked
 * exception forbids it.
 *
 * Source: SDM 1 "x87 FPU Floating-Point Exception Handling". Invalid operation, denormal operand and division by zero
 * leave operands alone when unmasked; overflow, underflow and precision deliver their result to a register first.
 */
import {
  A,
  B,
  DE,
  flags,
  format80,
  IE,
  masks,
  packHigh80,
  packSig80,
  QNAN,
  QUIET,
  R,
  raiseFlags,
  resultIndefinite,
  resultOf,
  roundedUp,
  setEnvironment,
  SNAN,
  Soft,
  UNSUPPORTED,
  ZE,
} from "./soft";
import { Fpu, FSW_B, FSW_C1, FSW_ES, FSW_EXCEPTIONS, FSW_SF } from "./state";

/** Exceptions that are found before the operation is carried out. */
const BEFORE: u32 = IE | DE | ZE;
/** Exponent adjustment of unmasked overflow and underflow: SDM 1 "Numeric Overflow Exception". */
const EXPONENT_WRAP: i32 = 24576;

/** Rounding mode and masks of FCW; results have 64 bits and extended range. */
export function begin(fpu: Fpu): void {
  const fcw = fpu.fcw();
  setEnvironment((fcw >> 10) & 3, fcw & 0x3f, false, EXPONENT_WRAP);
  format80(64);
}

/** As `begin`, with results rounded as precision control says: only ADD, SUB, MUL, DIV and SQRT. */
export function beginWithPrecision(fpu: Fpu): void {
  begin(fpu);
  const control = (fpu.fcw() >> 8) & 3;
  if (control === 0) format80(24);
  else if (control === 2) format80(53);
}

/** Enters exceptions into the status word. @returns false when an unmasked one was found before the operation */
function commitFlags(fpu: Fpu, set: u32): bool {
  let fsw = (fpu.fsw() & ~FSW_C1) | set;
  const unmasked = set & ~fpu.fcw() & FSW_EXCEPTIONS;
  if (unmasked) fsw |= FSW_ES | FSW_B;
  fpu.setFsw(fsw);
  return !(unmasked & BEFORE);
}

/** Enters `flags`; C1 := rounded up. @returns true when the result is to be stored to a register */
export function commit(fpu: Fpu): bool {
  if (!commitFlags(fpu, flags)) return false;
  if (roundedUp) fpu.setFsw(fpu.fsw() | FSW_C1);
  return true;
}

/** Enters `flags` of a store to memory. @returns true when memory is to be written: only #P may be unmasked */
export function commitStore(fpu: Fpu): bool {
  const ok = commit(fpu);
  return ok && !(flags & ~masks & 0x1f);
}

/** Commits R to ST(i). @returns false when an unmasked exception left ST(i) alone */
export function storeResult(fpu: Fpu, i: u32): bool {
  if (!commit(fpu)) return false;
  fpu.set(i, packHigh80(), packSig80());
  return true;
}

/** Stack underflow: an operand is empty. @returns true when the exception is masked: use the default NaN */
export function stackUnderflow(fpu: Fpu): bool {
  return commitFlags(fpu, IE | FSW_SF);
}

/** Stack overflow: the register to be filled is not empty. @returns true when masked */
export function stackOverflow(fpu: Fpu): bool {
  const masked = commitFlags(fpu, IE | FSW_SF);
  fpu.setFsw(fpu.fsw() | FSW_C1);
  return masked;
}

const INDEFINITE_HIGH: u32 = 0xffff;
const INDEFINITE_SIG: u64 = 0xc000000000000000;

/** ST(i) := default NaN. */
export function setIndefinite(fpu: Fpu, i: u32): void {
  fpu.set(i, INDEFINITE_HIGH, INDEFINITE_SIG);
}

/** Answers an empty operand of an instruction whose result goes to ST(i). @returns true when masked */
export function underflowTo(fpu: Fpu, i: u32): bool {
  if (!stackUnderflow(fpu)) return false;
  setIndefinite(fpu, i);
  return true;
}

/** Pushes: TOP moves, the new ST(0) gets the value. Stack overflow gives the default NaN. */
export function push(fpu: Fpu, high: u32, sig: u64): void {
  if (!fpu.isEmpty(7)) {
    if (!stackOverflow(fpu)) return;
    fpu.setTop(fpu.top() - 1);
    setIndefinite(fpu, 0);
    return;
  }
  fpu.setTop(fpu.top() - 1);
  fpu.set(0, high, sig);
}

/** True when a push has room; else the stack overflow is answered as `push` does. */
export function roomToPush(fpu: Fpu): bool {
  if (fpu.isEmpty(7)) return true;
  push(fpu, 0, 0);
  return false;
}

export function pop(fpu: Fpu): void {
  fpu.setEmpty(0, true);
  fpu.setTop(fpu.top() + 1);
}

/** Raises DE for a denormal operand. */
export function noteDenormals(two: bool): void {
  if (A.kind === 1 && A.denormal) raiseFlags(DE);
  if (two && B.kind === 1 && B.denormal) raiseFlags(DE);
}

function isNan(u: Soft): bool {
  return u.kind === QNAN || u.kind === SNAN;
}

/** If A is a NaN or unsupported, R is the answer. @returns true then */
export function nanOperand(): bool {
  if (A.kind === UNSUPPORTED) {
    raiseFlags(IE);
    resultIndefinite();
    return true;
  }
  if (!isNan(A)) return false;
  if (A.kind === SNAN) raiseFlags(IE);
  quiet(A);
  return true;
}

/** R := u as a quiet NaN. */
function quiet(u: Soft): void {
  resultOf(u);
  R.kind = QNAN;
  R.sig = u.sig | QUIET;
}

/**
 * If A or B is a NaN or unsupported, R is the answer: SDM 1 "NaNs in x87 operations", the larger significand of two
 * NaNs of one kind, a QNaN before an SNaN. @returns true then
 */
export function nanOperands(): bool {
  if (A.kind === UNSUPPORTED || B.kind === UNSUPPORTED) {
    raiseFlags(IE);
    resultIndefinite();
    return true;
  }
  const a = isNan(A);
  const b = isNan(B);
  if (!a && !b) return false;
  if (A.kind === SNAN || B.kind === SNAN) raiseFlags(IE);
  if (!b) quiet(A);
  else if (!a) quiet(B);
  else if (A.kind !== B.kind) quiet(A.kind === QNAN ? A : B);
  else if (A.sig !== B.sig) quiet(A.sig > B.sig ? A : B);
  else quiet(A.sign ? B : A);
  return true;
}

/** True when a flag found so far is unmasked: the operation is not carried out. */
export function stopped(): bool {
  return (flags & ~masks & BEFORE) !== 0;
}
