/**
 * Lazy arithmetic flags: the last result and its carry vector; nobody else knows the representation.
 *
 * `flagResult` is the result, sign-extended from the operand size: ZF is "zero", SF its sign, PF its low byte's parity.
 * `flagAux` holds the carries out of each bit, moved so that the top bit's carry is in bit 31:
 *
 *     31  carry out of the top bit: CF      30  carry into it: OF = bit 31 ^ bit 30      3  AF
 *     15:8  XORed into the low byte before its parity is taken      0  XORed into SF
 *
 * The last two let any combination of flags be stored (POPF, SAHF).
 */
import { Vcpu } from "../vcpu";
import { AF, ARITHMETIC, ZF } from "../x86/eflags";

const AUX_CARRY: u32 = 0x80000000;
const AUX_INTO: u32 = 0x40000000;
const AUX_HALF: u32 = 8;

function signed<T>(value: T): i64 {
  if (sizeof<T>() === 1) return <i64>(<i8>value);
  if (sizeof<T>() === 2) return <i64>(<i16>value);
  if (sizeof<T>() === 4) return <i64>(<i32>value);
  return <i64>value;
}

/** Moves a carry vector of width T to its place in `flagAux`. */
function place<T>(carries: T): u32 {
  if (sizeof<T>() === 1) return ((<u32>carries & 0xc0) << 24) | (<u32>carries & 8);
  if (sizeof<T>() === 2) return ((<u32>carries & 0xc000) << 16) | (<u32>carries & 8);
  if (sizeof<T>() === 4) return <u32>carries & 0xc0000008;
  return (<u32>(<u64>carries >> 32) & 0xc0000000) | (<u32>carries & 8);
}

/** Flags of `result = a + b (+ carry)`. */
export function setAddFlags<T>(cpu: Vcpu, a: T, b: T, result: T): void {
  cpu.flagResult = signed<T>(result);
  cpu.flagAux = place<T>((a & b) | ((a | b) & ~result));
}

/** Flags of `result = a - b (- borrow)`. */
export function setSubFlags<T>(cpu: Vcpu, a: T, b: T, result: T): void {
  cpu.flagResult = signed<T>(result);
  cpu.flagAux = place<T>((~a & b) | ((~a | b) & result));
}

/** Flags of AND, OR, XOR, TEST: CF = OF = AF = 0. */
export function setLogicFlags<T>(cpu: Vcpu, result: T): void {
  cpu.flagResult = signed<T>(result);
  cpu.flagAux = 0;
}

/** Flags of INC: as ADD 1, but CF stays. */
export function setIncFlags<T>(cpu: Vcpu, result: T): void {
  const carry = cpu.flagAux & AUX_CARRY;
  const before = result - <T>1;
  keepCarry(cpu, carry, place<T>((before & <T>1) | ((before | <T>1) & ~result)));
  cpu.flagResult = signed<T>(result);
}

/** Flags of DEC: as SUB 1, but CF stays. */
export function setDecFlags<T>(cpu: Vcpu, result: T): void {
  const carry = cpu.flagAux & AUX_CARRY;
  const before = result + <T>1;
  keepCarry(cpu, carry, place<T>((~before & <T>1) | ((~before | <T>1) & result)));
  cpu.flagResult = signed<T>(result);
}

/** Sets CF to `carry` (bit 31) without changing OF = bit 31 ^ bit 30. */
function keepCarry(cpu: Vcpu, carry: u32, aux: u32): void {
  const flip = (aux ^ carry) & AUX_CARRY;
  cpu.flagAux = aux ^ flip ^ (flip >> 1);
}

/** Result flags (ZF SF PF) of `result`, with CF and OF given and AF = 0: shifts, rotates through `setCarryOverflow`, MUL. */
export function setResultFlags<T>(cpu: Vcpu, result: T, carry: bool, overflow: bool): void {
  cpu.flagResult = signed<T>(result);
  cpu.flagAux = ((<u32>carry) << 31) | ((<u32>carry ^ <u32>overflow) << 30);
}

/** Sets CF and OF and leaves the others: rotates. */
export function setCarryOverflow(cpu: Vcpu, carry: bool, overflow: bool): void {
  cpu.flagAux =
    (cpu.flagAux & ~(AUX_CARRY | AUX_INTO)) |
    ((<u32>carry) << 31) |
    ((<u32>carry ^ <u32>overflow) << 30);
}

export function carryFlag(cpu: Vcpu): bool {
  return (cpu.flagAux & AUX_CARRY) !== 0;
}

/** Sets CF alone: STC, CLC, CMC, BT. */
export function setCarry(cpu: Vcpu, carry: bool): void {
  keepCarry(cpu, (<u32>carry) << 31, cpu.flagAux);
}

export function zeroFlag(cpu: Vcpu): bool {
  return cpu.flagResult === 0;
}

/** Sets ZF alone: LAR, CMPXCHG8B, VERR ... */
export function setZero(cpu: Vcpu, zero: bool): void {
  if (zero !== zeroFlag(cpu)) setArithmetic(cpu, (arithmetic(cpu) & ~ZF) | (zero ? ZF : 0));
}

export function signFlag(cpu: Vcpu): bool {
  return (<u32>(cpu.flagResult >>> 63) ^ cpu.flagAux) & 1 ? true : false;
}

export function overflowFlag(cpu: Vcpu): bool {
  return ((cpu.flagAux ^ (cpu.flagAux << 1)) & AUX_CARRY) !== 0;
}

export function adjustFlag(cpu: Vcpu): bool {
  return (cpu.flagAux & AUX_HALF) !== 0;
}

export function parityFlag(cpu: Vcpu): bool {
  return !(popcnt<u32>((<u32>cpu.flagResult ^ (cpu.flagAux >> 8)) & 0xff) & 1);
}

/** CF PF AF ZF SF OF as RFLAGS bits: without branches, since every interrupt asks. */
export function arithmetic(cpu: Vcpu): u32 {
  const result = cpu.flagResult;
  const aux = cpu.flagAux;
  return (
    (aux >> 31) |
    ((~popcnt<u32>((<u32>result ^ (aux >> 8)) & 0xff) & 1) << 2) |
    ((aux & AUX_HALF) << 1) |
    ((<u32>(result === 0)) << 6) |
    (((<u32>(result >>> 63) ^ aux) & 1) << 7) |
    (((aux ^ (aux << 1)) >> 31) << 11)
  );
}

/** Stores all six arithmetic flags. @param flags - RFLAGS bits; others are ignored */
export function setArithmetic(cpu: Vcpu, flags: u32): void {
  // Result 1 has odd parity and no sign, result 0 even parity and no sign: correct both through the XOR fields.
  cpu.flagResult = <i64>(((flags >> 6) & 1) ^ 1);
  cpu.flagAux =
    (flags << 31) |
    (((flags ^ (flags >> 11)) & 1) << 30) |
    ((flags & AF) >> 1) |
    ((((flags >> 6) ^ (flags >> 2)) & 1) << 8) |
    ((flags >> 7) & 1);
}

/** The whole RFLAGS. */
export function rflags(cpu: Vcpu): u32 {
  return (cpu.eflags & ~ARITHMETIC) | arithmetic(cpu);
}

/**
 * Stores RFLAGS bits under a mask, without privilege checks; the caller re-derives the mode if VM or AC changed.
 *
 * @inline
 */
export function setRflags(cpu: Vcpu, value: u32, mask: u32): void {
  cpu.eflags = (cpu.eflags & ~mask) | (value & mask & ~ARITHMETIC) | 2;
  if ((mask & ARITHMETIC) === ARITHMETIC) setArithmetic(cpu, value);
  else if (mask & ARITHMETIC) setArithmetic(cpu, (arithmetic(cpu) & ~mask) | (value & mask));
}

/** Condition of Jcc, SETcc, CMOVcc. @param code - low four bits of the opcode */
export function condition(cpu: Vcpu, code: u32): bool {
  let met: bool;
  switch ((code >> 1) & 7) {
    case 0:
      met = overflowFlag(cpu);
      break;
    case 1:
      met = carryFlag(cpu);
      break;
    case 2:
      met = zeroFlag(cpu);
      break;
    case 3:
      met = carryFlag(cpu) || zeroFlag(cpu);
      break;
    case 4:
      met = signFlag(cpu);
      break;
    case 5:
      met = parityFlag(cpu);
      break;
    case 6:
      met = signFlag(cpu) !== overflowFlag(cpu);
      break;
    default:
      met = zeroFlag(cpu) || signFlag(cpu) !== overflowFlag(cpu);
      break;
  }
  return code & 1 ? !met : met;
}
