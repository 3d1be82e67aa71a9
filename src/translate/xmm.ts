/** Operands of SSE instructions in translated code. XMM registers stay in the record. */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { V, W } from "./wasm.js";

const XMM = abi.VCPU_FPU + abi.FPU_XMM;

/** Offset in the record of an XMM register. @param offset - of the general register with its number */
export function xmm(offset: number): number {
  return XMM + offset * 2;
}

/** Leaves the host address of a readable memory operand in `address`. */
export function readable(e: Emitter, micro: MicroOp, size: number, isAligned: boolean): void {
  e.effectiveAddress(micro);
  if (isAligned) bailUnaligned(e);
  e.toReadable(size);
}

/** Leaves the region where the address just pushed is not a multiple of 16: before a walk could set an accessed bit. */
export function bailUnaligned(e: Emitter): void {
  const { code } = e;
  code.tee(L.gva).op(W.i32WrapI64).i32(15).op(W.i32And);
  e.bailIf();
  code.get(L.gva);
}

/** Leaves xmm/m128 in the second vector local, ModRM.reg's register in the first. */
export function vectors(e: Emitter, micro: MicroOp): void {
  const { code } = e;
  if (micro.kind === op.ADDRESS_NONE) code.get(L.cpu).vectorMemory(V.load, xmm(micro.rm));
  else {
    readable(e, micro, 16, true);
    code.get(L.address).vectorMemory(V.load);
  }
  code.set(L.v128 + 1);
  code.get(L.cpu).vectorMemory(V.load, xmm(micro.reg)).set(L.v128);
}
