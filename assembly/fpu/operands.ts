/**
 * Operands of MMX and SSE instructions, and the checks that come before them.
 *
 * Source: SDM 2 "Exceptions Type"; SDM 3A "Interaction of SSE with the x87 FPU", "Providing Non-Numeric Exception
 * Handlers". 128-bit memory operands must be aligned unless the instruction says otherwise: else #GP(0).
 */
import { addressOf, uncheckedAddress } from "../cpu/address";
import { Op } from "../cpu/op";
import { raise, raiseWithError } from "../fault";
import { read, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { CR0_EM, CR0_NE, CR0_TS, CR4_OSFXSR } from "../x86/cr";
import { GP, MF, NM, UD } from "../x86/exception";
import { read16, write16 } from "./memory";
import { fpuOf, FSW_ES, FSW_TOP } from "./state";

/** True, with #UD or #NM raised, when XMM registers are not available. */
export function sseUnavailable(cpu: Vcpu): bool {
  if (cpu.cr0 & CR0_EM || !(cpu.cr4 & CR4_OSFXSR)) {
    raise(cpu, UD);
    return true;
  }
  if (!(cpu.cr0 & CR0_TS)) return false;
  raise(cpu, NM);
  return true;
}

/** True, with #UD, #NM or #MF raised, when MMX registers are not available. */
export function mmxUnavailable(cpu: Vcpu): bool {
  if (cpu.cr0 & CR0_EM) {
    raise(cpu, UD);
    return true;
  }
  if (cpu.cr0 & CR0_TS) {
    raise(cpu, NM);
    return true;
  }
  if (!(fpuOf(cpu).fsw() & FSW_ES) || !(cpu.cr0 & CR0_NE)) return false;
  raise(cpu, MF);
  return true;
}

/** What every MMX instruction does to the x87 state: TOP := 0, all registers in use. */
export function enterMmx(cpu: Vcpu): void {
  const fpu = fpuOf(cpu);
  fpu.setFsw(fpu.fsw() & ~FSW_TOP);
  fpu.setTags(0xff);
}

/** Address of the XMM register of ModRM.reg. */
export function regXmm(cpu: Vcpu, op: Op): usize {
  return fpuOf(cpu).xmm(<u32>op.reg >> 3);
}
/** Address of the XMM register of ModRM.r/m. */
export function rmXmm(cpu: Vcpu, op: Op): usize {
  return fpuOf(cpu).xmm(<u32>op.rm >> 3);
}
/** Address of the MMX register of ModRM.reg. */
export function regMm(cpu: Vcpu, op: Op): usize {
  return fpuOf(cpu).register((<u32>op.reg >> 3) & 7);
}
export function rmMm(cpu: Vcpu, op: Op): usize {
  return fpuOf(cpu).register((<u32>op.rm >> 3) & 7);
}

/** Stores an MMX register: the exponent part becomes all ones. */
export function setMm(at: usize, value: u64): void {
  store<u64>(at, value);
  store<u16>(at, 0xffff, 8);
}

/** Linear address of a 16-byte memory operand. */
function address16(cpu: Vcpu, op: Op, aligned: bool, isWrite: bool): u64 {
  // Alignment comes before the segment's limit.
  if (aligned && uncheckedAddress(cpu, op) & 15) {
    raiseWithError(cpu, GP, 0);
    return 0;
  }
  return addressOf(cpu, op, 16, isWrite);
}

/** xmm/m128 source. */
export function source16(cpu: Vcpu, op: Op, aligned: bool): v128 {
  if (!op.isMemory) return v128.load(rmXmm(cpu, op));
  const gva = address16(cpu, op, aligned, false);
  return cpu.fault !== 0 ? i64x2.splat(0) : read16(cpu, gva);
}

/** xmm/m64 source: the low half. */
export function source8(cpu: Vcpu, op: Op): u64 {
  return op.isMemory ? memory8(cpu, op) : load<u64>(rmXmm(cpu, op));
}

/** xmm/m32 source: the low quarter. */
export function source4(cpu: Vcpu, op: Op): u32 {
  if (!op.isMemory) return load<u32>(rmXmm(cpu, op));
  return memory4(cpu, op);
}

/** mm/m64 source. */
export function sourceMm(cpu: Vcpu, op: Op): u64 {
  return op.isMemory ? memory8(cpu, op) : load<u64>(rmMm(cpu, op));
}

export function memory8(cpu: Vcpu, op: Op): u64 {
  const gva = addressOf(cpu, op, 8, false);
  return cpu.fault !== 0 ? 0 : read<u64>(cpu, gva);
}

export function memory4(cpu: Vcpu, op: Op): u32 {
  const gva = addressOf(cpu, op, 4, false);
  return cpu.fault !== 0 ? 0 : read<u32>(cpu, gva);
}

/** Stores to xmm/m128. */
export function store16(cpu: Vcpu, op: Op, value: v128, aligned: bool): void {
  if (!op.isMemory) {
    v128.store(rmXmm(cpu, op), value);
    return;
  }
  const gva = address16(cpu, op, aligned, true);
  if (cpu.fault === 0) write16(cpu, gva, value);
}

export function storeMemory8(cpu: Vcpu, op: Op, value: u64): void {
  const gva = addressOf(cpu, op, 8, true);
  if (cpu.fault === 0) write<u64>(cpu, gva, value);
}

export function storeMemory4(cpu: Vcpu, op: Op, value: u32): void {
  const gva = addressOf(cpu, op, 4, true);
  if (cpu.fault === 0) write<u32>(cpu, gva, value);
}

export const PREFIX_NONE: u32 = 0;
export const PREFIX_66: u32 = 1;
export const PREFIX_F3: u32 = 2;
export const PREFIX_F2: u32 = 3;
