/**
 * Decimal adjustment: DAA, DAS, AAA, AAS, AAM, AAD; and BOUND.
 *
 * Source: SDM 2 under those names. OF after DAA, DAS, AAA and AAS is undefined; it is cleared.
 */
import { raise } from "../fault";
import { read } from "../mem/access";
import { Vcpu } from "../vcpu";
import { AF, CF } from "../x86/eflags";
import { BR, DE, UD } from "../x86/exception";
import { addressOf } from "./address";
import { adjustFlag, arithmetic, carryFlag, setArithmetic, setLogicFlags } from "./flags";
import { Op } from "./op";
import { readReg, register, setRegister } from "./operand";
import { AH, RAX } from "./registers";

/** Flags of `al`, with CF and AF given and OF = 0. */
function setDecimalFlags(cpu: Vcpu, al: u8, adjust: bool, carry: bool): void {
  setLogicFlags<u8>(cpu, al);
  setArithmetic(cpu, arithmetic(cpu) | (adjust ? AF : 0) | (carry ? CF : 0));
}

/** DAA. */
export function decimalAdjustAdd(cpu: Vcpu, op: Op): void {
  const before = <u8>cpu.rax;
  const adjust = (before & 15) > 9 || adjustFlag(cpu);
  const carry = before > 0x99 || carryFlag(cpu);
  let al = before;
  if (adjust) al += 6;
  if (carry) al += 0x60;
  setRegister<u8>(cpu, RAX, al);
  setDecimalFlags(cpu, al, adjust, carry);
}

/** DAS. */
export function decimalAdjustSubtract(cpu: Vcpu, op: Op): void {
  const before = <u8>cpu.rax;
  const adjust = (before & 15) > 9 || adjustFlag(cpu);
  const high = before > 0x99 || carryFlag(cpu);
  // The low adjustment may borrow by itself, from 0 to 5.
  const carry = high || (adjust && before < 6);
  let al = before;
  if (adjust) al -= 6;
  if (high) al -= 0x60;
  setRegister<u8>(cpu, RAX, al);
  setDecimalFlags(cpu, al, adjust, carry);
}

/** AAA. SF, ZF and PF are undefined; they follow AL. */
export function asciiAdjustAdd(cpu: Vcpu, op: Op): void {
  const adjust = (<u8>cpu.rax & 15) > 9 || adjustFlag(cpu);
  if (adjust) setRegister<u16>(cpu, RAX, <u16>cpu.rax + 0x106);
  finishAscii(cpu, adjust);
}

/** AAS. */
export function asciiAdjustSubtract(cpu: Vcpu, op: Op): void {
  const adjust = (<u8>cpu.rax & 15) > 9 || adjustFlag(cpu);
  if (adjust) setRegister<u16>(cpu, RAX, <u16>cpu.rax - 0x106);
  finishAscii(cpu, adjust);
}

function finishAscii(cpu: Vcpu, adjust: bool): void {
  const al = <u8>cpu.rax & 15;
  setRegister<u8>(cpu, RAX, al);
  setDecimalFlags(cpu, al, adjust, adjust);
}

/** AAM Ib: #DE for a base of 0. */
export function asciiAdjustMultiply(cpu: Vcpu, op: Op): void {
  const base = <u8>op.imm;
  if (base === 0) return raise(cpu, DE);
  const al = <u8>cpu.rax;
  setRegister<u8>(cpu, AH, al / base);
  setRegister<u8>(cpu, RAX, al % base);
  setLogicFlags<u8>(cpu, al % base);
}

/** AAD Ib. */
export function asciiAdjustDivide(cpu: Vcpu, op: Op): void {
  const al = <u8>cpu.rax + register<u8>(cpu, AH) * <u8>op.imm;
  setRegister<u16>(cpu, RAX, al);
  setLogicFlags<u8>(cpu, al);
}

function boundOf<T>(cpu: Vcpu, op: Op): void {
  const size = <u32>sizeof<T>();
  const gva = addressOf(cpu, op, 2 * size, false);
  if (cpu.fault !== 0) return;
  const lower = read<T>(cpu, gva);
  if (cpu.fault !== 0) return;
  const upper = read<T>(cpu, (gva + size) & 0xffffffff);
  if (cpu.fault !== 0) return;
  const index = readReg<T>(cpu, op);
  if (index < lower || index > upper) raise(cpu, BR);
}

/** BOUND Gv,Ma: signed bounds, outside 64-bit mode. */
export function bound(cpu: Vcpu, op: Op): void {
  if (!op.isMemory) return raise(cpu, UD);
  if (op.size === 2) boundOf<i16>(cpu, op);
  else boundOf<i32>(cpu, op);
}
