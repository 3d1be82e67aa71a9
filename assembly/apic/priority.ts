/**
 * Priorities: TPR, PPR, what may be delivered, acknowledge and EOI.
 *
 * Sources: SDM 3A "Task and Processor Priorities", "Interrupt Acceptance for Fixed Interrupts", "Signaling Interrupt
 * Servicing Completion", "Spurious Interrupt"; KVM `__apic_update_ppr`, `kvm_apic_has_interrupt`, `apic_set_eoi`.
 *
 * REQ_INTERRUPT in the request word is the INTR line: raised when a vector comes above PPR, dropped when none is left.
 */
import { DIRECTED_EOI_WORKS, REQ_INTERRUPT } from "../abi";
import { eoiBroadcast } from "../host";
import { SVR_SUPPRESS_EOI_BROADCAST } from "../x86/apicdef";
import { CLASS, Lapic } from "./lapic";
import { policy } from "./policy";
import { request } from "./requests";
import { anyVector, clearVector, highestVector, setVector, testVector } from "./vectors";

/**
 * The vector that may be delivered now.
 *
 * A software-disabled LAPIC still delivers what it holds; one that is hardware-disabled delivers nothing.
 *
 * @returns 0..255, or -1
 * @inline
 */
export function highestPending(lapic: Lapic): i32 {
  return lapic.deliverable;
}

/**
 * True when the CPU that sees INTR (REQ_INTERRUPT) has something to acknowledge: a vector that can be delivered, or,
 * under the knob `spurious`, one that was overtaken.
 *
 * @inline
 */
export function answersIntr(lapic: Lapic): bool {
  return highestPending(lapic) >= 0 || (policy.spurious !== 0 && lapic.isPresent);
}

/** True when a HLT ends because of this LAPIC: the CPU adds IF, NMI, the PV kick and INIT. */
export function wouldWake(lapic: Lapic): bool {
  return highestPending(lapic) >= 0;
}

/** Recomputes PPR and with it the INTR line. To be called when TPR or ISR changed. */
export function updatePpr(lapic: Lapic): void {
  const serviced: u32 = anyVector(lapic.isr) === 0 ? 0 : <u32>highestVector(lapic.isr);
  const tpr: u32 = lapic.tpr;
  lapic.ppr = <u8>((tpr & CLASS) >= (serviced & CLASS) ? tpr : serviced & CLASS);
  updateIntr(lapic);
}

/** Raises or drops INTR. */
function updateIntr(lapic: Lapic): void {
  if (lapic.deliverable >= 0) request(lapic.cpu, REQ_INTERRUPT);
  else dropIntr(lapic);
}

/** Under the knob `spurious` INTR stays up: the acknowledge then gives the SVR vector. */
function dropIntr(lapic: Lapic): void {
  if (policy.spurious === 0) lapic.cpu.request &= ~REQ_INTERRUPT;
}

/**
 * The CPU acknowledges INTR: the highest deliverable vector moves from IRR to ISR.
 *
 * @returns the vector; with the knob `spurious` the SVR vector when the interrupt was overtaken by TPR; else -1. INTR
 * is down afterwards unless another vector can be delivered.
 *
 * @param vector - what `highestPending` says
 * @inline
 */
export function acknowledgePending(lapic: Lapic, vector: i32): i32 {
  lapic.cpu.request &= ~REQ_INTERRUPT;
  if (vector < 0) return policy.spurious !== 0 && lapic.isPresent ? <i32>(lapic.svr & 0xff) : -1;
  clearVector(lapic.irr, vector);
  setVector(lapic.isr, vector);
  // It could only be delivered because its class is above TPR and above everything in service.
  lapic.ppr = <u8>(<u32>vector & CLASS);
  return vector;
}

/** The same, for who has not asked yet. */
export function acknowledge(lapic: Lapic): i32 {
  return acknowledgePending(lapic, highestPending(lapic));
}

/**
 * End of interrupt: the highest vector in service is done. Without one, nothing happens.
 *
 * A level-triggered vector is announced to the IOAPICs, unless SVR[12] suppresses that and the policy has it work.
 *
 * @inline
 */
export function eoi(lapic: Lapic): void {
  // PPR has the class of the highest vector in service, unless TPR's is higher.
  const first = <u32>lapic.ppr & CLASS;
  const ofClass: u32 = load<u16>(lapic.isr + (first >> 3));
  if (ofClass === 0) {
    eoiBelowTpr(lapic);
    return;
  }
  const vector = first + 31 - <u32>clz(ofClass);
  clearVector(lapic.isr, vector);
  if ((anyVector(lapic.isr) | anyVector(lapic.irr) | <u64>lapic.tmrUsed) !== 0) {
    endService(lapic, vector);
    return;
  }
  // Nothing is left.
  lapic.ppr = lapic.tpr;
  if ((lapic.cpu.request & REQ_INTERRUPT) !== 0) dropIntr(lapic);
}

function eoiBelowTpr(lapic: Lapic): void {
  const vector = highestVector(lapic.isr);
  if (vector < 0) return;
  clearVector(lapic.isr, vector);
  endService(lapic, vector);
}

/** The vector is no longer in service. */
function endService(lapic: Lapic, vector: u32): void {
  updatePpr(lapic);
  if (lapic.tmrUsed !== 0) announceEoi(lapic, vector);
}

/** Tells the IOAPICs of the end of a level-triggered interrupt. */
function announceEoi(lapic: Lapic, vector: u32): void {
  if (!testVector(lapic.tmr, vector)) return;
  const suppressed =
    policy.directedEoi === DIRECTED_EOI_WORKS && (lapic.svr & SVR_SUPPRESS_EOI_BROADCAST) !== 0;
  if (!suppressed) eoiBroadcast(vector);
}

/** Writes TPR. @param value - bits 7:0 count */
export function writeTpr(lapic: Lapic, value: u32): void {
  lapic.tpr = <u8>value;
  updatePpr(lapic);
}

/** CR8: TPR[7:4]. It works while the LAPIC is disabled, too. */
export function readCr8(lapic: Lapic): u32 {
  return <u32>lapic.tpr >> 4;
}

/** @param value - 0..15; the CPU faults on more */
export function writeCr8(lapic: Lapic, value: u32): void {
  writeTpr(lapic, value << 4);
}
