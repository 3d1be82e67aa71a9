/** One micro-op that does not branch: the handler that the core chose decides who translates it. */
import * as op from "../../assembly/op-abi.js";
import { alu, complement, negate, step, test } from "./alu.js";
import type { Emitter } from "./emitter.js";
import { translateGeneral } from "./general.js";
import type { MicroOp } from "./micro-op.js";
import {
  conditionalMove,
  flagsDieAfter,
  load,
  loadAddress,
  moveImmediate,
  moveRegister,
  multiply,
  pop,
  push,
  signExtend,
  store,
  zeroExtend,
} from "./move.js";
import { shiftByCl, shiftImmediate, type Shift } from "./shift.js";
import { translateFloat } from "./sse-float.js";
import { packedFloat } from "./sse-packed-float.js";
import { translateSse } from "./sse.js";
import { translateX87 } from "./x87.js";

const CMP = 7;

/** @returns false when it cannot be translated: nothing was emitted */
export function translateOp(e: Emitter, ops: readonly MicroOp[], index: number): boolean {
  const micro = ops[index]!;
  const { handler } = micro;
  if (handler >= op.ALU && handler < op.MOV_RR) {
    const number = handler - op.ALU;
    const pair = (number / 5) | 0;
    alu(e, micro, pair >> 1, pair & 1 ? 8 : 4, number % 5);
    return true;
  }
  // Most others come in pairs, for 32 and for 64 bits; all pairs begin at even numbers from here on.
  const size = (handler - op.MOV_RR) & 1 ? 8 : 4;
  switch (handler) {
    case op.MOV_RR:
    case op.MOV_RR + 1:
      moveRegister(e, micro, size);
      return true;
    case op.MOV_RI + 1:
      moveImmediate(e, micro);
      return true;
    case op.LOAD:
    case op.LOAD + 1:
      load(e, micro, size);
      return true;
    case op.STORE:
    case op.STORE + 1:
      store(e, micro, size, false);
      return true;
    case op.STORE_IMM:
    case op.STORE_IMM + 1:
      store(e, micro, size, true);
      return true;
    case op.LEA:
    case op.LEA + 1:
      loadAddress(e, micro, size);
      return true;
    case op.TEST_RR:
    case op.TEST_RR + 1:
      test(e, micro, size, false);
      return true;
    case op.TEST_RI:
    case op.TEST_RI + 1:
    case op.TEST_MI:
    case op.TEST_MI + 1:
      test(e, micro, size, true);
      return true;
    case op.INC:
    case op.INC + 1:
    case op.INC_M:
    case op.INC_M + 1:
      step(e, micro, size, true);
      return true;
    case op.DEC:
    case op.DEC + 1:
    case op.DEC_M:
    case op.DEC_M + 1:
      step(e, micro, size, false);
      return true;
    case op.NEG:
    case op.NEG + 1:
      negate(e, micro, size);
      return true;
    case op.NOT:
    case op.NOT + 1:
      complement(e, micro, size);
      return true;
    case op.SHL_IMM:
    case op.SHL_IMM + 1:
    case op.SHR_IMM:
    case op.SHR_IMM + 1:
    case op.SAR_IMM:
    case op.SAR_IMM + 1:
      shiftImmediate(e, micro, shiftOf(handler - op.SHL_IMM), size);
      return true;
    case op.SHL_CL:
    case op.SHL_CL + 1:
    case op.SHR_CL:
    case op.SHR_CL + 1:
    case op.SAR_CL:
    case op.SAR_CL + 1:
      shiftByCl(e, micro, shiftOf(handler - op.SHL_CL), size);
      return true;
    case op.IMUL_RR:
    case op.IMUL_RR + 1:
    case op.IMUL_RM:
    case op.IMUL_RM + 1:
      multiply(e, micro, size, false, flagsDieAfter(ops, index));
      return true;
    case op.MOVSXD:
    case op.MOVSXD + 1:
      signExtend(e, micro, 4, 8);
      return true;
    case op.MOVZX8:
    case op.MOVZX8 + 1:
      zeroExtend(e, micro, 1);
      return true;
    case op.MOVZX16:
    case op.MOVZX16 + 1:
      zeroExtend(e, micro, 2);
      return true;
    case op.CMOV_RR:
    case op.CMOV_RR + 1:
      conditionalMove(e, micro, size);
      return true;
    case op.LOAD8:
      load(e, micro, 1);
      return true;
    case op.STORE8:
      store(e, micro, 1, false);
      return true;
    case op.STORE8_IMM:
      store(e, micro, 1, true);
      return true;
    case op.MOV8_RR:
      moveRegister(e, micro, 1);
      return true;
    case op.CMP8_RI:
      alu(e, micro, CMP, 1, op.FORM_RI);
      return true;
    case op.CMP8_RR:
      alu(e, micro, CMP, 1, op.FORM_RR);
      return true;
    case op.CMP8_MI:
      alu(e, micro, CMP, 1, op.FORM_MI);
      return true;
    case op.CMP8_RM:
      alu(e, micro, CMP, 1, op.FORM_RM);
      return true;
    case op.TEST8_RR:
      test(e, micro, 1, false);
      return true;
    case op.TEST8_RI:
      test(e, micro, 1, true);
      return true;
    case op.NOP:
      return true;
    // These pairs begin at odd numbers.
    case op.PUSH:
    case op.PUSH + 1:
      push(e, micro, handler === op.PUSH ? 4 : 8);
      return true;
    case op.POP:
    case op.POP + 1:
      pop(e, micro, handler === op.POP ? 4 : 8);
      return true;
    case op.HANDLER_ONE_BYTE:
    case op.HANDLER_TWO_BYTE:
    case op.HANDLER_THREE_BYTE:
      if (!translateGeneral(e, ops, index)) e.outOfLine(micro);
      return true;
    case op.X87:
      if (!translateX87(e, micro)) e.outOfLine(micro);
      return true;
    case op.PACKED_FLOAT:
    case op.PACKED_FLOAT + 1:
      packedFloat(e, micro);
      return true;
    default:
      return handler >= op.SSE && (translateSse(e, micro) || translateFloat(e, micro));
  }
}

/** @param distance - from the first handler of a group of three pairs */
function shiftOf(distance: number): Shift {
  return (["shl", "shr", "sar"] as const)[distance >> 1]!;
}
