/**
 * Single bits and bit counts: BT, BTS, BTR, BTC, BSF, BSR, POPCNT, CRC32.
 *
 * Source: SDM 2 "BT", "BSF", "BSR", "POPCNT", "CRC32".
 * Not modelled: TZCNT and LZCNT, which CPUID does not offer; their encodings run as BSF and BSR.
 */
import { read, readForWrite, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { ZF } from "../x86/eflags";
import { linear, offsetOf } from "./address";
import { setArithmetic, setCarry, setZero } from "./flags";
import { Op, OP_ADDR16, OP_ADDR32 } from "./op";
import { readReg, register, Rm, setRegister, writeReg } from "./operand";

// Bits 4:3 of the two-byte opcode, ModRM.reg 4..7 of group 8.
const BT: u32 = 0;
const BTS: u32 = 1;
const BTR: u32 = 2;

function change(operation: u32, value: u64, mask: u64): u64 {
  if (operation === BTS) return value | mask;
  return operation === BTR ? value & ~mask : value ^ mask;
}

/** The bit is inside the operand: register operands, and immediate offsets. */
function bitOf<T>(cpu: Vcpu, op: Op, operation: u32, offset: u64): void {
  const value = operation === BT ? <u64>Rm.read<T>(cpu, op) : <u64>Rm.readForWrite<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const mask = (<u64>1) << (offset & (sizeof<T>() * 8 - 1));
  if (operation !== BT) Rm.writeBack<T>(cpu, op, <T>change(operation, value, mask));
  setCarry(cpu, (value & mask) !== 0);
}

/** A signed register offset counts from the memory operand's first bit, in either direction. */
function bitInMemory<T>(cpu: Vcpu, op: Op, operation: u32): void {
  const offset = <i64>readReg<T>(cpu, op);
  const size = <u32>sizeof<T>();
  const mask = (<u64>1) << (<u64>offset & (size * 8 - 1));
  let at = offsetOf(cpu, op) + <u64>((offset >> (size === 2 ? 4 : size === 4 ? 5 : 6)) * size);
  if (op.flags & OP_ADDR16) at &= 0xffff;
  else if (op.flags & OP_ADDR32) at &= 0xffffffff;
  const gva = linear(cpu, op.segment, at, size, operation !== BT);
  if (cpu.fault !== 0) return;
  const value = operation === BT ? <u64>read<T>(cpu, gva) : <u64>readForWrite<T>(cpu, gva);
  if (cpu.fault !== 0) return;
  if (operation !== BT) write<T>(cpu, gva, <T>change(operation, value, mask));
  setCarry(cpu, (value & mask) !== 0);
}

/** BT BTS BTR BTC Ev,Gv. */
export function bitRegister(cpu: Vcpu, op: Op): void {
  const operation = <u32>(op.opcode >> 3) & 3;
  if (op.isMemory) {
    switch (op.size) {
      case 2:
        return bitInMemory<i16>(cpu, op, operation);
      case 4:
        return bitInMemory<i32>(cpu, op, operation);
      default:
        return bitInMemory<i64>(cpu, op, operation);
    }
  }
  bitSized(cpu, op, operation, readReg<u64>(cpu, op));
}

/** BT BTS BTR BTC Ev,Ib: group 8 /4 .. /7. */
export function bitImmediate(cpu: Vcpu, op: Op): void {
  bitSized(cpu, op, op.extension & 3, op.imm);
}

function bitSized(cpu: Vcpu, op: Op, operation: u32, offset: u64): void {
  switch (op.size) {
    case 2:
      return bitOf<u16>(cpu, op, operation, offset);
    case 4:
      return bitOf<u32>(cpu, op, operation, offset);
    default:
      return bitOf<u64>(cpu, op, operation, offset);
  }
}

/** Without a bit set the destination stays as it is, as on all processors. */
function scanOf<T>(cpu: Vcpu, op: Op): void {
  const value = Rm.read<T>(cpu, op);
  if (cpu.fault !== 0) return;
  setZero(cpu, value === 0);
  if (value === 0) return;
  // BSR is the odd opcode.
  writeReg<T>(cpu, op, op.opcode & 1 ? <T>(63 - clz<u64>(<u64>value)) : <T>ctz<u64>(<u64>value));
}

/** BSF, BSR Gv,Ev. */
export function bitScan(cpu: Vcpu, op: Op): void {
  switch (op.size) {
    case 2:
      return scanOf<u16>(cpu, op);
    case 4:
      return scanOf<u32>(cpu, op);
    default:
      return scanOf<u64>(cpu, op);
  }
}

function populationCountOf<T>(cpu: Vcpu, op: Op): void {
  const value = Rm.read<T>(cpu, op);
  if (cpu.fault !== 0) return;
  setArithmetic(cpu, value === 0 ? ZF : 0);
  writeReg<T>(cpu, op, <T>popcnt<u64>(<u64>value));
}

/** POPCNT Gv,Ev. */
export function populationCount(cpu: Vcpu, op: Op): void {
  switch (op.size) {
    case 2:
      return populationCountOf<u16>(cpu, op);
    case 4:
      return populationCountOf<u32>(cpu, op);
    default:
      return populationCountOf<u64>(cpu, op);
  }
}

/** The polynomial 11EDC6F41H without its top bit, bit-reflected. */
const CRC32C: u32 = 0x82f63b78;

function crcOf<T>(cpu: Vcpu, op: Op): void {
  const value = <u64>Rm.read<T>(cpu, op);
  if (cpu.fault !== 0) return;
  let crc = register<u32>(cpu, op.reg);
  for (let i: u32 = 0; i < <u32>sizeof<T>(); i++) {
    crc ^= <u32>(value >> (i << 3)) & 0xff;
    for (let n = 0; n < 8; n++) crc = (crc >> 1) ^ (crc & 1 ? CRC32C : 0);
  }
  setRegister<u32>(cpu, op.reg, crc);
}

/** CRC32 Gd,Eb  Gd,Ev. */
export function crc32(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return crcOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return crcOf<u16>(cpu, op);
    case 4:
      return crcOf<u32>(cpu, op);
    default:
      return crcOf<u64>(cpu, op);
  }
}
