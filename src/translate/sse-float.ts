/**
 * Scalar floating point of SSE in translated code: the forms that have fast handlers (assembly/cpu/fast-sse.ts).
 *
 * As there, what could raise a flag of MXCSR is not done here: the region leaves before it, and the interpreter is exact.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { M, W } from "./wasm.js";
import { readable, xmm } from "./xmm.js";

const MXCSR = abi.VCPU_FPU + abi.FPU_MXCSR;
/** Masks, RC and the sticky PE, and their values for fast arithmetic. */
const CONTROL = 0x7fa0;
const QUIET = 0x1fa0;
/** PM and PE: an inexact conversion adds nothing. */
const INEXACT_SEEN = 0x1020;

const SCALAR = [
  { wide: W.f64Add, narrow: W.f32Add },
  { wide: W.f64Sub, narrow: W.f32Sub },
  { wide: W.f64Mul, narrow: W.f32Mul },
  { wide: W.f64Div, narrow: W.f32Div },
] as const;
const MUL = 2;
const DIV = 3;

/** @returns false when it is not translated: nothing was emitted */
export function translateFloat(e: Emitter, micro: MicroOp): boolean {
  const { handler } = micro;
  const { code } = e;
  const reg = xmm(micro.reg);
  const x = L.f64;
  switch (handler) {
    case op.ADD_SD:
    case op.ADD_SD + 1:
    case op.ADD_SD + 2:
    case op.ADD_SD + 3:
      scalar(e, micro, handler - op.ADD_SD, true);
      return true;
    case op.ADD_SS:
    case op.ADD_SS + 1:
    case op.ADD_SS + 2:
    case op.ADD_SS + 3:
      scalar(e, micro, handler - op.ADD_SS, false);
      return true;
    case op.SQRT_SD:
    case op.SQRT_SD + 1:
      squareRoot(e, micro, handler === op.SQRT_SD);
      return true;
    case op.COMPARE:
    case op.COMPARE + 1:
      compare(e, micro, handler === op.COMPARE);
      return true;
    case op.SS_TO_SD:
      source(e, micro, false);
      code.set(L.f32);
      isOrdinary(e, L.f32, false);
      code.get(L.f32).float(0, false).op(W.f32Eq);
      bailUnless(e, W.i32Or);
      code.get(L.cpu).get(L.f32).op(W.f64PromoteF32).memory(M.f64Store, reg);
      return true;
    case op.SD_TO_SS:
      requireQuiet(e);
      source(e, micro, true);
      code.tee(x).op(W.f32DemoteF64).set(L.f32);
      isOrdinary(e, L.f32, false);
      code.get(x).float(0, true).op(W.f64Eq);
      bailUnless(e, W.i32Or);
      code.get(L.cpu).get(L.f32).memory(M.f32Store, reg);
      return true;
    case op.FROM_INTEGER:
      code.get(L.cpu);
      e.readRegister(micro.rm, 4);
      code.op(W.i32WrapI64, W.f64ConvertI32S).memory(M.f64Store, reg);
      return true;
    case op.FROM_INTEGER + 1: {
      e.readRegister(micro.rm, 8);
      // Exact up to 2^53.
      code
        .tee(L.x)
        .i64(2 ** 53)
        .op(W.i64Add)
        .i64Halves(0, 1 << 22)
        .op(W.i64LeU);
      bailUnless(e);
      code.get(L.cpu).get(L.x).op(W.f64ConvertI64S).memory(M.f64Store, reg);
      return true;
    }
    case op.TRUNCATE:
    case op.TRUNCATE + 1:
      truncate(e, micro, handler === op.TRUNCATE ? 4 : 8);
      return true;
    default:
      return false;
  }
}

/** Pushes xmm/m64 or xmm/m32. */
function source(e: Emitter, micro: MicroOp, isWide: boolean): void {
  const { code } = e;
  const load = isWide ? M.f64Load : M.f32Load;
  if (micro.kind === op.ADDRESS_NONE) {
    code.get(L.cpu).memory(load, xmm(micro.rm));
    return;
  }
  readable(e, micro, isWide ? 8 : 4, false);
  code.get(L.address).memory(load);
}

/** Leaves the region unless MXCSR rounds to nearest, masks everything and has PE set. */
export function requireQuiet(e: Emitter): void {
  const { code } = e;
  code.get(L.cpu).memory(M.i32Load, MXCSR).i32(CONTROL).op(W.i32And).i32(QUIET).op(W.i32Eq);
  bailUnless(e);
}

/** Pops a condition and leaves the region where it does not hold. @param combine - instructions before that */
export function bailUnless(e: Emitter, ...combine: number[]): void {
  e.code.op(...combine, W.i32Eqz);
  e.bailIf();
}

/** Pushes whether a float local is no denormal. */
function notDenormal({ code }: Emitter, local: number, isWide: boolean): void {
  code.get(local);
  if (isWide) {
    code.op(W.i64ReinterpretF64).i64(1).op(W.i64Shl).i64(1).op(W.i64Sub);
    code.i64Halves(-1, 0x1fffff).op(W.i64GeU);
  } else {
    code.op(W.i32ReinterpretF32).i32(1).op(W.i32Shl).i32(1).op(W.i32Sub).i32(0xffffff).op(W.i32GeU);
  }
}

/** Pushes whether a float local is normal, and above the least normal number. */
function isOrdinary({ code }: Emitter, local: number, isWide: boolean): void {
  code.get(local);
  if (isWide) {
    code
      .op(W.i64ReinterpretF64)
      .i64(1)
      .op(W.i64Shl)
      .i64Halves(0, 1 << 22)
      .op(W.i64Sub);
    code.i64Halves(0, 0x7fd << 21).op(W.i64LtU);
  } else {
    code
      .op(W.i32ReinterpretF32)
      .i32(1)
      .op(W.i32Shl)
      .i32(2 << 24)
      .op(W.i32Sub);
    code.i32(0xfd << 24).op(W.i32LtU);
  }
}

/** ADDSD .. DIVSS: a result that is neither ordinary nor an exact zero is the interpreter's. */
function scalar(e: Emitter, micro: MicroOp, operation: number, isWide: boolean): void {
  const { code } = e;
  const [x, y] = isWide ? [L.f64, L.f64 + 1] : [L.f32, L.f32 + 1];
  const equal = isWide ? W.f64Eq : W.f32Eq;
  const zero = () => code.float(0, isWide);
  source(e, micro, isWide);
  code.set(y);
  requireQuiet(e);
  code
    .get(L.cpu)
    .memory(isWide ? M.f64Load : M.f32Load, xmm(micro.reg))
    .set(x);
  notDenormal(e, x, isWide);
  notDenormal(e, y, isWide);
  code.op(W.i32And);
  bailUnless(e);
  const r = isWide ? L.f64 + 2 : L.f32 + 2;
  code
    .get(x)
    .get(y)
    .op(SCALAR[operation]![isWide ? "wide" : "narrow"])
    .set(r);
  isOrdinary(e, r, isWide);
  code.get(r);
  zero().op(equal);
  if (operation >= MUL) {
    code.get(x);
    zero().op(equal);
    if (operation !== DIV) {
      code.get(y);
      zero().op(equal, W.i32Or);
    }
    code.op(W.i32And);
  }
  bailUnless(e, W.i32Or);
  code
    .get(L.cpu)
    .get(r)
    .memory(isWide ? M.f64Store : M.f32Store, xmm(micro.reg));
}

/** SQRTSD, SQRTSS. */
function squareRoot(e: Emitter, micro: MicroOp, isWide: boolean): void {
  const { code } = e;
  const x = isWide ? L.f64 : L.f32;
  requireQuiet(e);
  source(e, micro, isWide);
  code
    .tee(x)
    .float(0, isWide)
    .op(isWide ? W.f64Gt : W.f32Gt);
  isOrdinary(e, x, isWide);
  bailUnless(e, W.i32And);
  code
    .get(L.cpu)
    .get(x)
    .op(isWide ? W.f64Sqrt : W.f32Sqrt);
  code.memory(isWide ? M.f64Store : M.f32Store, xmm(micro.reg));
}

/** UCOMISD, COMISD, UCOMISS, COMISS of two that have an order: ZF, PF, CF as a comparison; OF, SF, AF clear. */
function compare(e: Emitter, micro: MicroOp, isWide: boolean): void {
  const { code } = e;
  const [x, y] = isWide ? [L.f64, L.f64 + 1] : [L.f32, L.f32 + 1];
  const equal = isWide ? W.f64Eq : W.f32Eq;
  source(e, micro, isWide);
  code.set(y);
  code
    .get(L.cpu)
    .memory(isWide ? M.f64Load : M.f32Load, xmm(micro.reg))
    .set(x);
  notDenormal(e, x, isWide);
  notDenormal(e, y, isWide);
  code.op(W.i32And).get(x).get(x).op(equal, W.i32And).get(y).get(y).op(equal);
  bailUnless(e, W.i32And);
  e.flags.storeOrder(
    () => code.get(x).get(y).op(equal),
    () =>
      code
        .get(x)
        .get(y)
        .op(isWide ? W.f64Lt : W.f32Lt),
  );
}

/** CVTTSD2SI. */
function truncate(e: Emitter, micro: MicroOp, size: 4 | 8): void {
  const { code } = e;
  const x = L.f64;
  const whole = L.f64 + 1;
  const limit = size === 4 ? 2 ** 31 : 2 ** 63;
  source(e, micro, true);
  code.set(x);
  code.get(x).float(-limit, true).op(W.f64Gt).get(x).float(limit, true).op(W.f64Lt, W.i32And);
  notDenormal(e, x, true);
  bailUnless(e, W.i32And);
  code.get(x).op(W.f64Trunc).tee(whole).get(x).op(W.f64Eq);
  code.get(L.cpu).memory(M.i32Load, MXCSR).i32(INEXACT_SEEN).op(W.i32And);
  code.i32(INEXACT_SEEN).op(W.i32Eq);
  bailUnless(e, W.i32Or);
  code.get(whole).op(W.i64TruncF64S);
  if (size === 4) code.op(W.i32WrapI64, W.i64ExtendI32U);
  e.writeRegister(micro.reg, size);
}
