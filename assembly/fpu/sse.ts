/**
 * MMX and SSE instructions: dispatch by opcode, mandatory prefix and feature.
 *
 *     0F 10-17 28-2F 50-7F (78, 79 excepted) AE C2-C6 D0-FE   0F 38 ..   0F 3A ..
 *
 * Source: SDM 2 "Opcode Map". An instruction whose feature CPUID does not offer raises #UD.
 */
import { offers } from "../cpu/features";
import { Op, OP_66, OP_REP, OP_REPNE } from "../cpu/op";
import { raise } from "../fault";
import { Vcpu } from "../vcpu";
import {
  FEATURE_FXSR,
  FEATURE_MMX,
  FEATURE_SSE,
  FEATURE_SSE2,
  FEATURE_SSE3,
  FEATURE_SSE41,
  FEATURE_SSE42,
  FEATURE_SSSE3,
} from "../x86/cpuid";
import { UD } from "../x86/exception";
import { fxrstor, fxsave, ldmxcsr, stmxcsr } from "./fxsave";
import {
  enterMmx,
  memory4,
  mmxUnavailable,
  PREFIX_66,
  PREFIX_F2,
  PREFIX_F3,
  PREFIX_NONE,
  regMm,
  regXmm,
  rmMm,
  rmXmm,
  setMm,
  source16,
  sourceMm,
  sseUnavailable,
} from "./operands";
import {
  compareFlags,
  compareMask,
  convertDoubles,
  convertFromInteger,
  convertPacked,
  convertToInteger,
  convertWidth,
  floatArithmetic,
  floatLogic,
  horizontal,
  reciprocal,
} from "./sse-arith";
import { align, packed, packed38, shift, shiftBytes, unknown } from "./sse-integer";
import * as move from "./sse-move";
import * as sse4 from "./sse4";
import { compareGreater64, compareStrings } from "./sse42";
import { fpuOf } from "./state";

function prefixOf(op: Op): u32 {
  if (op.flags & OP_REPNE) return PREFIX_F2;
  if (op.flags & OP_REP) return PREFIX_F3;
  return op.flags & OP_66 ? PREFIX_66 : PREFIX_NONE;
}

/** Any SSE or MMX instruction. */
export function executeSse(cpu: Vcpu, op: Op): void {
  const map = <u32>op.opcode >> 8;
  const byte = <u32>op.opcode & 0xff;
  const prefix = prefixOf(op);
  if (map === 1) {
    if (byte === 0xae) group15(cpu, op, prefix);
    else if (byte === 0x77) emms(cpu, prefix);
    else if (isInteger(byte)) integer(cpu, op, byte, prefix);
    else executeMain(cpu, op, byte, prefix);
  } else if (map === 2) execute38(cpu, op, byte, prefix);
  else execute3a(cpu, op, byte, prefix);
}

/** Lacking features and registers. @returns true when a fault was raised */
function refused(cpu: Vcpu, feature: u32): bool {
  if (offers(feature)) return sseUnavailable(cpu);
  raise(cpu, UD);
  return true;
}

/** 0F 77: EMMS, without a prefix. */
function emms(cpu: Vcpu, prefix: u32): void {
  if (!offers(FEATURE_MMX) || prefix !== PREFIX_NONE) raise(cpu, UD);
  else if (!mmxUnavailable(cpu)) {
    enterMmx(cpu);
    fpuOf(cpu).setTags(0);
  }
}

/** 0F AE with a memory operand. */
function group15(cpu: Vcpu, op: Op, prefix: u32): void {
  if (!op.isMemory || prefix !== PREFIX_NONE || op.extension > 3) {
    raise(cpu, UD);
    return;
  }
  if (!offers(op.extension < 2 ? FEATURE_FXSR : FEATURE_SSE)) {
    raise(cpu, UD);
    return;
  }
  if (op.extension === 0) fxsave(cpu, op);
  else if (op.extension === 1) fxrstor(cpu, op);
  else if (op.extension === 2) ldmxcsr(cpu, op);
  else stmxcsr(cpu, op);
}

/** Opcodes of `packed`, in MMX and 66 forms alike. */
function isInteger(byte: u32): bool {
  if (byte >= 0x60) {
    if (byte <= 0x6d) return true;
    if (byte <= 0x76) return byte >= 0x71;
    if (byte < 0xd1) return false;
    return (
      byte !== 0xd6 &&
      byte !== 0xd7 &&
      byte !== 0xe6 &&
      byte !== 0xe7 &&
      byte !== 0xf0 &&
      byte !== 0xf7
    );
  }
  return false;
}

/** Operations on MMX registers that came with SSE or SSE2. */
function mmxFeature(byte: u32): u32 {
  switch (byte) {
    case 0xda:
    case 0xde:
    case 0xe0:
    case 0xe3:
    case 0xe4:
    case 0xea:
    case 0xee:
    case 0xf6:
      return FEATURE_SSE;
    case 0xd4:
    case 0xf4:
    case 0xfb:
      return FEATURE_SSE2;
    default:
      return FEATURE_MMX;
  }
}

function integer(cpu: Vcpu, op: Op, byte: u32, prefix: u32): void {
  if (prefix > PREFIX_66) {
    raise(cpu, UD);
    return;
  }
  if (byte >= 0x71 && byte <= 0x73) {
    shiftImmediate(cpu, op, byte, prefix);
    return;
  }
  if (prefix === PREFIX_66) {
    if (refused(cpu, FEATURE_SSE2)) return;
    const b = source16(cpu, op, true);
    if (cpu.fault !== 0) return;
    const xmm = regXmm(cpu, op);
    const r = packed(byte, v128.load(xmm), b, true);
    if (unknown) raise(cpu, UD);
    else v128.store(xmm, r);
    return;
  }
  if (!offers(mmxFeature(byte)) || byte === 0x6c || byte === 0x6d) {
    raise(cpu, UD);
    return;
  }
  if (mmxUnavailable(cpu)) return;
  // PUNPCKLBW, -WD and -DQ take 32 bits from memory.
  const b = op.isMemory && byte <= 0x62 ? <u64>memory4(cpu, op) : sourceMm(cpu, op);
  if (cpu.fault !== 0) return;
  const mm = regMm(cpu, op);
  const r = packed(byte, v128.load64_zero(mm), i64x2.replace_lane(i64x2.splat(0), 0, b), false);
  if (unknown) {
    raise(cpu, UD);
    return;
  }
  enterMmx(cpu);
  setMm(mm, i64x2.extract_lane(r, 0));
}

/** 0F 71, 72, 73: shifts by an immediate. The opcode of the same shift by register gives the operation. */
function shiftImmediate(cpu: Vcpu, op: Op, byte: u32, prefix: u32): void {
  const extension = op.extension;
  const width = byte & 3; // 1 words, 2 doublewords, 3 quadwords
  const bytewise = width === 3 && (extension === 3 || extension === 7) && prefix === PREFIX_66;
  const known = extension === 2 || extension === 6 || (extension === 4 && width !== 3);
  if (op.isMemory || !(known || bytewise)) {
    raise(cpu, UD);
    return;
  }
  const count = <u32>op.imm & 0xff;
  const operation = (extension === 2 ? 0xd0 : extension === 4 ? 0xe0 : 0xf0) | width;
  if (prefix === PREFIX_66) {
    if (refused(cpu, FEATURE_SSE2)) return;
    const xmm = rmXmm(cpu, op);
    const value = v128.load(xmm);
    v128.store(
      xmm,
      bytewise ? shiftBytes(value, count, extension === 3) : shift(operation, value, count),
    );
    return;
  }
  if (!offers(FEATURE_MMX)) {
    raise(cpu, UD);
    return;
  }
  if (mmxUnavailable(cpu)) return;
  enterMmx(cpu);
  const mm = rmMm(cpu, op);
  setMm(mm, i64x2.extract_lane(shift(operation, v128.load64_zero(mm), count), 0));
}

/** Feature of a 0F opcode outside `packed`. */
function featureOf(byte: u32, prefix: u32): u32 {
  switch (byte) {
    case 0x12:
    case 0x16:
      return prefix >= PREFIX_F3 ? FEATURE_SSE3 : prefix === PREFIX_66 ? FEATURE_SSE2 : FEATURE_SSE;
    case 0x7c:
    case 0x7d:
    case 0xd0:
    case 0xf0:
      return FEATURE_SSE3;
    case 0x5a:
    case 0x5b:
    case 0xe6:
    case 0xd6:
    case 0xc3:
      return FEATURE_SSE2;
    case 0x6e:
    case 0x6f:
    case 0x7e:
    case 0x7f:
      return prefix === PREFIX_NONE ? FEATURE_MMX : FEATURE_SSE2;
    case 0x70:
      return prefix === PREFIX_NONE ? FEATURE_SSE : FEATURE_SSE2;
    default:
      return prefix === PREFIX_66 || prefix === PREFIX_F2 ? FEATURE_SSE2 : FEATURE_SSE;
  }
}

/** Forms without prefix that use MMX registers only, so that CR4.OSFXSR does not matter. */
function isMmxForm(byte: u32, prefix: u32): bool {
  if (prefix !== PREFIX_NONE) return false;
  switch (byte) {
    case 0x6e:
    case 0x6f:
    case 0x70:
    case 0x7e:
    case 0x7f:
    case 0xc4:
    case 0xc5:
    case 0xd7:
    case 0xe7:
    case 0xf7:
      return true;
    default:
      return false;
  }
}

function executeMain(cpu: Vcpu, op: Op, byte: u32, prefix: u32): void {
  if (!offers(featureOf(byte, prefix))) {
    raise(cpu, UD);
    return;
  }
  if (byte === 0xc3) {
    // MOVNTI works on general registers: no state to check.
    if (prefix !== PREFIX_NONE) raise(cpu, UD);
    else move.moveNonTemporal(cpu, op);
    return;
  }
  if (isMmxForm(byte, prefix) ? mmxUnavailable(cpu) : sseUnavailable(cpu)) return;
  const packedFloat = prefix <= PREFIX_66;
  switch (byte) {
    case 0x10:
    case 0x11:
      move.moveUnaligned(cpu, op, prefix, byte === 0x11);
      return;
    case 0x12:
    case 0x13:
      move.moveHalf(cpu, op, prefix, 0, byte === 0x13);
      return;
    case 0x16:
    case 0x17:
      move.moveHalf(cpu, op, prefix, 8, byte === 0x17);
      return;
    case 0x14:
    case 0x15:
      if (packedFloat) move.unpackFloat(cpu, op, prefix, byte === 0x15);
      else raise(cpu, UD);
      return;
    case 0x28:
    case 0x29:
      if (packedFloat) move.moveAligned(cpu, op, byte === 0x29);
      else raise(cpu, UD);
      return;
    case 0x2a:
      convertFromInteger(cpu, op, prefix);
      return;
    case 0x2b:
      if (packedFloat && op.isMemory) move.moveAligned(cpu, op, true);
      else raise(cpu, UD);
      return;
    case 0x2c:
    case 0x2d:
      convertToInteger(cpu, op, prefix, byte === 0x2c);
      return;
    case 0x2e:
    case 0x2f:
      if (packedFloat) compareFlags(cpu, op, prefix, byte === 0x2f);
      else raise(cpu, UD);
      return;
    case 0x50:
      if (packedFloat && !op.isMemory) move.moveMask(cpu, op, prefix);
      else raise(cpu, UD);
      return;
    case 0x52:
    case 0x53:
      reciprocal(cpu, op, byte === 0x52, prefix);
      return;
    case 0x51:
    case 0x58:
    case 0x59:
    case 0x5c:
    case 0x5d:
    case 0x5e:
    case 0x5f:
      floatArithmetic(cpu, op, byte, prefix);
      return;
    case 0x54:
    case 0x55:
    case 0x56:
    case 0x57:
      if (packedFloat) floatLogic(cpu, op, byte);
      else raise(cpu, UD);
      return;
    case 0x5a:
      convertWidth(cpu, op, prefix);
      return;
    case 0x5b:
      convertPacked(cpu, op, prefix);
      return;
    case 0x6e:
      if (packedFloat) move.moveFromInteger(cpu, op, prefix);
      else raise(cpu, UD);
      return;
    case 0x7e:
      if (packedFloat) move.moveToInteger(cpu, op, prefix);
      else if (prefix === PREFIX_F3) move.moveQuad(cpu, op, false);
      else raise(cpu, UD);
      return;
    case 0x6f:
    case 0x7f:
      if (prefix === PREFIX_NONE) move.moveMm(cpu, op, byte === 0x7f);
      else if (prefix === PREFIX_66) move.moveAligned(cpu, op, byte === 0x7f);
      else if (prefix === PREFIX_F3) move.moveUnaligned(cpu, op, PREFIX_NONE, byte === 0x7f);
      else raise(cpu, UD);
      return;
    case 0x70:
      move.shuffleWords(cpu, op, prefix);
      return;
    case 0x7c:
    case 0x7d:
    case 0xd0:
      horizontal(cpu, op, byte, prefix);
      return;
    case 0xc2:
      compareMask(cpu, op, prefix);
      return;
    case 0xc4:
      if (packedFloat) move.insertWord(cpu, op, prefix);
      else raise(cpu, UD);
      return;
    case 0xc5:
      if (packedFloat && !op.isMemory) move.extractWord(cpu, op, prefix);
      else raise(cpu, UD);
      return;
    case 0xc6:
      if (packedFloat) move.shuffleFloat(cpu, op, prefix);
      else raise(cpu, UD);
      return;
    case 0xd6:
      if (prefix === PREFIX_66) move.moveQuad(cpu, op, true);
      else if (prefix === PREFIX_NONE) raise(cpu, UD);
      else move.moveBetween(cpu, op, prefix);
      return;
    case 0xd7:
      if (packedFloat && !op.isMemory) move.moveByteMask(cpu, op, prefix);
      else raise(cpu, UD);
      return;
    case 0xe6:
      convertDoubles(cpu, op, prefix);
      return;
    case 0xe7:
      if (packedFloat) move.storeNonTemporal(cpu, op, prefix);
      else raise(cpu, UD);
      return;
    case 0xf0:
      if (prefix === PREFIX_F2) move.loadUnaligned(cpu, op);
      else raise(cpu, UD);
      return;
    case 0xf7:
      if (packedFloat) move.maskedMove(cpu, op, prefix === PREFIX_66);
      else raise(cpu, UD);
      return;
    default:
      raise(cpu, UD);
  }
}

/** 0F 38: SSSE3 in both forms, SSE4 with 66. */
function execute38(cpu: Vcpu, op: Op, byte: u32, prefix: u32): void {
  if (prefix === PREFIX_66) {
    if (byte === 0x37) {
      if (!refused(cpu, FEATURE_SSE42)) compareGreater64(cpu, op);
    } else if (sse4.knows38(byte)) {
      if (!refused(cpu, FEATURE_SSE41)) sse4.execute38(cpu, op, byte);
    } else if (!isShuffle38(byte)) raise(cpu, UD);
    else if (!refused(cpu, FEATURE_SSSE3)) shuffle38(cpu, op, byte);
    return;
  }
  if (prefix !== PREFIX_NONE || !offers(FEATURE_SSSE3) || !isShuffle38(byte)) {
    raise(cpu, UD);
    return;
  }
  if (mmxUnavailable(cpu)) return;
  const b = sourceMm(cpu, op);
  if (cpu.fault !== 0) return;
  const mm = regMm(cpu, op);
  const zero = i64x2.splat(0);
  const r = packed38(byte, v128.load64_zero(mm), i64x2.replace_lane(zero, 0, b), false);
  enterMmx(cpu);
  setMm(mm, i64x2.extract_lane(r, 0));
}

/** Opcodes of `packed38`. */
function isShuffle38(byte: u32): bool {
  return byte <= 0x0b || (byte >= 0x1c && byte <= 0x1e);
}

function shuffle38(cpu: Vcpu, op: Op, byte: u32): void {
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  v128.store(xmm, packed38(byte, v128.load(xmm), b, true));
}

/** 0F 3A: PALIGNR in both forms, SSE4 with 66. */
function execute3a(cpu: Vcpu, op: Op, byte: u32, prefix: u32): void {
  if (byte === 0x0f && prefix <= PREFIX_66) {
    alignRight(cpu, op, prefix);
  } else if (prefix !== PREFIX_66) raise(cpu, UD);
  else if (byte >= 0x60 && byte <= 0x63) {
    if (!refused(cpu, FEATURE_SSE42)) compareStrings(cpu, op, byte);
  } else if (!sse4.knows3a(byte)) raise(cpu, UD);
  else if (!refused(cpu, FEATURE_SSE41)) sse4.execute3a(cpu, op, byte);
}

/** PALIGNR. */
function alignRight(cpu: Vcpu, op: Op, prefix: u32): void {
  if (!offers(FEATURE_SSSE3)) {
    raise(cpu, UD);
    return;
  }
  const bytes = <u32>op.imm & 0xff;
  if (prefix === PREFIX_66) {
    if (sseUnavailable(cpu)) return;
    const b = source16(cpu, op, true);
    if (cpu.fault !== 0) return;
    const xmm = regXmm(cpu, op);
    v128.store(xmm, align(v128.load(xmm), b, bytes, true));
    return;
  }
  if (mmxUnavailable(cpu)) return;
  const b = sourceMm(cpu, op);
  if (cpu.fault !== 0) return;
  const mm = regMm(cpu, op);
  const zero = i64x2.splat(0);
  const r = align(v128.load64_zero(mm), i64x2.replace_lane(zero, 0, b), bytes, false);
  enterMmx(cpu);
  setMm(mm, i64x2.extract_lane(r, 0));
}
