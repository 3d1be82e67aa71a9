/**
 * The scheduler: vCPUs in turn, a slice of instructions each, on one virtual clock.
 *
 * A slice ends when its instructions are used up, when its vCPU waits or yields (HLT, MWAIT, PAUSE), and when a timer is
 * due. Budgets and stop times only interrupt a slice; the next call goes on with it, so that any slicing of a run
 * into calls gives the same run.
 */
import {
  CS,
  EXIT_BUDGET,
  EXIT_IDLE,
  EXIT_SHUTDOWN,
  EXIT_STOP,
  EXIT_TIME,
  REQ_TIMER,
  RUNNABLE,
  SHUTDOWN,
} from "../abi";
import { Lapic, NO_DEADLINE } from "../apic/lapic";
import { timerExpired } from "../apic/timer";
import { fabricExpired } from "../apic/transit";
import {
  setStepHandled,
  setStopRequested,
  setYieldSlice,
  stepHandled,
  stopRequested,
  yieldSlice,
} from "../cpu/control";
import { DR6_BS, raiseDebug } from "../cpu/debug-status";
import {
  checkInstructionBreakpoint,
  hasInstructionBreakpoint,
  resumeDataBreakpoints,
  takeDataBreakpoints,
} from "../cpu/dr";
import { is64 } from "../cpu/mode";
import { clearLastException, deliverFault } from "../cpu/interrupt";
import { endExecute } from "../cpu/progress";
import { execute } from "../cpu/run";
import { enterTlb } from "../mem/space";
import { SHADOW_MOV_SS, Vcpu } from "../vcpu";
import { RF, TF } from "../x86/eflags";
import { advance, beginSlice, clockNs, endSlice, instructionsUntil, jumpTo } from "./clock";
import { hasEvents, processEvents } from "./events";
import { markRunnable, nextRunnable, runnableCount, unmarkRunnable } from "./runnable";
import { hasDeadline, nextDeadline, nextTimer, nextTimerDeadline, updateTimer } from "./timers";
import { emitWait } from "./trace";
import { vcpu } from "./vcpus";

/** Instructions of a slice. Long enough that a switch costs little, short enough that a spin lock's holder runs soon. */
const SLICE: u32 = 4096;
const NEVER: u64 = -1;
const NOBODY: Vcpu = changetype<Vcpu>(0);

/** vcpuIndex of the vCPU whose slice it is. */
export let current: u32 = 0;
let sliceLeft: u32 = 0;
let stopTime: u64 = NEVER;
/** Instructions retired by all vCPUs. */
export let totalRetired: u64 = 0;

/** Makes `run` return EXIT_TIME when the clock reaches `ns`; all ones: never. */
export function setStop(ns: u64): void {
  stopTime = ns;
}

/** Makes `run` return EXIT_STOP at the next boundary: devices call it through the host. */
export function requestStop(): void {
  setStopRequested(true);
}

/** Fires the timers that are due, and delivers the messages that fault injection held back until now. @inline */
function fireTimers(): void {
  if (hasDeadline()) fireDue();
}

/** @noinline */
function fireDue(): void {
  const now = clockNs();
  fabricExpired(now);
  while (nextTimerDeadline() <= now) {
    const vcpuIndex = nextTimer();
    const lapic = Lapic.at(vcpuIndex);
    timerExpired(lapic, now);
    vcpu(vcpuIndex).request &= ~REQ_TIMER;
    updateTimer(vcpuIndex);
  }
}

/** Instructions until something happens by itself, at least 1 and at most `most`. @inline */
function untilDeadline(most: u32): u32 {
  return hasDeadline() ? untilNextDeadline(most) : most;
}

/** @noinline */
function untilNextDeadline(most: u32): u32 {
  return max<u32>(1, instructionsUntil(nextDeadline(), most));
}

/** All wait: time passes until the next timer. @returns false when the stop time comes first, or nothing ever @noinline */
function passTime(): bool {
  const wakeAt = min(nextDeadline(), stopTime);
  if (wakeAt === NO_DEADLINE) return false;
  jumpTo(wakeAt);
  return wakeAt !== stopTime;
}

/** Begins the next slice. @returns whose it is; NOBODY: all wait, until the stop time or for ever @inline */
function nextSlice(): Vcpu {
  for (;;) {
    fireTimers();
    const next = nextRunnable(current);
    if (next < 0) {
      if (!passTime()) return NOBODY;
      continue;
    }
    current = <u32>next;
    const cpu = vcpu(<u32>next);
    enterTlb(cpu);
    if (hasEvents(cpu) && !processEvents(cpu)) {
      unmarkRunnable(<u32>next);
      continue;
    }
    beginSlice(runnableCount);
    sliceLeft = untilDeadline(SLICE);
    return cpu;
  }
}

/**
 * Runs the machine.
 *
 * @param budget - instructions, at least 1
 * @returns EXIT_*
 */
export function run(budget: u64): u32 {
  let left = budget;
  let cpu = vcpu(current);
  if (sliceLeft !== 0) enterTlb(cpu);
  while (left > 0) {
    if (stopRequested) {
      setStopRequested(false);
      return EXIT_STOP;
    }
    if (sliceLeft === 0) {
      cpu = nextSlice();
      if (cpu === NOBODY) return stopTime === NEVER ? EXIT_IDLE : EXIT_TIME;
    }
    let limit = sliceLeft;
    if (stopTime !== NEVER) {
      limit = instructionsUntil(stopTime, limit);
      if (limit === 0) return EXIT_TIME;
    }
    if (<u64>limit > left) limit = <u32>left;
    const used = runSlice(cpu, limit);
    left -= used;
    if (sliceLeft !== 0) {
      sliceLeft -= used;
      if (sliceLeft > 0) sliceLeft = untilDeadline(sliceLeft);
      else endSlice();
      continue;
    }
    setYieldSlice(false);
    endSlice();
    if (cpu.runState === RUNNABLE) continue;
    emitWait(cpu);
    // A request may have come meanwhile, or a kick before the HLT: then the scheduler looks at it.
    if ((cpu.request | Lapic.of(cpu).kicked) === 0) unmarkRunnable(current);
    if (cpu.runState === SHUTDOWN) {
      unmarkRunnable(current);
      return EXIT_SHUTDOWN;
    }
  }
  return EXIT_BUDGET;
}

/**
 * Runs one vCPU for at most `limit` instructions. Sets `sliceLeft` to 0 where it waits or yields.
 *
 * A delivered fault counts as an instruction, so that a guest that only faults makes progress too.
 *
 * @returns instructions used
 */
function runSlice(cpu: Vcpu, limit: u32): u32 {
  let used: u32 = 0;
  for (;;) {
    if ((cpu.fault | cpu.request | (cpu.runState ^ RUNNABLE)) !== 0) {
      if (cpu.fault !== 0) {
        deliverFault(cpu);
        used++;
        advance(1);
        if (cpu.runState !== RUNNABLE) break;
        if (used === limit) return used;
        continue;
      }
      // The delivery of an event may have ended in a shutdown.
      if (cpu.runState !== RUNNABLE || !processEvents(cpu)) break;
      if ((cpu.fault | (cpu.runState ^ RUNNABLE)) !== 0) continue;
    }
    used += runInstructions(cpu, limit - used);
    if (((cpu.runState ^ RUNNABLE) | <u32>yieldSlice) !== 0) break;
    if (used === limit || stopRequested) return used;
    // A timer was armed: it may end the slice earlier.
    if (cpu.request & REQ_TIMER) {
      cpu.request &= ~REQ_TIMER;
      updateTimer(cpu.index);
      return used;
    }
  }
  sliceLeft = 0;
  return used;
}

/** Runs up to `limit` instructions of `cpu`; one, where a trap or a shadow ends with the instruction. @inline */
function runInstructions(cpu: Vcpu, limit: u32): u32 {
  if (((cpu.eflags & (TF | RF)) | (<u32>cpu.dr7 & 0xff)) !== 0) return runCarefully(cpu, limit);
  if (cpu.shadow === 0) return executeAndCount(cpu, limit);
  cpu.shadow = 0;
  return executeAndCount(cpu, 1);
}

/** `execute`, with what it retires on the clock and in the counts. @inline */
function executeAndCount(cpu: Vcpu, limit: u32): u32 {
  const done = execute(cpu, limit);
  cpu.retired += done;
  totalRetired += done;
  advance(done);
  endExecute();
  return done;
}

/** `runInstructions` where single steps, breakpoints or RF are to be seen to. @noinline */
function runCarefully(cpu: Vcpu, limit: u32): u32 {
  const traps = (cpu.eflags & TF) !== 0;
  const resumes = (cpu.eflags & RF) !== 0;
  const breaks = cpu.dr7 & 0xff ? true : false;
  const alone = traps || breaks || cpu.shadow !== 0;
  if (breaks && !(cpu.shadow & SHADOW_MOV_SS) && hasInstructionBreakpoint(cpu)) {
    checkInstructionBreakpoint(cpu, is64(cpu) ? cpu.rip : cpu.segment(CS).base + cpu.rip);
    if (cpu.fault !== 0) return 0;
  }
  // RF covers one instruction; IRET may set it anew, and a fault pushes it set (cpu/interrupt.ts).
  if (resumes) cpu.eflags &= ~RF;
  if (breaks) resumeDataBreakpoints(cpu);
  cpu.shadow = 0;
  setStepHandled(false);
  const done = executeAndCount(cpu, alone ? 1 : limit);
  if (breaks) takeDataBreakpoints(cpu, done === 1);
  // MOV SS holds debug traps back, not only interrupts: SDM 3A "Masking Exceptions and Interrupts When Switching Stacks".
  if (traps && done === 1 && !stepHandled && !(cpu.shadow & SHADOW_MOV_SS))
    raiseDebug(cpu, DR6_BS, true);
  return done;
}

/** Delivers a fault outside `run`: it takes as long as there. */
function deliverAlone(cpu: Vcpu): void {
  beginSlice(1);
  deliverFault(cpu);
  advance(1);
  endSlice();
}

/**
 * Runs one instruction of one vCPU, whatever the others do; pending events and faults first, its own fault last.
 *
 * @returns EXIT_BUDGET; EXIT_IDLE when the vCPU waits; EXIT_SHUTDOWN; EXIT_STOP
 */
export function step(vcpuIndex: u32): u32 {
  const cpu = vcpu(vcpuIndex);
  clearLastException();
  if (sliceLeft !== 0) endSlice();
  sliceLeft = 0;
  fireTimers();
  enterTlb(cpu);
  if (cpu.fault !== 0) deliverAlone(cpu);
  if (!processEvents(cpu)) return cpu.runState === SHUTDOWN ? EXIT_SHUTDOWN : EXIT_IDLE;
  markRunnable(vcpuIndex);
  beginSlice(1);
  if (cpu.fault === 0 && cpu.runState === RUNNABLE) runInstructions(cpu, 1);
  setYieldSlice(false);
  endSlice();
  if (cpu.fault !== 0) deliverAlone(cpu);
  if (cpu.request & REQ_TIMER) {
    cpu.request &= ~REQ_TIMER;
    updateTimer(vcpuIndex);
  }
  if (cpu.runState === SHUTDOWN) return EXIT_SHUTDOWN;
  if (!stopRequested) return EXIT_BUDGET;
  setStopRequested(false);
  return EXIT_STOP;
}
