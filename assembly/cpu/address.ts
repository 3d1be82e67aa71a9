/**
 * From logical to linear addresses: segment bases, limits and rights.
 *
 * Source: SDM 3A "Limit Checking", "Type Checking"; SDM 1 "Segmentation in 64-Bit Mode".
 */
import { SS } from "../abi";
import { FAULT_BEYOND, raiseWithError } from "../fault";
import { isCanonical } from "../mem/paging";
import { Vcpu } from "../vcpu";
import {
  AR_CODE,
  AR_DB,
  AR_EXPAND_DOWN,
  AR_READABLE,
  AR_UNUSABLE,
  AR_WRITABLE,
} from "../x86/descriptor";
import { GP, SS_FAULT } from "../x86/exception";
import { is64, isProtected } from "./mode";
import { ADDRESS_32, ADDRESS_64, Op, OP_ADDR16, OP_ADDR32, OP_RIP } from "./op";

/** Effective address of the memory operand: offset in its segment, wrapped to the address size. */
export function offsetOf(cpu: Vcpu, op: Op): u64 {
  const record = changetype<usize>(cpu);
  let offset =
    load<u64>(record + op.base) + (load<u64>(record + op.index) << op.scale) + <u64>(<i64>op.disp);
  if (op.flags & OP_RIP) offset += op.end;
  if (op.flags & OP_ADDR32) return offset & 0xffffffff;
  return op.flags & OP_ADDR16 ? offset & 0xffff : offset;
}

/**
 * Raises the fault of an access to a flat 4 GiB segment that runs over its end: #GP(0), or #SS(0) through SS.
 *
 * SDM 3A "Limit Checking" leaves it open; AMD's CPUs fault, Intel's go on at 0. 64-bit mode has no such end.
 *
 * @param gva - below 4 GiB
 */
export function checkWrap(cpu: Vcpu, gva: u64, size: u32): void {
  if (gva + size <= 0x100000000 || is64(cpu) || cpu.fault !== 0) return;
  raiseWithError(cpu, GP, 0);
  cpu.fault |= FAULT_BEYOND;
}

/** Linear address of the memory operand, without any check. */
export function uncheckedAddress(cpu: Vcpu, op: Op): u64 {
  const offset = offsetOf(cpu, op);
  const base = cpu.segment(op.segment).base;
  if (is64(cpu)) return <u32>op.segment < 4 ? offset : base + offset;
  return (base + offset) & 0xffffffff;
}

/**
 * Linear address of the memory operand, after the checks of its segment.
 *
 * @param size - bytes accessed, from the operand's first byte; 0 for none (checks nothing but the base)
 * @returns the address; meaningless when `cpu.fault` is set
 */
export function addressOf(cpu: Vcpu, op: Op, size: u32, isWrite: bool): u64 {
  const record = changetype<usize>(cpu);
  if (op.kind <= ADDRESS_32) {
    const address =
      load<u64>(record + op.base) +
      (load<u64>(record + op.index) << op.scale) +
      <u64>(<i64>op.disp);
    if (op.kind === ADDRESS_64) return address;
    checkWrap(cpu, address & 0xffffffff, size);
    return address & 0xffffffff;
  }
  return linear(cpu, op.segment, offsetOf(cpu, op), size, isWrite);
}

/**
 * Linear address of segment:offset, raising #GP(0) or #SS(0) when the segment does not allow the access.
 *
 * @param n - ES..GS; @param offset - wrapped to the address size already; @param size - 1..512 bytes
 */
export function linear(cpu: Vcpu, n: u32, offset: u64, size: u32, isWrite: bool): u64 {
  const segment = cpu.segment(n);
  if (is64(cpu)) {
    // Only FS and GS have a base; canonicality is checked here for those and in mem/paging.ts for all.
    if (n < 4) return offset;
    const address = segment.base + offset;
    if (!isCanonical(address)) {
      raiseWithError(cpu, GP, 0);
      cpu.fault |= FAULT_BEYOND;
    }
    return address;
  }
  const last = offset + size - 1;
  const ar = segment.ar;
  let ok = last <= <u64>segment.limit;
  if (isProtected(cpu)) {
    if (!(ar & AR_CODE) && ar & AR_EXPAND_DOWN) {
      // Expand-down: valid offsets lie above the limit, up to 64 KiB or 4 GiB by the B flag.
      ok = offset > <u64>segment.limit && last <= (ar & AR_DB ? 0xffffffff : 0xffff);
    }
    if (ar & AR_UNUSABLE) ok = false;
    else if (isWrite) ok = ok && (ar & (AR_CODE | AR_WRITABLE)) === AR_WRITABLE;
    else ok = ok && (ar & (AR_CODE | AR_READABLE)) !== AR_CODE;
  }
  if (!ok) raiseWithError(cpu, n === SS ? SS_FAULT : GP, 0);
  return (segment.base + offset) & 0xffffffff;
}
