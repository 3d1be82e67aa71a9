/**
 * Shifts and rotates, by 1, by an immediate and by CL; SHLD and SHRD.
 *
 * The count is taken modulo 32, or 64 for 64-bit operands. A masked count of 0 changes neither value nor flags, but
 * the destination is written (a 32-bit register loses its upper half). Flags that the manual leaves undefined for
 * counts above 1 follow the same formula as for 1.
 * Source: SDM 2 "RCL/RCR/ROL/ROR", "SAL/SAR/SHL/SHR", "SHLD", "SHRD".
 */
import { Vcpu } from "../vcpu";
import { carryFlag, setCarryOverflow, setResultFlags } from "./flags";
import { Op } from "./op";
import { readReg, Rm } from "./operand";

// ModRM.reg of group 2; 6 is an alias of SHL.
const ROL: u32 = 0;
const ROR: u32 = 1;
const RCL: u32 = 2;
const RCR: u32 = 3;
const SHR: u32 = 5;
const SAR: u32 = 7;

/** Bit n of a value. */
function bit(value: u64, n: u32): bool {
  return ((value >> n) & 1) !== 0;
}

/** Rotates left, without the carry. @param count - 1..63 */
function rotateLeft<T>(cpu: Vcpu, value: u64, count: u32): T {
  const bits = <u32>sizeof<T>() * 8;
  const n = count & (bits - 1);
  const result = n === 0 ? <T>value : <T>((value << n) | (value >> (bits - n)));
  setCarryOverflow(cpu, bit(result, 0), bit(result, 0) !== bit(result, bits - 1));
  return result;
}

function rotateRight<T>(cpu: Vcpu, value: u64, count: u32): T {
  const bits = <u32>sizeof<T>() * 8;
  const n = count & (bits - 1);
  const result = n === 0 ? <T>value : <T>((value >> n) | (value << (bits - n)));
  setCarryOverflow(cpu, bit(result, bits - 1), bit(result, bits - 1) !== bit(result, bits - 2));
  return result;
}

/** Rotates left through the carry, a rotate of bits + 1 bits. */
function rotateLeftCarry<T>(cpu: Vcpu, value: u64, count: u32): T {
  const bits = <u32>sizeof<T>() * 8;
  const n = count % (bits + 1);
  const carryIn = carryFlag(cpu);
  let result = <T>value;
  let carry = carryIn;
  if (n !== 0) {
    // n = 1 takes nothing from the top but the carry; a shift by 64 would be one by 0.
    const top = n === 1 ? 0 : value >> (bits + 1 - n);
    result = <T>((n < 64 ? value << n : 0) | ((<u64>carryIn) << (n - 1)) | top);
    carry = bit(value, bits - n);
  }
  setCarryOverflow(cpu, carry, carry !== bit(result, bits - 1));
  return result;
}

function rotateRightCarry<T>(cpu: Vcpu, value: u64, count: u32): T {
  const bits = <u32>sizeof<T>() * 8;
  const n = count % (bits + 1);
  const carryIn = carryFlag(cpu);
  let result = <T>value;
  let carry = carryIn;
  if (n !== 0) {
    const low = n === 1 ? 0 : value << (bits + 1 - n);
    result = <T>((value >> n) | ((<u64>carryIn) << (bits - n)) | low);
    carry = bit(value, n - 1);
  }
  setCarryOverflow(cpu, carry, bit(result, bits - 1) !== bit(result, bits - 2));
  return result;
}

/** @param value - zero-extended; @param count - 1..63 */
function compute<T>(cpu: Vcpu, operation: u32, value: u64, count: u32): T {
  const bits = <u32>sizeof<T>() * 8;
  let result: T;
  let carry: bool;
  switch (operation) {
    case ROL:
      return rotateLeft<T>(cpu, value, count);
    case ROR:
      return rotateRight<T>(cpu, value, count);
    case RCL:
      return rotateLeftCarry<T>(cpu, value, count);
    case RCR:
      return rotateRightCarry<T>(cpu, value, count);
    case SHR:
      result = <T>(value >> count);
      setResultFlags<T>(
        cpu,
        result,
        bit(value, count - 1),
        bit(result, bits - 1) !== bit(result, bits - 2),
      );
      return result;
    case SAR: {
      const extended = <i64>(value << (64 - bits)) >> (64 - bits);
      result = <T>(extended >> count);
      setResultFlags<T>(cpu, result, bit(extended, count - 1), false);
      return result;
    }
    default:
      result = <T>(value << count);
      carry = count <= bits && bit(value, bits - count);
      setResultFlags<T>(cpu, result, carry, carry !== bit(result, bits - 1));
      return result;
  }
}

function shiftOf<T>(cpu: Vcpu, op: Op, count: u32): void {
  const value = Rm.readForWrite<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const masked = count & (sizeof<T>() === 8 ? 63 : 31);
  Rm.writeBack<T>(
    cpu,
    op,
    masked === 0 ? value : compute<T>(cpu, op.extension, <u64>value, masked),
  );
}

function shiftBy(cpu: Vcpu, op: Op, count: u32): void {
  if (!(op.opcode & 1)) return shiftOf<u8>(cpu, op, count);
  switch (op.size) {
    case 2:
      return shiftOf<u16>(cpu, op, count);
    case 4:
      return shiftOf<u32>(cpu, op, count);
    default:
      return shiftOf<u64>(cpu, op, count);
  }
}

/** Group 2 Eb,Ib  Ev,Ib. */
export function shiftByImmediate(cpu: Vcpu, op: Op): void {
  shiftBy(cpu, op, <u32>op.imm);
}

/** Group 2 Eb,1  Ev,1. */
export function shiftByOne(cpu: Vcpu, op: Op): void {
  shiftBy(cpu, op, 1);
}

/** Group 2 Eb,CL  Ev,CL. */
export function shiftByCl(cpu: Vcpu, op: Op): void {
  shiftBy(cpu, op, <u32>cpu.rcx);
}

/**
 * Shifts left, filling from the top of `source`. Counts above a 16-bit operand's width are undefined by the manual: on
 * AMD processors source comes in a second time, and CF is 0.
 *
 * @param count - 1..63
 */
function doubleLeft<T>(cpu: Vcpu, value: u64, source: u64, count: u32): T {
  const bits = <u32>sizeof<T>() * 8;
  let result: T;
  if (sizeof<T>() === 2) result = <T>((((value << 32) | (source << 16) | source) << count) >> 32);
  else result = <T>((value << count) | (source >> (bits - count)));
  const carry = count <= bits && bit(value, bits - count);
  setResultFlags<T>(cpu, result, carry, carry !== bit(result, bits - 1));
  return result;
}

/** Shifts right, filling from the bottom of `source`. */
function doubleRight<T>(cpu: Vcpu, value: u64, source: u64, count: u32): T {
  const bits = <u32>sizeof<T>() * 8;
  let result: T;
  if (sizeof<T>() === 2) result = <T>(((source << 32) | (source << 16) | value) >> count);
  else result = <T>((value >> count) | (source << (bits - count)));
  const overflow = bit(result, bits - 1) !== bit(result, bits - 2);
  setResultFlags<T>(cpu, result, bit(value, count - 1), overflow);
  return result;
}

function doubleShiftOf<T>(cpu: Vcpu, op: Op, count: u32): void {
  const value = Rm.readForWrite<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const masked = count & (sizeof<T>() === 8 ? 63 : 31);
  let result = value;
  if (masked !== 0) {
    const source = <u64>readReg<T>(cpu, op);
    // SHLD is A4 and A5, SHRD AC and AD.
    result =
      op.opcode & 8
        ? doubleRight<T>(cpu, <u64>value, source, masked)
        : doubleLeft<T>(cpu, <u64>value, source, masked);
  }
  Rm.writeBack<T>(cpu, op, result);
}

/** SHLD, SHRD Ev,Gv,Ib  Ev,Gv,CL. */
export function doubleShift(cpu: Vcpu, op: Op): void {
  const count = op.opcode & 1 ? <u32>cpu.rcx : <u32>op.imm;
  switch (op.size) {
    case 2:
      return doubleShiftOf<u16>(cpu, op, count);
    case 4:
      return doubleShiftOf<u32>(cpu, op, count);
    default:
      return doubleShiftOf<u64>(cpu, op, count);
  }
}
