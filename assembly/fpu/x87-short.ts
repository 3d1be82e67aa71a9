/**
 * Short ways through the x87 instructions that compilers use most.
 *
 * An instruction is done as a whole or not at all: what is not ordinary (numbers that x87-numbers.ts refuses, empty or
 * full registers, an unmasked inexact result, operands that the TLB does not show) goes the exact way of x87.ts before
 * anything has changed.
 *
 * Source: SDM 2A, by instruction.
 */
import { CS, FPU_FCS, FPU_FDP, FPU_FDS, FPU_FIP } from "../abi";
import { setArithmetic } from "../cpu/flags";
import { Memory } from "../cpu/flat-memory";
import { ADDRESS_BASE, nextRip, Op } from "../cpu/op";
import { TlbView } from "../mem/access";
import { Vcpu } from "../vcpu";
import { CR0_EM, CR0_TS } from "../x86/cr";
import { CF, ZF } from "../x86/eflags";
import { PE } from "./soft";
import {
  Fpu,
  fpuOf,
  FSW_C0,
  FSW_C1,
  FSW_C3,
  FSW_CONDITIONS,
  FSW_ES,
  FSW_TOP,
  FSW_TOP_SHIFT,
} from "./state";
import {
  BIAS,
  EXPONENT,
  fromDouble,
  fromInteger,
  fromSingle,
  high,
  NO,
  Numbers,
  ordered,
  product,
  quotient,
  root,
  sig,
  SIGN,
  storeDouble,
  storeInteger,
  storeSingle,
  sum,
  TOP,
} from "./x87-numbers";

const TOP_STEP: u32 = 1 << FSW_TOP_SHIFT;

/** Form of register operands; the others are (opcode & 7) * 8 + ModRM.reg. */
const REGISTER: u32 = 64;

/** What `shortX87` finds in `op.imm`, which x87 instructions have no use for. */
export function x87Form(opcode: u32, extension: u32, isRegister: bool): u32 {
  return ((opcode & 7) << 3) | extension | (isRegister ? REGISTER : 0);
}

/** What the arms below have in common. Those that return a number return the status word afterwards, or NO. */
class X87 {
  /** Address of ST(i). */
  @inline
  static st(fpu: Fpu, fsw: u32, i: u32): usize {
    return changetype<usize>(fpu) + ((<usize>(((fsw >> FSW_TOP_SHIFT) + i) & 7)) << 4);
  }

  /** The tag of ST(i) in bit 0: 1 when it holds something. */
  @inline
  static tag(fpu: Fpu, fsw: u32, i: u32): u32 {
    return (fpu.tags() >> (((fsw >> FSW_TOP_SHIFT) + i) & 7)) & 1;
  }

  /** C1 := 0, then what is set. @param set - exceptions and C1, or NO */
  @inline
  static after(fsw: u32, set: i32): i32 {
    return set === NO ? NO : <i32>(fsw & ~FSW_C1) | set;
  }

  /** The conditions of FCOM. @param set - C3 and C0, or NO */
  @inline
  static compared(fsw: u32, set: i32): i32 {
    return set === NO ? NO : <i32>(fsw & ~FSW_CONDITIONS) | set;
  }

  /** Pops. @param fsw - status word before the pop, or NO */
  @inline
  static pop(fpu: Fpu, fsw: i32): i32 {
    if (fsw === NO) return NO;
    fpu.setTags(fpu.tags() & ~((<u32>1) << ((<u32>fsw >> FSW_TOP_SHIFT) & 7)));
    return (fsw & ~FSW_TOP) | ((fsw + TOP_STEP) & FSW_TOP);
  }

  /** Pushes; C1 := 0. */
  @inline
  static push(fpu: Fpu, fsw: u32, h: u32, s: u64): i32 {
    if (X87.tag(fpu, fsw, 7)) return NO;
    const after = (fsw & ~(FSW_TOP | FSW_C1)) | ((fsw - TOP_STEP) & FSW_TOP);
    Numbers.put(X87.st(fpu, after, 0), h, s);
    fpu.setTags(fpu.tags() | ((<u32>1) << ((after >> FSW_TOP_SHIFT) & 7)));
    return after;
  }
}

/**
 * D8..DF on the short way, with the pointers to instruction and operand.
 *
 * @param op - of a kind up to ADDRESS_BASE, or of registers; `imm` is its form
 * @returns false: nothing was done
 */
export function shortX87(cpu: Vcpu, op: Op): bool {
  const fpu = fpuOf(cpu);
  const fsw = fpu.fsw();
  if (cpu.cr0 & (CR0_EM | CR0_TS) || fsw & FSW_ES) return false;
  const fcw = fpu.fcw();
  if (!(fcw & PE)) return false;
  const base = changetype<usize>(fpu);
  const form = <u32>op.imm;
  let after: i32;
  if (form >= REGISTER) {
    after = registerForm(cpu, fpu, fcw, fsw, form, (<u32>op.rm >> 3) & 7);
    if (after === NO) return false;
  } else {
    const gva = Memory.address(cpu, op);
    after = memoryForm(cpu, fpu, fcw, fsw, form, gva);
    if (after === NO) return false;
    const offset = op.kind === ADDRESS_BASE ? gva - cpu.segment(op.segment).base : gva;
    store<u64>(base, offset, FPU_FDP);
    store<u16>(base, cpu.segment(op.segment).selector, FPU_FDS);
  }
  fpu.setFsw(after);
  store<u64>(base, nextRip(cpu, op) - op.length, FPU_FIP);
  store<u16>(base, cpu.segment(CS).selector, FPU_FCS);
  return true;
}

function registerForm(cpu: Vcpu, fpu: Fpu, fcw: u32, fsw: u32, form: u32, i: u32): i32 {
  const st0 = X87.st(fpu, fsw, 0);
  const sti = X87.st(fpu, fsw, i);
  if (!(X87.tag(fpu, fsw, 0) & X87.tag(fpu, fsw, i))) return withEmpty(fpu, fsw, form, i);
  const h0 = <u32>load<u16>(st0, 8);
  const s0 = load<u64>(st0);
  const h = <u32>load<u16>(sti, 8);
  const s = load<u64>(sti);
  // prettier-ignore
  switch (form) {
    // D8: ST(0) := ST(0) op ST(i)
    case 64: return X87.after(fsw, sum(fcw, st0, h0, s0, h, s));
    case 65: return X87.after(fsw, product(fcw, st0, h0, s0, h, s));
    case 66: return X87.compared(fsw, ordered(h0, s0, h, s));
    case 67: return X87.pop(fpu, X87.compared(fsw, ordered(h0, s0, h, s)));
    case 68: return X87.after(fsw, sum(fcw, st0, h0, s0, h ^ SIGN, s));
    case 69: return X87.after(fsw, sum(fcw, st0, h, s, h0 ^ SIGN, s0));
    case 70: return X87.after(fsw, quotient(fcw, st0, h0, s0, h, s));
    case 71: return X87.after(fsw, quotient(fcw, st0, h, s, h0, s0));
    // D9: FLD, FXCH, FCHS and FABS, constants
    case 72: return X87.push(fpu, fsw, h, s);
    case 73:
      Numbers.put(st0, h, s);
      return X87.after(fsw, Numbers.put(sti, h0, s0));
    case 76: return withoutOperand(fsw, st0, h0, s0, i);
    case 77: return constant(fpu, fsw, i);
    case 79: return i === 2 ? X87.after(fsw, root(fcw, st0, h0, s0)) : NO;
    // FUCOMPP; FCOMPP
    case 85: case 115:
      return i === 1 ? X87.pop(fpu, X87.pop(fpu, X87.compared(fsw, ordered(h0, s0, h, s)))) : NO;
    // DB: FUCOMI, FCOMI
    case 93: case 94: return flagged(cpu, fsw, ordered(h0, s0, h, s));
    // DC: ST(i) := ST(i) op ST(0)
    case 96: return X87.after(fsw, sum(fcw, sti, h0, s0, h, s));
    case 97: return X87.after(fsw, product(fcw, sti, h0, s0, h, s));
    case 100: return X87.after(fsw, sum(fcw, sti, h0, s0, h ^ SIGN, s));
    case 101: return X87.after(fsw, sum(fcw, sti, h, s, h0 ^ SIGN, s0));
    case 102: return X87.after(fsw, quotient(fcw, sti, h0, s0, h, s));
    case 103: return X87.after(fsw, quotient(fcw, sti, h, s, h0, s0));
    // DD: FST, FSTP, FUCOM, FUCOMP
    case 106: return X87.after(fsw, Numbers.put(sti, h0, s0));
    case 107: return X87.pop(fpu, X87.after(fsw, Numbers.put(sti, h0, s0)));
    case 108: return X87.compared(fsw, ordered(h0, s0, h, s));
    case 109: return X87.pop(fpu, X87.compared(fsw, ordered(h0, s0, h, s)));
    // DE: as DC, and pops
    case 112: return X87.pop(fpu, X87.after(fsw, sum(fcw, sti, h0, s0, h, s)));
    case 113: return X87.pop(fpu, X87.after(fsw, product(fcw, sti, h0, s0, h, s)));
    case 116: return X87.pop(fpu, X87.after(fsw, sum(fcw, sti, h0, s0, h ^ SIGN, s)));
    case 117: return X87.pop(fpu, X87.after(fsw, sum(fcw, sti, h, s, h0 ^ SIGN, s0)));
    case 118: return X87.pop(fpu, X87.after(fsw, quotient(fcw, sti, h0, s0, h, s)));
    case 119: return X87.pop(fpu, X87.after(fsw, quotient(fcw, sti, h, s, h0, s0)));
    // DF: FUCOMIP, FCOMIP
    case 125: case 126: return X87.pop(fpu, flagged(cpu, fsw, ordered(h0, s0, h, s)));
    default: return NO;
  }
}

/** ST(0) or ST(i) is empty: what does not mind. */
function withEmpty(fpu: Fpu, fsw: u32, form: u32, i: u32): i32 {
  if (form === 77) return constant(fpu, fsw, i);
  if (!X87.tag(fpu, fsw, 0)) return NO;
  const st0 = X87.st(fpu, fsw, 0);
  const h0 = <u32>load<u16>(st0, 8);
  const s0 = load<u64>(st0);
  if (form === 76) return withoutOperand(fsw, st0, h0, s0, i);
  if (form !== 106 && form !== 107) return NO;
  Numbers.put(X87.st(fpu, fsw, i), h0, s0);
  fpu.setTags(fpu.tags() | ((<u32>1) << (((fsw >> FSW_TOP_SHIFT) + i) & 7)));
  const after = X87.after(fsw, 0);
  return form === 107 ? X87.pop(fpu, after) : after;
}

/** FCHS, FABS, FTST. */
function withoutOperand(fsw: u32, st0: usize, h0: u32, s0: u64, i: u32): i32 {
  if (i === 4) return X87.compared(fsw, ordered(h0, s0, 0, 0));
  if (i > 1) return NO;
  return X87.after(fsw, Numbers.put(st0, i === 0 ? h0 ^ SIGN : h0 & EXPONENT, s0));
}

/** FLD1, FLDZ. */
function constant(fpu: Fpu, fsw: u32, i: u32): i32 {
  if (i === 0) return X87.push(fpu, fsw, BIAS, TOP);
  return i === 6 ? X87.push(fpu, fsw, 0, 0) : NO;
}

/** FCOMI and its like: the status word stays. */
function flagged(cpu: Vcpu, fsw: u32, set: i32): i32 {
  if (set === NO) return NO;
  setArithmetic(cpu, (set & FSW_C3 ? ZF : 0) | (set & FSW_C0 ? CF : 0));
  return fsw;
}

function memoryForm(cpu: Vcpu, fpu: Fpu, fcw: u32, fsw: u32, form: u32, gva: u64): i32 {
  const tag = cpu.tlbTag;
  const group = form >> 3;
  let at: usize;
  if (!(group & 1)) {
    // D8, DC; DA, DE: ST(0) := ST(0) op memory
    at = TlbView.read(cpu, gva, group === 4 ? 8 : group === 6 ? 2 : 4, tag);
    if (at === 0 || !X87.tag(fpu, fsw, 0)) return NO;
    if (group & 2) fromInteger(group === 6 ? <i64>load<i16>(at) : <i64>load<i32>(at));
    else if (!(group === 0 ? fromSingle(load<u32>(at)) : fromDouble(load<u64>(at)))) return NO;
    return withMemory(fpu, fcw, fsw, form & 7);
  }
  // prettier-ignore
  switch (form) {
    // FLD m32, FST, FSTP
    case 8:
      at = TlbView.read(cpu, gva, 4, tag);
      return at !== 0 && fromSingle(load<u32>(at)) ? X87.push(fpu, fsw, high, sig) : NO;
    case 10: return storeReal(fpu, fcw, fsw, TlbView.write(cpu, gva, 4, tag), true);
    case 11: return X87.pop(fpu, storeReal(fpu, fcw, fsw, TlbView.write(cpu, gva, 4, tag), true));
    // FLD m64, FST, FSTP
    case 40:
      at = TlbView.read(cpu, gva, 8, tag);
      return at !== 0 && fromDouble(load<u64>(at)) ? X87.push(fpu, fsw, high, sig) : NO;
    case 42: return storeReal(fpu, fcw, fsw, TlbView.write(cpu, gva, 8, tag), false);
    case 43: return X87.pop(fpu, storeReal(fpu, fcw, fsw, TlbView.write(cpu, gva, 8, tag), false));
    // FILD m32, m16, m64
    case 24:
      at = TlbView.read(cpu, gva, 4, tag);
      return at !== 0 ? loadInteger(fpu, fsw, <i64>load<i32>(at)) : NO;
    case 56:
      at = TlbView.read(cpu, gva, 2, tag);
      return at !== 0 ? loadInteger(fpu, fsw, <i64>load<i16>(at)) : NO;
    case 61:
      at = TlbView.read(cpu, gva, 8, tag);
      return at !== 0 ? loadInteger(fpu, fsw, load<i64>(at)) : NO;
    // FIST, FISTP m32, m16, m64
    case 26: return storeRounded(fpu, fcw, fsw, TlbView.write(cpu, gva, 4, tag), 4);
    case 27: return X87.pop(fpu, storeRounded(fpu, fcw, fsw, TlbView.write(cpu, gva, 4, tag), 4));
    case 58: return storeRounded(fpu, fcw, fsw, TlbView.write(cpu, gva, 2, tag), 2);
    case 59: return X87.pop(fpu, storeRounded(fpu, fcw, fsw, TlbView.write(cpu, gva, 2, tag), 2));
    case 63: return X87.pop(fpu, storeRounded(fpu, fcw, fsw, TlbView.write(cpu, gva, 8, tag), 8));
    // FLD, FSTP m80
    case 29:
      at = TlbView.read(cpu, gva, 10, tag);
      return at !== 0 ? X87.push(fpu, fsw, <u32>load<u16>(at, 8), load<u64>(at)) : NO;
    case 31:
      at = TlbView.write(cpu, gva, 10, tag);
      if (at === 0 || !X87.tag(fpu, fsw, 0)) return NO;
      Numbers.put(at, <u32>load<u16>(X87.st(fpu, fsw, 0), 8), load<u64>(X87.st(fpu, fsw, 0)));
      return X87.pop(fpu, X87.after(fsw, 0));
    default: return NO;
  }
}

/** ST(0) := ST(0) op the number; FCOM, FCOMP. */
function withMemory(fpu: Fpu, fcw: u32, fsw: u32, operation: u32): i32 {
  const st0 = X87.st(fpu, fsw, 0);
  const h0 = <u32>load<u16>(st0, 8);
  const s0 = load<u64>(st0);
  // prettier-ignore
  switch (operation) {
    case 0: return X87.after(fsw, sum(fcw, st0, h0, s0, high, sig));
    case 1: return X87.after(fsw, product(fcw, st0, h0, s0, high, sig));
    case 2: return X87.compared(fsw, ordered(h0, s0, high, sig));
    case 3: return X87.pop(fpu, X87.compared(fsw, ordered(h0, s0, high, sig)));
    case 4: return X87.after(fsw, sum(fcw, st0, h0, s0, high ^ SIGN, sig));
    case 5: return X87.after(fsw, sum(fcw, st0, high, sig, h0 ^ SIGN, s0));
    case 6: return X87.after(fsw, quotient(fcw, st0, h0, s0, high, sig));
    default: return X87.after(fsw, quotient(fcw, st0, high, sig, h0, s0));
  }
}

function loadInteger(fpu: Fpu, fsw: u32, value: i64): i32 {
  fromInteger(value);
  return X87.push(fpu, fsw, high, sig);
}

/** Stores ST(0). @param to - host address; 0: not for the short way */
function storeReal(fpu: Fpu, fcw: u32, fsw: u32, to: usize, isSingle: bool): i32 {
  if (to === 0 || !X87.tag(fpu, fsw, 0)) return NO;
  const st0 = X87.st(fpu, fsw, 0);
  const h0 = <u32>load<u16>(st0, 8);
  const s0 = load<u64>(st0);
  return X87.after(fsw, isSingle ? storeSingle(fcw, to, h0, s0) : storeDouble(fcw, to, h0, s0));
}

/** Stores ST(0), rounded to an integer. */
function storeRounded(fpu: Fpu, fcw: u32, fsw: u32, to: usize, size: u32): i32 {
  if (to === 0 || !X87.tag(fpu, fsw, 0)) return NO;
  const st0 = X87.st(fpu, fsw, 0);
  return X87.after(fsw, storeInteger(fcw, to, <u32>load<u16>(st0, 8), load<u64>(st0), size));
}
