/**
 * System instructions that interrupts are made of, in translated code: WRMSR to the local APIC, IRETQ, CLI, STI, HLT and
 * PAUSE. They are done in the core, but without storing and loading the registers that they leave alone.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { CALL } from "./module.js";
import { M, W } from "./wasm.js";

const RAX = abi.VCPU_GPR;
const RCX = abi.VCPU_GPR + 8;
const RDX = abi.VCPU_GPR + 2 * 8;
const RSP = abi.VCPU_GPR + 4 * 8;
/** RFLAGS.IF. */
const IF = 0x200;

/** An instruction that touches no general register and no arithmetic flag. It may end the region, or be refused. */
export function control(e: Emitter, micro: MicroOp): void {
  const { code } = e;
  code.get(L.cpu).i32(micro.at).call(CALL.control);
  e.judge(micro);
}

/** CLI: in place at privilege level 0. */
export function clearInterrupts(e: Emitter, micro: MicroOp): void {
  const { code } = e;
  code.get(L.cpu).memory(M.i32Load, abi.VCPU_CPL);
  code.if();
  control(e, micro);
  code.else();
  code.get(L.cpu).get(L.cpu).memory(M.i32Load, abi.VCPU_EFLAGS);
  code.i32(~IF).op(W.i32And).memory(M.i32Store, abi.VCPU_EFLAGS);
  code.end();
}

/**
 * STI: in place at privilege level 0, where nothing is requested and another instruction follows for sure, so that
 * nobody could see its shadow.
 */
export function setInterrupts(e: Emitter, micro: MicroOp): void {
  const { code } = e;
  code.get(L.cpu).memory(M.i32Load, abi.VCPU_CPL);
  code.get(L.cpu).memory(M.i32Load, abi.VCPU_REQUEST).op(W.i32Or);
  e.pushLeft();
  code.i32(2).op(W.i32LtS, W.i32Or);
  code.if();
  control(e, micro);
  code.else();
  code.get(L.cpu).get(L.cpu).memory(M.i32Load, abi.VCPU_EFLAGS);
  code.i32(IF).op(W.i32Or).memory(M.i32Store, abi.VCPU_EFLAGS);
  code.end();
}

/** WRMSR: of x2APIC registers the short way, of all others as any instruction that the core executes. */
export function writeMsr(e: Emitter, micro: MicroOp): void {
  const { code, flags, registers } = e;
  e.readRegister(RCX, 4);
  code.op(W.i32WrapI64).tee(L.j).i32(op.X2APIC_SHIFT).op(W.i32ShrU);
  code.i32(op.X2APIC_FIRST >> op.X2APIC_SHIFT).op(W.i32Eq);
  code.if();
  code.get(L.cpu).get(L.j);
  e.readRegister(RDX, 4);
  code.i64(32).op(W.i64Shl);
  e.readRegister(RAX, 4);
  code.op(W.i64Or);
  e.pushLeft();
  code.call(CALL.writeMsr);
  e.judge(micro);
  code.else();
  const { held } = registers;
  e.outOfLine(micro);
  registers.load(held.loaded);
  registers.held = held;
  code.end();
  // In one case the locals have the flags, in the other the record.
  flags.state = "unknown";
}

/** IRETQ, where the short way of the core does it. */
export function interruptReturn(e: Emitter): void {
  const { code, exits, flags, found, registers, stack } = e;
  e.settlePointers();
  code.get(L.cpu);
  e.readRegister(RSP, 8);
  code.call(CALL.interruptReturn).op(W.i32Eqz);
  e.bailIf();
  // It has loaded RSP, RIP and all flags.
  registers.store(~(1 << (RSP >> 3)));
  if (found.x87) stack.store();
  flags.state = "record";
  exits.leaveExact(e.position + 1);
}
