/**
 * x87 loads, stores, constants, and what works on signs and classes.
 *
 *     FLD FST FSTP FILD FIST FISTP FISTTP FBLD FBSTP   FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ
 *     FXCH FCHS FABS FTST FXAM
 *
 * Source: SDM 2A, by instruction.
 */
import { addressOf } from "../cpu/address";
import { Op } from "../cpu/op";
import { checkWrite, read, wrap, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { write10 } from "./memory";
import {
  A,
  convert,
  DE,
  dropPrecision,
  flags,
  format32,
  format64,
  fromInteger,
  IE,
  masks,
  NORMAL,
  onlyInvalid,
  pack32,
  pack64,
  packHigh80,
  packSig80,
  QNAN,
  raiseFlags,
  RC_NEAREST,
  RC_UP,
  resultOf,
  rounding,
  SNAN,
  toInteger,
  unpack32,
  unpack64,
  UNSUPPORTED,
} from "./soft";
import { Fpu, FSW_C0, FSW_C1, FSW_C2, FSW_C3 } from "./state";
import { compareZero, loadSt } from "./x87-arith";
import {
  begin,
  commit,
  nanOperand,
  pop,
  push,
  roomToPush,
  setIndefinite,
  stackUnderflow,
  stopped,
  underflowTo,
} from "./x87-result";

/** Pushes A, which came from a shorter format: exact, but SNaN and denormal operands are reported. */
function pushConverted(fpu: Fpu): void {
  if (!roomToPush(fpu)) return;
  begin(fpu);
  loadingConversion();
  // Unlike in arithmetic, an unmasked denormal operand is loaded all the same.
  commit(fpu);
  if (!(flags & ~masks & IE)) push(fpu, packHigh80(), packSig80());
}

function loadingConversion(): void {
  if (nanOperand()) return;
  if (A.kind === NORMAL && A.denormal) raiseFlags(DE);
  resultOf(A);
}

/** FLD m32fp. */
export function loadReal32(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const gva = addressOf(cpu, op, 4, false);
  if (cpu.fault !== 0) return;
  const value = read<u32>(cpu, gva);
  if (cpu.fault !== 0) return;
  unpack32(A, value);
  pushConverted(fpu);
}

/** FLD m64fp. */
export function loadReal64(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const gva = addressOf(cpu, op, 8, false);
  if (cpu.fault !== 0) return;
  const value = read<u64>(cpu, gva);
  if (cpu.fault !== 0) return;
  unpack64(A, value);
  pushConverted(fpu);
}

/** FLD m80fp: bit by bit, without exceptions but the stack's. */
export function loadReal80(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const gva = addressOf(cpu, op, 10, false);
  if (cpu.fault !== 0) return;
  const sig = read<u64>(cpu, gva);
  if (cpu.fault !== 0) return;
  const high = read<u16>(cpu, wrap(cpu, gva + 8));
  if (cpu.fault !== 0) return;
  pushPlain(fpu, high, sig);
}

/** Pushes without looking at the value: C1 := 0. */
function pushPlain(fpu: Fpu, high: u32, sig: u64): void {
  if (!roomToPush(fpu)) return;
  fpu.setFsw(fpu.fsw() & ~FSW_C1);
  push(fpu, high, sig);
}

/** FLD ST(i). */
export function pushRegister(fpu: Fpu, i: u32): void {
  if (fpu.isEmpty(i)) {
    // Reported before a full stack.
    if (!stackUnderflow(fpu)) return;
    fpu.setTop(fpu.top() - 1);
    setIndefinite(fpu, 0);
    return;
  }
  if (!roomToPush(fpu)) return;
  pushPlain(fpu, fpu.high(i), fpu.sig(i));
}

/** FILD m16int, m32int, m64int. @param size - bytes */
export function loadInteger(cpu: Vcpu, op: Op, fpu: Fpu, size: u32): void {
  const gva = addressOf(cpu, op, size, false);
  if (cpu.fault !== 0) return;
  let value: i64;
  if (size === 2) value = <i64>read<i16>(cpu, gva);
  else value = size === 4 ? <i64>read<i32>(cpu, gva) : read<i64>(cpu, gva);
  if (cpu.fault !== 0) return;
  fromInteger(value);
  resultOf(A);
  pushPlain(fpu, packHigh80(), packSig80());
}

/** FBLD m80bcd: 18 digits and a sign. */
export function loadBcd(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const gva = addressOf(cpu, op, 10, false);
  if (cpu.fault !== 0) return;
  const low = read<u64>(cpu, gva);
  if (cpu.fault !== 0) return;
  const high = <u32>read<u16>(cpu, wrap(cpu, gva + 8));
  if (cpu.fault !== 0) return;
  let value: u64 = (high >> 4) & 15;
  value = value * 10 + (high & 15);
  for (let i: i32 = 60; i >= 0; i -= 4) value = value * 10 + ((low >> i) & 15);
  fromInteger(<i64>value);
  A.sign = high >> 15;
  resultOf(A);
  pushPlain(fpu, packHigh80(), packSig80());
}

/** True when the flags found forbid the store to memory: all but #P. */
function storeForbidden(): bool {
  return (flags & ~masks & 0x1f) !== 0;
}

/** Raises the fault that a store would take. Ten bytes are aligned like eight: SDM 3A "Alignment Check Exception". */
function checkStore(cpu: Vcpu, gva: u64, size: u32): bool {
  return checkWrite(cpu, gva, size, min<u32>(size, 8));
}

/** An unmasked stack underflow: nothing is stored, but the memory operand's faults come first. */
function refuseStore(cpu: Vcpu, fpu: Fpu, gva: u64, size: u32): void {
  if (checkStore(cpu, gva, size)) stackUnderflow(fpu);
}

/** Ends a store to memory whose write succeeded or was forbidden. */
function finishStore(fpu: Fpu, pops: bool): void {
  const forbidden = storeForbidden();
  if (forbidden) dropPrecision();
  commit(fpu);
  if (pops && !forbidden) pop(fpu);
}

/** R := ST(0) rounded to the format that was chosen. */
function convertForStore(fpu: Fpu): void {
  loadSt(fpu, A, 0);
  if (!nanOperand() && !stopped()) convert();
}

/** FST, FSTP m32fp. */
export function storeReal32(cpu: Vcpu, op: Op, fpu: Fpu, pops: bool): void {
  const gva = addressOf(cpu, op, 4, true);
  if (cpu.fault !== 0) return;
  if (fpu.isEmpty(0)) {
    if (!(fpu.fcw() & IE)) refuseStore(cpu, fpu, gva, 4);
    else {
      write<u32>(cpu, gva, 0xffc00000);
      if (cpu.fault === 0) emptyStored(fpu, pops);
    }
    return;
  }
  begin(fpu);
  format32();
  convertForStore(fpu);
  if (storeForbidden()) checkStore(cpu, gva, 4);
  else write<u32>(cpu, gva, pack32());
  if (cpu.fault === 0) finishStore(fpu, pops);
}

/** FST, FSTP m64fp. */
export function storeReal64(cpu: Vcpu, op: Op, fpu: Fpu, pops: bool): void {
  const gva = addressOf(cpu, op, 8, true);
  if (cpu.fault !== 0) return;
  if (fpu.isEmpty(0)) {
    if (!(fpu.fcw() & IE)) refuseStore(cpu, fpu, gva, 8);
    else {
      write<u64>(cpu, gva, 0xfff8000000000000);
      if (cpu.fault === 0) emptyStored(fpu, pops);
    }
    return;
  }
  begin(fpu);
  format64();
  convertForStore(fpu);
  if (storeForbidden()) checkStore(cpu, gva, 8);
  else write<u64>(cpu, gva, pack64());
  if (cpu.fault === 0) finishStore(fpu, pops);
}

/** The masked answer to a store from an empty register was written. */
function emptyStored(fpu: Fpu, pops: bool): void {
  stackUnderflow(fpu);
  if (pops) pop(fpu);
}

/** FSTP m80fp: bit by bit. */
export function storeReal80(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const gva = addressOf(cpu, op, 10, true);
  if (cpu.fault !== 0) return;
  if (fpu.isEmpty(0)) {
    if (!(fpu.fcw() & IE)) refuseStore(cpu, fpu, gva, 10);
    else {
      write10(cpu, gva, 0xc000000000000000, 0xffff);
      if (cpu.fault === 0) emptyStored(fpu, true);
    }
    return;
  }
  write10(cpu, gva, fpu.sig(0), fpu.high(0));
  if (cpu.fault !== 0) return;
  fpu.setFsw(fpu.fsw() & ~FSW_C1);
  pop(fpu);
}

/** FIST, FISTP, FISTTP. @param size - bytes: 2, 4 or 8 */
export function storeInteger(
  cpu: Vcpu,
  op: Op,
  fpu: Fpu,
  size: u32,
  pops: bool,
  truncate: bool,
): void {
  const gva = addressOf(cpu, op, size, true);
  if (cpu.fault !== 0) return;
  const isEmpty = fpu.isEmpty(0);
  if (isEmpty && !(fpu.fcw() & IE)) {
    refuseStore(cpu, fpu, gva, size);
    return;
  }
  let value = <i64>((<u64>-1) << ((size << 3) - 1));
  if (!isEmpty) {
    begin(fpu);
    loadSt(fpu, A, 0);
    value = toInteger(size << 3, truncate);
  }
  if (isEmpty || !storeForbidden()) {
    if (size === 2) write<u16>(cpu, gva, <u16>value);
    else if (size === 4) write<u32>(cpu, gva, <u32>value);
    else write<u64>(cpu, gva, value);
  } else checkStore(cpu, gva, size);
  if (cpu.fault !== 0) return;
  if (isEmpty) emptyStored(fpu, pops);
  else finishStore(fpu, pops);
}

const BCD_INDEFINITE_LOW: u64 = 0xc000000000000000;
const BCD_LIMIT: u64 = 1000000000000000000;

/** FBSTP m80bcd. */
export function storeBcd(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const gva = addressOf(cpu, op, 10, true);
  if (cpu.fault !== 0) return;
  const isEmpty = fpu.isEmpty(0);
  if (isEmpty && !(fpu.fcw() & IE)) {
    refuseStore(cpu, fpu, gva, 10);
    return;
  }
  let low: u64 = BCD_INDEFINITE_LOW;
  let high: u32 = 0xffff;
  if (!isEmpty) {
    begin(fpu);
    loadSt(fpu, A, 0);
    const value = toInteger(64, false);
    let magnitude = value < 0 ? <u64>-value : <u64>value;
    if (flags & IE || magnitude >= BCD_LIMIT) {
      onlyInvalid();
    } else {
      low = 0;
      for (let i: u32 = 0; i < 64; i += 4) {
        low |= (magnitude % 10) << i;
        magnitude /= 10;
      }
      high = <u32>(magnitude % 10) | ((<u32>(magnitude / 10)) << 4) | (A.sign << 15);
    }
  }
  if (isEmpty || !storeForbidden()) {
    write10(cpu, gva, low, high);
  } else checkStore(cpu, gva, 10);
  if (cpu.fault !== 0) return;
  if (isEmpty) emptyStored(fpu, true);
  else finishStore(fpu, true);
}

/** FST, FSTP ST(i). */
export function storeRegister(fpu: Fpu, i: u32, pops: bool): void {
  if (fpu.isEmpty(0)) {
    if (underflowTo(fpu, i) && pops) pop(fpu);
    return;
  }
  fpu.setFsw(fpu.fsw() & ~FSW_C1);
  fpu.set(i, fpu.high(0), fpu.sig(0));
  if (pops) pop(fpu);
}

/** D9 D8+i, FSTP without a check (FSTPNCE): from an empty register it only pops. */
export function storeUnchecked(fpu: Fpu, i: u32): void {
  fpu.setFsw(fpu.fsw() & ~FSW_C1);
  if (!fpu.isEmpty(0)) fpu.set(i, fpu.high(0), fpu.sig(0));
  pop(fpu);
}

/** FXCH ST(i): empty registers become the default NaN first. */
export function exchange(fpu: Fpu, i: u32): void {
  if (fpu.isEmpty(0) || fpu.isEmpty(i)) {
    if (!stackUnderflow(fpu)) return;
    if (fpu.isEmpty(0)) setIndefinite(fpu, 0);
    if (fpu.isEmpty(i)) setIndefinite(fpu, i);
  } else fpu.setFsw(fpu.fsw() & ~FSW_C1);
  const high = fpu.high(0);
  const sig = fpu.sig(0);
  fpu.set(0, fpu.high(i), fpu.sig(i));
  fpu.set(i, high, sig);
}

/** FCHS. */
export function changeSign(fpu: Fpu): void {
  if (fpu.isEmpty(0)) {
    underflowTo(fpu, 0);
    return;
  }
  fpu.setFsw(fpu.fsw() & ~FSW_C1);
  fpu.set(0, fpu.high(0) ^ 0x8000, fpu.sig(0));
}

/** FABS. */
export function absolute(fpu: Fpu): void {
  if (fpu.isEmpty(0)) {
    underflowTo(fpu, 0);
    return;
  }
  fpu.setFsw(fpu.fsw() & ~FSW_C1);
  fpu.set(0, fpu.high(0) & 0x7fff, fpu.sig(0));
}

/** FTST. */
export function test(fpu: Fpu): void {
  compareZero(fpu);
}

/** FXAM: class of ST(0) in C3 C2 C0, sign in C1. */
export function examine(fpu: Fpu): void {
  loadSt(fpu, A, 0);
  let conditions: u32;
  if (fpu.isEmpty(0)) conditions = FSW_C3 | FSW_C0;
  else if (A.kind === UNSUPPORTED) conditions = 0;
  else if (A.kind === QNAN || A.kind === SNAN) conditions = FSW_C0;
  else if (A.kind === NORMAL) conditions = A.denormal ? FSW_C3 | FSW_C2 : FSW_C2;
  else conditions = A.kind === 2 ? FSW_C2 | FSW_C0 : FSW_C3;
  if (fpu.high(0) & 0x8000) conditions |= FSW_C1;
  fpu.setFsw((fpu.fsw() & ~(FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3)) | conditions);
}

// FLD1 FLDL2T FLDL2E FLDPI FLDLG2 FLDLN2 FLDZ: exponent, significand truncated, and whether the next bits are at least
// half a unit (then nearest and up give the next significand, else only up does).
const CONSTANT_HIGH: StaticArray<u32> = [0x3fff, 0x4000, 0x3fff, 0x4000, 0x3ffd, 0x3ffe, 0];
const CONSTANT_SIG: StaticArray<u64> = [
  0x8000000000000000, 0xd49a784bcd1b8afe, 0xb8aa3b295c17f0bb, 0xc90fdaa22168c234,
  0x9a209a84fbcff798, 0xb17217f7d1cf79ab, 0,
];
const CONSTANT_NEAR: StaticArray<u32> = [0, 0, 1, 1, 1, 1, 0];

/** @param n - 0..6 in encoding order */
export function loadConstant(fpu: Fpu, n: u32): void {
  begin(fpu);
  let sig = unchecked(CONSTANT_SIG[n]); /* the caller excludes 7 */
  const exact = n === 0 || n === 6;
  if (!exact && (rounding === RC_UP || (rounding === RC_NEAREST && unchecked(CONSTANT_NEAR[n]))))
    sig++;
  pushPlain(fpu, unchecked(CONSTANT_HIGH[n]), sig);
}
