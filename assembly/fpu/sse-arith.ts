/**
 * SSE floating-point instructions over whole registers.
 *
 *     0F 2A 2C 2D 2E 2F  51-5F  7C 7D  C2  D0  E6
 *
 * Source: SDM 2, by instruction. Packed and scalar forms share the element functions of sse-float.ts; all elements are
 * computed before the register changes, since an unmasked exception in one leaves the whole register alone.
 */
import { Op } from "../cpu/op";
import { setArithmetic } from "../cpu/flags";
import { register, setRegister } from "../cpu/operand";
import { raise } from "../fault";
import { Vcpu } from "../vcpu";
import { CF, PF_FLAG, ZF } from "../x86/eflags";
import { UD } from "../x86/exception";
import {
  enterMmx,
  memory4,
  memory8,
  mmxUnavailable,
  PREFIX_66,
  PREFIX_F2,
  PREFIX_F3,
  PREFIX_NONE,
  regMm,
  regXmm,
  setMm,
  source16,
  source4,
  source8,
  sourceMm,
} from "./operands";
import {
  ADD,
  arithmetic32,
  arithmetic64,
  beginSse,
  compare32,
  compare64,
  DIV,
  doubleToInteger,
  doubleToSingle,
  endSse,
  EQUAL,
  extreme32,
  extreme64,
  GREATER,
  holds,
  integerToDouble,
  integerToSingle,
  MUL,
  signalsQuiet,
  singleToDouble,
  singleToInteger,
  SQRT,
  SUB,
  UNORDERED,
} from "./sse-float";
import { fpuOf } from "./state";

const a16: usize = memory.data(16, 16);
const b16: usize = memory.data(16, 16);
const r16: usize = memory.data(16, 16);

/** Elementary operation of an opcode 51..5F. */
function element64(byte: u32, a: u64, b: u64): u64 {
  switch (byte) {
    case 0x51:
      return arithmetic64(SQRT, 0, b);
    case 0x58:
      return arithmetic64(ADD, a, b);
    case 0x59:
      return arithmetic64(MUL, a, b);
    case 0x5c:
      return arithmetic64(SUB, a, b);
    case 0x5e:
      return arithmetic64(DIV, a, b);
    default:
      return extreme64(a, b, byte === 0x5f);
  }
}

function element32(byte: u32, a: u32, b: u32): u32 {
  switch (byte) {
    case 0x51:
      return arithmetic32(SQRT, 0, b);
    case 0x58:
      return arithmetic32(ADD, a, b);
    case 0x59:
      return arithmetic32(MUL, a, b);
    case 0x5c:
      return arithmetic32(SUB, a, b);
    case 0x5e:
      return arithmetic32(DIV, a, b);
    default:
      return extreme32(a, b, byte === 0x5f);
  }
}

/** 0F 51, 58, 59, 5C-5F: SQRT ADD MUL SUB MIN DIV MAX, packed and scalar. */
export function floatArithmetic(cpu: Vcpu, op: Op, byte: u32, prefix: u32): void {
  const xmm = regXmm(cpu, op);
  const fpu = fpuOf(cpu);
  if (prefix === PREFIX_F2) {
    const b = source8(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    const r = element64(byte, load<u64>(xmm), b);
    if (endSse(cpu, fpu)) store<u64>(xmm, r);
    return;
  }
  if (prefix === PREFIX_F3) {
    const b = source4(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    const r = element32(byte, load<u32>(xmm), b);
    if (endSse(cpu, fpu)) store<u32>(xmm, r);
    return;
  }
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  v128.store(b16, b);
  beginSse(fpu);
  if (prefix === PREFIX_66) {
    for (let i: usize = 0; i < 16; i += 8) {
      store<u64>(r16 + i, element64(byte, load<u64>(xmm + i), load<u64>(b16 + i)));
    }
  } else {
    for (let i: usize = 0; i < 16; i += 4) {
      store<u32>(r16 + i, element32(byte, load<u32>(xmm + i), load<u32>(b16 + i)));
    }
  }
  if (endSse(cpu, fpu)) v128.store(xmm, v128.load(r16));
}

/**
 * Reciprocal or reciprocal square root to 12 bits, without flags.
 *
 * The manual allows a relative error of 1.5 * 2^-12 and leaves the value to the CPU; this is the nearest 12-bit value.
 */
function approximate(bits: u32, isRoot: bool): u32 {
  const sign = bits & 0x80000000;
  const exp = (bits >> 23) & 0xff;
  if (exp === 0) return sign | 0x7f800000; // denormals count as zeros
  if (exp === 0xff && bits & 0x7fffff) return bits | 0x400000;
  if (isRoot && sign) return 0xffc00000;
  if (exp === 0xff) return sign;
  const x = <f64>reinterpret<f32>(bits);
  const r = reinterpret<u32>(<f32>(isRoot ? 1.0 / sqrt<f64>(x) : 1.0 / x));
  const rounded = (r + 0x400) & ~0x7ff;
  return (rounded >> 23) & 0xff ? rounded : sign; // tiny results are flushed
}

/** 0F 52, 53: RSQRT, RCP. */
export function reciprocal(cpu: Vcpu, op: Op, isRoot: bool, prefix: u32): void {
  const xmm = regXmm(cpu, op);
  if (prefix === PREFIX_F3) {
    const b = source4(cpu, op);
    if (cpu.fault === 0) store<u32>(xmm, approximate(b, isRoot));
    return;
  }
  if (prefix !== PREFIX_NONE) {
    raise(cpu, UD);
    return;
  }
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  v128.store(b16, b);
  for (let i: usize = 0; i < 16; i += 4)
    store<u32>(xmm + i, approximate(load<u32>(b16 + i), isRoot));
}

/** 0F 54-57: AND ANDN OR XOR. */
export function floatLogic(cpu: Vcpu, op: Op, byte: u32): void {
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  const a = v128.load(xmm);
  let r: v128;
  if (byte === 0x54) r = v128.and(a, b);
  else if (byte === 0x55) r = v128.andnot(b, a);
  else r = byte === 0x56 ? v128.or(a, b) : v128.xor(a, b);
  v128.store(xmm, r);
}

/** 0F 2E, 2F: UCOMISS UCOMISD COMISS COMISD. */
export function compareFlags(cpu: Vcpu, op: Op, prefix: u32, signals: bool): void {
  const xmm = regXmm(cpu, op);
  const fpu = fpuOf(cpu);
  let order: u32;
  if (prefix === PREFIX_66) {
    const b = source8(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    order = compare64(load<u64>(xmm), b, signals);
  } else {
    const b = source4(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    order = compare32(load<u32>(xmm), b, signals);
  }
  if (!endSse(cpu, fpu)) return;
  if (order === UNORDERED) setArithmetic(cpu, ZF | PF_FLAG | CF);
  else setArithmetic(cpu, order === EQUAL ? ZF : order === GREATER ? 0 : CF);
}

/** 0F C2: CMPPS CMPPD CMPSS CMPSD; the immediate's bits beyond 2:0 are ignored. */
export function compareMask(cpu: Vcpu, op: Op, prefix: u32): void {
  const xmm = regXmm(cpu, op);
  const fpu = fpuOf(cpu);
  const predicate = <u32>op.imm & 7;
  const signals = signalsQuiet(predicate);
  if (prefix === PREFIX_F2) {
    const b = source8(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    const met = holds(predicate, compare64(load<u64>(xmm), b, signals));
    if (endSse(cpu, fpu)) store<u64>(xmm, met ? -1 : 0);
    return;
  }
  if (prefix === PREFIX_F3) {
    const b = source4(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    const met = holds(predicate, compare32(load<u32>(xmm), b, signals));
    if (endSse(cpu, fpu)) store<u32>(xmm, met ? 0xffffffff : 0);
    return;
  }
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  v128.store(b16, b);
  beginSse(fpu);
  if (prefix === PREFIX_66) {
    for (let i: usize = 0; i < 16; i += 8) {
      const order = compare64(load<u64>(xmm + i), load<u64>(b16 + i), signals);
      store<u64>(r16 + i, holds(predicate, order) ? -1 : 0);
    }
  } else {
    for (let i: usize = 0; i < 16; i += 4) {
      const order = compare32(load<u32>(xmm + i), load<u32>(b16 + i), signals);
      store<u32>(r16 + i, holds(predicate, order) ? 0xffffffff : 0);
    }
  }
  if (endSse(cpu, fpu)) v128.store(xmm, v128.load(r16));
}

/** 0F 7C, 7D, D0: HADD, HSUB, ADDSUB; 66 for doubles, F2 for singles. */
export function horizontal(cpu: Vcpu, op: Op, byte: u32, prefix: u32): void {
  if (prefix !== PREFIX_66 && prefix !== PREFIX_F2) {
    raise(cpu, UD);
    return;
  }
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  const fpu = fpuOf(cpu);
  v128.store(a16, v128.load(xmm));
  v128.store(b16, b);
  beginSse(fpu);
  if (prefix === PREFIX_66) horizontal64(byte);
  else horizontal32(byte);
  if (endSse(cpu, fpu)) v128.store(xmm, v128.load(r16));
}

function horizontal64(byte: u32): void {
  if (byte === 0xd0) {
    store<u64>(r16, arithmetic64(SUB, load<u64>(a16), load<u64>(b16)));
    store<u64>(r16, arithmetic64(ADD, load<u64>(a16, 8), load<u64>(b16, 8)), 8);
    return;
  }
  const operation = byte === 0x7c ? ADD : SUB;
  store<u64>(r16, arithmetic64(operation, load<u64>(a16), load<u64>(a16, 8)));
  store<u64>(r16, arithmetic64(operation, load<u64>(b16), load<u64>(b16, 8)), 8);
}

function horizontal32(byte: u32): void {
  for (let i: usize = 0; i < 16; i += 4) {
    let operation = byte === 0x7d ? SUB : ADD;
    let x: u32;
    let y: u32;
    if (byte === 0xd0) {
      if (!(i & 4)) operation = SUB;
      x = load<u32>(a16 + i);
      y = load<u32>(b16 + i);
    } else {
      const from = (i < 8 ? a16 : b16) + ((i & 4) << 1);
      x = load<u32>(from);
      y = load<u32>(from, 4);
    }
    store<u32>(r16 + i, arithmetic32(operation, x, y));
  }
}

/** 0F 2A: CVTPI2PS CVTPI2PD CVTSI2SS CVTSI2SD. */
export function convertFromInteger(cpu: Vcpu, op: Op, prefix: u32): void {
  const xmm = regXmm(cpu, op);
  const fpu = fpuOf(cpu);
  if (prefix >= PREFIX_F3) {
    let value: i64;
    if (op.size === 8) value = <i64>(op.isMemory ? memory8(cpu, op) : register<u64>(cpu, op.rm));
    else value = <i64>(<i32>(op.isMemory ? memory4(cpu, op) : register<u32>(cpu, op.rm)));
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    if (prefix === PREFIX_F2) {
      const r = integerToDouble(value);
      if (endSse(cpu, fpu)) store<u64>(xmm, r);
    } else {
      const r = integerToSingle(value);
      if (endSse(cpu, fpu)) store<u32>(xmm, r);
    }
    return;
  }
  // From memory the x87 state is left alone, as CPUs do (the manual says so of CVTPI2PD only).
  if (!op.isMemory && mmxUnavailable(cpu)) return;
  const value = sourceMm(cpu, op);
  if (cpu.fault !== 0) return;
  if (!op.isMemory) enterMmx(cpu);
  beginSse(fpu);
  if (prefix === PREFIX_66) {
    store<u64>(xmm, integerToDouble(<i64>(<i32>value)));
    store<u64>(xmm, integerToDouble(<i64>value >> 32), 8);
    return;
  }
  const low = integerToSingle(<i64>(<i32>value));
  const high = integerToSingle(<i64>value >> 32);
  if (!endSse(cpu, fpu)) return;
  store<u32>(xmm, low);
  store<u32>(xmm, high, 4);
}

/** 0F 2C, 2D: CVT(T)PS2PI CVT(T)PD2PI CVT(T)SS2SI CVT(T)SD2SI. */
export function convertToInteger(cpu: Vcpu, op: Op, prefix: u32, truncate: bool): void {
  const fpu = fpuOf(cpu);
  if (prefix >= PREFIX_F3) {
    const bits = op.size === 8 ? 64 : 32;
    let r: i64;
    if (prefix === PREFIX_F2) {
      const value = source8(cpu, op);
      if (cpu.fault !== 0) return;
      beginSse(fpu);
      r = doubleToInteger(value, bits, truncate);
    } else {
      const value = source4(cpu, op);
      if (cpu.fault !== 0) return;
      beginSse(fpu);
      r = singleToInteger(value, bits, truncate);
    }
    if (!endSse(cpu, fpu)) return;
    if (bits === 64) setRegister<u64>(cpu, op.reg, <u64>r);
    else setRegister<u32>(cpu, op.reg, <u32>r);
    return;
  }
  if (mmxUnavailable(cpu)) return;
  let low: i64;
  let high: i64;
  if (prefix === PREFIX_66) {
    const b = source16(cpu, op, true);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    low = doubleToInteger(i64x2.extract_lane(b, 0), 32, truncate);
    high = doubleToInteger(i64x2.extract_lane(b, 1), 32, truncate);
  } else {
    const b = source8(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    low = singleToInteger(<u32>b, 32, truncate);
    high = singleToInteger(<u32>(b >> 32), 32, truncate);
  }
  // An unmasked exception comes after the change to MMX state.
  enterMmx(cpu);
  if (!endSse(cpu, fpu)) return;
  setMm(regMm(cpu, op), ((<u64>high) << 32) | (<u64>low & 0xffffffff));
}

/** 0F 5A: CVTPS2PD CVTPD2PS CVTSS2SD CVTSD2SS. */
export function convertWidth(cpu: Vcpu, op: Op, prefix: u32): void {
  const xmm = regXmm(cpu, op);
  const fpu = fpuOf(cpu);
  if (prefix === PREFIX_F3) {
    const value = source4(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    const r = singleToDouble(value);
    if (endSse(cpu, fpu)) store<u64>(xmm, r);
  } else if (prefix === PREFIX_F2) {
    const value = source8(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    const r = doubleToSingle(value);
    if (endSse(cpu, fpu)) store<u32>(xmm, r);
  } else if (prefix === PREFIX_NONE) {
    const value = source8(cpu, op);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    const low = singleToDouble(<u32>value);
    const high = singleToDouble(<u32>(value >> 32));
    if (!endSse(cpu, fpu)) return;
    store<u64>(xmm, low);
    store<u64>(xmm, high, 8);
  } else {
    const b = source16(cpu, op, true);
    if (cpu.fault !== 0) return;
    beginSse(fpu);
    const low = doubleToSingle(i64x2.extract_lane(b, 0));
    const high = doubleToSingle(i64x2.extract_lane(b, 1));
    if (!endSse(cpu, fpu)) return;
    store<u64>(xmm, ((<u64>high) << 32) | low);
    store<u64>(xmm, 0, 8);
  }
}

/** 0F 5B: CVTDQ2PS CVTPS2DQ CVTTPS2DQ. */
export function convertPacked(cpu: Vcpu, op: Op, prefix: u32): void {
  if (prefix === PREFIX_F2) {
    raise(cpu, UD);
    return;
  }
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  const fpu = fpuOf(cpu);
  v128.store(b16, b);
  beginSse(fpu);
  for (let i: usize = 0; i < 16; i += 4) {
    const value = load<u32>(b16 + i);
    let r: u32;
    if (prefix === PREFIX_NONE) r = integerToSingle(<i64>(<i32>value));
    else r = <u32>singleToInteger(value, 32, prefix === PREFIX_F3);
    store<u32>(r16 + i, r);
  }
  if (endSse(cpu, fpu)) v128.store(xmm, v128.load(r16));
}

/** 0F E6: CVTDQ2PD CVTPD2DQ CVTTPD2DQ. */
export function convertDoubles(cpu: Vcpu, op: Op, prefix: u32): void {
  const xmm = regXmm(cpu, op);
  const fpu = fpuOf(cpu);
  if (prefix === PREFIX_NONE) {
    raise(cpu, UD);
    return;
  }
  if (prefix === PREFIX_F3) {
    const value = source8(cpu, op);
    if (cpu.fault !== 0) return;
    store<f64>(xmm, <f64>(<i32>value));
    store<f64>(xmm, <f64>(<i32>(value >> 32)), 8);
    return;
  }
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  beginSse(fpu);
  const truncate = prefix === PREFIX_66;
  const low = doubleToInteger(i64x2.extract_lane(b, 0), 32, truncate);
  const high = doubleToInteger(i64x2.extract_lane(b, 1), 32, truncate);
  if (!endSse(cpu, fpu)) return;
  store<u64>(xmm, ((<u64>high) << 32) | (<u64>low & 0xffffffff));
  store<u64>(xmm, 0, 8);
}
