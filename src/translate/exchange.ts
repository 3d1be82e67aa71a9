/**
 * XCHG, XADD and CMPXCHG of memory in translated code. One vCPU runs at a time, so each of them is atomic as it is.
 */
import * as abi from "../../assembly/abi.js";
import { operate } from "./alu.js";
import type { Emitter } from "./emitter.js";
import { L, type Size } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { W } from "./wasm.js";

const RAX = abi.VCPU_GPR;
const ADD = 0;
const CMP = 7;

/** XCHG memory, reg. */
export function exchangeMemory(e: Emitter, micro: MicroOp, size: Size): void {
  e.writable(micro, size);
  e.loadAddress(size);
  e.readRegister(micro.reg, size);
  e.code.set(L.x);
  e.storeAddress(size, L.x);
  e.writeRegister(micro.reg, size);
}

/** XADD memory, reg. */
export function exchangeAdd(e: Emitter, micro: MicroOp, size: Size): void {
  e.writable(micro, size);
  e.loadAddress(size);
  e.readRegister(micro.reg, size);
  operate(e, ADD, size);
  e.storeAddress(size, L.result);
  e.code.get(L.a);
  e.writeRegister(micro.reg, size);
}

/** CMPXCHG memory, reg: compares rAX. Where they differ, memory stays and a 32-bit rAX is extended. */
export function compareExchange(e: Emitter, micro: MicroOp, size: Size): void {
  const { code } = e;
  e.writable(micro, size);
  e.readRegister(RAX, size);
  e.loadAddress(size);
  operate(e, CMP, size);
  code.get(L.a).get(L.b).op(W.i64Eq);
  code.if();
  e.readRegister(micro.reg, size);
  code.set(L.x);
  e.storeAddress(size, L.x);
  code.else();
  code.get(L.b);
  e.writeRegister(RAX, size);
  code.end();
}
