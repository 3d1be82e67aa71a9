/**
 * MOV in all its forms, extensions, LEA, XLAT, MOVBE, CMOVcc, and the flag byte in AH.
 *
 * Source: SDM 2 "MOV", "MOVZX", "MOVSX/MOVSXD", "LEA", "XLAT/XLATB", "CBW/CWDE/CDQE", "CWD/CDQ/CQO", "MOVBE", "CMOVcc".
 */
import { raise } from "../fault";
import { read, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { FEATURE_LAHF } from "../x86/cpuid";
import { AF, CF, PF_FLAG, SF, ZF } from "../x86/eflags";
import { UD } from "../x86/exception";
import { linear, offsetOf } from "./address";
import { offers } from "./features";
import { carryFlag, condition, rflags, setRflags } from "./flags";
import { is64 } from "./mode";
import { Op, OP_ADDR16, OP_ADDR32 } from "./op";
import { readReg, register, Rm, setRegister, writeReg } from "./operand";
import { AH, RAX } from "./registers";

/** MOV Eb,Gb  Ev,Gv. */
export function moveToRm(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return Rm.write<u8>(cpu, op, readReg<u8>(cpu, op));
  switch (op.size) {
    case 2:
      return Rm.write<u16>(cpu, op, readReg<u16>(cpu, op));
    case 4:
      return Rm.write<u32>(cpu, op, readReg<u32>(cpu, op));
    default:
      return Rm.write<u64>(cpu, op, readReg<u64>(cpu, op));
  }
}

/** G = E, zero-extended from the width F. */
function extend<T, F>(cpu: Vcpu, op: Op): void {
  const value = <T>Rm.read<F>(cpu, op);
  if (cpu.fault === 0) writeReg<T>(cpu, op, value);
}

/** MOV Gb,Eb  Gv,Ev. */
export function moveToReg(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return extend<u8, u8>(cpu, op);
  switch (op.size) {
    case 2:
      return extend<u16, u16>(cpu, op);
    case 4:
      return extend<u32, u32>(cpu, op);
    default:
      return extend<u64, u64>(cpu, op);
  }
}

/** MOV Eb,Ib  Ev,Iz: group 11 /0. */
export function moveImmediate(cpu: Vcpu, op: Op): void {
  if (op.extension !== 0) return raise(cpu, UD);
  if (!(op.opcode & 1)) return Rm.write<u8>(cpu, op, <u8>op.imm);
  switch (op.size) {
    case 2:
      return Rm.write<u16>(cpu, op, <u16>op.imm);
    case 4:
      return Rm.write<u32>(cpu, op, <u32>op.imm);
    default:
      return Rm.write<u64>(cpu, op, <u64>op.imm);
  }
}

/** MOV Zb,Ib. */
export function moveByteImmediate(cpu: Vcpu, op: Op): void {
  setRegister<u8>(cpu, op.rm, <u8>op.imm);
}

/** MOV Zv,Iv. */
export function moveRegisterImmediate(cpu: Vcpu, op: Op): void {
  switch (op.size) {
    case 2:
      return setRegister<u16>(cpu, op.rm, <u16>op.imm);
    case 4:
      return setRegister<u32>(cpu, op.rm, <u32>op.imm);
    default:
      return setRegister<u64>(cpu, op.rm, <u64>op.imm);
  }
}

function loadAccumulator<T>(cpu: Vcpu, op: Op): void {
  const gva = linear(cpu, op.segment, op.imm, <u32>sizeof<T>(), false);
  if (cpu.fault !== 0) return;
  const value = read<T>(cpu, gva);
  if (cpu.fault === 0) setRegister<T>(cpu, RAX, value);
}

/** MOV AL,Ob  rAX,Ov. */
export function moveFromOffset(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return loadAccumulator<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return loadAccumulator<u16>(cpu, op);
    case 4:
      return loadAccumulator<u32>(cpu, op);
    default:
      return loadAccumulator<u64>(cpu, op);
  }
}

function storeAccumulator<T>(cpu: Vcpu, op: Op): void {
  const gva = linear(cpu, op.segment, op.imm, <u32>sizeof<T>(), true);
  if (cpu.fault === 0) write<T>(cpu, gva, register<T>(cpu, RAX));
}

/** MOV Ob,AL  Ov,rAX. */
export function moveToOffset(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return storeAccumulator<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return storeAccumulator<u16>(cpu, op);
    case 4:
      return storeAccumulator<u32>(cpu, op);
    default:
      return storeAccumulator<u64>(cpu, op);
  }
}

/** MOVZX Gv,Eb  Gv,Ew. */
export function moveZeroExtended(cpu: Vcpu, op: Op): void {
  const word = op.opcode & 1;
  // A 32-bit register write clears the upper half, which is all that the 64-bit form does.
  if (op.size === 2) return word ? extend<u16, u16>(cpu, op) : extend<u16, u8>(cpu, op);
  return word ? extend<u32, u16>(cpu, op) : extend<u32, u8>(cpu, op);
}

/** MOVSX Gv,Eb  Gv,Ew. */
export function moveSignExtended(cpu: Vcpu, op: Op): void {
  const value = op.opcode & 1 ? <i64>Rm.read<i16>(cpu, op) : <i64>Rm.read<i8>(cpu, op);
  if (cpu.fault === 0) writeSigned(cpu, op, value);
}

/** MOVSXD Gv,Ed; with a 16-bit operand MOVSXD Gw,Ew, a plain move. */
export function moveSignExtendedDoubleword(cpu: Vcpu, op: Op): void {
  const value = op.size === 2 ? <i64>Rm.read<i16>(cpu, op) : <i64>Rm.read<i32>(cpu, op);
  if (cpu.fault === 0) writeSigned(cpu, op, value);
}

function writeSigned(cpu: Vcpu, op: Op, value: i64): void {
  switch (op.size) {
    case 2:
      return writeReg<u16>(cpu, op, <u16>value);
    case 4:
      return writeReg<u32>(cpu, op, <u32>value);
    default:
      return writeReg<u64>(cpu, op, <u64>value);
  }
}

/** LEA Gv,M: the offset, without its segment and unchecked. */
export function loadEffectiveAddress(cpu: Vcpu, op: Op): void {
  if (!op.isMemory) return raise(cpu, UD);
  writeSigned(cpu, op, offsetOf(cpu, op));
}

/** XLAT: AL = [rBX + AL]. */
export function translateByte(cpu: Vcpu, op: Op): void {
  let offset = cpu.rbx + <u64>register<u8>(cpu, RAX);
  if (op.flags & OP_ADDR16) offset &= 0xffff;
  else if (op.flags & OP_ADDR32) offset &= 0xffffffff;
  const gva = linear(cpu, op.segment, offset, 1, false);
  if (cpu.fault !== 0) return;
  const value = read<u8>(cpu, gva);
  if (cpu.fault === 0) setRegister<u8>(cpu, RAX, value);
}

/** CBW, CWDE, CDQE. */
export function extendAccumulator(cpu: Vcpu, op: Op): void {
  switch (op.size) {
    case 2:
      return setRegister<u16>(cpu, RAX, <u16>(<i8>cpu.rax));
    case 4:
      return setRegister<u32>(cpu, RAX, <u32>(<i16>cpu.rax));
    default:
      cpu.rax = <u64>(<i64>(<i32>cpu.rax));
  }
}

/** CWD, CDQ, CQO. */
export function extendIntoRdx(cpu: Vcpu, op: Op): void {
  switch (op.size) {
    case 2:
      cpu.rdx = (cpu.rdx & ~(<u64>0xffff)) | (<u64>(<i64>(<i16>cpu.rax) >> 63) & 0xffff);
      return;
    case 4:
      cpu.rdx = <u64>(<u32>(<i32>cpu.rax >> 31));
      return;
    default:
      cpu.rdx = <u64>(<i64>cpu.rax >> 63);
  }
}

/** LAHF. #UD in 64-bit mode where CPUID does not offer it. */
export function loadFlags(cpu: Vcpu, op: Op): void {
  if (is64(cpu) && !offers(FEATURE_LAHF)) raise(cpu, UD);
  else setRegister<u8>(cpu, AH, <u8>rflags(cpu));
}

/** SAHF. #UD as LAHF. */
export function storeFlags(cpu: Vcpu, op: Op): void {
  if (is64(cpu) && !offers(FEATURE_LAHF)) raise(cpu, UD);
  else setRflags(cpu, register<u8>(cpu, AH), SF | ZF | AF | PF_FLAG | CF);
}

/** SALC: AL = CF in all bits. Source: AMD and Intel processors; named in SDM 2D "Opcode Map" notes only. */
export function setAlFromCarry(cpu: Vcpu, op: Op): void {
  setRegister<u8>(cpu, RAX, carryFlag(cpu) ? 0xff : 0);
}

function conditionalMoveOf<T>(cpu: Vcpu, op: Op): void {
  const value = Rm.read<T>(cpu, op);
  if (cpu.fault !== 0) return;
  // Without the condition the register is written all the same: the 32-bit form clears its upper half.
  writeReg<T>(cpu, op, condition(cpu, op.opcode) ? value : readReg<T>(cpu, op));
}

/** CMOVcc Gv,Ev. */
export function conditionalMove(cpu: Vcpu, op: Op): void {
  switch (op.size) {
    case 2:
      return conditionalMoveOf<u16>(cpu, op);
    case 4:
      return conditionalMoveOf<u32>(cpu, op);
    default:
      return conditionalMoveOf<u64>(cpu, op);
  }
}

/** SETcc Eb. */
export function setOnCondition(cpu: Vcpu, op: Op): void {
  Rm.write<u8>(cpu, op, condition(cpu, op.opcode) ? 1 : 0);
}

function loadSwapped<T>(cpu: Vcpu, op: Op): void {
  const value = Rm.read<T>(cpu, op);
  if (cpu.fault === 0) writeReg<T>(cpu, op, bswap<T>(value));
}

/** MOVBE Gv,Mv. */
export function moveSwappedToReg(cpu: Vcpu, op: Op): void {
  if (!op.isMemory) return raise(cpu, UD);
  switch (op.size) {
    case 2:
      return loadSwapped<u16>(cpu, op);
    case 4:
      return loadSwapped<u32>(cpu, op);
    default:
      return loadSwapped<u64>(cpu, op);
  }
}

/** MOVBE Mv,Gv. */
export function moveSwappedToMemory(cpu: Vcpu, op: Op): void {
  if (!op.isMemory) return raise(cpu, UD);
  switch (op.size) {
    case 2:
      return Rm.write<u16>(cpu, op, bswap<u16>(readReg<u16>(cpu, op)));
    case 4:
      return Rm.write<u32>(cpu, op, bswap<u32>(readReg<u32>(cpu, op)));
    default:
      return Rm.write<u64>(cpu, op, bswap<u64>(readReg<u64>(cpu, op)));
  }
}

/** MOVNTI Md,Gd  Mq,Gq: a plain store, since there are no caches to bypass. */
export function moveNonTemporal(cpu: Vcpu, op: Op): void {
  if (!op.isMemory) return raise(cpu, UD);
  if (op.size === 8) Rm.write<u64>(cpu, op, readReg<u64>(cpu, op));
  else Rm.write<u32>(cpu, op, readReg<u32>(cpu, op));
}
