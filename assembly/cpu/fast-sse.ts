/**
 * Fast handlers of the SSE forms that compilers use most; for code that was decoded with MODE_SSE, so nothing is left to
 * check but the operands.
 *
 * A handler does the whole instruction or nothing: a memory operand that the TLB does not show (or a misaligned one),
 * numbers and MXCSR settings that could raise a flag go to the exact path of fpu/ before anything has changed. Arithmetic
 * is fast when MXCSR rounds to nearest, masks everything and has PE set already: then normal numbers add nothing to it.
 */
import { FPU_MXCSR, FPU_XMM, VCPU_FPU } from "../abi";
import { packed } from "../fpu/sse-integer";
import { tlbRead, tlbSlot, tlbWrite } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { CF, ZF } from "../x86/eflags";
import { leaveBlock } from "./control";
import { setArithmetic } from "./flags";
import { Memory, setCurrentOp } from "./flat-memory";
import { ADDRESS_NONE, Op, OP_66 } from "./op";
import { register, setRegister } from "./operand";
import { executeTwoByte } from "./twobyte";

const PAGE: u64 = ~(<u64>0xfff);
/** Offsets in the vCPU record. An Op's register field is number * 8, so twice that counts XMM registers. */
const XMM: usize = VCPU_FPU + FPU_XMM;
const MXCSR: usize = VCPU_FPU + FPU_MXCSR;

/** Masks, RC and the sticky PE, and their values for fast arithmetic. */
const CONTROL: u32 = 0x7fa0;
const QUIET: u32 = 0x1fa0;
/** PM and PE: an inexact conversion adds nothing. */
const INEXACT_SEEN: u32 = 0x1020;

// Operations of `arithmetic`.
export const FLOAT_ADD: u32 = 0;
export const FLOAT_SUB: u32 = 1;
export const FLOAT_MUL: u32 = 2;
export const FLOAT_DIV: u32 = 3;

export class Sse {
  /** The instruction as fpu/ does it. */
  static exact(cpu: Vcpu, op: Op): void {
    setCurrentOp(op);
    executeTwoByte(cpu, op);
    if (cpu.fault !== 0) leaveBlock();
  }

  /** Address of ModRM.reg's register, less XMM. */
  @inline
  static reg(cpu: Vcpu, op: Op): usize {
    return changetype<usize>(cpu) + ((<usize>op.reg) << 1);
  }

  /** Address of ModRM.r/m's register, less XMM. */
  @inline
  static rm(cpu: Vcpu, op: Op): usize {
    return changetype<usize>(cpu) + ((<usize>op.rm) << 1);
  }

  /** Host address of the memory operand, for reads or writes by the TLB array given; 0: go to the exact path. */
  @inline
  static memory<T>(cpu: Vcpu, op: Op, tlb: usize, aligned: bool): usize {
    const gva = Memory.address(cpu, op);
    const entry = tlb + tlbSlot(cpu, gva);
    if (load<u64>(entry) !== (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) return 0;
    if (aligned && <u32>gva & 15) return 0;
    return <usize>(<u32>gva + load<u32>(entry, 8));
  }

  /** Host address of xmm/m: a register of the record, or RAM; 0: go to the exact path. */
  @inline
  static source<T>(cpu: Vcpu, op: Op, aligned: bool): usize {
    if (op.kind === ADDRESS_NONE) return Sse.rm(cpu, op) + XMM;
    return Sse.memory<T>(cpu, op, tlbRead, aligned);
  }

  /** MOVAPS, MOVDQA ... between registers: r/m := reg. */
  @inline
  static move(cpu: Vcpu, op: Op): void {
    v128.store(Sse.rm(cpu, op), v128.load(Sse.reg(cpu, op), XMM), XMM);
  }

  /** MOVSS, MOVSD between registers: the rest of r/m stays. */
  @inline
  static movePart<T>(cpu: Vcpu, op: Op): void {
    store<T>(Sse.rm(cpu, op), load<T>(Sse.reg(cpu, op), XMM), XMM);
  }

  /** MOVQ between registers: r/m := low half of reg. */
  @inline
  static moveQuad(cpu: Vcpu, op: Op): void {
    v128.store(Sse.rm(cpu, op), v128.load64_zero(Sse.reg(cpu, op), XMM), XMM);
  }

  @inline
  static load16(cpu: Vcpu, op: Op, aligned: bool): void {
    const from = Sse.memory<v128>(cpu, op, tlbRead, aligned);
    if (from !== 0) v128.store(Sse.reg(cpu, op), v128.load(from), XMM);
    else Sse.exact(cpu, op);
  }

  @inline
  static store16(cpu: Vcpu, op: Op, aligned: bool): void {
    const to = Sse.memory<v128>(cpu, op, tlbWrite, aligned);
    if (to !== 0) v128.store(to, v128.load(Sse.reg(cpu, op), XMM));
    else Sse.exact(cpu, op);
  }

  /** MOVSS, MOVSD, MOVD, MOVQ from memory: zeros above. */
  @inline
  static loadPart<T>(cpu: Vcpu, op: Op): void {
    const from = Sse.memory<T>(cpu, op, tlbRead, false);
    if (from === 0) Sse.exact(cpu, op);
    else if (sizeof<T>() === 8) v128.store(Sse.reg(cpu, op), v128.load64_zero(from), XMM);
    else v128.store(Sse.reg(cpu, op), v128.load32_zero(from), XMM);
  }

  /** MOVSS, MOVSD, MOVD, MOVQ, MOVLPS to memory. */
  @inline
  static storePart<T>(cpu: Vcpu, op: Op): void {
    const to = Sse.memory<T>(cpu, op, tlbWrite, false);
    if (to !== 0) store<T>(to, load<T>(Sse.reg(cpu, op), XMM));
    else Sse.exact(cpu, op);
  }

  /** MOVD, MOVQ from a general register. */
  @inline
  static fromGeneral<T>(cpu: Vcpu, op: Op): void {
    const to = Sse.reg(cpu, op);
    store<u64>(to, <u64>register<T>(cpu, op.rm), XMM);
    store<u64>(to, 0, XMM + 8);
  }

  /** MOVD, MOVQ to a general register. */
  @inline
  static toGeneral<T>(cpu: Vcpu, op: Op): void {
    setRegister<T>(cpu, op.rm, load<T>(Sse.reg(cpu, op), XMM));
  }

  /** PMOVMSKB. */
  @inline
  static byteMask(cpu: Vcpu, op: Op): void {
    const bits = <u32>i8x16.bitmask(v128.load(Sse.rm(cpu, op), XMM));
    setRegister<u64>(cpu, op.reg, <u64>bits);
  }

  /** Packed operation on registers. @param byte - a constant: opcode */
  @inline
  static packed(cpu: Vcpu, op: Op, byte: u32): void {
    const to = Sse.reg(cpu, op);
    const a = v128.load(to, XMM);
    const b = v128.load(Sse.rm(cpu, op), XMM);
    let r: v128;
    if (byte === 0xef) r = v128.xor(a, b);
    else if (byte === 0xdb) r = v128.and(a, b);
    else if (byte === 0xeb) r = v128.or(a, b);
    else if (byte === 0xdf) r = v128.andnot(b, a);
    else if (byte === 0xfc) r = i8x16.add(a, b);
    else if (byte === 0xfd) r = i16x8.add(a, b);
    else if (byte === 0xfe) r = i32x4.add(a, b);
    else if (byte === 0xd4) r = i64x2.add(a, b);
    else if (byte === 0xf8) r = i8x16.sub(a, b);
    else if (byte === 0xf9) r = i16x8.sub(a, b);
    else if (byte === 0xfa) r = i32x4.sub(a, b);
    else if (byte === 0xfb) r = i64x2.sub(a, b);
    else if (byte === 0x74) r = i8x16.eq(a, b);
    else if (byte === 0x75) r = i16x8.eq(a, b);
    else r = i32x4.eq(a, b);
    v128.store(to, r, XMM);
  }

  /** Any packed operation; its opcode is in `imm`. */
  static packedAny(cpu: Vcpu, op: Op): void {
    const from = Sse.source<v128>(cpu, op, true);
    if (from === 0) {
      Sse.exact(cpu, op);
      return;
    }
    const to = Sse.reg(cpu, op);
    const r = packed(<u32>op.imm, v128.load(to, XMM), v128.load(from), true);
    v128.store(to, r, XMM);
  }

  /** Not a denormal. */
  @inline
  static notDenormal<T>(x: T): bool {
    if (sizeof<T>() === 8) return (reinterpret<u64>(x) << 1) - 1 >= 0x1fffffffffffff;
    return (reinterpret<u32>(x) << 1) - 1 >= 0xffffff;
  }

  /** Normal, and above the least normal number, which may have been tiny before it was rounded. */
  @inline
  static isOrdinary<T>(x: T): bool {
    if (sizeof<T>() === 8)
      return (reinterpret<u64>(x) << 1) - ((<u64>2) << 53) < (<u64>0x7fd) << 53;
    return (reinterpret<u32>(x) << 1) - ((<u32>2) << 24) < (<u32>0xfd) << 24;
  }

  /** ADDSD ... DIVSS. A result that is neither ordinary nor an exact zero goes to the exact path. */
  @inline
  static arithmetic<T>(cpu: Vcpu, op: Op, operation: u32): void {
    const from = Sse.source<T>(cpu, op, false);
    if (from !== 0 && (load<u32>(changetype<usize>(cpu), MXCSR) & CONTROL) === QUIET) {
      const to = Sse.reg(cpu, op);
      const x = load<T>(to, XMM);
      const y = load<T>(from);
      const zero = <T>0;
      let r: T;
      let isZero: bool;
      if (operation === FLOAT_ADD || operation === FLOAT_SUB) {
        r = operation === FLOAT_ADD ? x + y : x - y;
        isZero = r === zero;
      } else if (operation === FLOAT_MUL) {
        r = x * y;
        isZero = r === zero && (x === zero || y === zero);
      } else {
        r = x / y;
        isZero = r === zero && x === zero;
      }
      if ((Sse.isOrdinary<T>(r) || isZero) && Sse.notDenormal<T>(x) && Sse.notDenormal<T>(y)) {
        store<T>(to, r, XMM);
        return;
      }
    }
    Sse.exact(cpu, op);
  }

  /** SQRTSD, SQRTSS. */
  @inline
  static squareRoot<T>(cpu: Vcpu, op: Op): void {
    const from = Sse.source<T>(cpu, op, false);
    if (from !== 0 && (load<u32>(changetype<usize>(cpu), MXCSR) & CONTROL) === QUIET) {
      const x = load<T>(from);
      if (x > <T>0 && Sse.isOrdinary<T>(x)) {
        store<T>(Sse.reg(cpu, op), sqrt<T>(x), XMM);
        return;
      }
    }
    Sse.exact(cpu, op);
  }

  /** UCOMISD, COMISD, UCOMISS, COMISS of two that have an order. */
  @inline
  static compare<T>(cpu: Vcpu, op: Op): void {
    const from = Sse.source<T>(cpu, op, false);
    if (from !== 0) {
      const x = load<T>(Sse.reg(cpu, op), XMM);
      const y = load<T>(from);
      if (x === x && y === y && Sse.notDenormal<T>(x) && Sse.notDenormal<T>(y)) {
        setArithmetic(cpu, x < y ? CF : x === y ? ZF : 0);
        return;
      }
    }
    Sse.exact(cpu, op);
  }

  /** CVTSI2SD of a register: always exact for 32 bits, and for 64 bits up to 2^53. */
  @inline
  static integerToDouble<T>(cpu: Vcpu, op: Op): void {
    const value = <i64>register<T>(cpu, op.rm);
    if (sizeof<T>() === 8 && <u64>(value + ((<i64>1) << 53)) > (<u64>1) << 54) Sse.exact(cpu, op);
    else store<f64>(Sse.reg(cpu, op), <f64>value, XMM);
  }

  /** CVTTSD2SI. @typeParam T - i32 or i64 */
  @inline
  static truncate<T>(cpu: Vcpu, op: Op): void {
    const from = Sse.source<f64>(cpu, op, false);
    if (from !== 0) {
      const x = load<f64>(from);
      const limit: f64 = sizeof<T>() === 4 ? 2147483648.0 : 9223372036854775808.0;
      if (x > -limit && x < limit && Sse.notDenormal<f64>(x)) {
        const mxcsr = load<u32>(changetype<usize>(cpu), MXCSR);
        const whole = trunc<f64>(x);
        if (whole === x || (mxcsr & INEXACT_SEEN) === INEXACT_SEEN) {
          if (sizeof<T>() === 4) setRegister<u32>(cpu, op.reg, <u32>(<i32>whole));
          else setRegister<u64>(cpu, op.reg, <u64>(<i64>whole));
          return;
        }
      }
    }
    Sse.exact(cpu, op);
  }

  /** CVTSS2SD: exact. */
  @inline
  static singleToDouble(cpu: Vcpu, op: Op): void {
    const from = Sse.source<f32>(cpu, op, false);
    if (from !== 0) {
      const x = load<f32>(from);
      if (x === <f32>0 || Sse.isOrdinary<f32>(x)) {
        store<f64>(Sse.reg(cpu, op), <f64>x, XMM);
        return;
      }
    }
    Sse.exact(cpu, op);
  }

  /** CVTSD2SS. */
  @inline
  static doubleToSingle(cpu: Vcpu, op: Op): void {
    const from = Sse.source<f64>(cpu, op, false);
    if (from !== 0 && (load<u32>(changetype<usize>(cpu), MXCSR) & CONTROL) === QUIET) {
      const x = load<f64>(from);
      const r = <f32>x;
      if (x === <f64>0 || Sse.isOrdinary<f32>(r)) {
        store<f32>(Sse.reg(cpu, op), r, XMM);
        return;
      }
    }
    Sse.exact(cpu, op);
  }

  /** ADDPS ... DIVPD. Unlike the scalar forms these take no zero results of MUL and DIV. */
  static packedFloat(cpu: Vcpu, op: Op): void {
    const from = Sse.source<v128>(cpu, op, true);
    if (from === 0 || (load<u32>(changetype<usize>(cpu), MXCSR) & CONTROL) !== QUIET) {
      Sse.exact(cpu, op);
      return;
    }
    const to = Sse.reg(cpu, op);
    const a = v128.load(to, XMM);
    const b = v128.load(from);
    const byte = <u32>op.opcode & 0xff;
    let r: v128;
    let fits: bool;
    if (op.flags & OP_66) {
      if (byte === 0x58) r = f64x2.add(a, b);
      else if (byte === 0x59) r = f64x2.mul(a, b);
      else if (byte === 0x5c) r = f64x2.sub(a, b);
      else r = f64x2.div(a, b);
      const least = i64x2.splat(0x10000000000000);
      fits =
        Sse.areOrdinary64(r, byte === 0x58 || byte === 0x5c) &&
        Sse.noDenormals64(a, least) &&
        Sse.noDenormals64(b, least);
    } else {
      if (byte === 0x58) r = f32x4.add(a, b);
      else if (byte === 0x59) r = f32x4.mul(a, b);
      else if (byte === 0x5c) r = f32x4.sub(a, b);
      else r = f32x4.div(a, b);
      const least = i32x4.splat(0x800000);
      fits =
        Sse.areOrdinary32(r, byte === 0x58 || byte === 0x5c) &&
        Sse.noDenormals32(a, least) &&
        Sse.noDenormals32(b, least);
    }
    if (fits) v128.store(to, r, XMM);
    else Sse.exact(cpu, op);
  }

  @inline
  static noDenormals64(a: v128, least: v128): bool {
    const size = f64x2.abs(a);
    const isZero = i64x2.eq(size, i64x2.splat(0));
    return i64x2.all_true(v128.or(isZero, i64x2.ge_s(size, least)));
  }

  @inline
  static noDenormals32(a: v128, least: v128): bool {
    const size = f32x4.abs(a);
    const isZero = i32x4.eq(size, i32x4.splat(0));
    return i32x4.all_true(v128.or(isZero, i32x4.ge_s(size, least)));
  }

  @inline
  static areOrdinary64(r: v128, orZero: bool): bool {
    const size = f64x2.abs(r);
    const inRange = v128.and(
      i64x2.ge_s(size, i64x2.splat(0x20000000000000)),
      i64x2.lt_s(size, i64x2.splat(0x7ff0000000000000)),
    );
    const isZero = v128.and(i64x2.eq(size, i64x2.splat(0)), i64x2.splat(orZero ? -1 : 0));
    return i64x2.all_true(v128.or(inRange, isZero));
  }

  @inline
  static areOrdinary32(r: v128, orZero: bool): bool {
    const size = f32x4.abs(r);
    const inRange = v128.and(
      i32x4.ge_s(size, i32x4.splat(0x1000000)),
      i32x4.lt_s(size, i32x4.splat(0x7f800000)),
    );
    const isZero = v128.and(i32x4.eq(size, i32x4.splat(0)), i32x4.splat(orZero ? -1 : 0));
    return i32x4.all_true(v128.or(inRange, isZero));
  }
}
