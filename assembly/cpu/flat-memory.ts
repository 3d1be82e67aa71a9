/**
 * Flat memory operands of the fast handlers: the address is a sum, the TLB check is inline, the slow path a call.
 */
import { readForWriteSlow, readSlow, writeSlow } from "../mem/access";
import { tlbSlot, tlbRead, tlbWrite } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { checkWrap } from "./address";
import { leaveBlock } from "./control";
import { ADDRESS_64, ADDRESS_BASE, Op } from "./op";

const PAGE: u64 = ~(<u64>0xfff);

/** The micro-op that called out of the loop; valid while it does: with it the clock is exact to the instruction. */
export let currentOp: usize = 0;

export function setCurrentOp(op: Op): void {
  currentOp = changetype<usize>(op);
}

export class Memory {
  @inline
  static address(cpu: Vcpu, op: Op): u64 {
    const record = changetype<usize>(cpu);
    const gva =
      load<u64>(record + op.base) +
      (load<u64>(record + op.index) << op.scale) +
      <u64>(<i64>op.disp);
    if (op.kind === ADDRESS_64) return gva;
    return op.kind === ADDRESS_BASE ? gva + cpu.segment(op.segment).base : gva & 0xffffffff;
  }

  @inline
  static readAt<T>(cpu: Vcpu, op: Op, gva: u64): T {
    const entry = tlbRead + tlbSlot(cpu, gva);
    if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) {
      return load<T>(<usize>(<u32>gva + load<u32>(entry, 8)));
    }
    return Memory.readMiss<T>(cpu, op, gva);
  }

  static readMiss<T>(cpu: Vcpu, op: Op, gva: u64): T {
    setCurrentOp(op);
    checkWrap(cpu, gva, <u32>sizeof<T>());
    const value = cpu.fault !== 0 ? <T>0 : readSlow<T>(cpu, gva, cpu.tlbTag);
    if (cpu.fault !== 0) leaveBlock();
    return value;
  }

  @inline
  static read<T>(cpu: Vcpu, op: Op): T {
    return Memory.readAt<T>(cpu, op, Memory.address(cpu, op));
  }

  @inline
  static readForWriteAt<T>(cpu: Vcpu, op: Op, gva: u64): T {
    const entry = tlbWrite + tlbSlot(cpu, gva);
    if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) {
      return load<T>(<usize>(<u32>gva + load<u32>(entry, 8)));
    }
    return Memory.readForWriteMiss<T>(cpu, op, gva);
  }

  static readForWriteMiss<T>(cpu: Vcpu, op: Op, gva: u64): T {
    setCurrentOp(op);
    checkWrap(cpu, gva, <u32>sizeof<T>());
    const value = cpu.fault !== 0 ? <T>0 : readForWriteSlow<T>(cpu, gva);
    if (cpu.fault !== 0) leaveBlock();
    return value;
  }

  @inline
  static writeAt<T>(cpu: Vcpu, op: Op, gva: u64, value: T): void {
    const entry = tlbWrite + tlbSlot(cpu, gva);
    if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) {
      store<T>(<usize>(<u32>gva + load<u32>(entry, 8)), value);
      return;
    }
    Memory.writeMiss<T>(cpu, op, gva, value);
  }

  static writeMiss<T>(cpu: Vcpu, op: Op, gva: u64, value: T): void {
    setCurrentOp(op);
    checkWrap(cpu, gva, <u32>sizeof<T>());
    if (cpu.fault === 0) writeSlow<T>(cpu, gva, value, cpu.tlbTag);
    if (cpu.fault !== 0) leaveBlock();
  }
}
