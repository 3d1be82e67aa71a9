/**
 * Instructions for which the interpreter has no fast handler, by their opcodes: bytes and words, groups of less common
 * operations. What is not here is executed in the core.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import { alu, complement, negate, step, test } from "./alu.js";
import { testBit } from "./bits.js";
import { divide, multiplyWide } from "./divide.js";
import type { Emitter } from "./emitter.js";
import { compareExchange, exchangeAdd, exchangeMemory } from "./exchange.js";
import { L, type Size } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import {
  conditionalMove,
  flagsDieAfter,
  leaveFrame,
  load,
  moveRegister,
  multiply,
  pushValue,
  signExtend,
  store,
  zeroExtend,
} from "./move.js";
import { rotateImmediate, shiftByCl, shiftImmediate } from "./shift.js";
import { translateLanes } from "./sse-lanes.js";
import { shiftPacked } from "./sse.js";
import { clearInterrupts, control, interruptReturn, setInterrupts, writeMsr } from "./system.js";
import { W } from "./wasm.js";
import { requireX87 } from "./x87-operation.js";

const RAX = abi.VCPU_GPR;
const RDX = abi.VCPU_GPR + 2 * 8;
const REPEATED = op.FLAG_REP | op.FLAG_REPNE;

function swapped(micro: MicroOp): MicroOp {
  return { ...micro, rm: micro.reg, reg: micro.rm };
}

function extensionOf({ reg }: MicroOp): number {
  return (reg >> 3) & 7;
}

/** @returns false when it is executed in the core: nothing was emitted */
export function translateGeneral(e: Emitter, ops: readonly MicroOp[], index: number): boolean {
  const micro = ops[index]!;
  if (isVector(e, micro) && translateVector(e, micro)) return true;
  if (isPause(micro)) {
    control(e, micro);
    return true;
  }
  // LOCK needs no care: one vCPU runs at a time.
  if (micro.flags & REPEATED || micro.kind === op.ADDRESS_SLOW) return false;
  if (micro.handler === op.HANDLER_ONE_BYTE) return oneByte(e, micro, flagsDieAfter(ops, index));
  if (micro.handler === op.HANDLER_TWO_BYTE) return twoByte(e, micro, flagsDieAfter(ops, index));
  return false;
}

/** F3 90. */
function isPause({ handler, flags, opcode, rm }: MicroOp): boolean {
  return (
    handler === op.HANDLER_ONE_BYTE && opcode === 0x90 && rm === RAX && (flags & op.FLAG_REP) !== 0
  );
}

/** An instruction that may be one of SSE, which F2 and F3 choose rather than repeat. */
function isVector(e: Emitter, { handler, flags, kind }: MicroOp): boolean {
  if (handler !== op.HANDLER_TWO_BYTE || kind === op.ADDRESS_SLOW) return false;
  return e.around.hasSse && !(flags & op.FLAG_LOCK);
}

function translateVector(e: Emitter, micro: MicroOp): boolean {
  if (translateLanes(e, micro)) return true;
  const is66 = (micro.flags & (op.FLAG_66 | op.FLAG_REP | op.FLAG_REPNE)) === op.FLAG_66;
  return is66 && shiftPacked(e, micro);
}

function oneByte(e: Emitter, micro: MicroOp, flagsDie: boolean): boolean {
  const { opcode } = micro;
  const isRegister = micro.kind === op.ADDRESS_NONE;
  const wordSize = micro.size as Size;
  /** Of instructions whose lowest bit says: byte, or operand size. */
  const size: Size = opcode & 1 ? wordSize : 1;
  if (opcode < 0x40) return arithmetic(e, micro, opcode, size);
  switch (opcode) {
    case 0x68:
    case 0x6a:
      if (!e.around.is64 || wordSize !== 8) return false;
      e.immediate(micro, 8);
      pushValue(e, 8);
      return true;
    case 0x69:
    case 0x6b:
      if (wordSize < 4) return false;
      multiply(e, micro, wordSize as 4 | 8, true, flagsDie);
      return true;
    case 0x80:
    case 0x81:
    case 0x83: {
      const form = isRegister ? op.FORM_RI : op.FORM_MI;
      alu(e, micro, extensionOf(micro), size, form);
      return true;
    }
    case 0x84:
    case 0x85:
      test(e, micro, size, false);
      return true;
    case 0x86:
    case 0x87:
      if (isRegister) exchange(e, micro, size);
      else exchangeMemory(e, micro, size);
      return true;
    case 0x88:
    case 0x89:
      if (isRegister) moveRegister(e, micro, size);
      else store(e, micro, size, false);
      return true;
    case 0x8a:
    case 0x8b:
      if (isRegister) moveRegister(e, swapped(micro), size);
      else load(e, micro, size);
      return true;
    case 0x98:
      return widen(e, wordSize);
    case 0x99:
      return spreadSign(e, wordSize);
    case 0x9b:
      requireX87(e, 0, 0);
      return true;
    case 0xc0:
    case 0xc1:
    case 0xd1:
    case 0xd3:
      return isRegister && shift(e, micro, opcode, size);
    case 0xc6:
    case 0xc7:
      if (extensionOf(micro) !== 0) return false;
      if (isRegister) moveImmediateTo(e, micro, size);
      else store(e, micro, size, true);
      return true;
    case 0xc9:
      if (!e.around.is64 || wordSize !== 8) return false;
      leaveFrame(e);
      return true;
    case 0xcf:
      if (!e.around.is64 || wordSize !== 8) return false;
      interruptReturn(e);
      return true;
    case 0xf4:
      control(e, micro);
      return true;
    case 0xfa:
      clearInterrupts(e, micro);
      return true;
    case 0xfb:
      setInterrupts(e, micro);
      return true;
    case 0xf6:
    case 0xf7:
      return group3(e, micro, size, flagsDie);
    case 0xfe:
      if (extensionOf(micro) > 1) return false;
      step(e, micro, 1, extensionOf(micro) === 0);
      return true;
    case 0xff:
      if (extensionOf(micro) > 1) return false;
      step(e, micro, size, extensionOf(micro) === 0);
      return true;
    default:
      break;
  }
  if (opcode >> 3 === 0x90 >> 3) return exchange(e, { ...micro, reg: RAX }, wordSize);
  if (opcode >> 4 !== 0xb) return false;
  moveImmediateTo(e, micro, opcode < 0xb8 ? 1 : wordSize);
  return true;
}

/** The rows of ADD to CMP. */
function arithmetic(e: Emitter, micro: MicroOp, opcode: number, size: Size): boolean {
  const operation = opcode >> 3;
  const isRegister = micro.kind === op.ADDRESS_NONE;
  switch (opcode & 7) {
    case 0:
    case 1:
      alu(e, micro, operation, size, isRegister ? op.FORM_RR : op.FORM_MR);
      return true;
    case 2:
    case 3:
      if (isRegister) alu(e, swapped(micro), operation, size, op.FORM_RR);
      else alu(e, micro, operation, size, op.FORM_RM);
      return true;
    case 4:
    case 5:
      alu(e, { ...micro, rm: RAX }, operation, size, op.FORM_RI);
      return true;
    default:
      return false;
  }
}

function moveImmediateTo(e: Emitter, micro: MicroOp, size: Size): void {
  e.immediate(micro, size);
  e.writeRegister(micro.rm, size);
}

/** XCHG of two registers. */
function exchange(e: Emitter, micro: MicroOp, size: Size): boolean {
  e.readRegister(micro.reg, size);
  e.code.set(L.x);
  e.readRegister(micro.rm, size);
  e.writeRegister(micro.reg, size);
  e.code.get(L.x);
  e.writeRegister(micro.rm, size);
  return true;
}

/** CBW CWDE CDQE. */
function widen(e: Emitter, size: Size): boolean {
  const from = (size / 2) as 1 | 2 | 4;
  const micro = { kind: op.ADDRESS_NONE, rm: RAX, reg: RAX } as MicroOp;
  signExtend(e, micro, from, size);
  return true;
}

/** CDQ CQO. */
function spreadSign(e: Emitter, size: Size): boolean {
  const { code } = e;
  if (size === 2) return false;
  e.readRegister(RAX, size);
  if (size === 4) code.op(W.i64Extend32S);
  code.i64(63).op(W.i64ShrS);
  if (size === 4) code.op(W.i32WrapI64, W.i64ExtendI32U);
  e.writeRegister(RDX, size);
  return true;
}

function shift(e: Emitter, micro: MicroOp, opcode: number, size: Size): boolean {
  if (size < 4) return false;
  const width = size as 4 | 8;
  const kind = ([undefined, undefined, undefined, undefined, "shl", "shr", "shl", "sar"] as const)[
    extensionOf(micro)
  ];
  const immediate = opcode === 0xd1 ? { ...micro, imm: 1 } : micro;
  if (kind !== undefined) {
    if (opcode === 0xd3) shiftByCl(e, micro, kind, width);
    else shiftImmediate(e, immediate, kind, width);
    return true;
  }
  if (opcode === 0xd3 || extensionOf(micro) > 1) return false;
  rotateImmediate(e, immediate, extensionOf(micro) === 0, width);
  return true;
}

/** TEST NOT NEG MUL IMUL DIV IDIV. */
function group3(e: Emitter, micro: MicroOp, size: Size, flagsDie: boolean): boolean {
  const extension = extensionOf(micro);
  const isRegister = micro.kind === op.ADDRESS_NONE;
  if (extension < 2) {
    test(e, micro, size, true);
    return true;
  }
  if (extension < 4) {
    if (!isRegister) return false;
    if (extension === 2) complement(e, micro, size);
    else negate(e, micro, size);
    return true;
  }
  if (size < 4) return false;
  const width = size as 4 | 8;
  if (extension < 6) multiplyWide(e, micro, width, extension === 5, flagsDie);
  else divide(e, micro, width, extension === 7);
  return true;
}

function twoByte(e: Emitter, micro: MicroOp, flagsDie: boolean): boolean {
  const byte = micro.opcode & 0xff;
  const size = micro.size as Size;
  const isRegister = micro.kind === op.ADDRESS_NONE;
  switch (byte >> 4) {
    case 0x4:
      conditionalMove(e, micro, size);
      return true;
    case 0x9:
      return setOnCondition(e, micro);
    default:
      break;
  }
  switch (byte) {
    case 0x1f:
      return true;
    case 0x30:
      writeMsr(e, micro);
      return true;
    case 0xa3:
      return isRegister && testBit(e, micro, size, false, "test");
    case 0xba: {
      const operation = (["test", "set", "reset", "complement"] as const)[extensionOf(micro) - 4];
      return isRegister && operation !== undefined && testBit(e, micro, size, true, operation);
    }
    case 0xb0:
    case 0xb1:
      if (isRegister) return false;
      compareExchange(e, micro, byte & 1 ? size : 1);
      return true;
    case 0xc0:
    case 0xc1:
      if (isRegister) return false;
      exchangeAdd(e, micro, byte & 1 ? size : 1);
      return true;
    case 0xaf:
      if (size < 4) return false;
      multiply(e, micro, size as 4 | 8, false, flagsDie);
      return true;
    case 0xb6:
    case 0xb7:
      if (size < 4) return false;
      zeroExtend(e, micro, byte === 0xb6 ? 1 : 2);
      return true;
    case 0xbe:
    case 0xbf:
      if (size === 2 && byte === 0xbf) return false;
      signExtend(e, micro, byte === 0xbe ? 1 : 2, size);
      return true;
    default:
      return false;
  }
}

/** SETcc. */
function setOnCondition(e: Emitter, micro: MicroOp): boolean {
  const { code, flags } = e;
  const isRegister = micro.kind === op.ADDRESS_NONE;
  if (!isRegister) {
    e.writable(micro, 1);
  }
  flags.condition(micro.opcode & 15);
  code.op(W.i64ExtendI32U);
  if (isRegister) e.writeRegister(micro.rm, 1);
  else {
    code.set(L.x);
    e.storeAddress(1, L.x);
  }
  return true;
}
