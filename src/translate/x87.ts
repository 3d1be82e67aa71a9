/**
 * x87 instructions in translated code: those that compilers use most, on ordinary numbers.
 *
 * As in assembly/fpu/x87-short.ts, an instruction is done as a whole or not at all: what the core's arithmetic
 * (x87-numbers.ts) does not answer, empty and full registers leave the region before the instruction, and the
 * interpreter does it.
 */
import * as abi from "../../assembly/abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { CALL } from "./module.js";
import { W } from "./wasm.js";
import { translateX87Memory } from "./x87-memory.js";
import { BIAS, pushNumber, putNumber, SIGN, take, TOP_HALF } from "./x87-number.js";
import {
  answer,
  arithmetic,
  compare,
  COMPARE,
  COMPARE_POP,
  order,
  record,
  requireX87,
  setStatus,
} from "./x87-operation.js";

/** Form of register operands (assembly/fpu/x87-short.ts); the others are (opcode & 7) * 8 + ModRM.reg. */
const REGISTER = 64;

const C0_SHIFT = 8;
const C3_SHIFT = 14;

/** @returns false when it is executed in the core: nothing was emitted */
export function translateX87(e: Emitter, micro: MicroOp): boolean {
  const form = micro.imm;
  return form >= REGISTER
    ? registerForm(e, micro, form - REGISTER, (micro.rm >> 3) & 7)
    : translateX87Memory(e, micro, form);
}

/** FCOMI and its like. */
function compareToFlags(e: Emitter, i: number): void {
  const { code } = e;
  order(e, i);
  const bit = (shift: number) => code.get(L.i).i32(shift).op(W.i32ShrU).i32(1).op(W.i32And);
  e.flags.storeOrder(
    () => bit(C3_SHIFT),
    () => bit(C0_SHIFT),
  );
}

function registerForm(e: Emitter, micro: MicroOp, form: number, i: number): boolean {
  const { stack } = e;
  const operation = form & 7;
  const both = 1 | (1 << i);
  switch (form >> 3) {
    case 0:
      requireX87(e, both, 0);
      if (operation === COMPARE || operation === COMPARE_POP) compare(e, i, operation - COMPARE);
      else arithmetic(e, operation, 0, i);
      break;
    case 1:
      if (!group1(e, operation, i)) return false;
      break;
    case 2:
    case 3: {
      if (operation < 4) {
        requireX87(e, both, 0);
        moveIf(e, operation, i, form >> 3 === 2);
      } else if (form >> 3 === 2) {
        if (operation !== 5 || i !== 1) return false;
        requireX87(e, both, 0);
        compare(e, 1, 2);
      } else {
        if (operation !== 5 && operation !== 6) return false;
        requireX87(e, both, 0);
        compareToFlags(e, i);
      }
      break;
    }
    case 4:
    case 6: {
      const isPop = form >> 3 === 6;
      if (operation === COMPARE || operation === COMPARE_POP) {
        if (!isPop || operation === COMPARE || i !== 1) return false;
        requireX87(e, both, 0);
        compare(e, 1, 2);
      } else {
        requireX87(e, both, 0);
        arithmetic(e, operation, i, i);
        if (isPop) stack.pop();
      }
      break;
    }
    case 5:
      if (operation === 0) {
        requireX87(e, 0, 0);
        stack.free(i);
        setStatus(e);
      } else if (operation === 2 || operation === 3) {
        requireX87(e, 1, 0);
        copy(e, i, 0);
        stack.fill(i);
        setStatus(e);
        if (operation === 3) stack.pop();
      } else if (operation === 4 || operation === 5) {
        requireX87(e, both, 0);
        compare(e, i, operation - 4);
      } else return false;
      break;
    default:
      if (operation === 4 && i === 0) {
        // FNSTSW AX, a control instruction.
        requireX87(e, 0, 0);
        stack.status().op(W.i64ExtendI32U);
        e.writeRegister(abi.VCPU_GPR, 2);
        return true;
      }
      if (operation !== 5 && operation !== 6) return false;
      requireX87(e, both, 0);
      compareToFlags(e, i);
      stack.pop();
      break;
  }
  record(e, micro);
  return true;
}

/** ST(to) := ST(from), without its tag. */
function copy({ stack }: Emitter, to: number, from: number): void {
  if (to === from) return;
  stack.put(
    to,
    () => stack.high(from),
    () => stack.sig(from),
  );
}

/** FCMOVcc. */
function moveIf(e: Emitter, kind: number, i: number, isPositive: boolean): void {
  // Condition codes of Jcc: B 2, E 4, BE 6, P 10.
  const condition = kind === 3 ? 10 : 2 + kind * 2;
  e.flags.condition(isPositive ? condition : condition | 1);
  e.code.if();
  copy(e, 0, i);
  e.code.end();
}

/** D9 with a register operand. */
function group1(e: Emitter, operation: number, i: number): boolean {
  const { code, stack } = e;
  switch (operation) {
    case 0:
      requireX87(e, 1 << i, 1 << 7);
      take(e, i);
      pushNumber(e);
      break;
    case 1:
      requireX87(e, 1 | (1 << i), 0);
      take(e, i);
      copy(e, i, 0);
      putNumber(e);
      break;
    case 4:
      if (i > 1 && i !== 4) return false;
      requireX87(e, 1, 0);
      if (i === 4) {
        code.i32(0).set(L.high).i64(0).set(L.sig);
        compare(e, "number", 0);
        return true;
      }
      stack.high(0).set(L.high);
      stack.sig(0).set(L.sig);
      code
        .get(L.high)
        .i32(i === 0 ? SIGN : ~SIGN)
        .op(i === 0 ? W.i32Xor : W.i32And)
        .set(L.high);
      putNumber(e);
      break;
    case 5:
      if (i !== 0 && i !== 6) return false;
      requireX87(e, 0, 1 << 7);
      code.i32(i === 0 ? BIAS : 0).set(L.high);
      code.i64Halves(0, i === 0 ? TOP_HALF : 0).set(L.sig);
      pushNumber(e);
      break;
    case 7:
      if (i !== 2) return false;
      requireX87(e, 1, 0);
      code.get(L.fcw);
      stack.address(0);
      stack.high(0);
      stack.sig(0).call(CALL.root);
      answer(e);
      setStatus(e, () => code.get(L.i));
      return true;
    default:
      return false;
  }
  setStatus(e);
  return true;
}
