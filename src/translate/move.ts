/** MOV LEA MOVZX MOVSXD CMOVcc IMUL PUSH POP in translated code. */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Emitter } from "./emitter.js";
import { L, type Size } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { W } from "./wasm.js";

const RSP = abi.VCPU_GPR + 4 * 8;
const RBP = abi.VCPU_GPR + 5 * 8;

/** MOV r/m, reg between registers. */
export function moveRegister(e: Emitter, micro: MicroOp, size: Size): void {
  e.readRegister(micro.reg, size);
  e.writeRegister(micro.rm, size);
}

/** MOV reg, memory. */
export function load(e: Emitter, micro: MicroOp, size: Size): void {
  e.loadOperand(micro, size);
  e.writeRegister(micro.reg, size);
}

/** MOV memory, reg  memory, imm. */
export function store(e: Emitter, micro: MicroOp, size: Size, isImmediate: boolean): void {
  if (isImmediate) e.immediate(micro, size);
  else e.readRegister(micro.reg, size);
  e.code.set(L.x);
  e.storeOperand(micro, size, L.x);
}

/** LEA. */
export function loadAddress(e: Emitter, micro: MicroOp, size: Size): void {
  e.offset(micro);
  if (size === 4) e.code.op(W.i32WrapI64, W.i64ExtendI32U);
  e.writeRegister(micro.reg, size);
}

/** MOVZX to 32 or 64 bits. @param from - size of the source */
export function zeroExtend(e: Emitter, micro: MicroOp, from: Size): void {
  e.readRm(micro, from);
  e.writeRegister(micro.reg, 8);
}

/** MOVSX and MOVSXD. */
export function signExtend(e: Emitter, micro: MicroOp, from: 1 | 2 | 4, to: Size): void {
  e.readRm(micro, from);
  const { code } = e;
  code.op({ 1: W.i64Extend8S, 2: W.i64Extend16S, 4: W.i64Extend32S }[from]);
  if (to === 4) code.op(W.i32WrapI64, W.i64ExtendI32U);
  else if (to === 2) code.i64(0xffff).op(W.i64And);
  e.writeRegister(micro.reg, to);
}

/** CMOVcc: memory is read, and a 32-bit register extended, whatever the condition. */
export function conditionalMove(e: Emitter, micro: MicroOp, size: Size): void {
  const { code } = e;
  e.readRm(micro, size);
  e.readRegister(micro.reg, size);
  e.flags.condition(micro.opcode & 15);
  code.op(W.select);
  e.writeRegister(micro.reg, size);
}

/** IMUL reg, r/m  reg, r/m, imm: CF = OF = "does not fit", the other flags stay. */
export function multiply(
  e: Emitter,
  micro: MicroOp,
  size: 4 | 8,
  isImmediate: boolean,
  flagsDie: boolean,
): void {
  const { code } = e;
  e.readRm(micro, size);
  if (isImmediate) e.immediate(micro, size);
  else e.readRegister(micro.reg, size);
  if (size === 4) {
    code.op(W.i64Extend32S).set(L.y).op(W.i64Extend32S).set(L.x);
  } else code.set(L.y).set(L.x);
  code.get(L.x).get(L.y).op(W.i64Mul).set(L.z);
  if (!flagsDie) {
    if (size === 4) code.get(L.z).get(L.z).op(W.i64Extend32S, W.i64Ne).set(L.i);
    else wideOverflow(e);
    e.storeCarryOverflow();
  }
  code.get(L.z);
  if (size === 4) code.op(W.i32WrapI64, W.i64ExtendI32U);
  e.writeRegister(micro.reg, size);
}

/** `i` := the signed product `z` of `x` and `y` does not fit 64 bits. */
function wideOverflow({ code }: Emitter): void {
  code.i32(0).set(L.i);
  for (const local of [L.x, L.y]) code.get(local).get(local).op(W.i64Extend32S, W.i64Ne);
  code.op(W.i32Or);
  code.if();
  code.get(L.x).i64(-1).op(W.i64Eq);
  code.if();
  code.get(L.y).i64Halves(0, -0x80000000).op(W.i64Eq).set(L.i);
  code.else();
  code.get(L.x).op(W.i64Eqz, W.i32Eqz);
  code.if();
  code.get(L.z).get(L.x).op(W.i64DivS).get(L.y).op(W.i64Ne).set(L.i);
  code.end().end().end();
}

/** Pushes RSP plus a distance, in the stack's width, which is the operand's. */
function stackAt(e: Emitter, distance: number, size: 4 | 8): void {
  e.readRegister(RSP, 8);
  if (distance !== 0) e.code.i64(distance).op(W.i64Add);
  if (size === 4) e.code.op(W.i32WrapI64, W.i64ExtendI32U);
}

/** Pops a value and pushes it on the guest's stack. */
export function pushValue(e: Emitter, size: 4 | 8): void {
  const { code } = e;
  code.set(L.x);
  stackAt(e, -size, size);
  code.tee(L.y);
  e.toWritable(size);
  e.storeAddress(size, L.x);
  code.get(L.y);
  e.writeRegister(RSP, 8);
}

/** PUSH of a register. */
export function push(e: Emitter, micro: MicroOp, size: 4 | 8): void {
  e.readRegister(micro.rm, size);
  pushValue(e, size);
}

/** Several instructions PUSH of a register other than RSP: one access. */
export function pushAll(e: Emitter, micros: readonly MicroOp[], size: 4 | 8): void {
  const { code } = e;
  const bytes = micros.length * size;
  stackAt(e, -bytes, size);
  code.tee(L.y);
  e.toWritable(bytes);
  micros.forEach(({ rm }, i) => {
    e.readRegister(rm, size);
    code.set(L.x);
    e.storeAddress(size, L.x, bytes - (i + 1) * size);
  });
  code.get(L.y);
  e.writeRegister(RSP, 8);
}

/** Several instructions POP of a register other than RSP: one access. */
export function popAll(e: Emitter, micros: readonly MicroOp[], size: 4 | 8): void {
  const bytes = micros.length * size;
  stackAt(e, 0, size);
  e.toReadable(bytes);
  micros.forEach(({ rm }, i) => {
    e.loadAddress(size, i * size);
    e.writeRegister(rm, size);
  });
  moveStack(e, bytes, size);
}

/** Instructions from `index` on that `pushAll` or `popAll` can do at once: those of the same handler. */
export function stackRun(ops: readonly MicroOp[], index: number): readonly MicroOp[] {
  const { handler } = ops[index]!;
  const isStack = handler >= op.PUSH && handler < op.POP + 2;
  let end = index;
  while (isStack && end < ops.length && ops[end]!.handler === handler && ops[end]!.rm !== RSP)
    end++;
  return ops.slice(index, end);
}

/** Pushes what the guest's stack holds at its top, without moving it. */
export function peekValue(e: Emitter, size: 4 | 8): void {
  stackAt(e, 0, size);
  e.toReadable(size);
  e.loadAddress(size);
}

/** Moves the guest's stack pointer. */
export function moveStack(e: Emitter, distance: number, size: 4 | 8): void {
  stackAt(e, distance, size);
  e.writeRegister(RSP, 8);
}

/** LEAVE, 64-bit. */
export function leaveFrame(e: Emitter): void {
  const { code } = e;
  e.readRegister(RBP, 8);
  e.toReadable(8);
  e.readRegister(RBP, 8);
  code.i64(8).op(W.i64Add);
  e.writeRegister(RSP, 8);
  e.loadAddress(8);
  e.writeRegister(RBP, 8);
}

/** POP of a register. */
export function pop(e: Emitter, micro: MicroOp, size: 4 | 8): void {
  peekValue(e, size);
  e.code.set(L.x);
  moveStack(e, size, size);
  e.code.get(L.x);
  e.writeRegister(micro.rm, size);
}

/** MOV reg, imm. */
export function moveImmediate(e: Emitter, micro: MicroOp): void {
  e.immediate(micro, 8);
  e.writeRegister(micro.rm, 8);
}

/** True when the flags that IMUL leaves at `index` are overwritten before anything can see them. */
export function flagsDieAfter(ops: readonly MicroOp[], index: number): boolean {
  for (const { handler, kind } of ops.slice(index + 1)) {
    const isAlu = handler >= op.ALU && handler < op.MOV_RR;
    if (isAlu || (handler >= op.TEST_RR && handler < op.INC)) {
      const operation = ((handler - op.ALU) / 10) | 0;
      return kind === op.ADDRESS_NONE && !(isAlu && (operation === 2 || operation === 3));
    }
    const isPlainMove =
      (handler >= op.MOV_RR && handler < op.LOAD) ||
      (handler >= op.LEA && handler < op.TEST_RR) ||
      handler === op.MOVZX8 ||
      handler === op.MOVZX16;
    if (!isPlainMove) return false;
  }
  return false;
}
