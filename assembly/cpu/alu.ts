/**
 * Two-operand arithmetic and logic, TEST, INC, DEC, NOT, NEG.
 *
 * A memory destination is read for writing, so that the fault of the write comes before flags change.
 * Source: SDM 2 "ADD" .. "XOR"; operand letters are those of SDM 2D "Opcode Map".
 */
import { Vcpu } from "../vcpu";
import {
  carryFlag,
  setAddFlags,
  setDecFlags,
  setIncFlags,
  setLogicFlags,
  setSubFlags,
} from "./flags";
import { Op } from "./op";
import { readReg, register, Rm, setRegister } from "./operand";
import { RAX } from "./registers";

// Opcode bits 5:3 of the one-byte forms, ModRM.reg of group 1.
const ADD: u32 = 0;
const OR: u32 = 1;
const ADC: u32 = 2;
const SBB: u32 = 3;
const AND: u32 = 4;
const XOR: u32 = 6;
const CMP: u32 = 7;

function compute<T>(cpu: Vcpu, operation: u32, a: T, b: T): T {
  let result: T;
  switch (operation) {
    case ADD:
      result = a + b;
      setAddFlags<T>(cpu, a, b, result);
      return result;
    case OR:
      result = a | b;
      break;
    case ADC:
      result = a + b + <T>carryFlag(cpu);
      setAddFlags<T>(cpu, a, b, result);
      return result;
    case SBB:
      result = a - b - <T>carryFlag(cpu);
      setSubFlags<T>(cpu, a, b, result);
      return result;
    case AND:
      result = a & b;
      break;
    case XOR:
      result = a ^ b;
      break;
    default: // SUB and CMP
      result = a - b;
      setSubFlags<T>(cpu, a, b, result);
      return result;
  }
  setLogicFlags<T>(cpu, result);
  return result;
}

/** E op= b, or the compare of both. */
function computeRm<T>(cpu: Vcpu, op: Op, operation: u32, b: T): void {
  const a = operation === CMP ? Rm.read<T>(cpu, op) : Rm.readForWrite<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const result = compute<T>(cpu, operation, a, b);
  if (operation !== CMP) Rm.writeBack<T>(cpu, op, result);
}

function arithmeticOf<T>(cpu: Vcpu, op: Op): void {
  const operation = <u32>(op.opcode >> 3) & 7;
  const form = op.opcode & 6;
  if (form === 0) return computeRm<T>(cpu, op, operation, readReg<T>(cpu, op));
  const b = form === 2 ? Rm.read<T>(cpu, op) : <T>op.imm;
  if (cpu.fault !== 0) return;
  const target = form === 2 ? <u32>op.reg : RAX;
  const result = compute<T>(cpu, operation, register<T>(cpu, target), b);
  if (operation !== CMP) setRegister<T>(cpu, target, result);
}

/** ADD OR ADC SBB AND SUB XOR CMP: Eb,Gb  Ev,Gv  Gb,Eb  Gv,Ev  AL,Ib  rAX,Iz. */
export function arithmetic(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return arithmeticOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return arithmeticOf<u16>(cpu, op);
    case 4:
      return arithmeticOf<u32>(cpu, op);
    default:
      return arithmeticOf<u64>(cpu, op);
  }
}

/** Group 1: Eb,Ib  Ev,Iz  Ev,Ib. */
export function group1(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return computeRm<u8>(cpu, op, op.extension, <u8>op.imm);
  switch (op.size) {
    case 2:
      return computeRm<u16>(cpu, op, op.extension, <u16>op.imm);
    case 4:
      return computeRm<u32>(cpu, op, op.extension, <u32>op.imm);
    default:
      return computeRm<u64>(cpu, op, op.extension, <u64>op.imm);
  }
}

function testOf<T>(cpu: Vcpu, op: Op, b: T): void {
  const a = Rm.read<T>(cpu, op);
  if (cpu.fault === 0) setLogicFlags<T>(cpu, a & b);
}

/** TEST Eb,Gb  Ev,Gv. */
export function test(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return testOf<u8>(cpu, op, readReg<u8>(cpu, op));
  switch (op.size) {
    case 2:
      return testOf<u16>(cpu, op, readReg<u16>(cpu, op));
    case 4:
      return testOf<u32>(cpu, op, readReg<u32>(cpu, op));
    default:
      return testOf<u64>(cpu, op, readReg<u64>(cpu, op));
  }
}

/** TEST AL,Ib  rAX,Iz. */
export function testAccumulator(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return setLogicFlags<u8>(cpu, <u8>cpu.rax & <u8>op.imm);
  switch (op.size) {
    case 2:
      return setLogicFlags<u16>(cpu, <u16>cpu.rax & <u16>op.imm);
    case 4:
      return setLogicFlags<u32>(cpu, <u32>cpu.rax & <u32>op.imm);
    default:
      return setLogicFlags<u64>(cpu, cpu.rax & <u64>op.imm);
  }
}

/** TEST Eb,Ib  Ev,Iz: group 3 /0 and /1. */
export function testImmediate(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return testOf<u8>(cpu, op, <u8>op.imm);
  switch (op.size) {
    case 2:
      return testOf<u16>(cpu, op, <u16>op.imm);
    case 4:
      return testOf<u32>(cpu, op, <u32>op.imm);
    default:
      return testOf<u64>(cpu, op, <u64>op.imm);
  }
}

function notOf<T>(cpu: Vcpu, op: Op): void {
  const a = Rm.readForWrite<T>(cpu, op);
  if (cpu.fault === 0) Rm.writeBack<T>(cpu, op, ~a);
}

/** NOT Eb  Ev. */
export function not(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return notOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return notOf<u16>(cpu, op);
    case 4:
      return notOf<u32>(cpu, op);
    default:
      return notOf<u64>(cpu, op);
  }
}

function negOf<T>(cpu: Vcpu, op: Op): void {
  const a = Rm.readForWrite<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const result = <T>0 - a;
  setSubFlags<T>(cpu, <T>0, a, result);
  Rm.writeBack<T>(cpu, op, result);
}

/** NEG Eb  Ev. */
export function neg(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return negOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return negOf<u16>(cpu, op);
    case 4:
      return negOf<u32>(cpu, op);
    default:
      return negOf<u64>(cpu, op);
  }
}

function incOf<T>(cpu: Vcpu, op: Op): void {
  const result = Rm.readForWrite<T>(cpu, op) + <T>1;
  if (cpu.fault !== 0) return;
  setIncFlags<T>(cpu, result);
  Rm.writeBack<T>(cpu, op, result);
}

/** INC Eb  Ev: groups 4 and 5 /0, and 40 .. 47. @param size - 1, 2, 4 or 8 */
export function inc(cpu: Vcpu, op: Op, size: u32): void {
  switch (size) {
    case 1:
      return incOf<u8>(cpu, op);
    case 2:
      return incOf<u16>(cpu, op);
    case 4:
      return incOf<u32>(cpu, op);
    default:
      return incOf<u64>(cpu, op);
  }
}

function decOf<T>(cpu: Vcpu, op: Op): void {
  const result = Rm.readForWrite<T>(cpu, op) - <T>1;
  if (cpu.fault !== 0) return;
  setDecFlags<T>(cpu, result);
  Rm.writeBack<T>(cpu, op, result);
}

/** DEC Eb  Ev: groups 4 and 5 /1, and 48 .. 4F. @param size - 1, 2, 4 or 8 */
export function dec(cpu: Vcpu, op: Op, size: u32): void {
  switch (size) {
    case 1:
      return decOf<u8>(cpu, op);
    case 2:
      return decOf<u16>(cpu, op);
    case 4:
      return decOf<u32>(cpu, op);
    default:
      return decOf<u64>(cpu, op);
  }
}
