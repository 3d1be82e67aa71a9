/** x87 numbers in translated code: one is in the locals `high` and `sig`, from memory or on its way to a register. */
import type { Code } from "./code.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { M, W } from "./wasm.js";

export const SIGN = 0x8000;
export const BIAS = 16383;
/** Upper half of the significand of a power of two. */
export const TOP_HALF = -0x80000000;

/** Bytes of a memory operand. */
export type OperandSize = 2 | 4 | 8;

const INTEGER_LOAD = { 2: M.i64Load16S, 4: M.i64Load32S, 8: M.i64Load } as const;

/** ST(i), or the number in the locals `high` and `sig`. */
export type Operand = number | "number";

/** Pushes sign and exponent. */
export function high({ code, stack }: Emitter, operand: Operand): Code {
  return operand === "number" ? code.get(L.high) : stack.high(operand);
}

/** Pushes the significand. */
export function sig({ code, stack }: Emitter, operand: Operand): Code {
  return operand === "number" ? code.get(L.sig) : stack.sig(operand);
}

/** The number := ST(i). */
export function take({ stack }: Emitter, i: number): void {
  stack.high(i).set(L.high);
  stack.sig(i).set(L.sig);
}

/** ST(0) := the number. */
export function putNumber({ code, stack }: Emitter): void {
  stack.put(
    0,
    () => code.get(L.high),
    () => code.get(L.sig),
  );
}

/** Pushes the number to the stack; its last register is empty. */
export function pushNumber(e: Emitter): void {
  e.stack.push();
  putNumber(e);
}

/** The number := the memory operand. */
export function loadNumber(
  e: Emitter,
  micro: MicroOp,
  size: OperandSize,
  isInteger: boolean,
): void {
  const { code } = e;
  e.readable(micro, size);
  e.pushAddress();
  if (isInteger) {
    code.memory(INTEGER_LOAD[size]).set(L.x);
    fromInteger(e);
  } else {
    code.memory(size === 8 ? M.i64Load : M.i64Load32U).set(L.x);
    fromReal(e, size === 8);
  }
}

/** The number := `x`, a signed integer. */
function fromInteger({ code }: Emitter): void {
  // The magnitude, by two's complement.
  code.get(L.x).get(L.x).i64(63).op(W.i64ShrS).tee(L.y).op(W.i64Xor).get(L.y).op(W.i64Sub);
  code.tee(L.z).get(L.z).op(W.i64Clz).op(W.i64Shl).set(L.sig);
  code.get(L.y).op(W.i32WrapI64).i32(SIGN).op(W.i32And);
  code.i32(BIAS + 63);
  code.get(L.z).op(W.i64Clz, W.i32WrapI64, W.i32Sub);
  code.get(L.z).op(W.i64Eqz, W.i32Eqz, W.i32Mul, W.i32Or).set(L.high);
}

/** The number := `x`, a double or a single; denormals, infinities and NaNs are the interpreter's. */
function fromReal(e: Emitter, isDouble: boolean): void {
  const { code } = e;
  const fraction = isDouble ? 52 : 23;
  const mostExponent = isDouble ? 0x7ff : 0xff;
  code
    .get(L.x)
    .i64(isDouble ? 48 : 16)
    .op(W.i64ShrU, W.i32WrapI64)
    .i32(SIGN)
    .op(W.i32And);
  code.set(L.high);
  code.get(L.x).i64(fraction).op(W.i64ShrU, W.i32WrapI64).i32(mostExponent).op(W.i32And);
  code
    .tee(L.i)
    .i32(1)
    .op(W.i32Sub)
    .i32(mostExponent - 1)
    .op(W.i32LtU);
  code.if();
  code
    .get(L.high)
    .get(L.i)
    .i32(BIAS - (mostExponent >> 1))
    .op(W.i32Add, W.i32Or)
    .set(L.high);
  code
    .get(L.x)
    .i64(63 - fraction)
    .op(W.i64Shl)
    .i64Halves(0, TOP_HALF)
    .op(W.i64Or)
    .set(L.sig);
  code.else();
  code
    .get(L.x)
    .i64(isDouble ? 1 : 33)
    .op(W.i64Shl)
    .i64(0)
    .op(W.i64Ne);
  e.bailIf();
  code.i64(0).set(L.sig).end();
}
