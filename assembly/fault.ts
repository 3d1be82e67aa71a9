/**
 * Exceptions as data: the instruction that faults records one and returns; the run loop delivers it.
 *
 * Rule for every handler: after a call that can fault, test `cpu.fault` before the next side effect. An instruction
 * commits nothing before its last access that can fault, so every instruction is restartable.
 */
import { Vcpu } from "./vcpu";
import { PF, SS_FAULT } from "./x86/exception";

/** Set in `Vcpu.fault` while an exception waits for delivery; the vector is in bits 7:0. */
export const FAULT_PENDING: u32 = 0x100;
/** `Vcpu.faultError` is pushed. */
export const FAULT_HAS_ERROR: u32 = 0x200;
/** A trap: RIP of the next instruction is saved (INT n, INT3, INTO, single step, data breakpoints). */
export const FAULT_TRAP: u32 = 0x400;
/** Raised by INT n, INT3 or INTO: gate DPL is checked, no EXT bit. */
export const FAULT_SOFTWARE: u32 = 0x800;

/**
 * Length in bytes of a software interrupt instruction, from this bit upwards: a fault during its delivery is reported at
 * the instruction, not after it.
 */
export const FAULT_LENGTH_SHIFT: u32 = 16;

/** A #GP(0) for an address that is not canonical or beyond 4 GiB: `throughStack` makes it #SS(0). */
export const FAULT_BEYOND: u32 = 0x1000;

/** Records a fault without error code. The first fault of an instruction stays. */
export function raise(cpu: Vcpu, vector: u32): void {
  if (cpu.fault === 0) cpu.fault = FAULT_PENDING | vector;
}

/** Records a fault with an error code. @param error - selector-style error code, or 0 */
export function raiseWithError(cpu: Vcpu, vector: u32, error: u32): void {
  if (cpu.fault !== 0) return;
  cpu.fault = FAULT_PENDING | FAULT_HAS_ERROR | vector;
  cpu.faultError = error;
}

/** Records a #PF. @param gva - linear address, goes to CR2 on delivery; @param error - PF_* bits */
export function raisePageFault(cpu: Vcpu, gva: u64, error: u32): void {
  if (cpu.fault !== 0) return;
  raiseWithError(cpu, PF, error);
  cpu.faultAddress = gva;
}

/** Makes the #GP(0) of FAULT_BEYOND the #SS(0) that an access through SS takes. */
export function throughStack(cpu: Vcpu): void {
  if (cpu.fault & FAULT_BEYOND) cpu.fault = FAULT_PENDING | FAULT_HAS_ERROR | SS_FAULT;
}
