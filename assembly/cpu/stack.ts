/**
 * PUSH, POP, PUSHA, POPA, ENTER, LEAVE.
 *
 * The stack pointer moves only when the last access has succeeded. What a multi-word push writes is checked as a
 * whole first, so that a fault leaves memory as it was.
 * Source: SDM 2 "PUSH", "POP", "PUSHA/PUSHAD", "POPA/POPAD", "ENTER", "LEAVE".
 */
import { SS } from "../abi";
import { raise, throughStack } from "../fault";
import { checkWrite } from "../mem/access";
import { Vcpu } from "../vcpu";
import { UD } from "../x86/exception";
import { linear } from "./address";
import { Op } from "./op";
import {
  peek,
  poke,
  pop,
  push,
  readRm,
  register,
  setRegister,
  setStackPointer,
  stackMask,
  writeRm,
} from "./operand";
import { RAX, RBP, RSP } from "./registers";

/** PUSH of the low `size` bytes. @param size - 2, 4 or 8 */
export function pushSized(cpu: Vcpu, size: u32, value: u64): void {
  switch (size) {
    case 2:
      return push<u16>(cpu, <u16>value);
    case 4:
      return push<u32>(cpu, <u32>value);
    default:
      return push<u64>(cpu, value);
  }
}

/** Reads `size` bytes at SP + offset, zero-extended. @param size - 2, 4 or 8 */
export function peekSized(cpu: Vcpu, size: u32, offset: u64): u64 {
  switch (size) {
    case 2:
      return <u64>peek<u16>(cpu, offset);
    case 4:
      return <u64>peek<u32>(cpu, offset);
    default:
      return peek<u64>(cpu, offset);
  }
}

function pokeSized(cpu: Vcpu, size: u32, offset: u64, value: u64): void {
  switch (size) {
    case 2:
      return poke<u16>(cpu, offset, <u16>value);
    case 4:
      return poke<u32>(cpu, offset, <u32>value);
    default:
      return poke<u64>(cpu, offset, value);
  }
}

/** Stores the low `size` bytes; 4 clears the upper half. @param size - 2, 4 or 8 */
function setSized(cpu: Vcpu, offset: u32, size: u32, value: u64): void {
  switch (size) {
    case 2:
      return setRegister<u16>(cpu, offset, <u16>value);
    case 4:
      return setRegister<u32>(cpu, offset, <u32>value);
    default:
      return setRegister<u64>(cpu, offset, value);
  }
}

/** PUSH Zv. PUSH rSP pushes what it was before. */
export function pushRegister(cpu: Vcpu, op: Op): void {
  pushSized(cpu, op.size, register<u64>(cpu, op.rm));
}

/** PUSH Iz  Ib. */
export function pushImmediate(cpu: Vcpu, op: Op): void {
  pushSized(cpu, op.size, op.imm);
}

/** PUSH Ev: group 5 /6. */
export function pushRm(cpu: Vcpu, op: Op): void {
  let value: u64;
  switch (op.size) {
    case 2:
      value = <u64>readRm<u16>(cpu, op);
      break;
    case 4:
      value = <u64>readRm<u32>(cpu, op);
      break;
    default:
      value = readRm<u64>(cpu, op);
      break;
  }
  if (cpu.fault === 0) pushSized(cpu, op.size, value);
}

/** POP Zv. POP rSP takes the value read. */
export function popRegister(cpu: Vcpu, op: Op): void {
  const value = peekSized(cpu, op.size, 0);
  if (cpu.fault !== 0) return;
  setStackPointer(cpu, cpu.rsp + op.size);
  setSized(cpu, op.rm, op.size, value);
}

function popRmOf<T>(cpu: Vcpu, op: Op): void {
  const before = cpu.rsp;
  const value = pop<T>(cpu);
  if (cpu.fault !== 0) return;
  // An address based on rSP takes the incremented one.
  writeRm<T>(cpu, op, value);
  if (cpu.fault !== 0) cpu.rsp = before;
}

/** POP Ev: group 1A /0. */
export function popRm(cpu: Vcpu, op: Op): void {
  if (op.extension !== 0) return raise(cpu, UD);
  switch (op.size) {
    case 2:
      return popRmOf<u16>(cpu, op);
    case 4:
      return popRmOf<u32>(cpu, op);
    default:
      return popRmOf<u64>(cpu, op);
  }
}

/** True when `size` bytes at SP + offset can be written; raises the fault if not. */
function checkStack(cpu: Vcpu, offset: u64, size: u32): bool {
  const gva = linear(cpu, SS, (cpu.rsp + offset) & stackMask(cpu), size, true);
  if (cpu.fault === 0 && checkWrite(cpu, gva, size, size)) return true;
  throughStack(cpu);
  return false;
}

/** True when a PUSH of `size` bytes would succeed; raises its fault if not. */
export function checkPush(cpu: Vcpu, size: u32): bool {
  return checkStack(cpu, -(<u64>size), size);
}

/** PUSHA, PUSHAD. */
export function pushAll(cpu: Vcpu, op: Op): void {
  const size = op.size;
  for (let i: u32 = 1; i <= 8; i++) if (!checkStack(cpu, -(<u64>i * size), size)) return;
  for (let i: u32 = 0; i < 8; i++) {
    pokeSized(cpu, size, -(<u64>(i + 1) * size), cpu.gpr(i));
    if (cpu.fault !== 0) return;
  }
  setStackPointer(cpu, cpu.rsp - 8 * size);
}

/** POPA, POPAD: the word of rSP is read and dropped. */
export function popAll(cpu: Vcpu, op: Op): void {
  const size = op.size;
  for (let i: u32 = 0; i < 8; i++) {
    peekSized(cpu, size, i * size);
    if (cpu.fault !== 0) return;
  }
  for (let i: u32 = 0; i < 8; i++) {
    const target = RAX + ((7 - i) << 3);
    if (target !== RSP) setSized(cpu, target, size, peekSized(cpu, size, i * size));
  }
  setStackPointer(cpu, cpu.rsp + 8 * size);
}

/** The pointer to an outer frame that lies `below` bytes under the one of the caller's rBP. */
function frameLink(cpu: Vcpu, size: u64, below: u64): u64 {
  return peekSized(cpu, <u32>size, cpu.rbp - below - cpu.rsp);
}

/**
 * ENTER Iw,Ib. After the pushes the operand at the new top of the stack must be writable and aligned, as the manual asks
 * for a write that uses the final stack pointer.
 */
export function enter(cpu: Vcpu, op: Op): void {
  const size = <u64>op.size;
  const mask = stackMask(cpu);
  const bytes = <u64>op.imm & 0xffff;
  const level = <u64>(op.imm >> 16) & 31;
  // rSP after the first push; a 16-bit stack pointer leaves the rest of ESP as it is.
  const frame = (cpu.rsp & ~mask & 0xffffffff) | ((cpu.rsp - size) & mask);
  const depth = size * (level === 0 ? 1 : level + 1);
  // What can fault, in the order of the pushes; then nothing does, and all is written.
  for (let at = size; at <= depth; at += size) {
    if (at > size && at < depth) {
      frameLink(cpu, size, at - size);
      if (cpu.fault !== 0) return;
    }
    if (!checkStack(cpu, -at, <u32>size)) return;
  }
  if (!checkStack(cpu, -(depth + bytes), <u32>size)) return;
  pokeSized(cpu, <u32>size, -size, cpu.rbp);
  for (let at = 2 * size; at < depth; at += size)
    pokeSized(cpu, <u32>size, -at, frameLink(cpu, size, at - size));
  if (level !== 0) pokeSized(cpu, <u32>size, -depth, frame);
  if (cpu.fault !== 0) return;
  setSized(cpu, RBP, <u32>size, frame);
  setStackPointer(cpu, cpu.rsp - depth - bytes);
}

/** LEAVE: SP = BP in the width of the stack, then POP BP in the operand's. */
export function leave(cpu: Vcpu, op: Op): void {
  const value = peekSized(cpu, op.size, cpu.rbp - cpu.rsp);
  if (cpu.fault !== 0) return;
  setStackPointer(cpu, cpu.rbp + op.size);
  setSized(cpu, RBP, op.size, value);
}
