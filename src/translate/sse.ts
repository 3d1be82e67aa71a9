/** SSE moves and packed integers in translated code: the forms that have fast handlers, and a few more. */
import * as op from "../../assembly/op-abi.js";
import type { Emitter } from "./emitter.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { M, V, W } from "./wasm.js";
import { COMBINED } from "./sse-integer.js";
import { interleaved, shuffle } from "./sse-lanes.js";
import { bailUnaligned, readable, vectors, xmm } from "./xmm.js";

/** Operations between registers, in the order of the handlers from PACKED_RR. */
const PACKED = [
  V.xor,
  V.and,
  V.or,
  V.andnot,
  V.i8x16Add,
  V.i16x8Add,
  V.i32x4Add,
  V.i64x2Add,
  V.i8x16Sub,
  V.i16x8Sub,
  V.i32x4Sub,
  V.i64x2Sub,
  V.i8x16Eq,
  V.i16x8Eq,
  V.i32x4Eq,
] as const;

/** The same and more, by opcode, for memory operands. */
const BY_OPCODE: Readonly<Record<number, number>> = {
  0xef: V.xor,
  0xdb: V.and,
  0xeb: V.or,
  0xdf: V.andnot,
  0xfc: V.i8x16Add,
  0xfd: V.i16x8Add,
  0xfe: V.i32x4Add,
  0xd4: V.i64x2Add,
  0xf8: V.i8x16Sub,
  0xf9: V.i16x8Sub,
  0xfa: V.i32x4Sub,
  0xfb: V.i64x2Sub,
  0x74: V.i8x16Eq,
  0x75: V.i16x8Eq,
  0x76: V.i32x4Eq,
  0x64: V.i8x16GtS,
  0x65: V.i16x8GtS,
  0x66: V.i32x4GtS,
  0xd5: V.i16x8Mul,
  0xda: V.i8x16MinU,
  0xde: V.i8x16MaxU,
  0xea: V.i16x8MinS,
  0xee: V.i16x8MaxS,
  0xd8: V.i8x16SubSatU,
  0xd9: V.i16x8SubSatU,
  0xdc: V.i8x16AddSatU,
  0xdd: V.i16x8AddSatU,
  0xe8: V.i8x16SubSatS,
  0xe9: V.i16x8SubSatS,
  0xec: V.i8x16AddSatS,
  0xed: V.i16x8AddSatS,
  0xe0: V.i8x16AvgrU,
  0xe3: V.i16x8AvgrU,
  0xf5: V.i32x4Dot,
  0x63: V.i8x16NarrowS,
  0x67: V.i8x16NarrowU,
  0x6b: V.i16x8NarrowS,
};

/** PUNPCKL and PUNPCKH by opcode: width of an element in bytes, and whether the high halves. */
const UNPACK: Readonly<Record<number, readonly [width: number, high: boolean]>> = {
  0x60: [1, false],
  0x61: [2, false],
  0x62: [4, false],
  0x6c: [8, false],
  0x68: [1, true],
  0x69: [2, true],
  0x6a: [4, true],
  0x6d: [8, true],
};

/** @returns false when it is not translated: nothing was emitted */
export function translateSse(e: Emitter, micro: MicroOp): boolean {
  const { code } = e;
  const { handler } = micro;
  const [reg, rm] = [xmm(micro.reg), xmm(micro.rm)];
  if (handler >= op.PACKED_RR && handler < op.ADD_SD) {
    packed(e, micro, PACKED[handler - op.PACKED_RR]!);
    return true;
  }
  switch (handler) {
    case op.MOVE16:
      code.get(L.cpu).get(L.cpu).vectorMemory(V.load, reg).vectorMemory(V.store, rm);
      return true;
    case op.LOAD16:
    case op.LOAD16 + 1:
      readable(e, micro, 16, handler === op.LOAD16 + 1);
      code.get(L.cpu).get(L.address).vectorMemory(V.load).vectorMemory(V.store, reg);
      return true;
    case op.STORE16:
    case op.STORE16 + 1:
      e.effectiveAddress(micro);
      if (handler === op.STORE16 + 1) bailUnaligned(e);
      e.toWritable(16);
      code.get(L.address).get(L.cpu).vectorMemory(V.load, reg).vectorMemory(V.store);
      return true;
    case op.LOAD_PART:
    case op.LOAD_PART + 1:
      readable(e, micro, handler === op.LOAD_PART ? 8 : 4, false);
      code.get(L.cpu).get(L.address);
      code.vectorMemory(handler === op.LOAD_PART ? V.load64Zero : V.load32Zero);
      code.vectorMemory(V.store, reg);
      return true;
    case op.STORE_PART:
    case op.STORE_PART + 1: {
      const isWide = handler === op.STORE_PART;
      e.effectiveAddress(micro);
      e.toWritable(isWide ? 8 : 4);
      code
        .get(L.address)
        .get(L.cpu)
        .memory(isWide ? M.i64Load : M.i32Load, reg);
      code.memory(isWide ? M.i64Store : M.i32Store);
      return true;
    }
    case op.MOVE_PART:
      code.get(L.cpu).get(L.cpu).memory(M.i64Load, reg).memory(M.i64Store, rm);
      return true;
    case op.MOVE_PART + 1:
      code.get(L.cpu).get(L.cpu).memory(M.i32Load, reg).memory(M.i32Store, rm);
      return true;
    case op.MOVE_QUAD:
      code.get(L.cpu).get(L.cpu).vectorMemory(V.load64Zero, reg).vectorMemory(V.store, rm);
      return true;
    case op.FROM_GENERAL:
    case op.FROM_GENERAL + 1:
      code.get(L.cpu);
      e.readRegister(micro.rm, handler === op.FROM_GENERAL ? 4 : 8);
      code
        .memory(M.i64Store, reg)
        .get(L.cpu)
        .i64(0)
        .memory(M.i64Store, reg + 8);
      return true;
    case op.TO_GENERAL:
    case op.TO_GENERAL + 1: {
      const isWide = handler === op.TO_GENERAL + 1;
      code.get(L.cpu).memory(isWide ? M.i64Load : M.i64Load32U, reg);
      e.writeRegister(micro.rm, 8);
      return true;
    }
    case op.BYTE_MASK:
      code.get(L.cpu).vectorMemory(V.load, rm).vector(V.i8x16Bitmask).op(W.i64ExtendI32U);
      e.writeRegister(micro.reg, 8);
      return true;
    case op.PACKED_ANY:
    case op.PACKED_ANY + 1:
      return packedByOpcode(e, micro);
    default:
      return false;
  }
}

function packed(e: Emitter, micro: MicroOp, operation: number): void {
  const { code } = e;
  vectors(e, micro);
  code.get(L.cpu);
  // PANDN complements the destination, ANDNOT its second operand.
  const first = operation === V.andnot ? L.v128 + 1 : L.v128;
  const second = operation === V.andnot ? L.v128 : L.v128 + 1;
  code.get(first).get(second).vector(operation).vectorMemory(V.store, xmm(micro.reg));
}

function packedByOpcode(e: Emitter, micro: MicroOp): boolean {
  const operation = BY_OPCODE[micro.imm];
  if (operation !== undefined) {
    packed(e, micro, operation);
    return true;
  }
  const combined = COMBINED[micro.imm];
  if (combined !== undefined) {
    vectors(e, micro);
    e.code.get(L.cpu);
    combined(e.code);
    e.code.vectorMemory(V.store, xmm(micro.reg));
    return true;
  }
  const unpack = UNPACK[micro.imm];
  if (unpack === undefined) return false;
  const [width, isHigh] = unpack;
  vectors(e, micro);
  shuffle(e, interleaved(width, isHigh), xmm(micro.reg));
  return true;
}

/** PSRLW .. PSLLQ by an immediate. @returns false: not translated */
export function shiftPacked(e: Emitter, micro: MicroOp): boolean {
  const { code } = e;
  const shift = SHIFTS[micro.opcode & 0xff]?.[(micro.reg >> 3) & 7];
  if (shift === undefined || micro.kind !== op.ADDRESS_NONE) return false;
  const [operation, bits, isArithmetic] = shift;
  const count = micro.imm & 0xff;
  code.get(L.cpu).get(L.cpu).vectorMemory(V.load, xmm(micro.rm));
  if (count < bits || isArithmetic) code.i32(Math.min(count, bits - 1)).vector(operation);
  else code.get(L.cpu).vectorMemory(V.load, xmm(micro.rm)).vector(V.xor);
  code.vectorMemory(V.store, xmm(micro.rm));
  return true;
}

/** PSRL PSRA PSLL by opcode and ModRM.reg: operation, bits of an element, arithmetic. */
const SHIFTS: Readonly<
  Record<number, Readonly<Record<number, readonly [operation: number, bits: number, boolean]>>>
> = {
  0x71: {
    2: [V.i16x8ShrU, 16, false],
    4: [V.i16x8ShrS, 16, true],
    6: [V.i16x8Shl, 16, false],
  },
  0x72: {
    2: [V.i32x4ShrU, 32, false],
    4: [V.i32x4ShrS, 32, true],
    6: [V.i32x4Shl, 32, false],
  },
  0x73: { 2: [V.i64x2ShrU, 64, false], 6: [V.i64x2Shl, 64, false] },
};
