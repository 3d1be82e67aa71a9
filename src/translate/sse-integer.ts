/** Packed integer operations of SSE that take several instructions of WebAssembly. */
import type { Code } from "./code.js";
import { L } from "./locals.js";
import { elements } from "./sse-lanes.js";
import { V, W } from "./wasm.js";

const A = L.v128;
const B = L.v128 + 1;

/** By opcode: pushes the result of an operation on both vector locals. */
export const COMBINED: Readonly<Record<number, (code: Code) => void>> = {
  0xd1: (code) => pushShifted(code, V.i16x8ShrU, 16),
  0xd2: (code) => pushShifted(code, V.i32x4ShrU, 32),
  0xd3: (code) => pushShifted(code, V.i64x2ShrU, 64),
  0xe1: (code) => pushShiftedSigned(code, V.i16x8ShrS, 16),
  0xe2: (code) => pushShiftedSigned(code, V.i32x4ShrS, 32),
  0xf1: (code) => pushShifted(code, V.i16x8Shl, 16),
  0xf2: (code) => pushShifted(code, V.i32x4Shl, 32),
  0xf3: (code) => pushShifted(code, V.i64x2Shl, 64),
  0xe4: (code) => pushHighProduct(code, V.i32x4ExtmulLowU, V.i32x4ExtmulHighU),
  0xe5: (code) => pushHighProduct(code, V.i32x4ExtmulLowS, V.i32x4ExtmulHighS),
  0xf4: pushEvenProduct,
  0xf6: pushDifferences,
};

/** Pushes the first operand, and the count: the low half of the second, which may exceed the width. */
function pushCount(code: Code): Code {
  return code.get(B).lane(V.i64x2ExtractLane, 0).set(L.x).get(A).get(L.x).op(W.i32WrapI64);
}

/** PSRLW .. PSLLQ by a register or memory. @param bits - of an element */
function pushShifted(code: Code, operation: number, bits: number): void {
  pushCount(code).vector(operation);
  code.i64(0).get(L.x).i64(bits).op(W.i64LtU, W.i64ExtendI32U, W.i64Sub).vector(V.i64x2Splat);
  code.vector(V.and);
}

/** PSRAW, PSRAD. */
function pushShiftedSigned(code: Code, operation: number, bits: number): void {
  pushCount(code)
    .i32(bits - 1)
    .get(L.x)
    .i64(bits)
    .op(W.i64LtU, W.select)
    .vector(operation);
}

/** PMULUDQ. */
function pushEvenProduct(code: Code): void {
  const even = elements(4, [0, 2, 0, 2]);
  for (const local of [A, B]) code.get(local).get(local).shuffle(even);
  code.vector(V.i64x2ExtmulLowU);
}

/** PMULHW, PMULHUW. */
function pushHighProduct(code: Code, low: number, high: number): void {
  code.get(A).get(B).vector(low).get(A).get(B).vector(high);
  code.shuffle(elements(2, [1, 3, 5, 7, 9, 11, 13, 15]));
}

/** PSADBW. */
function pushDifferences(code: Code): void {
  code.get(A).get(B).vector(V.i8x16SubSatU).get(B).get(A).vector(V.i8x16SubSatU).vector(V.or);
  code.vector(V.i16x8ExtaddU).vector(V.i32x4ExtaddU).set(A);
  code.get(A).get(A).i32(32).vector(V.i64x2ShrU).vector(V.i64x2Add);
  code.splat(-1, 0).vector(V.and);
}
