/**
 * Packed floating point of SSE in translated code: arithmetic of four singles or two doubles.
 *
 * As in sse-float.ts, what could raise a flag of MXCSR is left to the interpreter.
 */
import * as op from "../../assembly/op-abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { bailUnless, requireQuiet } from "./sse-float.js";
import { V } from "./wasm.js";
import { vectors, xmm } from "./xmm.js";

interface Lanes {
  readonly abs: number;
  readonly eq: number;
  readonly lessThan: number;
  readonly atLeast: number;
  readonly allTrue: number;
  /** Of the least normal number, and of the greatest's successor: upper word. */
  readonly leastNormal: number;
  readonly infinity: number;
  readonly arithmetic: Readonly<Record<number, number>>;
}

const SINGLES: Lanes = {
  abs: V.f32x4Abs,
  eq: V.i32x4Eq,
  lessThan: V.i32x4LtS,
  atLeast: V.i32x4GeS,
  allTrue: V.i32x4AllTrue,
  leastNormal: 1 << 23,
  infinity: 0xff << 23,
  arithmetic: { 0x58: V.f32x4Add, 0x59: V.f32x4Mul, 0x5c: V.f32x4Sub, 0x5e: V.f32x4Div },
};
const DOUBLES: Lanes = {
  abs: V.f64x2Abs,
  eq: V.i64x2Eq,
  lessThan: V.i64x2LtS,
  atLeast: V.i64x2GeS,
  allTrue: V.i64x2AllTrue,
  leastNormal: 1 << 20,
  infinity: 0x7ff << 20,
  arithmetic: { 0x58: V.f64x2Add, 0x59: V.f64x2Mul, 0x5c: V.f64x2Sub, 0x5e: V.f64x2Div },
};
const MULTIPLY = 0x59;
const DIVIDE = 0x5e;

/** ADDPS .. DIVPD: an element that is neither ordinary nor an exact zero is the interpreter's. */
export function packedFloat(e: Emitter, micro: MicroOp): void {
  const { code } = e;
  const isDouble = micro.handler !== op.PACKED_FLOAT;
  const lanes = isDouble ? DOUBLES : SINGLES;
  const byte = micro.opcode & 0xff;
  const [a, b, r] = [L.v128, L.v128 + 1, L.v128 + 2];
  const constant = (word: number) => (isDouble ? code.splat(0, word) : code.splat(word));
  const isZero = (local: number) => code.get(local).vector(lanes.abs).splat(0).vector(lanes.eq);
  const noDenormals = (local: number) => {
    isZero(local).get(local).vector(lanes.abs);
    constant(lanes.leastNormal).vector(lanes.atLeast).vector(V.or);
  };
  vectors(e, micro);
  requireQuiet(e);
  code.get(a).get(b).vector(lanes.arithmetic[byte]!).set(r);
  noDenormals(a);
  noDenormals(b);
  code.vector(V.and);
  // Above the least normal number: that one may have been tiny before it was rounded.
  code.get(r).vector(lanes.abs);
  constant(lanes.leastNormal * 2)
    .vector(lanes.atLeast)
    .get(r)
    .vector(lanes.abs);
  constant(lanes.infinity).vector(lanes.lessThan).vector(V.and);
  isZero(r);
  if (byte === MULTIPLY || byte === DIVIDE) {
    isZero(a);
    if (byte === MULTIPLY) isZero(b).vector(V.or);
    code.vector(V.and);
  }
  code.vector(V.or).vector(V.and).vector(lanes.allTrue);
  bailUnless(e);
  code.get(L.cpu).get(r).vectorMemory(V.store, xmm(micro.reg));
}
