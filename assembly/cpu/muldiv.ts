/**
 * MUL, IMUL, DIV, IDIV.
 *
 * CF = OF = "the upper half matters"; the manual leaves SF ZF AF PF undefined after a product, and all six after a
 * division: here, as on AMD processors, they do not change. A quotient that does not fit is #DE, like a divisor of 0.
 * Source: SDM 2 "MUL", "IMUL", "DIV", "IDIV".
 */
import { raise } from "../fault";
import { Vcpu } from "../vcpu";
import { DE } from "../x86/exception";
import { setCarryOverflow } from "./flags";
import { Op } from "./op";
import { readReg, register, Rm, setRegister, writeReg } from "./operand";
import { AH, RAX, RDX } from "./registers";
import { divideWide, multiplyHigh, multiplyHighSigned, remainder } from "./wide";

/** Stores a double-width result: AX, or rDX:rAX. */
function setPair<T>(cpu: Vcpu, low: T, high: T): void {
  setRegister<T>(cpu, RAX, low);
  setRegister<T>(cpu, sizeof<T>() === 1 ? AH : RDX, high);
}

/** Upper half of the accumulator pair: AH, or rDX. */
function upper<T>(cpu: Vcpu): T {
  return register<T>(cpu, sizeof<T>() === 1 ? AH : RDX);
}

function mulOf<T>(cpu: Vcpu, op: Op): void {
  const b = <u64>Rm.read<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const a = <u64>register<T>(cpu, RAX);
  const product = a * b;
  const high = sizeof<T>() === 8 ? multiplyHigh(a, b) : product >> (sizeof<T>() * 8);
  setPair<T>(cpu, <T>product, <T>high);
  setCarryOverflow(cpu, high !== 0, high !== 0);
}

/** MUL Eb  Ev: group 3 /4. */
export function mul(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return mulOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return mulOf<u16>(cpu, op);
    case 4:
      return mulOf<u32>(cpu, op);
    default:
      return mulOf<u64>(cpu, op);
  }
}

/** Upper half of a signed product in the width T (a signed type). */
function productHigh<T>(a: i64, b: i64): i64 {
  return sizeof<T>() === 8 ? multiplyHighSigned(a, b) : (a * b) >> (sizeof<T>() * 8);
}

/** True when the product does not fit its low half. */
function isTruncated<T>(product: i64, high: i64): bool {
  return high !== <i64>(<T>product) >> 63;
}

function imulOf<T>(cpu: Vcpu, op: Op): void {
  const b = <i64>Rm.read<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const a = <i64>register<T>(cpu, RAX);
  const product = a * b;
  const high = productHigh<T>(a, b);
  setPair<T>(cpu, <T>product, <T>high);
  const truncated = isTruncated<T>(product, high);
  setCarryOverflow(cpu, truncated, truncated);
}

/** IMUL Eb  Ev: group 3 /5. */
export function imul(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return imulOf<i8>(cpu, op);
  switch (op.size) {
    case 2:
      return imulOf<i16>(cpu, op);
    case 4:
      return imulOf<i32>(cpu, op);
    default:
      return imulOf<i64>(cpu, op);
  }
}

function imulRegisterOf<T>(cpu: Vcpu, op: Op, a: i64): void {
  const b = <i64>Rm.read<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const product = a * b;
  const truncated = isTruncated<T>(product, productHigh<T>(a, b));
  setCarryOverflow(cpu, truncated, truncated);
  writeReg<T>(cpu, op, <T>product);
}

/** IMUL Gv,Ev. */
export function imulRegister(cpu: Vcpu, op: Op): void {
  switch (op.size) {
    case 2:
      return imulRegisterOf<i16>(cpu, op, <i64>readReg<i16>(cpu, op));
    case 4:
      return imulRegisterOf<i32>(cpu, op, <i64>readReg<i32>(cpu, op));
    default:
      return imulRegisterOf<i64>(cpu, op, readReg<i64>(cpu, op));
  }
}

/** IMUL Gv,Ev,Iz  Gv,Ev,Ib. */
export function imulImmediate(cpu: Vcpu, op: Op): void {
  switch (op.size) {
    case 2:
      return imulRegisterOf<i16>(cpu, op, <i64>(<i16>op.imm));
    case 4:
      return imulRegisterOf<i32>(cpu, op, <i64>(<i32>op.imm));
    default:
      return imulRegisterOf<i64>(cpu, op, op.imm);
  }
}

/** Widths below 64 bits: the dividend fits a register. */
function divOf<T>(cpu: Vcpu, op: Op): void {
  const divisor = <u64>Rm.read<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const high = <u64>upper<T>(cpu);
  // The quotient fits when the upper half is below the divisor, which 0 never is above.
  if (high >= divisor) return raise(cpu, DE);
  const dividend = (high << (sizeof<T>() * 8)) | <u64>register<T>(cpu, RAX);
  setPair<T>(cpu, <T>(dividend / divisor), <T>(dividend % divisor));
}

function div64(cpu: Vcpu, op: Op): void {
  const divisor = Rm.read<u64>(cpu, op);
  if (cpu.fault !== 0) return;
  if (cpu.rdx >= divisor) return raise(cpu, DE);
  const quotient = divideWide(cpu.rdx, cpu.rax, divisor);
  setPair<u64>(cpu, quotient, remainder);
}

/** DIV Eb  Ev: group 3 /6. */
export function div(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return divOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return divOf<u16>(cpu, op);
    case 4:
      return divOf<u32>(cpu, op);
    default:
      return div64(cpu, op);
  }
}

/** @param T - the signed type; U the unsigned one of the same width, below 64 bits */
function idivOf<T, U>(cpu: Vcpu, op: Op): void {
  const divisor = <i64>Rm.read<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const dividend = ((<i64>upper<T>(cpu)) << (sizeof<T>() * 8)) | <i64>register<U>(cpu, RAX);
  // The one quotient that 64 bits do not hold is -2^63 / -1.
  if (divisor === 0 || (divisor === -1 && dividend === i64.MIN_VALUE)) return raise(cpu, DE);
  const quotient = dividend / divisor;
  if (quotient !== <i64>(<T>quotient)) return raise(cpu, DE);
  setPair<T>(cpu, <T>quotient, <T>(dividend % divisor));
}

function idiv64(cpu: Vcpu, op: Op): void {
  const divisor = Rm.read<i64>(cpu, op);
  if (cpu.fault !== 0) return;
  const isNegative = <i64>cpu.rdx < 0;
  const low = isNegative ? 0 - cpu.rax : cpu.rax;
  const high = isNegative ? ~cpu.rdx + (cpu.rax === 0 ? 1 : 0) : cpu.rdx;
  const magnitude = divisor < 0 ? 0 - <u64>divisor : <u64>divisor;
  if (high >= magnitude) return raise(cpu, DE);
  const quotient = divideWide(high, low, magnitude);
  const quotientNegative = isNegative !== divisor < 0;
  if (quotient > (quotientNegative ? 0x8000000000000000 : 0x7fffffffffffffff))
    return raise(cpu, DE);
  setPair<u64>(
    cpu,
    quotientNegative ? 0 - quotient : quotient,
    isNegative ? 0 - remainder : remainder,
  );
}

/** IDIV Eb  Ev: group 3 /7. The remainder has the dividend's sign. */
export function idiv(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return idivOf<i8, u8>(cpu, op);
  switch (op.size) {
    case 2:
      return idivOf<i16, u16>(cpu, op);
    case 4:
      return idivOf<i32, u32>(cpu, op);
    default:
      return idiv64(cpu, op);
  }
}
