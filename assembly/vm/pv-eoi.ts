/**
 * The guest's word of paravirtual EOI: set after an interrupt that needs no written EOI, fetched before the next.
 *
 * Source: KVM `apic_sync_pv_eoi_to_guest`, `apic_sync_pv_eoi_from_guest`; the rules are in apic/pv-eoi.ts.
 */
import { Lapic } from "../apic/lapic";
import { pvEoiAddress, resolvePvEoi, wantsPvEoi } from "../apic/pv-eoi";
import { ramBase } from "../layout";
import { beforeStore } from "../mem/code-map";
import { isWritable } from "../mem/physical";
import { Vcpu } from "../vcpu";

const WORD_BYTES: u32 = 4;
const PENDING: u32 = 1;

/** After an acknowledge: offers the guest to skip the EOI, where the word is RAM. */
export function offerPvEoi(cpu: Vcpu): void {
  const lapic = Lapic.of(cpu);
  const gpa = pvEoiAddress(lapic);
  if (lapic.pvEoiMsr === 0 || !isWritable(gpa, WORD_BYTES) || !wantsPvEoi(lapic)) return;
  storeWord(gpa, loadWord(gpa) | PENDING);
}

/** Before the LAPIC is asked for a vector: learns whether the guest took the offer, and withdraws it. @inline */
export function fetchPvEoi(cpu: Vcpu): void {
  const lapic = Lapic.of(cpu);
  if (lapic.pvEoiPending !== 0) withdraw(lapic);
}

function withdraw(lapic: Lapic): void {
  const gpa = pvEoiAddress(lapic);
  const word = loadWord(gpa);
  storeWord(gpa, word & ~PENDING);
  resolvePvEoi(lapic, (word & PENDING) !== 0);
}

function loadWord(gpa: u64): u32 {
  return load<u32>(ramBase + <usize>gpa);
}

function storeWord(gpa: u64, word: u32): void {
  beforeStore(<u32>gpa, WORD_BYTES);
  store<u32>(ramBase + <usize>gpa, word);
}
