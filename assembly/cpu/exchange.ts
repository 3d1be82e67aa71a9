/**
 * XCHG, XADD, BSWAP and the compare-and-exchange family. One vCPU runs at a time, so each of them is atomic as it is.
 *
 * Source: SDM 2 "XCHG", "XADD", "BSWAP", "CMPXCHG", "CMPXCHG8B/CMPXCHG16B".
 */
import { raiseWithError } from "../fault";
import { readForWrite, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { GP } from "../x86/exception";
import { addressOf } from "./address";
import { setAddFlags, setSubFlags, setZero } from "./flags";
import { Op, OP_REX_W } from "./op";
import { readReg, register, Rm, setRegister, writeReg } from "./operand";
import { RAX } from "./registers";

function xchgOf<T>(cpu: Vcpu, op: Op): void {
  const a = Rm.readForWrite<T>(cpu, op);
  if (cpu.fault !== 0) return;
  Rm.writeBack<T>(cpu, op, readReg<T>(cpu, op));
  writeReg<T>(cpu, op, a);
}

/** XCHG Eb,Gb  Ev,Gv. */
export function xchg(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return xchgOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return xchgOf<u16>(cpu, op);
    case 4:
      return xchgOf<u32>(cpu, op);
    default:
      return xchgOf<u64>(cpu, op);
  }
}

function xchgAccumulatorOf<T>(cpu: Vcpu, op: Op): void {
  const a = register<T>(cpu, RAX);
  setRegister<T>(cpu, RAX, register<T>(cpu, op.rm));
  setRegister<T>(cpu, op.rm, a);
}

/** XCHG rAX,Zv: 90 .. 97. Of rAX with itself it is NOP, which keeps the upper half of RAX. */
export function xchgAccumulator(cpu: Vcpu, op: Op): void {
  if (op.rm === RAX) return;
  switch (op.size) {
    case 2:
      return xchgAccumulatorOf<u16>(cpu, op);
    case 4:
      return xchgAccumulatorOf<u32>(cpu, op);
    default:
      return xchgAccumulatorOf<u64>(cpu, op);
  }
}

function xaddOf<T>(cpu: Vcpu, op: Op): void {
  const a = Rm.readForWrite<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const b = readReg<T>(cpu, op);
  const sum = a + b;
  setAddFlags<T>(cpu, a, b, sum);
  // The sum wins when both operands are one register; a memory address may depend on the register operand.
  if (!op.isMemory) writeReg<T>(cpu, op, a);
  Rm.writeBack<T>(cpu, op, sum);
  if (op.isMemory) writeReg<T>(cpu, op, a);
}

/** XADD Eb,Gb  Ev,Gv. */
export function xadd(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return xaddOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return xaddOf<u16>(cpu, op);
    case 4:
      return xaddOf<u32>(cpu, op);
    default:
      return xaddOf<u64>(cpu, op);
  }
}

/** BSWAP Zv. With a 16-bit operand the result is undefined by the manual; processors give 0. */
export function byteSwap(cpu: Vcpu, op: Op): void {
  switch (op.size) {
    case 2:
      return setRegister<u16>(cpu, op.rm, 0);
    case 4:
      return setRegister<u32>(cpu, op.rm, bswap<u32>(register<u32>(cpu, op.rm)));
    default:
      return setRegister<u64>(cpu, op.rm, bswap<u64>(register<u64>(cpu, op.rm)));
  }
}

function cmpxchgOf<T>(cpu: Vcpu, op: Op): void {
  const a = Rm.readForWrite<T>(cpu, op);
  if (cpu.fault !== 0) return;
  const accumulator = register<T>(cpu, RAX);
  setSubFlags<T>(cpu, accumulator, a, accumulator - a);
  if (accumulator === a) {
    Rm.writeBack<T>(cpu, op, readReg<T>(cpu, op));
    return;
  }
  // The destination is written in both cases; a memory address may depend on rAX.
  if (op.isMemory) Rm.writeBack<T>(cpu, op, a);
  setRegister<T>(cpu, RAX, a);
}

/** CMPXCHG Eb,Gb  Ev,Gv. */
export function cmpxchg(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return cmpxchgOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return cmpxchgOf<u16>(cpu, op);
    case 4:
      return cmpxchgOf<u32>(cpu, op);
    default:
      return cmpxchgOf<u64>(cpu, op);
  }
}

/** CMPXCHG8B Mq, CMPXCHG16B Mdq with REX.W: group 9 /1, memory only. */
export function cmpxchgPair(cpu: Vcpu, op: Op): void {
  if (op.flags & OP_REX_W) return cmpxchg16(cpu, op);
  const gva = addressOf(cpu, op, 8, true);
  if (cpu.fault !== 0) return;
  const value = readForWrite<u64>(cpu, gva);
  if (cpu.fault !== 0) return;
  const expected = (cpu.rdx << 32) | (cpu.rax & 0xffffffff);
  const equal = value === expected;
  write<u64>(cpu, gva, equal ? (cpu.rcx << 32) | (cpu.rbx & 0xffffffff) : value);
  if (!equal) {
    cpu.rax = value & 0xffffffff;
    cpu.rdx = value >> 32;
  }
  setZero(cpu, equal);
}

function cmpxchg16(cpu: Vcpu, op: Op): void {
  const gva = addressOf(cpu, op, 16, true);
  if (cpu.fault !== 0) return;
  if (gva & 15) return raiseWithError(cpu, GP, 0);
  // Aligned, so both halves are in one page: what the first access allows, the others can do.
  const low = readForWrite<u64>(cpu, gva);
  if (cpu.fault !== 0) return;
  const high = readForWrite<u64>(cpu, gva + 8);
  const equal = low === cpu.rax && high === cpu.rdx;
  write<u64>(cpu, gva, equal ? cpu.rbx : low);
  write<u64>(cpu, gva + 8, equal ? cpu.rcx : high);
  if (!equal) {
    cpu.rax = low;
    cpu.rdx = high;
  }
  setZero(cpu, equal);
}
