/** x87 instructions with a memory operand in translated code. */
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { CALL } from "./module.js";
import { M, W } from "./wasm.js";
import { loadNumber, pushNumber, type OperandSize } from "./x87-number.js";
import {
  answer,
  arithmetic,
  compare,
  COMPARE,
  COMPARE_POP,
  record,
  requireX87,
  setStatus,
} from "./x87-operation.js";

const FCW_WRITABLE = 0x1f3f;
const FCW_FIXED = 0x40;
const FCW_MASKS = 0x3f;

/** Memory operands of the arithmetic groups D8 DA DC DE. */
const ARITHMETIC = [
  { size: 4, isInteger: false },
  { size: 4, isInteger: true },
  { size: 8, isInteger: false },
  { size: 2, isInteger: true },
] as const;

/** FLD and FILD by form. */
const LOADS: Readonly<Record<number, { readonly size: OperandSize; readonly isInteger: boolean }>> =
  {
    8: { size: 4, isInteger: false },
    40: { size: 8, isInteger: false },
    24: { size: 4, isInteger: true },
    56: { size: 2, isInteger: true },
    61: { size: 8, isInteger: true },
  };

/** FST, FSTP, FIST and FISTP by form. */
const STORES: Readonly<
  Record<
    number,
    { readonly size: OperandSize; readonly isInteger: boolean; readonly pops: boolean }
  >
> = {
  10: { size: 4, isInteger: false, pops: false },
  11: { size: 4, isInteger: false, pops: true },
  42: { size: 8, isInteger: false, pops: false },
  43: { size: 8, isInteger: false, pops: true },
  26: { size: 4, isInteger: true, pops: false },
  27: { size: 4, isInteger: true, pops: true },
  58: { size: 2, isInteger: true, pops: false },
  59: { size: 2, isInteger: true, pops: true },
  63: { size: 8, isInteger: true, pops: true },
};

const FLDCW = 13;
const FNSTCW = 15;
const FLD_80 = 29;
const FSTP_80 = 31;
const FNSTSW = 47;

/** @returns false when it is executed in the core: nothing was emitted */
export function translateX87Memory(e: Emitter, micro: MicroOp, form: number): boolean {
  const { stack } = e;
  const group = form >> 3;
  if ((group & 1) === 0) {
    const { size, isInteger } = ARITHMETIC[group >> 1]!;
    const operation = form & 7;
    requireX87(e, 1, 0);
    loadNumber(e, micro, size, isInteger);
    if (operation === COMPARE || operation === COMPARE_POP) {
      compare(e, "number", operation - COMPARE);
    } else arithmetic(e, operation, 0, "number");
    record(e, micro);
    return true;
  }
  const load = LOADS[form];
  const store = STORES[form];
  if (load !== undefined) {
    requireX87(e, 0, 1 << 7);
    loadNumber(e, micro, load.size, load.isInteger);
    pushNumber(e);
    setStatus(e);
  } else if (store !== undefined) storeNumber(e, micro, store);
  else if (form === FLD_80) {
    requireX87(e, 0, 1 << 7);
    e.readable(micro, 10);
    e.pushAddress().memory(M.i32Load16U, 8).set(L.high);
    e.pushAddress().memory(M.i64Load).set(L.sig);
    pushNumber(e);
    setStatus(e);
  } else if (form === FSTP_80) {
    requireX87(e, 1, 0);
    e.writable(micro, 10);
    e.pushAddress();
    stack.high(0).memory(M.i32Store16, 8);
    e.pushAddress();
    stack.sig(0).memory(M.i64Store);
    setStatus(e);
    stack.pop();
  } else return control(e, micro, form);
  record(e, micro);
  return true;
}

/** FLDCW, FNSTCW, FNSTSW: they are not entered as the last instruction. */
function control(e: Emitter, micro: MicroOp, form: number): boolean {
  const { code, stack } = e;
  if (form !== FLDCW && form !== FNSTCW && form !== FNSTSW) return false;
  requireX87(e, 0, 0);
  if (form !== FLDCW) {
    e.writable(micro, 2);
    e.pushAddress();
    if (form === FNSTCW) code.get(L.fcw);
    else stack.status();
    code.memory(M.i32Store16);
    return true;
  }
  e.readable(micro, 2);
  e.pushAddress().memory(M.i32Load16U).i32(FCW_WRITABLE).op(W.i32And);
  code.i32(FCW_FIXED).op(W.i32Or).tee(L.i);
  // With an exception unmasked that was raised before, it would become pending.
  code.i32(FCW_MASKS).op(W.i32And).i32(FCW_MASKS).op(W.i32Ne);
  e.bailIf();
  code.get(L.i).set(L.fcw);
  return true;
}

/** FST, FSTP, FIST, FISTP. */
function storeNumber(
  e: Emitter,
  micro: MicroOp,
  { size, isInteger, pops }: (typeof STORES)[number],
): void {
  const { code, stack } = e;
  requireX87(e, 1, 0);
  e.writable(micro, size);
  code.get(L.fcw);
  e.pushAddress();
  stack.high(0);
  stack.sig(0);
  if (isInteger) code.i32(size).call(CALL.storeInteger);
  else code.call(size === 8 ? CALL.storeDouble : CALL.storeSingle);
  answer(e);
  setStatus(e, () => code.get(L.i));
  if (pops) stack.pop();
}
