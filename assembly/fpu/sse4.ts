/**
 * SSE4.1: blends, extensions, inserts, extracts, rounding, dot products, and the rest of 66 0F 38 and 66 0F 3A.
 *
 *     0F 38 10 14 15 17 20-25 28-2B 30-35 38-41   0F 3A 08-0E 14-17 20-22 40-42
 *
 * Source: SDM 2, by instruction. All have the prefix 66 and work on XMM registers.
 */
import { addressOf } from "../cpu/address";
import { setArithmetic } from "../cpu/flags";
import { Op } from "../cpu/op";
import { register, setRegister } from "../cpu/operand";
import { raise } from "../fault";
import { read, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { CF, ZF } from "../x86/eflags";
import { UD } from "../x86/exception";
import {
  memory4,
  memory8,
  regXmm,
  rmXmm,
  source16,
  source4,
  source8,
  storeMemory4,
  storeMemory8,
} from "./operands";
import {
  ADD,
  arithmetic32,
  arithmetic64,
  beginSse,
  endSse,
  MUL,
  overrideRounding,
  roundDouble,
  roundSingle,
  suppressInexact,
} from "./sse-float";
import { fpuOf } from "./state";

const a16: usize = memory.data(16, 16);
const b16: usize = memory.data(16, 16);
const r16: usize = memory.data(16, 16);

/** 66 0F 38 (SSE4.1). */
export function execute38(cpu: Vcpu, op: Op, byte: u32): void {
  if (byte >= 0x20 && byte <= 0x35) {
    if ((byte & 0xf) <= 5) {
      extend(cpu, op, byte);
      return;
    }
  }
  if (byte === 0x2a && !op.isMemory) {
    raise(cpu, UD);
    return;
  }
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  const a = v128.load(xmm);
  let r: v128;
  switch (byte) {
    case 0x10:
      r = v128.bitselect(b, a, i8x16.shr_s(v128.load(fpuOf(cpu).xmm(0)), 7));
      break;
    case 0x14:
      r = v128.bitselect(b, a, i32x4.shr_s(v128.load(fpuOf(cpu).xmm(0)), 31));
      break;
    case 0x15:
      r = v128.bitselect(b, a, i64x2.shr_s(v128.load(fpuOf(cpu).xmm(0)), 63));
      break;
    case 0x17:
      testBits(cpu, a, b);
      return;
    case 0x28:
      r = i64x2.mul(i64x2.shr_s(i64x2.shl(a, 32), 32), i64x2.shr_s(i64x2.shl(b, 32), 32));
      break;
    case 0x29:
      r = i64x2.eq(a, b);
      break;
    case 0x2a:
      r = b;
      break;
    case 0x2b:
      r = i16x8.narrow_i32x4_u(a, b);
      break;
    case 0x38:
      r = i8x16.min_s(a, b);
      break;
    case 0x39:
      r = i32x4.min_s(a, b);
      break;
    case 0x3a:
      r = i16x8.min_u(a, b);
      break;
    case 0x3b:
      r = i32x4.min_u(a, b);
      break;
    case 0x3c:
      r = i8x16.max_s(a, b);
      break;
    case 0x3d:
      r = i32x4.max_s(a, b);
      break;
    case 0x3e:
      r = i16x8.max_u(a, b);
      break;
    case 0x3f:
      r = i32x4.max_u(a, b);
      break;
    case 0x40:
      r = i32x4.mul(a, b);
      break;
    default:
      v128.store(xmm, smallestWord(b));
      return;
  }
  v128.store(xmm, r);
}

/** True for opcodes that `execute38` knows. */
export function knows38(byte: u32): bool {
  if (byte < 0x20) return byte === 0x10 || byte === 0x14 || byte === 0x15 || byte === 0x17;
  if (byte < 0x28) return byte <= 0x25;
  if (byte < 0x38) return byte <= 0x2b || (byte >= 0x30 && byte <= 0x35);
  return byte <= 0x41;
}

/** PTEST: ZF = no common bits, CF = b has no bits outside a. */
function testBits(cpu: Vcpu, a: v128, b: v128): void {
  const zero = !v128.any_true(v128.and(a, b));
  const carry = !v128.any_true(v128.andnot(b, a));
  setArithmetic(cpu, (zero ? ZF : 0) | (carry ? CF : 0));
}

/** PHMINPOSUW: the smallest word and its first position. */
function smallestWord(b: v128): v128 {
  v128.store(b16, b);
  let best: u32 = 0x10000;
  let at: u32 = 0;
  for (let i: u32 = 0; i < 8; i++) {
    const word = <u32>load<u16>(b16 + ((<usize>i) << 1));
    if (word >= best) continue;
    best = word;
    at = i;
  }
  return i64x2.replace_lane(i64x2.splat(0), 0, <u64>(best | (at << 16)));
}

/** PMOVSX, PMOVZX: only the bytes that are needed are read. */
function extend(cpu: Vcpu, op: Op, byte: u32): void {
  const kind = byte & 7;
  let value: u64;
  if (kind === 0 || kind === 3 || kind === 5) value = source8(cpu, op);
  else if (kind === 1 || kind === 4) value = source4(cpu, op);
  else if (op.isMemory) {
    const gva = addressOf(cpu, op, 2, false);
    if (cpu.fault !== 0) return;
    value = read<u16>(cpu, gva);
  } else value = load<u16>(rmXmm(cpu, op));
  if (cpu.fault !== 0) return;
  const b = i64x2.splat(value);
  const isSigned = byte < 0x30;
  let r: v128;
  switch (kind) {
    case 0:
      r = isSigned ? i16x8.extend_low_i8x16_s(b) : i16x8.extend_low_i8x16_u(b);
      break;
    case 1:
      r = isSigned
        ? i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(b))
        : i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(b));
      break;
    case 2:
      r = isSigned
        ? i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(b)))
        : i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(b)));
      break;
    case 3:
      r = isSigned ? i32x4.extend_low_i16x8_s(b) : i32x4.extend_low_i16x8_u(b);
      break;
    case 4:
      r = isSigned
        ? i64x2.extend_low_i32x4_s(i32x4.extend_low_i16x8_s(b))
        : i64x2.extend_low_i32x4_u(i32x4.extend_low_i16x8_u(b));
      break;
    default:
      r = isSigned ? i64x2.extend_low_i32x4_s(b) : i64x2.extend_low_i32x4_u(b);
      break;
  }
  v128.store(regXmm(cpu, op), r);
}

/** True for opcodes that `execute3a` knows. */
export function knows3a(byte: u32): bool {
  if (byte < 0x10) return byte >= 0x08 && byte <= 0x0e;
  if (byte < 0x20) return byte >= 0x14 && byte <= 0x17;
  return byte <= 0x22 || (byte >= 0x40 && byte <= 0x42);
}

/** 66 0F 3A (SSE4.1). */
export function execute3a(cpu: Vcpu, op: Op, byte: u32): void {
  switch (byte) {
    case 0x08:
    case 0x09:
    case 0x0a:
    case 0x0b:
      round(cpu, op, byte);
      return;
    case 0x0c:
    case 0x0d:
    case 0x0e:
      blend(cpu, op, byte);
      return;
    case 0x14:
    case 0x15:
    case 0x16:
    case 0x17:
      extract(cpu, op, byte);
      return;
    case 0x20:
    case 0x22:
      insert(cpu, op, byte);
      return;
    case 0x21:
      insertSingle(cpu, op);
      return;
    case 0x42:
      multipleDifferences(cpu, op);
      return;
    default:
      dotProduct(cpu, op, byte === 0x41);
      return;
  }
}

/** ROUNDPS ROUNDPD ROUNDSS ROUNDSD: imm 1:0 rounding, 2 take MXCSR's, 3 no #P. */
function round(cpu: Vcpu, op: Op, byte: u32): void {
  const control = <u32>op.imm;
  const fpu = fpuOf(cpu);
  const xmm = regXmm(cpu, op);
  let value: u64 = 0;
  if (byte === 0x0a) value = source4(cpu, op);
  else if (byte === 0x0b) value = source8(cpu, op);
  else v128.store(b16, source16(cpu, op, true));
  if (cpu.fault !== 0) return;
  beginSse(fpu);
  if (!(control & 4)) overrideRounding(control & 3);
  if (byte === 0x0a) store<u32>(r16, roundSingle(<u32>value));
  else if (byte === 0x0b) store<u64>(r16, roundDouble(value));
  else if (byte === 0x08) {
    for (let i: usize = 0; i < 16; i += 4) store<u32>(r16 + i, roundSingle(load<u32>(b16 + i)));
  } else
    for (let i: usize = 0; i < 16; i += 8) store<u64>(r16 + i, roundDouble(load<u64>(b16 + i)));
  if (control & 8) suppressInexact();
  if (!endSse(cpu, fpu)) return;
  if (byte === 0x0a) store<u32>(xmm, load<u32>(r16));
  else if (byte === 0x0b) store<u64>(xmm, load<u64>(r16));
  else v128.store(xmm, v128.load(r16));
}

/** BLENDPS BLENDPD PBLENDW: a bit of the immediate takes an element of the source. */
function blend(cpu: Vcpu, op: Op, byte: u32): void {
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  v128.store(b16, b);
  const xmm = regXmm(cpu, op);
  const size: u32 = byte === 0x0c ? 4 : byte === 0x0d ? 8 : 2;
  for (let i: u32 = 0; i < 16 / size; i++) {
    if ((<u32>op.imm >> i) & 1) memory.copy(xmm + i * size, b16 + i * size, size);
  }
}

/** PEXTRB PEXTRW PEXTRD PEXTRQ EXTRACTPS. */
function extract(cpu: Vcpu, op: Op, byte: u32): void {
  const xmm = regXmm(cpu, op);
  const n = <usize>op.imm;
  if (byte >= 0x16) {
    if (byte === 0x16 && op.size === 8) {
      const value = load<u64>(xmm + ((n & 1) << 3));
      if (op.isMemory) storeMemory8(cpu, op, value);
      else setRegister<u64>(cpu, op.rm, value);
      return;
    }
    const value = load<u32>(xmm + ((n & 3) << 2));
    if (op.isMemory) storeMemory4(cpu, op, value);
    else setRegister<u32>(cpu, op.rm, value);
    return;
  }
  const isByte = byte === 0x14;
  const value = isByte ? <u32>load<u8>(xmm + (n & 15)) : <u32>load<u16>(xmm + ((n & 7) << 1));
  if (!op.isMemory) {
    setRegister<u32>(cpu, op.rm, value);
    return;
  }
  const gva = addressOf(cpu, op, isByte ? 1 : 2, true);
  if (cpu.fault !== 0) return;
  if (isByte) write<u8>(cpu, gva, <u8>value);
  else write<u16>(cpu, gva, <u16>value);
}

/** PINSRB, PINSRD, PINSRQ. */
function insert(cpu: Vcpu, op: Op, byte: u32): void {
  const n = <usize>op.imm;
  if (byte === 0x20) {
    let value: u32;
    if (op.isMemory) {
      const gva = addressOf(cpu, op, 1, false);
      if (cpu.fault !== 0) return;
      value = read<u8>(cpu, gva);
    } else value = register<u32>(cpu, op.rm);
    if (cpu.fault === 0) store<u8>(regXmm(cpu, op) + (n & 15), <u8>value);
  } else if (op.size === 8) {
    const value = op.isMemory ? memory8(cpu, op) : register<u64>(cpu, op.rm);
    if (cpu.fault === 0) store<u64>(regXmm(cpu, op) + ((n & 1) << 3), value);
  } else {
    const value = op.isMemory ? memory4(cpu, op) : register<u32>(cpu, op.rm);
    if (cpu.fault === 0) store<u32>(regXmm(cpu, op) + ((n & 3) << 2), value);
  }
}

/** INSERTPS: imm 7:6 source element (registers), 5:4 destination, 3:0 elements to clear. */
function insertSingle(cpu: Vcpu, op: Op): void {
  const control = <u32>op.imm;
  const value = op.isMemory
    ? memory4(cpu, op)
    : load<u32>(rmXmm(cpu, op) + ((<usize>((control >> 6) & 3)) << 2));
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  store<u32>(xmm + ((<usize>((control >> 4) & 3)) << 2), value);
  for (let i: u32 = 0; i < 4; i++) {
    if ((control >> i) & 1) store<u32>(xmm + ((<usize>i) << 2), 0);
  }
}

/** MPSADBW: eight sums of four absolute differences. */
function multipleDifferences(cpu: Vcpu, op: Op): void {
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  const control = <u32>op.imm;
  v128.store(b16, b);
  v128.store(a16, v128.load(xmm));
  const from = a16 + ((<usize>((control >> 2) & 1)) << 2);
  const block = b16 + ((<usize>(control & 3)) << 2);
  for (let i: usize = 0; i < 8; i++) {
    let sum: u32 = 0;
    for (let j: usize = 0; j < 4; j++) {
      sum += <u32>abs<i32>(<i32>load<u8>(from + i + j) - <i32>load<u8>(block + j));
    }
    store<u16>(xmm + (i << 1), <u16>sum);
  }
}

/** DPPS, DPPD: imm 7:4 products that count, 3:0 elements that receive the sum. Each step rounds. */
function dotProduct(cpu: Vcpu, op: Op, isDouble: bool): void {
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  const fpu = fpuOf(cpu);
  const control = <u32>op.imm;
  v128.store(a16, v128.load(xmm));
  v128.store(b16, b);
  beginSse(fpu);
  if (isDouble) {
    for (let i: u32 = 0; i < 2; i++) {
      const at = (<usize>i) << 3;
      const counts = (control >> (4 + i)) & 1;
      store<u64>(
        r16 + at,
        counts ? arithmetic64(MUL, load<u64>(a16 + at), load<u64>(b16 + at)) : 0,
      );
    }
  } else {
    for (let i: u32 = 0; i < 4; i++) {
      const at = (<usize>i) << 2;
      const counts = (control >> (4 + i)) & 1;
      store<u32>(
        r16 + at,
        counts ? arithmetic32(MUL, load<u32>(a16 + at), load<u32>(b16 + at)) : 0,
      );
    }
  }
  if (!endSse(cpu, fpu)) return;
  beginSse(fpu);
  let sum64: u64 = 0;
  let sum32: u32 = 0;
  if (isDouble) sum64 = arithmetic64(ADD, load<u64>(r16), load<u64>(r16, 8));
  else {
    const low = arithmetic32(ADD, load<u32>(r16), load<u32>(r16, 4));
    const high = arithmetic32(ADD, load<u32>(r16, 8), load<u32>(r16, 12));
    if (!endSse(cpu, fpu)) return;
    beginSse(fpu);
    sum32 = arithmetic32(ADD, low, high);
  }
  if (!endSse(cpu, fpu)) return;
  if (isDouble) {
    store<u64>(xmm, control & 1 ? sum64 : 0);
    store<u64>(xmm, control & 2 ? sum64 : 0, 8);
    return;
  }
  for (let i: u32 = 0; i < 4; i++)
    store<u32>(xmm + ((<usize>i) << 2), (control >> i) & 1 ? sum32 : 0);
}
