/**
 * Port input and output.
 *
 *     E4 EC in8   E5 ED in16or32   E6 EE out8   E7 EF out16or32     (E4-E7: port in op.imm; EC-EF: port in DX)
 *     6C ins8   6D ins16or32   6E outs8   6F outs16or32             (with OP_REP or OP_REPNE: repeated)
 *
 * Source: SDM 1 "I/O Port Addressing", "I/O Permission Bit Map". A 64-bit operand size means 32 bits.
 * The repeated forms do one iteration a call and jump back to themselves, so that interrupts and the budget cut in
 * between, as the manual asks ("REP": interruptible between iterations).
 */
import { DS, ES, RUNNABLE, TR } from "../abi";
import { raiseWithError } from "../fault";
import { ioRead, ioWrite } from "../host";
import { checkWrite, read, readSystem, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { AR_P, AR_TYPE, AR_UNUSABLE, TSS32_AVAILABLE, TSS32_BUSY } from "../x86/descriptor";
import { DF_FLAG, IOPL, IOPL_SHIFT, RF } from "../x86/eflags";
import { GP } from "../x86/exception";
import { linear } from "./address";
import { leaveBlock } from "./control";
import { noteIoAccess } from "./dr";
import { isProtected, isReal } from "./mode";
import { Op, OP_ADDR16, OP_ADDR32, OP_REP, OP_REPNE, OP_SEGMENT } from "./op";
import { setRegister } from "./operand";
import { stay } from "./string";

/** Offset of the I/O map base in a 32- or 64-bit TSS. */
const TSS_IO_MAP: u32 = 102;

/** True when CPL, IOPL or the TSS allow the access; else #GP(0) is raised. */
function allowed(cpu: Vcpu, port: u32, size: u32): bool {
  if (isReal(cpu)) return true;
  if (isProtected(cpu) && cpu.cpl <= (cpu.eflags & IOPL) >> IOPL_SHIFT) return true;
  const tr = cpu.segment(TR);
  const type = tr.ar & AR_TYPE;
  const usable =
    tr.ar & AR_P && !(tr.ar & AR_UNUSABLE) && (type === TSS32_BUSY || type === TSS32_AVAILABLE);
  if (usable && tr.limit >= TSS_IO_MAP + 1) {
    const map = <u32>readSystem<u16>(cpu, tr.base + TSS_IO_MAP);
    if (cpu.fault !== 0) return false;
    // Two bytes are read, whatever the port: the map ends with a byte of ones.
    const first = map + (port >> 3);
    if (first + 1 <= tr.limit) {
      const bits = <u32>readSystem<u16>(cpu, tr.base + first);
      if (cpu.fault !== 0) return false;
      if (!((bits >> (port & 7)) & (((<u32>1) << size) - 1))) return true;
    }
  }
  raiseWithError(cpu, GP, 0);
  return false;
}

function input(cpu: Vcpu, port: u32, size: u32): u32 {
  noteIoAccess(cpu, port, size);
  const value = ioRead(port, size);
  afterAccess(cpu);
  return value;
}

function output(cpu: Vcpu, port: u32, size: u32, value: u32): void {
  noteIoAccess(cpu, port, size);
  ioWrite(port, size, value);
  afterAccess(cpu);
}

/** A device may have raised an interrupt or removed the CPU; what else the host can do leaves the block by itself. */
function afterAccess(cpu: Vcpu): void {
  if ((cpu.request | (cpu.runState ^ RUNNABLE)) !== 0) leaveBlock();
}

/** Port of IN and OUT: opcodes with bit 3 set take DX. */
function portOf(cpu: Vcpu, op: Op): u32 {
  return op.opcode & 8 ? <u32>cpu.rdx & 0xffff : <u32>op.imm & 0xff;
}

function wideSize(op: Op): u32 {
  return op.size === 2 ? 2 : 4;
}

/** IN AL, port. */
export function in8(cpu: Vcpu, op: Op): void {
  const port = portOf(cpu, op);
  if (allowed(cpu, port, 1)) setRegister<u8>(cpu, 0, <u8>input(cpu, port, 1));
}

/** IN AX/EAX, port. */
export function in16or32(cpu: Vcpu, op: Op): void {
  const port = portOf(cpu, op);
  const size = wideSize(op);
  if (!allowed(cpu, port, size)) return;
  const value = input(cpu, port, size);
  if (size === 2) setRegister<u16>(cpu, 0, <u16>value);
  else setRegister<u32>(cpu, 0, value);
}

/** OUT port, AL. */
export function out8(cpu: Vcpu, op: Op): void {
  const port = portOf(cpu, op);
  if (allowed(cpu, port, 1)) output(cpu, port, 1, <u32>cpu.rax & 0xff);
}

/** OUT port, AX/EAX. */
export function out16or32(cpu: Vcpu, op: Op): void {
  const port = portOf(cpu, op);
  const size = wideSize(op);
  if (!allowed(cpu, port, size)) return;
  output(cpu, port, size, size === 2 ? <u32>cpu.rax & 0xffff : <u32>cpu.rax);
}

function addressMask(op: Op): u64 {
  if (op.flags & OP_ADDR32) return 0xffffffff;
  return op.flags & OP_ADDR16 ? 0xffff : -1;
}

/** A register of the address size: 16 bits keep the rest, 32 bits clear the upper half. */
function stored(old: u64, value: u64, mask: u64): u64 {
  return mask === 0xffff ? (old & ~mask) | (value & mask) : value & mask;
}

function isRepeated(op: Op): bool {
  return (op.flags & (OP_REP | OP_REPNE)) !== 0;
}

/** Ends one iteration: counts down and jumps back while rCX is not 0. */
function repeat(cpu: Vcpu, op: Op, mask: u64): void {
  if (!isRepeated(op)) return;
  cpu.rcx = stored(cpu.rcx, cpu.rcx - 1, mask);
  cpu.eflags &= ~RF;
  if (cpu.rcx & mask) stay(cpu, op);
}

function stepOf(cpu: Vcpu, size: u32): u64 {
  return cpu.eflags & DF_FLAG ? -(<u64>size) : size;
}

/** INS of 1, 2 or 4 bytes: permission, then the destination, before the device sees the read. */
function ins<T>(cpu: Vcpu, op: Op): void {
  const size = <u32>sizeof<T>();
  const mask = addressMask(op);
  const port = <u32>cpu.rdx & 0xffff;
  // The right to the port is checked even when there is nothing to repeat, as silicon does.
  if (!allowed(cpu, port, size)) return;
  if (isRepeated(op) && !(cpu.rcx & mask)) return;
  const gva = linear(cpu, ES, cpu.rdi & mask, size, true);
  if (cpu.fault !== 0 || !checkWrite(cpu, gva, size, size)) return;
  write<T>(cpu, gva, <T>input(cpu, port, size));
  if (cpu.fault !== 0) return;
  cpu.rdi = stored(cpu.rdi, cpu.rdi + stepOf(cpu, size), mask);
  repeat(cpu, op, mask);
}

/** OUTS of 1, 2 or 4 bytes. */
function outs<T>(cpu: Vcpu, op: Op): void {
  const size = <u32>sizeof<T>();
  const mask = addressMask(op);
  const port = <u32>cpu.rdx & 0xffff;
  // The right to the port is checked even when there is nothing to repeat, as silicon does.
  if (!allowed(cpu, port, size)) return;
  if (isRepeated(op) && !(cpu.rcx & mask)) return;
  const gva = linear(cpu, op.flags & OP_SEGMENT ? op.segment : DS, cpu.rsi & mask, size, false);
  if (cpu.fault !== 0) return;
  const value = read<T>(cpu, gva);
  if (cpu.fault !== 0) return;
  output(cpu, port, size, <u32>value);
  cpu.rsi = stored(cpu.rsi, cpu.rsi + stepOf(cpu, size), mask);
  repeat(cpu, op, mask);
}

/** INSB. */
export function ins8(cpu: Vcpu, op: Op): void {
  ins<u8>(cpu, op);
}

/** INSW, INSD. */
export function ins16or32(cpu: Vcpu, op: Op): void {
  if (op.size === 2) ins<u16>(cpu, op);
  else ins<u32>(cpu, op);
}

/** OUTSB. */
export function outs8(cpu: Vcpu, op: Op): void {
  outs<u8>(cpu, op);
}

/** OUTSW, OUTSD. */
export function outs16or32(cpu: Vcpu, op: Op): void {
  if (op.size === 2) outs<u16>(cpu, op);
  else outs<u32>(cpu, op);
}
