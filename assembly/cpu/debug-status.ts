/**
 * DR6 and the raising of #DB.
 *
 * Source: SDM 3B "Debug Status Register (DR6)"; KVM `kvm_deliver_exception_payload`.
 */
import { FAULT_PENDING, FAULT_TRAP, raise } from "../fault";
import { Vcpu } from "../vcpu";
import { DB } from "../x86/exception";

const DR6_CONDITIONS: u64 = 15; // B3..B0
export const DR6_BD: u64 = 1 << 13; // debug register access
export const DR6_BS: u64 = 1 << 14; // single step
export const DR6_BT: u64 = 1 << 15; // task switch
/** DR6 after RESET: the bits that are always 1. */
export const DR6_RESET: u64 = 0xffff0ff0;

/** Records why there is a #DB in DR6. @param bits - as in `raiseDebug` */
export function noteDebug(cpu: Vcpu, bits: u64): void {
  cpu.dr6 = (cpu.dr6 & ~DR6_CONDITIONS) | DR6_RESET | bits;
}

/**
 * Raises #DB, unless another fault is pending, and records why in DR6. A #DB trap that is pending takes the bits in (INT1 is
 * not one: it carries its length).
 *
 * @param bits - B0..B3, BD, BS, BT; B0..B3 of earlier exceptions are cleared, the others stay
 * @param isTrap - true after an instruction, false before it (instruction breakpoints, general detect)
 */
export function raiseDebug(cpu: Vcpu, bits: u64, isTrap: bool): void {
  if (cpu.fault !== 0) {
    if (cpu.fault === (FAULT_PENDING | FAULT_TRAP | DB)) cpu.dr6 |= bits;
    return;
  }
  noteDebug(cpu, bits);
  raise(cpu, DB);
  if (isTrap) cpu.fault |= FAULT_TRAP;
}
