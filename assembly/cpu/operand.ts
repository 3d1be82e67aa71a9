/**
 * Operands of out-of-line handlers. Every accessor of memory may fault: test `cpu.fault` before the next side effect.
 *
 * Register writes of 32 bits clear the upper half of the register; 8 and 16 bits keep the rest (SDM 1
 * "General-Purpose Registers in 64-Bit Mode").
 */
import { SS } from "../abi";
import { throughStack } from "../fault";
import { read, readForWrite, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { addressOf, linear, offsetOf } from "./address";
import { is64, MODE_SS32 } from "./mode";
import { ADDRESS_NONE, Op } from "./op";

/** Register by its byte offset in the record. */
export function register<T>(cpu: Vcpu, offset: u32): T {
  return load<T>(changetype<usize>(cpu) + offset);
}

export function setRegister<T>(cpu: Vcpu, offset: u32, value: T): void {
  if (sizeof<T>() === 4) store<u64>(changetype<usize>(cpu) + offset, <u64>(<u32>value));
  else store<T>(changetype<usize>(cpu) + offset, value);
}

/** Linear address of the memory operand that `Rm.readForWrite` read last. */
let destination: u64 = 0;

function readMemory<T>(cpu: Vcpu, op: Op): T {
  const gva = addressOf(cpu, op, <u32>sizeof<T>(), false);
  return cpu.fault !== 0 ? <T>0 : read<T>(cpu, gva);
}

function readMemoryForWrite<T>(cpu: Vcpu, op: Op): T {
  const gva = addressOf(cpu, op, <u32>sizeof<T>(), true);
  destination = gva;
  return cpu.fault !== 0 ? <T>0 : readForWrite<T>(cpu, gva);
}

function writeMemory<T>(cpu: Vcpu, op: Op, value: T): void {
  const gva = addressOf(cpu, op, <u32>sizeof<T>(), true);
  if (cpu.fault === 0) write<T>(cpu, gva, value);
}

/** The r/m operand; the register case is in line. */
export class Rm {
  @inline
  static read<T>(cpu: Vcpu, op: Op): T {
    return op.kind === ADDRESS_NONE ? register<T>(cpu, op.rm) : readMemory<T>(cpu, op);
  }

  /** Reads the operand that the same instruction will write: raises the fault of the write. */
  @inline
  static readForWrite<T>(cpu: Vcpu, op: Op): T {
    return op.kind === ADDRESS_NONE ? register<T>(cpu, op.rm) : readMemoryForWrite<T>(cpu, op);
  }

  /** Writes what `readForWrite` read: cannot fault, and takes its address, whatever became of the registers in it. */
  @inline
  static writeBack<T>(cpu: Vcpu, op: Op, value: T): void {
    if (op.kind === ADDRESS_NONE) setRegister<T>(cpu, op.rm, value);
    else write<T>(cpu, destination, value);
  }

  @inline
  static write<T>(cpu: Vcpu, op: Op, value: T): void {
    if (op.kind === ADDRESS_NONE) setRegister<T>(cpu, op.rm, value);
    else writeMemory<T>(cpu, op, value);
  }
}

/** The r/m operand. */
export function readRm<T>(cpu: Vcpu, op: Op): T {
  return Rm.read<T>(cpu, op);
}

export function writeRm<T>(cpu: Vcpu, op: Op, value: T): void {
  Rm.write<T>(cpu, op, value);
}

/** The register operand of ModRM.reg. */
export function readReg<T>(cpu: Vcpu, op: Op): T {
  return register<T>(cpu, op.reg);
}

export function writeReg<T>(cpu: Vcpu, op: Op, value: T): void {
  setRegister<T>(cpu, op.reg, value);
}

/** Selector of the last `readFarPointer`. */
export let farSelector: u32 = 0;

/**
 * Far pointer in memory: the offset is read and checked before the selector behind it.
 *
 * @returns the offset; the selector is in `farSelector`
 */
export function readFarPointer(cpu: Vcpu, op: Op): u64 {
  const size = op.size;
  const gva = addressOf(cpu, op, size, false);
  if (cpu.fault !== 0) return 0;
  let offset: u64;
  if (size === 2) offset = read<u16>(cpu, gva);
  else offset = size === 4 ? <u64>read<u32>(cpu, gva) : read<u64>(cpu, gva);
  if (cpu.fault !== 0) return 0;
  const at = linear(cpu, op.segment, offsetOf(cpu, op) + size, 2, false);
  if (cpu.fault === 0) farSelector = read<u16>(cpu, at);
  return offset;
}

/** Mask of the stack pointer's width: 64-bit mode, SS.B = 1, SS.B = 0. */
export function stackMask(cpu: Vcpu): u64 {
  if (is64(cpu)) return -1;
  return cpu.mode & MODE_SS32 ? 0xffffffff : 0xffff;
}

/** RSP, ESP or SP. */
export function stackPointer(cpu: Vcpu): u64 {
  return cpu.rsp & stackMask(cpu);
}

/** Stores RSP, ESP or SP, keeping the bits beyond its width (32-bit writes clear the upper half). */
export function setStackPointer(cpu: Vcpu, value: u64): void {
  const mask = stackMask(cpu);
  if (mask === 0xffff) cpu.rsp = (cpu.rsp & ~mask) | (value & mask);
  else cpu.rsp = value & mask;
}

/** Reads the stack at `SP + offset` (wrapped). A fault is #SS(0) or #PF. */
export function peek<T>(cpu: Vcpu, offset: u64): T {
  const gva = linear(cpu, SS, (cpu.rsp + offset) & stackMask(cpu), <u32>sizeof<T>(), false);
  if (cpu.fault !== 0) return <T>0;
  const value = read<T>(cpu, gva);
  throughStack(cpu);
  return value;
}

/** Writes the stack at `SP + offset` (wrapped) without moving SP: `poke` all, then `setStackPointer`. */
export function poke<T>(cpu: Vcpu, offset: u64, value: T): void {
  const gva = linear(cpu, SS, (cpu.rsp + offset) & stackMask(cpu), <u32>sizeof<T>(), true);
  if (cpu.fault !== 0) return;
  write<T>(cpu, gva, value);
  throughStack(cpu);
}

/** PUSH of a value of width T: SP moves only when the store succeeded. */
export function push<T>(cpu: Vcpu, value: T): void {
  poke<T>(cpu, -(<u64>sizeof<T>()), value);
  if (cpu.fault === 0) setStackPointer(cpu, cpu.rsp - sizeof<T>());
}

/** POP of a value of width T: SP moves only when the load succeeded. */
export function pop<T>(cpu: Vcpu): T {
  const value = peek<T>(cpu, 0);
  if (cpu.fault === 0) setStackPointer(cpu, cpu.rsp + sizeof<T>());
  return value;
}
