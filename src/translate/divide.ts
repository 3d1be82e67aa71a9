/** MUL IMUL DIV IDIV of the accumulator pair, 32 and 64 bits, in translated code. */
import * as abi from "../../assembly/abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { CALL } from "./module.js";
import { W } from "./wasm.js";

const RAX = abi.VCPU_GPR;
const RDX = abi.VCPU_GPR + 2 * 8;
const HALF = 0xffffffff;

/** Stores the pair: low half in `result`'s place on the stack, high half below it. */
function writePair(e: Emitter, size: 4 | 8): void {
  e.writeRegister(RDX, size);
  e.writeRegister(RAX, size);
}

/** MUL and IMUL: CF = OF = "the upper half matters", the other flags stay. */
export function multiplyWide(
  e: Emitter,
  micro: MicroOp,
  size: 4 | 8,
  isSigned: boolean,
  flagsDie: boolean,
): void {
  const { code } = e;
  e.readRm(micro, size);
  code.set(L.y);
  e.readRegister(RAX, size);
  code.set(L.x);
  if (size === 4) narrowProduct(e, isSigned);
  else wideProduct(e, isSigned);
  // z: the high half, x: the low one.
  if (!flagsDie) {
    code.get(L.z);
    if (!isSigned) code.op(W.i64Eqz, W.i32Eqz).set(L.i);
    else {
      code.get(L.x);
      if (size === 4) code.op(W.i64Extend32S);
      code.i64(63).op(W.i64ShrS);
      if (size === 4) code.op(W.i32WrapI64, W.i64ExtendI32U);
      code.op(W.i64Ne).set(L.i);
    }
    e.storeCarryOverflow();
  }
  code.get(L.x).get(L.z);
  writePair(e, size);
}

function narrowProduct({ code }: Emitter, isSigned: boolean): void {
  for (const local of [L.x, L.y]) {
    code.get(local);
    if (isSigned) code.op(W.i64Extend32S);
  }
  code.op(W.i64Mul).tee(L.x).i64(32).op(W.i64ShrU).set(L.z);
  code.get(L.x).op(W.i32WrapI64, W.i64ExtendI32U).set(L.x);
}

/** Schoolbook, in halves of 32 bits. */
function wideProduct({ code }: Emitter, isSigned: boolean): void {
  const low = (local: number) => code.get(local).i64(HALF).op(W.i64And);
  const high = (local: number) => code.get(local).i64(32).op(W.i64ShrU);
  // gva := high(x) * low(y) + high(low(x) * low(y))
  high(L.x);
  low(L.y).op(W.i64Mul);
  low(L.x);
  low(L.y).op(W.i64Mul).i64(32).op(W.i64ShrU, W.i64Add).set(L.gva);
  // z := low(x) * high(y) + low(gva)
  low(L.x);
  high(L.y).op(W.i64Mul);
  low(L.gva).op(W.i64Add).set(L.z);
  // z := high(x) * high(y) + high(gva) + high(z)
  high(L.x);
  high(L.y).op(W.i64Mul);
  high(L.gva).op(W.i64Add);
  high(L.z).op(W.i64Add).set(L.z);
  if (isSigned) {
    for (const [sign, other] of [
      [L.x, L.y],
      [L.y, L.x],
    ] as const) {
      code.get(L.z).get(sign).i64(63).op(W.i64ShrS).get(other).op(W.i64And, W.i64Sub).set(L.z);
    }
  }
  code.get(L.x).get(L.y).op(W.i64Mul).set(L.x);
}

/** DIV and IDIV; what would be #DE, and a signed dividend beyond 64 bits, is the interpreter's. No flag changes. */
export function divide(e: Emitter, micro: MicroOp, size: 4 | 8, isSigned: boolean): void {
  const { code } = e;
  e.readRm(micro, size);
  code.set(L.y);
  e.readRegister(RAX, size);
  code.set(L.x);
  e.readRegister(RDX, size);
  code.set(L.z);
  if (isSigned) signedDivision(e, size);
  else unsignedDivision(e, size);
}

function unsignedDivision(e: Emitter, size: 4 | 8): void {
  const { code } = e;
  // The quotient fits when the upper half is below the divisor, which 0 never is above.
  code.get(L.z).get(L.y).op(W.i64GeU);
  e.bailIf();
  if (size === 4) {
    code.get(L.z).i64(32).op(W.i64Shl).get(L.x).op(W.i64Or).set(L.x);
    quotientAndRemainder(e, W.i64DivU, W.i64RemU);
    writePair(e, 4);
    return;
  }
  code.get(L.z).op(W.i64Eqz);
  code.if();
  quotientAndRemainder(e, W.i64DivU, W.i64RemU);
  code.set(L.z).set(L.x);
  code.else();
  code.get(L.z).get(L.x).get(L.y).call(CALL.divide).set(L.x);
  code.call(CALL.remainder).set(L.z);
  code.end();
  code.get(L.x).get(L.z);
  writePair(e, 8);
}

/** Pushes both, of `x` by `y`. */
function quotientAndRemainder({ code }: Emitter, quotient: number, remainder: number): void {
  code.get(L.x).get(L.y).op(quotient).get(L.x).get(L.y).op(remainder);
}

function signedDivision(e: Emitter, size: 4 | 8): void {
  const { code } = e;
  if (size === 4) {
    code.get(L.z).i64(32).op(W.i64Shl).get(L.x).op(W.i64Or).set(L.x);
    code.get(L.y).op(W.i64Extend32S).set(L.y);
  } else {
    code.get(L.x).i64(63).op(W.i64ShrS).get(L.z).op(W.i64Ne);
    e.bailIf();
  }
  code.get(L.y).op(W.i64Eqz);
  // The one quotient that 64 bits do not hold is -2^63 / -1.
  code.get(L.y).i64(-1).op(W.i64Eq).get(L.x).i64Halves(0, -0x80000000).op(W.i64Eq, W.i32And);
  code.op(W.i32Or);
  e.bailIf();
  quotientAndRemainder(e, W.i64DivS, W.i64RemS);
  code.set(L.z);
  if (size === 4) {
    code.tee(L.x).get(L.x).op(W.i64Extend32S, W.i64Ne);
    e.bailIf();
    code.get(L.x).op(W.i32WrapI64, W.i64ExtendI32U);
    code.get(L.z).op(W.i32WrapI64, W.i64ExtendI32U);
  } else code.get(L.z);
  writePair(e, size);
}
