/** What x87 instructions in translated code have in common: conditions, status, pointers, arithmetic, comparison. */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Code } from "./code.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { CALL } from "./module.js";
import { W } from "./wasm.js";
import { high, sig, SIGN, type Operand } from "./x87-number.js";

const FSW_C1 = 0x200;
const FSW_CONDITIONS = 0x4700;

// Operations as ModRM.reg numbers them.
const MUL = 1;
export const COMPARE = 2;
export const COMPARE_POP = 3;
const DIV = 6;

/** Leaves the region unless x87 instructions can be done and registers are full and empty: masks of ST(i). */
export function requireX87(e: Emitter, full: number, empty: number): void {
  e.found.x87 = true;
  if (e.stack.lacks(full, empty)) e.bailIf();
}

/** Enters the address of the instruction, and of its operand, as the last. */
export function record(e: Emitter, micro: MicroOp): void {
  const { code } = e;
  code.i32(e.instructionOffset).set(L.fip);
  if (micro.kind === op.ADDRESS_NONE) return;
  e.offset(micro);
  code.set(L.fdp);
  code.i32(abi.VCPU_SEGMENT + micro.segment * abi.SEGMENT_BYTES).set(L.fds);
}

/** C1 := 0, then what is on the stack, if anything: exceptions and C1. */
export function setStatus({ code }: Emitter, set?: () => Code): void {
  code.get(L.fsw).i32(~FSW_C1).op(W.i32And);
  if (set !== undefined) set().op(W.i32Or);
  code.set(L.fsw);
}

/** Pops the answer of the core's arithmetic into `i`, and leaves the region where it is none. */
export function answer(e: Emitter): void {
  e.code.tee(L.i).i32(0).op(W.i32LtS);
  e.bailIf();
}

/** ST(to) := ST(0) op other, or the reverse. */
export function arithmetic(e: Emitter, operation: number, to: number, other: Operand): void {
  const { code, stack } = e;
  const isReverse = operation > MUL && (operation & 1) !== 0;
  const [x, y] = isReverse ? ([other, 0] as const) : ([0, other] as const);
  code.get(L.fcw);
  stack.address(to);
  high(e, x);
  sig(e, x);
  high(e, y);
  if (operation > MUL && operation < DIV) code.i32(SIGN).op(W.i32Xor);
  sig(e, y);
  code.call(operation === MUL ? CALL.product : operation >= DIV ? CALL.quotient : CALL.sum);
  answer(e);
  setStatus(e, () => code.get(L.i));
}

/** Leaves C3 and C0 of ST(0) compared with another number in `i`. */
export function order(e: Emitter, other: Operand): void {
  high(e, 0);
  sig(e, 0);
  high(e, other);
  sig(e, other).call(CALL.order);
  answer(e);
}

/** Compares ST(0): FCOM and its like. */
export function compare(e: Emitter, other: Operand, pops: number): void {
  const { code } = e;
  order(e, other);
  code.get(L.fsw).i32(~FSW_CONDITIONS).op(W.i32And).get(L.i).op(W.i32Or).set(L.fsw);
  for (let n = 0; n < pops; n++) e.stack.pop();
}
