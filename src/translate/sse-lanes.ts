/** SSE instructions that move lanes, in translated code. */
import * as op from "../../assembly/op-abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { M, V, W } from "./wasm.js";
import { readable, vectors, xmm } from "./xmm.js";

type Prefix = "none" | "66" | "F3" | "F2";

function prefixOf({ flags }: MicroOp): Prefix {
  if (flags & op.FLAG_REPNE) return "F2";
  if (flags & op.FLAG_REP) return "F3";
  return flags & op.FLAG_66 ? "66" : "none";
}

/** Stores 16 bytes of both vector locals, chosen by lane, into the record. */
export function shuffle({ code }: Emitter, lanes: readonly number[], offset: number): void {
  code
    .get(L.cpu)
    .get(L.v128)
    .get(L.v128 + 1)
    .shuffle(lanes);
  code.vectorMemory(V.store, offset);
}

/** The bytes of elements, each of `width`; those of the second operand are from 16. */
export function elements(width: number, numbers: readonly number[]): number[] {
  return numbers.flatMap((n) => Array.from({ length: width }, (_, i) => n * width + i));
}

/** Elements of both operands in turn: of their low halves, or of the high ones. */
export function interleaved(width: number, isHigh: boolean): number[] {
  const half = 8 / width;
  const first = isHigh ? half : 0;
  const numbers = Array.from({ length: half }, (_, i) => [first + i, first + i + 2 * half]);
  return elements(width, numbers.flat());
}

/** Two bits of an immediate for each of four elements. */
function choices(imm: number): number[] {
  return [0, 2, 4, 6].map((place) => (imm >> place) & 3);
}

/** The bytes of both operands that an instruction puts together; undefined: it is none of these. */
function lanesOf({ opcode, imm, kind }: MicroOp, prefix: Prefix): number[] | undefined {
  const isRegister = kind === op.ADDRESS_NONE;
  switch (opcode & 0xff) {
    case 0x12: // MOVHLPS
      return isRegister && prefix === "none" ? elements(8, [3, 1]) : undefined;
    case 0x16: // MOVLHPS
      return isRegister && prefix === "none" ? elements(8, [0, 2]) : undefined;
    case 0x14: // UNPCKLPS UNPCKLPD UNPCKHPS UNPCKHPD
    case 0x15:
      if (prefix === "F2" || prefix === "F3") return undefined;
      return interleaved(prefix === "66" ? 8 : 4, (opcode & 1) !== 0);
    case 0x70: {
      const four = choices(imm);
      // PSHUFD PSHUFHW PSHUFLW
      if (prefix === "66")
        return elements(
          4,
          four.map((n) => n + 4),
        );
      if (prefix === "F3") return elements(2, [8, 9, 10, 11, ...four.map((n) => n + 12)]);
      return prefix === "F2" ? elements(2, [...four.map((n) => n + 8), 12, 13, 14, 15]) : undefined;
    }
    case 0xc6: {
      // SHUFPD SHUFPS
      if (prefix === "66") return elements(8, [imm & 1, ((imm >> 1) & 1) + 2]);
      const four = choices(imm).map((n, i) => (i < 2 ? n : n + 4));
      return prefix === "none" ? elements(4, four) : undefined;
    }
    default:
      return undefined;
  }
}

/** @returns false when it is not translated: nothing was emitted */
export function translateLanes(e: Emitter, micro: MicroOp): boolean {
  const prefix = prefixOf(micro);
  const lanes = lanesOf(micro, prefix);
  if (lanes !== undefined) {
    // Only MOVHLPS and MOVLHPS want no alignment, and they have no memory operand.
    vectors(e, micro);
    shuffle(e, lanes, xmm(micro.reg));
    return true;
  }
  const byte = micro.opcode & 0xff;
  const isRegister = micro.kind === op.ADDRESS_NONE;
  if (byte === 0x73 && prefix === "66") return isRegister && shiftBytes(e, micro);
  if (prefix === "F2" || prefix === "F3") return false;
  if (byte === 0x50) return isRegister && signMask(e, micro, prefix === "66");
  return (byte === 0x12 || byte === 0x16 || byte === 0x17) && !isRegister && moveHalf(e, micro);
}

/** PSRLDQ, PSLLDQ. */
function shiftBytes(e: Emitter, micro: MicroOp): boolean {
  const extension = (micro.reg >> 3) & 7;
  if (extension !== 3 && extension !== 7) return false;
  const { code } = e;
  const count = Math.min(micro.imm & 0xff, 16);
  code.get(L.cpu).vectorMemory(V.load, xmm(micro.rm)).set(L.v128);
  code.splat(0).set(L.v128 + 1);
  const lanes = Array.from({ length: 16 }, (_, i) => (extension === 3 ? i + count : i - count));
  shuffle(
    e,
    lanes.map((lane) => (lane < 0 ? 16 : Math.min(lane, 16))),
    xmm(micro.rm),
  );
  return true;
}

/** MOVMSKPS, MOVMSKPD. */
function signMask(e: Emitter, micro: MicroOp, isDouble: boolean): boolean {
  e.code.get(L.cpu).vectorMemory(V.load, xmm(micro.rm));
  e.code.vector(isDouble ? V.i64x2Bitmask : V.i32x4Bitmask).op(W.i64ExtendI32U);
  e.writeRegister(micro.reg, 8);
  return true;
}

/** MOVLPS MOVLPD MOVHPS MOVHPD with memory. */
function moveHalf(e: Emitter, micro: MicroOp): boolean {
  const { code } = e;
  const byte = micro.opcode & 0xff;
  const half = xmm(micro.reg) + (byte === 0x12 ? 0 : 8);
  if (byte === 0x17) {
    e.effectiveAddress(micro);
    e.toWritable(8);
    code.get(L.address).get(L.cpu).memory(M.i64Load, half).memory(M.i64Store);
    return true;
  }
  readable(e, micro, 8, false);
  code.get(L.cpu).get(L.address).memory(M.i64Load).memory(M.i64Store, half);
  return true;
}
