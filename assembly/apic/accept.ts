/**
 * What a LAPIC does with a message that selected it, and with its own local interrupts.
 *
 * Sources: KVM `__apic_accept_irq`, `kvm_apic_local_deliver`; SDM 3A "Interrupt Acceptance for Fixed Interrupts",
 * "Valid Interrupt Vectors", "Error Handling".
 * Deviates: two NMIs are queued, as KVM does, one while NMIs are blocked; hardware latches one.
 * Not modelled: SMM. An SMI is refused, as KVM without SMM does.
 */
import { REQ_INIT, REQ_INTERRUPT, REQ_KICK, REQ_NMI, REQ_SIPI } from "../abi";
import { NMI_BLOCKED, NMI_QUEUED_SHIFT, Vcpu } from "../vcpu";
import * as def from "../x86/apicdef";
import { CLASS, Lapic } from "./lapic";
import { policy } from "./policy";
import { request } from "./requests";
import { clearVector, setVector } from "./vectors";

/** NMIs that wait while none is being handled, and while one is. */
const NMI_QUEUE: u32 = 2;
const NMI_QUEUE_BLOCKED: u32 = 1;

/** Fields that are 0 in a Fixed, edge-triggered message. */
export const NOT_EDGE: u32 = (7 << def.ICR_DELIVERY_MODE_SHIFT) | def.ICR_LEVEL_TRIGGERED;

/**
 * Accepts a message.
 *
 * @param lapic - a present LAPIC; @param low - the message in the format of ICR[31:0]
 * @returns 1 when it accepted, which a Fixed interrupt does even if its IRR bit is set already; else 0
 */
export function accept(lapic: Lapic, low: u32): u32 {
  switch ((low >> def.ICR_DELIVERY_MODE_SHIFT) & 7) {
    case def.LOWEST_PRIORITY:
      lapic.arbitration++;
    // falls through
    case def.FIXED:
      return acceptFixed(lapic, low);
    case def.REMOTE_READ:
      lapic.kicked = 1;
      request(lapic.cpu, REQ_KICK);
      return 1;
    case def.NMI:
      return acceptNmi(lapic.cpu);
    case def.INIT:
      if (isDeassert(low)) return 0;
      // KVM replaces the pending events by INIT: an earlier STARTUP is forgotten.
      lapic.cpu.request &= ~REQ_SIPI;
      request(lapic.cpu, REQ_INIT);
      return 1;
    case def.STARTUP:
      return acceptStartup(lapic.cpu, low & def.ICR_VECTOR);
    default: // SMI, ExtINT
      return 0;
  }
}

/** Level-triggered with level 0: says nothing to a Fixed or INIT message's target. */
export function isDeassert(low: u32): bool {
  return (low & (def.ICR_LEVEL_TRIGGERED | def.ICR_ASSERT)) === def.ICR_LEVEL_TRIGGERED;
}

function acceptFixed(lapic: Lapic, low: u32): u32 {
  if (isDeassert(low) || !lapic.isSoftwareEnabled) return 0;
  const vector = low & def.ICR_VECTOR;
  if (isIllegal(vector)) {
    raiseError(lapic, def.ESR_RECEIVE_ILLEGAL_VECTOR);
    return 0;
  }
  if ((low & def.ICR_LEVEL_TRIGGERED) === 0) {
    acceptEdge(lapic, vector);
    return 1;
  }
  setVector(lapic.tmr, vector);
  lapic.tmrUsed = 1;
  setPending(lapic, vector);
  return 1;
}

/** True when a message with this vector is an error, to its sender and its target. */
export function isIllegal(vector: u32): bool {
  return policy.errors !== 0 && vector < def.FIRST_LEGAL_VECTOR;
}

/** True for a Fixed, edge-triggered message that no policy calls illegal: `acceptEdge` is all that there is to it. @inline */
export function isEdge(low: u32): bool {
  return (low & NOT_EDGE) === 0 && (low & def.ICR_VECTOR) >= def.FIRST_LEGAL_VECTOR;
}

/** Accepts such a message. @param lapic - one that `acceptsFixed` @inline */
export function acceptEdge(lapic: Lapic, vector: u32): void {
  if (lapic.tmrUsed !== 0) clearVector(lapic.tmr, vector);
  setPending(lapic, vector);
}

/**
 * Sets IRR, and raises INTR where the vector's class is above PPR's. While the guest may have skipped an EOI, PPR may be
 * too high: the CPU has to find out.
 *
 * @inline
 */
function setPending(lapic: Lapic, vector: u32): void {
  setVector(lapic.irr, vector);
  const lastOfClass = <u32>lapic.ppr | (CLASS >> 4);
  if ((vector | (lapic.pvEoiPending << 8)) > lastOfClass) request(lapic.cpu, REQ_INTERRUPT);
}

function acceptNmi(cpu: Vcpu): u32 {
  const limit = (cpu.nmi & NMI_BLOCKED) !== 0 ? NMI_QUEUE_BLOCKED : NMI_QUEUE;
  if (cpu.nmi >> NMI_QUEUED_SHIFT < limit) cpu.nmi += 1 << NMI_QUEUED_SHIFT;
  request(cpu, REQ_NMI);
  return 1;
}

/** Remembered in any run state; judged when the vCPU processes its events (init-sipi.ts). */
function acceptStartup(cpu: Vcpu, vector: u32): u32 {
  if (policy.firstSipi === 0 || (cpu.request & REQ_SIPI) === 0) cpu.sipiVector = vector;
  request(cpu, REQ_SIPI);
  return 1;
}

/**
 * Delivers a local interrupt through its LVT entry.
 *
 * KVM `kvm_apic_local_deliver`. The performance-counter entry masks itself.
 *
 * @param register - APIC_LVT_* @returns 1 when the LAPIC accepted it
 */
export function deliverLocal(lapic: Lapic, register: u32): u32 {
  const entry = lapic.lvt(register);
  if (!lapic.isPresent || (entry & def.LVT_MASKED) !== 0) return 0;
  const fields = def.ICR_VECTOR | (7 << def.ICR_DELIVERY_MODE_SHIFT) | def.ICR_LEVEL_TRIGGERED;
  const accepted = accept(lapic, (entry & fields) | def.ICR_ASSERT);
  if (accepted !== 0 && register === def.APIC_LVT_PERF)
    lapic.setLvt(register, entry | def.LVT_MASKED);
  return accepted;
}

/** The pins LINT0 and LINT1: an edge. @param pin - 0 or 1 */
export function raiseLint(lapic: Lapic, pin: u32): u32 {
  return deliverLocal(lapic, def.APIC_LVT_LINT0 + (pin & 1));
}

/**
 * True when the PIC's INTR reaches the CPU: the LAPIC is off, or LINT0 is open as ExtINT.
 *
 * KVM `kvm_apic_accept_pic_intr`.
 */
export function acceptsPic(lapic: Lapic): bool {
  if (!lapic.isPresent) return true;
  const entry = lapic.lvt(def.APIC_LVT_LINT0);
  return (
    (entry & def.LVT_MASKED) === 0 && ((entry >> def.ICR_DELIVERY_MODE_SHIFT) & 7) === def.EXTINT
  );
}

/**
 * Records an error; the first one since the last write of ESR raises the LVT error interrupt.
 *
 * SDM 3A "Error Handling". Deviates: KVM's ESR is always 0 (knob `errors`).
 */
export function raiseError(lapic: Lapic, bit: u32): void {
  if (policy.errors === 0) return;
  const isFirst = lapic.errors === 0;
  lapic.errors |= bit;
  if (isFirst) deliverLocal(lapic, def.APIC_LVT_ERROR);
}
