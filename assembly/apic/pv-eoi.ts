/**
 * Paravirtual EOI: a word in guest memory whose bit 0 says that the next EOI need not be written.
 *
 * Source: KVM documentation "KVM-specific MSRs" (MSR_KVM_PV_EOI_EN); `apic_sync_pv_eoi_to_guest`,
 * `apic_sync_pv_eoi_from_guest`.
 *
 * The words are read and written by vm/, which owns guest memory: after an acknowledge it asks `wantsPvEoi` and sets the
 * bit; before the next acknowledge, while `pvEoiPending`, it fetches and clears the bit and calls `resolvePvEoi`.
 */
import { REQ_INTERRUPT } from "../abi";
import { Lapic } from "./lapic";
import { eoi, highestPending } from "./priority";
import { highestVector, testVector } from "./vectors";

const ENABLED: u64 = 1;
const ALIGNMENT: u64 = 3;

/** @param value - gpa of a 4-byte aligned word, bit 0 enables @returns false for #GP */
export function writePvEoiMsr(lapic: Lapic, value: u64): bool {
  if ((value & ~ENABLED & ALIGNMENT) !== 0) return false;
  lapic.pvEoiMsr = value;
  lapic.pvEoiPending = 0;
  return true;
}

/** Guest-physical address of the word. */
export function pvEoiAddress(lapic: Lapic): u64 {
  return lapic.pvEoiMsr & ~ENABLED;
}

/**
 * After an acknowledge: may the guest skip this EOI? Only if nothing depends on it: no other vector waits, and no IOAPIC
 * waits for it. When true the caller sets bit 0 of the guest's word.
 */
export function wantsPvEoi(lapic: Lapic): bool {
  if ((lapic.pvEoiMsr & ENABLED) === 0 || highestVector(lapic.irr) >= 0) return false;
  const vector = highestVector(lapic.isr);
  if (vector < 0 || testVector(lapic.tmr, vector)) return false;
  lapic.pvEoiPending = 1;
  return true;
}

/** The guest's word was fetched and its bit cleared. @param wasSet - the bit was still set: the guest owes its EOI */
export function resolvePvEoi(lapic: Lapic, wasSet: bool): void {
  if (lapic.pvEoiPending === 0) return;
  lapic.pvEoiPending = 0;
  if (!wasSet) eoi(lapic);
  // INTR went up so that the CPU came here; it stays up for what can be delivered.
  if (highestPending(lapic) < 0) lapic.cpu.request &= ~REQ_INTERRUPT;
}
