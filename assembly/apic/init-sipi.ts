/**
 * Pending INIT and STARTUP, judged when a vCPU processes its events.
 *
 * Sources: KVM `kvm_apic_accept_events`; SDM 3A "MP Initialization Protocol Algorithm for MP Systems".
 * Not modelled: SMM and VMX, which block INIT and make a STARTUP that arrives meanwhile disappear.
 */
import { ABSENT, REQ_INIT, REQ_NMI, REQ_SIPI, RUNNABLE, WAIT_FOR_SIPI } from "../abi";
import { Vcpu } from "../vcpu";
import { APIC_BASE_BSP } from "../x86/apicdef";
import { Lapic } from "./lapic";

// Result of takeInitSipi: what the caller has to do, in this order.
/** Give the CPU its INIT state and call `lapicInit`. */
export const DO_INIT: u32 = 1;
/** Load CS:IP from `sipiVector`: CS selector = vector << 8, base = vector << 12, IP = 0. */
export const DO_START: u32 = 2;

/**
 * Takes pending INIT and STARTUP and moves the run state: INIT makes a BSP RUNNABLE and any other WAIT_FOR_SIPI and
 * drops the NMIs that came before it was taken; STARTUP makes a waiting CPU RUNNABLE and is lost on any other.
 *
 * @returns DO_INIT and DO_START, or 0
 */
export function takeInitSipi(cpu: Vcpu): u32 {
  if (cpu.runState === ABSENT) return 0;
  const pending = cpu.request & (REQ_INIT | REQ_SIPI);
  cpu.request &= ~pending;
  let actions: u32 = 0;
  if ((pending & REQ_INIT) !== 0) {
    actions = DO_INIT;
    cpu.nmi = 0;
    cpu.request &= ~REQ_NMI;
    const isBsp = (Lapic.of(cpu).apicBase & APIC_BASE_BSP) !== 0;
    cpu.runState = isBsp ? RUNNABLE : WAIT_FOR_SIPI;
  }
  if ((pending & REQ_SIPI) !== 0 && cpu.runState === WAIT_FOR_SIPI) {
    actions |= DO_START;
    cpu.runState = RUNNABLE;
  }
  return actions;
}
