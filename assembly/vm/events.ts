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

/** True when a maskable interrupt is there and RFLAGS.IF lets it in. */
function hasInterrupt(cpu: Vcpu): bool {
  if (!(cpu.eflags & IF)) return false;
  if (hasExtInt(cpu)) return true;
  return (cpu.request & REQ_INTERRUPT) !== 0 && answersIntr(Lapic.of(cpu));
}

/** True when an interrupt is there that IF holds back, and the vCPU waits for such, too (MWAIT). */
function hasMasked(cpu: Vcpu): bool {
  if (!(cpu.request & REQ_INTERRUPT) || !wakesOnMasked(cpu)) return false;
  return highestPending(Lapic.of(cpu)) >= 0;
}

function hasNmi(cpu: Vcpu): bool {
  return (cpu.request & REQ_NMI) !== 0 && !(cpu.nmi & NMI_BLOCKED);
}

/** True when `processEvents` has anything to look at. @inline */
export function hasEvents(cpu: Vcpu): bool {
  return (cpu.request | (cpu.runState ^ RUNNABLE)) !== 0;
}

/**
 * Handles the request word of a vCPU at an instruction boundary, once a fault or trap of its last instruction is
 * delivered.
 *
 * Mostly there is a vector of the LAPIC that nothing holds back, and nothing else: that way is straight.
 *
 * @returns true when the vCPU can run its next instruction, unless the delivery of an event shut it down
 */
export function processEvents(cpu: Vcpu): bool {
  const lapic = Lapic.of(cpu);
  const more = cpu.fault | (cpu.request ^ REQ_INTERRUPT) | lapic.pvEoiPending;
  if ((more | (~cpu.eflags & IF) | cpu.shadow) !== 0) return processAny(cpu);
  const pending = highestPending(lapic);
  if (pending < 0) return processAny(cpu);
  if (cpu.runState !== RUNNABLE) {
    if (cpu.runState !== HALTED) return processAny(cpu);
    endHalt(cpu);
  }
  deliverPending(cpu, pending);
  return true;
}

/** `processEvents`, whatever there is. @noinline */
function processAny(cpu: Vcpu): bool {
  if (cpu.fault !== 0) return true;
  if (cpu.request & (REQ_INIT | REQ_SIPI)) takeReset(cpu);
  if (cpu.request & REQ_TIMER) {
    cpu.request &= ~REQ_TIMER;
    updateTimer(cpu.index);
  }
  if (cpu.request & REQ_INTERRUPT) fetchPvEoi(cpu);
  if (cpu.runState === HALTED && endsHalt(cpu)) endHalt(cpu);
  if (cpu.runState === SHUTDOWN && hasNmi(cpu)) cpu.runState = RUNNABLE;
  cpu.request &= ~(REQ_KICK | REQ_SMI);
  if (cpu.runState !== RUNNABLE) return false;
  // One boundary, one event; the shadow of STI and MOV SS holds everything back for one instruction.
  if (cpu.shadow === 0) {
    if (hasNmi(cpu)) takeNmi(cpu);
    else if (cpu.eflags & IF) takeInterrupt(cpu);
    else if (cpu.request & REQ_INTERRUPT && !answersIntr(Lapic.of(cpu)))
      cpu.request &= ~REQ_INTERRUPT;
  }
  return true;
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

/**
 * A kick counts even if it came before the HLT: a waiter that looks, is kicked, and halts then must not sleep (KVM
 * `kvm_vcpu_has_events`, `vcpu_block`).
 */
function endsHalt(cpu: Vcpu): bool {
  return Lapic.of(cpu).kicked !== 0 || hasInterrupt(cpu) || hasNmi(cpu) || hasMasked(cpu);
}

/** A HLT or MWAIT is over, which uses a kick up. @inline */
function endHalt(cpu: Vcpu): void {
  Lapic.of(cpu).kicked = 0;
  disarmMonitor(cpu);
  cpu.runState = RUNNABLE;
}

function takeNmi(cpu: Vcpu): void {
  const queued = cpu.nmi >> NMI_QUEUED_SHIFT;
  cpu.nmi = NMI_BLOCKED | ((queued > 0 ? queued - 1 : 0) << NMI_QUEUED_SHIFT);
  if (queued <= 1) cpu.request &= ~REQ_NMI;
  deliverInterrupt(cpu, NMI_VECTOR, true);
}

/** With IF = 1, if there is one: ExtINT before the LAPIC, as KVM `kvm_cpu_get_interrupt`. */
function takeInterrupt(cpu: Vcpu): void {
  if (hasExtInt(cpu)) {
    deliverInterrupt(cpu, acknowledgeExtInt() & 0xff, false);
    return;
  }
  if (cpu.request & REQ_INTERRUPT) takeVector(cpu);
}

/** The LAPIC's, if it has one that can be delivered now. @inline */
function takeVector(cpu: Vcpu): void {
  deliverPending(cpu, highestPending(Lapic.of(cpu)));
}

/** @param pending - what `highestPending` says @inline */
function deliverPending(cpu: Vcpu, pending: i32): void {
  const lapic = Lapic.of(cpu);
  const vector = acknowledgePending(lapic, pending);
  if (vector < 0) return;
  if (lapic.pvEoiMsr !== 0) offerPvEoi(cpu);
  deliverVector(cpu, <u32>vector);
}
