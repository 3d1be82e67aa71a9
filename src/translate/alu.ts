/** ADD OR ADC SBB AND SUB XOR CMP TEST INC DEC NEG NOT in translated code. */
import * as op from "../../assembly/op-abi.js";
import type { Emitter } from "./emitter.js";
import { L, type Size } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { W } from "./wasm.js";

// Operations as the opcodes number them.
const ADD = 0;
const OR = 1;
const ADC = 2;
const SBB = 3;
const AND = 4;
const XOR = 6;
const CMP = 7;

const LOGIC = { [OR]: W.i64Or, [AND]: W.i64And, [XOR]: W.i64Xor } as Record<number, number>;

/** Pops two operands; leaves the result in the local `result`, its flags pending. */
export function operate(e: Emitter, operation: number, size: Size): void {
  const { code, flags } = e;
  const logic = LOGIC[operation];
  if (logic !== undefined) {
    code.op(logic).set(L.result);
    flags.setPending(op.PENDING_LOGIC, size);
    return;
  }
  const withCarry = operation === ADC || operation === SBB;
  if (withCarry) {
    flags.condition(2);
    code.op(W.i64ExtendI32U).set(L.z);
  }
  code.set(L.b).set(L.a);
  const isAdd = operation === ADD || operation === ADC;
  combine(e, size, isAdd, L.a, L.b);
  if (withCarry) {
    code.set(L.result);
    combine(e, size, isAdd, L.result, L.z);
  }
  code.set(L.result);
  if (withCarry) flags.setPending(isAdd ? op.PENDING_ADC : op.PENDING_SBB, size);
  else flags.setPending(isAdd ? op.PENDING_ADD : op.PENDING_SUB, size);
}

/** Pushes the sum or difference of two locals. */
function combine(e: Emitter, size: Size, isAdd: boolean, a: number, b: number): void {
  const { code } = e;
  if (size === 4) {
    code.get(a).op(W.i32WrapI64).get(b).op(W.i32WrapI64);
    code.op(isAdd ? W.i32Add : W.i32Sub, W.i64ExtendI32U);
    return;
  }
  code
    .get(a)
    .get(b)
    .op(isAdd ? W.i64Add : W.i64Sub);
  if (size !== 8) code.i64(size === 2 ? 0xffff : 0xff).op(W.i64And);
}

/** r/m, reg  r/m, imm  reg, memory. @param form - FORM_* of the handlers */
export function alu(e: Emitter, micro: MicroOp, operation: number, size: Size, form: number): void {
  const { code } = e;
  const writes = operation !== CMP;
  if (form === op.FORM_MR || form === op.FORM_MI) {
    if (writes) e.writable(micro, size);
    else e.readable(micro, size);
    e.loadAddress(size);
    if (form === op.FORM_MR) e.readRegister(micro.reg, size);
    else e.immediate(micro, size);
    operate(e, operation, size);
    if (writes) e.storeAddress(size, L.result);
    return;
  }
  const target = form === op.FORM_RM ? micro.reg : micro.rm;
  e.readRegister(target, size);
  if (form === op.FORM_RM) e.loadOperand(micro, size);
  else if (form === op.FORM_RI) e.immediate(micro, size);
  else e.readRegister(micro.reg, size);
  operate(e, operation, size);
  if (!writes) return;
  code.get(L.result);
  e.writeRegister(target, size);
}

/** TEST r/m, reg  r/m, imm. */
export function test(e: Emitter, micro: MicroOp, size: Size, isImmediate: boolean): void {
  e.readRm(micro, size);
  if (isImmediate) e.immediate(micro, size);
  else e.readRegister(micro.reg, size);
  operate(e, AND, size);
}

/** INC and DEC of a register or memory. */
export function step(e: Emitter, micro: MicroOp, size: Size, isInc: boolean): void {
  const { code, flags } = e;
  const isMemory = micro.kind !== op.ADDRESS_NONE;
  if (isMemory) {
    e.writable(micro, size);
    e.loadAddress(size);
  } else e.readRegister(micro.rm, size);
  code.set(L.x);
  flags.keepCarry();
  code.i64(1).set(L.z);
  combine(e, size, isInc, L.x, L.z);
  code.set(L.result);
  flags.setPending(isInc ? op.PENDING_INC : op.PENDING_DEC, size);
  if (isMemory) e.storeAddress(size, L.result);
  else {
    code.get(L.result);
    e.writeRegister(micro.rm, size);
  }
}

/** NEG of a register. */
export function negate(e: Emitter, micro: MicroOp, size: Size): void {
  e.code.i64(0);
  e.readRegister(micro.rm, size);
  operate(e, 5, size);
  e.code.get(L.result);
  e.writeRegister(micro.rm, size);
}

/** NOT of a register: no flags. */
export function complement(e: Emitter, micro: MicroOp, size: Size): void {
  e.readRegister(micro.rm, size);
  e.code.i64Halves(size < 4 ? (1 << (size * 8)) - 1 : -1, size === 8 ? -1 : 0).op(W.i64Xor);
  e.writeRegister(micro.rm, size);
}
