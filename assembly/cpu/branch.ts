/**
 * Near control transfers: Jcc, JMP, CALL, RET, LOOPcc, JrCXZ.
 *
 * Nothing is pushed, popped or counted unless the target is good.
 * Source: SDM 2 "Jcc", "JMP", "CALL", "RET", "LOOP/LOOPcc".
 */
import { CS } from "../abi";
import { raiseWithError } from "../fault";
import { isCanonical } from "../mem/paging";
import { Vcpu } from "../vcpu";
import { GP } from "../x86/exception";
import { jumpTo } from "./control";
import { condition, zeroFlag } from "./flags";
import { is64 } from "./mode";
import { nextRip, Op, OP_ADDR16, OP_ADDR32 } from "./op";
import { readRm, setRegister, setStackPointer } from "./operand";
import { RCX } from "./registers";
import { checkPush, peekSized, pushSized } from "./stack";

/** RIP in the width of the operand: IP, EIP or RIP. */
function truncate(rip: u64, size: u32): u64 {
  if (size === 2) return rip & 0xffff;
  return size === 4 ? rip & 0xffffffff : rip;
}

/** True when code may be at `rip`. */
function isTarget(cpu: Vcpu, rip: u64): bool {
  return is64(cpu) ? isCanonical(rip) : rip <= <u64>cpu.segment(CS).limit;
}

/** As `isTarget`; raises #GP(0) if not. */
function checkTarget(cpu: Vcpu, rip: u64): bool {
  if (isTarget(cpu, rip)) return true;
  raiseWithError(cpu, GP, 0);
  return false;
}

/** Target of a relative branch. */
function relative(cpu: Vcpu, op: Op): u64 {
  return truncate(nextRip(cpu, op) + op.imm, op.size);
}

/** Target of an indirect branch; it may fault. */
function indirect(cpu: Vcpu, op: Op): u64 {
  switch (op.size) {
    case 2:
      return <u64>readRm<u16>(cpu, op);
    case 4:
      return <u64>readRm<u32>(cpu, op);
    default:
      return readRm<u64>(cpu, op);
  }
}

function jump(cpu: Vcpu, op: Op, rip: u64): void {
  if (checkTarget(cpu, rip)) jumpTo(cpu, op, rip);
}

function call(cpu: Vcpu, op: Op, rip: u64): void {
  if (!isTarget(cpu, rip)) {
    // Processors report the fault of the push when both are bad.
    if (checkPush(cpu, op.size)) raiseWithError(cpu, GP, 0);
    return;
  }
  pushSized(cpu, op.size, nextRip(cpu, op));
  if (cpu.fault === 0) jumpTo(cpu, op, rip);
}

/** Jcc Jb  Jz. */
export function jumpOnCondition(cpu: Vcpu, op: Op): void {
  if (condition(cpu, op.opcode)) jump(cpu, op, relative(cpu, op));
}

/** JMP Jb  Jz. */
export function jumpRelative(cpu: Vcpu, op: Op): void {
  jump(cpu, op, relative(cpu, op));
}

/** JMP Ev: group 5 /4. */
export function jumpIndirect(cpu: Vcpu, op: Op): void {
  const rip = indirect(cpu, op);
  if (cpu.fault === 0) jump(cpu, op, rip);
}

/** CALL Jz. */
export function callRelative(cpu: Vcpu, op: Op): void {
  call(cpu, op, relative(cpu, op));
}

/** CALL Ev: group 5 /2. */
export function callIndirect(cpu: Vcpu, op: Op): void {
  const rip = indirect(cpu, op);
  if (cpu.fault === 0) call(cpu, op, rip);
}

/** RET and RET Iw: `op.imm` bytes of parameters go with the return address. */
export function returnNear(cpu: Vcpu, op: Op): void {
  const rip = peekSized(cpu, op.size, 0);
  if (cpu.fault !== 0 || !checkTarget(cpu, rip)) return;
  setStackPointer(cpu, cpu.rsp + op.size + (op.opcode & 1 ? 0 : <u64>op.imm & 0xffff));
  jumpTo(cpu, op, rip);
}

/** rCX in the address size. */
function counter(cpu: Vcpu, op: Op): u64 {
  if (op.flags & OP_ADDR16) return cpu.rcx & 0xffff;
  return op.flags & OP_ADDR32 ? cpu.rcx & 0xffffffff : cpu.rcx;
}

/** LOOPNE, LOOPE, LOOP: counts in CX, ECX or RCX by the address size. */
export function loop(cpu: Vcpu, op: Op): void {
  const count = counter(cpu, op) - 1;
  const kind = op.opcode & 3;
  const done = op.flags & OP_ADDR16 ? (count & 0xffff) === 0 : count === 0;
  const taken = !done && (kind === 2 || zeroFlag(cpu) === (kind === 1));
  if (taken) {
    jump(cpu, op, relative(cpu, op));
    if (cpu.fault !== 0) return;
  }
  if (op.flags & OP_ADDR16) setRegister<u16>(cpu, RCX, <u16>count);
  else if (op.flags & OP_ADDR32) setRegister<u32>(cpu, RCX, <u32>count);
  else cpu.rcx = count;
}

/** JCXZ, JECXZ, JRCXZ. */
export function jumpOnZeroCounter(cpu: Vcpu, op: Op): void {
  if (counter(cpu, op) === 0) jump(cpu, op, relative(cpu, op));
}
