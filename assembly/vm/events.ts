/**
 * What waits at an instruction boundary: INIT and SIPI, timer changes, faults, NMI, interrupts.
 *
 * Order: SDM 3A "Priority Among Concurrent Events"; KVM `vcpu_enter_guest`.
 */
import {
  HALTED,
  REQ_EXTINT,
  REQ_INIT,
  REQ_INTERRUPT,
  REQ_KICK,
  REQ_NMI,
  REQ_SIPI,
  REQ_SMI,
  REQ_TIMER,
  RUNNABLE,
  SHUTDOWN,
  TRACE_CPU_START,
} from "../abi";
import { acceptsPic } from "../apic/accept";
import { DO_INIT, DO_START, takeInitSipi } from "../apic/init-sipi";
import { Lapic } from "../apic/lapic";
import { acknowledgePending, answersIntr, highestPending } from "../apic/priority";
import { lapicInit } from "../apic/reset";
import { signature } from "../cpu/cpuid";
import { deliverInterrupt, deliverVector } from "../cpu/interrupt";
import { disarmMonitor, wakesOnMasked } from "../cpu/monitor";
import { acknowledgeExtInt } from "../host";
import { NMI_BLOCKED, NMI_QUEUED_SHIFT, Vcpu } from "../vcpu";
import { NMI_VECTOR } from "../x86/exception";
import { IF } from "../x86/eflags";
import { resetKvmClock } from "./kvm-clock";
import { fetchPvEoi, offerPvEoi } from "./pv-eoi";
import { initRegisters, startAt } from "./reset";
import { emitCpu } from "./trace";
import { updateTimer } from "./timers";

/** INIT and SIPI, in KVM's order. */
function takeReset(cpu: Vcpu): void {
  const actions = takeInitSipi(cpu);
  if (actions & DO_INIT) {
    initRegisters(cpu, signature);
    lapicInit(Lapic.of(cpu));
    resetKvmClock(cpu);
  }
  if (actions & DO_START) {
    startAt(cpu, cpu.sipiVector);
    emitCpu(TRACE_CPU_START, cpu, (<u32>cpu.sipiVector) << 12);
  }
}

/** The PIC's INTR is up, and the LAPIC lets it pass. */
function hasExtInt(cpu: Vcpu): bool {
  return (cpu.request & REQ_EXTINT) !== 0 && acceptsPic(Lapic.of(cpu));
}

function hasNmi(cpu: Vcpu): bool {
  return (cpu.request & REQ_NMI) !== 0 && !(cpu.nmi & NMI_BLOCKED);
}

/** True when `processEvents` has anything to look at. @inline */
export function hasEvents(cpu: Vcpu): bool {
  return (cpu.request | (cpu.runState ^ RUNNABLE)) !== 0;
}

/**
 * Handles the request word of a vCPU at an instruction boundary; not before a fault or trap of its last instruction is
 * delivered.
 *
 * Mostly there is an interrupt of the LAPIC that RFLAGS.IF lets in, and nothing else. That way is straight, and leaves
 * for one of the others where there is more.
 *
 * @returns true when the vCPU can run its next instruction
 */
export function processEvents(cpu: Vcpu): bool {
  if (cpu.fault !== 0) return true;
  if (cpu.request & (REQ_INIT | REQ_SIPI | REQ_TIMER)) takeSignals(cpu);
  if (!(cpu.request & REQ_INTERRUPT)) return wakeAndTake(cpu, -1);
  fetchPvEoi(cpu);
  const pending = highestPending(Lapic.of(cpu));
  if (cpu.runState !== RUNNABLE) {
    const more = (cpu.runState ^ HALTED) | <u32>(pending < 0) | (~cpu.eflags & IF);
    if (more !== 0) return wakeAndTake(cpu, pending);
    endHalt(cpu);
  }
  if (cpu.request & ~REQ_INTERRUPT) return takeFirst(cpu, pending);
  takePending(cpu, pending);
  return true;
}

/** INIT, SIPI, and a changed deadline: they come first, in any run state. @noinline */
function takeSignals(cpu: Vcpu): void {
  if (cpu.request & (REQ_INIT | REQ_SIPI)) takeReset(cpu);
  if (cpu.request & REQ_TIMER) {
    cpu.request &= ~REQ_TIMER;
    updateTimer(cpu.index);
  }
}

/**
 * Looks whether a vCPU has to wait, and takes an event if not.
 *
 * @param pending - what `highestPending` says, or -1 where INTR is down @returns as `processEvents` @noinline
 */
function wakeAndTake(cpu: Vcpu, pending: i32): bool {
  if (cpu.runState === HALTED && endsHalt(cpu, pending)) endHalt(cpu);
  if (cpu.runState === SHUTDOWN && hasNmi(cpu)) cpu.runState = RUNNABLE;
  if (cpu.runState === RUNNABLE) return takeFirst(cpu, pending);
  cpu.request &= ~(REQ_KICK | REQ_SMI);
  return false;
}

/**
 * A kick counts even if it came before the HLT: a waiter that looks, is kicked, and halts then must not sleep (KVM
 * `kvm_vcpu_has_events`, `vcpu_block`).
 */
function endsHalt(cpu: Vcpu, pending: i32): bool {
  const lapic = Lapic.of(cpu);
  if (lapic.kicked !== 0 || hasNmi(cpu)) return true;
  // One that IF holds back ends the wait of an MWAIT that asks for that.
  if (!(cpu.eflags & IF)) return pending >= 0 && wakesOnMasked(cpu);
  return hasExtInt(cpu) || ((cpu.request & REQ_INTERRUPT) !== 0 && answersIntr(lapic));
}

/** A HLT or MWAIT is over, which uses a kick up. @inline */
function endHalt(cpu: Vcpu): void {
  Lapic.of(cpu).kicked = 0;
  disarmMonitor(cpu);
  cpu.runState = RUNNABLE;
}

/**
 * Takes one event: an NMI, the PIC's interrupt, the LAPIC's, in this order (KVM `kvm_cpu_get_interrupt`).
 *
 * @param pending - as above @returns true @noinline
 */
function takeFirst(cpu: Vcpu, pending: i32): bool {
  cpu.request &= ~(REQ_KICK | REQ_SMI);
  const isHeld = cpu.shadow !== 0;
  if (!isHeld && hasNmi(cpu)) takeNmi(cpu);
  else if (!isHeld && cpu.eflags & IF && hasExtInt(cpu))
    deliverInterrupt(cpu, acknowledgeExtInt() & 0xff, false);
  else if (cpu.request & REQ_INTERRUPT) takePending(cpu, pending);
  return true;
}

function takeNmi(cpu: Vcpu): void {
  const queued = cpu.nmi >> NMI_QUEUED_SHIFT;
  cpu.nmi = NMI_BLOCKED | ((queued > 0 ? queued - 1 : 0) << NMI_QUEUED_SHIFT);
  if (queued <= 1) cpu.request &= ~REQ_NMI;
  deliverInterrupt(cpu, NMI_VECTOR, true);
}

/**
 * The same inside `execute`, for a vCPU that runs and has no shadow: only the LAPIC's interrupts, which are all that
 * most programs ever see.
 *
 * @returns true when the vCPU can run its next instruction; false: `processEvents` has to look, or a fault waits
 */
export function takeLapicInterrupt(cpu: Vcpu): bool {
  if (cpu.request !== REQ_INTERRUPT) return false;
  fetchPvEoi(cpu);
  if (cpu.eflags & IF) takeVector(cpu);
  else if (!answersIntr(Lapic.of(cpu))) cpu.request = 0;
  return cpu.fault === 0 && cpu.runState === RUNNABLE;
}

/** The LAPIC's, if it has one that can be delivered now. @inline */
function takeVector(cpu: Vcpu): void {
  deliverPending(cpu, highestPending(Lapic.of(cpu)));
}

/**
 * INTR is up: takes the interrupt, if nothing holds it back; the shadow of STI and MOV SS does so for one instruction.
 *
 * @param pending - what `highestPending` says @inline
 */
function takePending(cpu: Vcpu, pending: i32): void {
  if (cpu.shadow !== 0) return;
  if (cpu.eflags & IF) deliverPending(cpu, pending);
  else if (!answersIntr(Lapic.of(cpu))) cpu.request &= ~REQ_INTERRUPT;
}

/** @param pending - what `highestPending` says @inline */
function deliverPending(cpu: Vcpu, pending: i32): void {
  const lapic = Lapic.of(cpu);
  const vector = acknowledgePending(lapic, pending);
  if (vector < 0) return;
  if (lapic.pvEoiMsr !== 0) offerPvEoi(cpu);
  deliverVector(cpu, <u32>vector);
}
