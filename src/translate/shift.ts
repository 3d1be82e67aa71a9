/** SHL SHR SAR of registers in translated code. */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { M, W } from "./wasm.js";

const RCX = abi.VCPU_GPR + 8;

/** Opcode of the shift in 32 and 64 bits, and the kind of its flags. */
const SHIFTS = {
  shl: { narrow: W.i32Shl, wide: W.i64Shl, pending: op.PENDING_SHL },
  shr: { narrow: W.i32ShrU, wide: W.i64ShrU, pending: op.PENDING_SHR },
  sar: { narrow: W.i32ShrS, wide: W.i64ShrS, pending: op.PENDING_SAR },
} as const;

export type Shift = keyof typeof SHIFTS;

/** Pushes the local `x` shifted by a count that `pushCount` pushes as i32. */
function shifted(e: Emitter, kind: Shift, size: 4 | 8, pushCount: () => void): void {
  const { code } = e;
  const { narrow, wide } = SHIFTS[kind];
  code.get(L.x);
  if (size === 4) code.op(W.i32WrapI64);
  pushCount();
  if (size === 4) code.op(narrow, W.i64ExtendI32U);
  else code.op(W.i64ExtendI32U, wide);
}

/** By an immediate. */
export function shiftImmediate(e: Emitter, micro: MicroOp, kind: Shift, size: 4 | 8): void {
  const { code, flags } = e;
  const count = micro.imm & (size * 8 - 1);
  e.readRegister(micro.rm, size);
  if (count === 0) {
    // A 32-bit register is written, and so extended, even when nothing is shifted.
    e.writeRegister(micro.rm, size);
    return;
  }
  code.set(L.x);
  shifted(e, kind, size, () => code.i32(count - 1));
  code.set(L.a);
  shifted(e, kind, size, () => code.i32(count));
  code.set(L.result);
  flags.setPending(SHIFTS[kind].pending, size);
  code.get(L.result);
  e.writeRegister(micro.rm, size);
}

/** By CL. With a count of 0 the flags stay. */
export function shiftByCl(e: Emitter, micro: MicroOp, kind: Shift, size: 4 | 8): void {
  const { code, flags } = e;
  e.readRegister(RCX, 8);
  code
    .op(W.i32WrapI64)
    .i32(size * 8 - 1)
    .op(W.i32And)
    .set(L.i);
  e.readRegister(micro.rm, size);
  code.set(L.x);
  shifted(e, kind, size, () => code.get(L.i));
  code.set(L.y);
  code.get(L.i);
  code.if();
  shifted(e, kind, size, () => code.get(L.i).i32(1).op(W.i32Sub));
  code.set(L.a).get(L.y).set(L.result);
  flags.setPending(SHIFTS[kind].pending, size);
  code.end();
  flags.state = "unknown";
  code.get(L.y);
  e.writeRegister(micro.rm, size);
}

/** ROL and ROR by an immediate: CF and OF are set, the other flags stay. */
export function rotateImmediate(e: Emitter, micro: MicroOp, isLeft: boolean, size: 4 | 8): void {
  const { code, flags } = e;
  const count = micro.imm & (size * 8 - 1);
  e.readRegister(micro.rm, size);
  if (count !== 0) {
    if (size === 4) {
      code
        .op(W.i32WrapI64)
        .i32(count)
        .op(isLeft ? W.i32Rotl : W.i32Rotr, W.i64ExtendI32U);
    } else code.i64(count).op(isLeft ? W.i64Rotl : W.i64Rotr);
    code.set(L.x);
    flags.store();
    // Carries out of the top bit and into it: CF, and CF against OF.
    const bit = (number: number) =>
      code.get(L.x).i64(number).op(W.i64ShrU, W.i32WrapI64).i32(1).op(W.i32And);
    const top = size * 8 - 1;
    code.get(L.cpu);
    code.get(L.cpu).memory(M.i32Load, abi.VCPU_FLAG_AUX).i32(0x3fffffff).op(W.i32And);
    bit(isLeft ? 0 : top)
      .i32(31)
      .op(W.i32Shl, W.i32Or);
    bit(isLeft ? top : top - 1)
      .i32(30)
      .op(W.i32Shl, W.i32Or);
    code.memory(M.i32Store, abi.VCPU_FLAG_AUX).get(L.x);
  }
  e.writeRegister(micro.rm, size);
}
