/** BT BTS BTR BTC of registers in translated code: CF is the bit, all other flags stay. */
import * as abi from "../../assembly/abi.js";
import type { Emitter } from "./emitter.js";
import { L, type Size } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { M, W } from "./wasm.js";

/** @returns true: it is translated */
export function testBit(
  e: Emitter,
  micro: MicroOp,
  size: Size,
  isImmediate: boolean,
  operation: "test" | "set" | "reset" | "complement",
): boolean {
  const { code } = e;
  if (isImmediate) code.i64(micro.imm & (size * 8 - 1));
  else {
    e.readRegister(micro.reg, size);
    code.i64(size * 8 - 1).op(W.i64And);
  }
  code.set(L.y);
  e.readRegister(micro.rm, size);
  code.tee(L.x).get(L.y).op(W.i64ShrU, W.i32WrapI64).i32(31).op(W.i32Shl).set(L.i);
  e.flags.store();
  storeCarry(e);
  if (operation === "test") return true;
  code.get(L.x).i64(1).get(L.y).op(W.i64Shl);
  if (operation === "set") code.op(W.i64Or);
  else if (operation === "complement") code.op(W.i64Xor);
  else code.i64(-1).op(W.i64Xor, W.i64And);
  e.writeRegister(micro.rm, size);
  return true;
}

/** CF of the record := bit 31 of `i`; OF, which is bit 31 against bit 30, stays. */
function storeCarry({ code }: Emitter): void {
  code.get(L.cpu).memory(M.i32Load, abi.VCPU_FLAG_AUX).set(L.j);
  code.get(L.i).get(L.j).op(W.i32Xor).i32(0x80000000).op(W.i32And).set(L.i);
  code.get(L.cpu).get(L.j).get(L.i).op(W.i32Xor);
  code.get(L.i).i32(1).op(W.i32ShrU, W.i32Xor).memory(M.i32Store, abi.VCPU_FLAG_AUX);
}
