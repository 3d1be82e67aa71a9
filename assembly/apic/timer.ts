/**
 * The LVT timer: one-shot, periodic and TSC-deadline.
 *
 * Sources: SDM 3A "APIC Timer", "TSC-Deadline Mode"; KVM `start_apic_timer`, `apic_get_tmcct`, `apic_update_lvtt`,
 * `update_target_expiration`, `limit_periodic_timer_frequency`.
 *
 * A count of TMICT lasts TMICT times the divisor times a cycle of the bus, 1 ns unless the policy has another; the TSC is
 * the virtual clock plus the vCPU's offset. Nothing counts: `deadline` is the next expiry, and vm/ calls `timerExpired` when it has come.
 */
import { REQ_TIMER } from "../abi";
import * as def from "../x86/apicdef";
import { deliverLocal } from "./accept";
import { Lapic, NO_DEADLINE } from "./lapic";
import { policy } from "./policy";

function setDeadline(lapic: Lapic, deadline: u64): void {
  if (lapic.deadline === deadline) return;
  lapic.deadline = deadline;
  lapic.cpu.request |= REQ_TIMER;
}

function isPeriodic(lapic: Lapic): bool {
  return lapic.timerMode === def.LVT_TIMER_PERIODIC;
}

function isDeadlineMode(lapic: Lapic): bool {
  return lapic.timerMode === def.LVT_TIMER_TSC_DEADLINE;
}

function tscOf(lapic: Lapic, now: u64): u64 {
  return now + lapic.cpu.tscOffset;
}

/** TDCR bits 3, 1 and 0: 000 divides by 2, 110 by 128, 111 by 1. */
function divisorOf(tdcr: u32): u32 {
  const n = ((tdcr & 3) | ((tdcr & 8) >> 1)) + 1;
  return 1 << (n & 7);
}

/** ns that one count lasts: below 2^21. */
function tickOf(lapic: Lapic): u64 {
  return <u64>divisorOf(lapic.tdcr) * policy.busCycle;
}

/** ns that a count of TMICT lasts; KVM keeps periodic timers from being too fast. */
function periodOf(lapic: Lapic): u64 {
  const period = <u64>lapic.tmict * tickOf(lapic);
  return isPeriodic(lapic) && period !== 0 ? max<u64>(period, policy.periodMin) : period;
}

/** Writes TMICT: starts the count, or stops it with 0. In TSC-deadline mode nothing happens. */
export function writeTmict(lapic: Lapic, value: u32, now: u64): void {
  if (isDeadlineMode(lapic)) return;
  lapic.tmict = value;
  const counts = lapic.timerMode === def.LVT_TIMER_ONE_SHOT || isPeriodic(lapic);
  lapic.period = counts ? periodOf(lapic) : 0;
  setDeadline(lapic, lapic.period !== 0 ? now + lapic.period : NO_DEADLINE);
}

/** TMCCT: the rest of the count; 0 when none runs and in TSC-deadline mode. */
export function readTmcct(lapic: Lapic, now: u64): u32 {
  if (isDeadlineMode(lapic) || lapic.period === 0 || lapic.deadline === NO_DEADLINE) return 0;
  const left = lapic.deadline > now ? lapic.deadline - now : 0;
  return <u32>(left / tickOf(lapic));
}

/** Writes TDCR: a running count keeps its number and goes on at the new speed. */
export function writeTdcr(lapic: Lapic, value: u32, now: u64): void {
  const before = divisorOf(lapic.tdcr);
  lapic.tdcr = value & 0xb;
  const after = divisorOf(lapic.tdcr);
  if (before === after || lapic.period === 0) return;
  lapic.period = periodOf(lapic);
  if (lapic.deadline === NO_DEADLINE) return;
  const left = lapic.deadline > now ? lapic.deadline - now : 0;
  // A count below 2^32, ticks below 2^21 and a divisor of at most 2^7: the product stays below 2^64.
  setDeadline(lapic, now + (left * after) / before);
}

/** Writes the LVT timer entry, already reduced to its valid bits. A change of mode may stop the timer. */
export function writeLvtTimer(lapic: Lapic, value: u32): void {
  const before = lapic.timerMode;
  lapic.setLvt(def.APIC_LVT_TIMER, value);
  const after = lapic.timerMode;
  if (before === after) return;
  const crossed = before === def.LVT_TIMER_TSC_DEADLINE || after === def.LVT_TIMER_TSC_DEADLINE;
  if (crossed || policy.timerModeDisarms !== 0) {
    lapic.tmict = 0;
    lapic.period = 0;
    lapic.tscDeadline = 0;
    setDeadline(lapic, NO_DEADLINE);
  } else if (lapic.period !== 0) {
    lapic.period = periodOf(lapic);
  }
}

/** RDMSR 6E0H: the armed deadline; 0 when it has fired and in other modes. */
export function readTscDeadline(lapic: Lapic): u64 {
  return lapic.isPresent && isDeadlineMode(lapic) ? lapic.tscDeadline : 0;
}

/**
 * WRMSR 6E0H: 0 disarms, a time in the past fires at once. Ignored in other modes and, as by KVM, while the LAPIC is
 * disabled.
 *
 * @param value - TSC ticks
 */
export function writeTscDeadline(lapic: Lapic, value: u64, now: u64): void {
  if (!lapic.isPresent || !isDeadlineMode(lapic)) return;
  lapic.tscDeadline = value;
  armTscDeadline(lapic, now);
}

function armTscDeadline(lapic: Lapic, now: u64): void {
  const tsc = tscOf(lapic, now);
  if (lapic.tscDeadline === 0) {
    setDeadline(lapic, NO_DEADLINE);
  } else if (lapic.tscDeadline <= tsc) {
    expireTscDeadline(lapic);
  } else {
    // A deadline centuries away must not wrap into the past.
    const wait = lapic.tscDeadline - tsc;
    setDeadline(lapic, wait < NO_DEADLINE - now ? now + wait : NO_DEADLINE);
  }
}

function expireTscDeadline(lapic: Lapic): void {
  lapic.tscDeadline = 0;
  setDeadline(lapic, NO_DEADLINE);
  deliverLocal(lapic, def.APIC_LVT_TIMER);
}

/**
 * The deadline may have come: delivers the timer interrupt and sets the next deadline. Too early, it does nothing.
 *
 * A masked entry counts but does not interrupt. Periods that passed unnoticed merge into one interrupt.
 */
export function timerExpired(lapic: Lapic, now: u64): void {
  if (lapic.deadline === NO_DEADLINE || lapic.deadline > now) return;
  if (isDeadlineMode(lapic)) {
    expireTscDeadline(lapic);
    return;
  }
  if (isPeriodic(lapic) && lapic.period !== 0) {
    const missed = (now - lapic.deadline) / lapic.period;
    setDeadline(lapic, lapic.deadline + (missed + 1) * lapic.period);
  } else {
    setDeadline(lapic, NO_DEADLINE);
  }
  deliverLocal(lapic, def.APIC_LVT_TIMER);
}

/**
 * Puts a saved count back: a counter goes on from `current`, of a periodic one that is 0 the next period begins.
 *
 * The LVT entry is in place; IA32_TSC_DEADLINE is not part of what was saved.
 */
export function restoreTimer(
  lapic: Lapic,
  initial: u32,
  current: u32,
  divide: u32,
  now: u64,
): void {
  lapic.tscDeadline = 0;
  lapic.tdcr = divide & 0xb;
  lapic.tmict = isDeadlineMode(lapic) ? 0 : initial;
  const counts = lapic.timerMode === def.LVT_TIMER_ONE_SHOT || isPeriodic(lapic);
  lapic.period = counts ? periodOf(lapic) : 0;
  const left = min<u64>(<u64>current * tickOf(lapic), lapic.period);
  if (left !== 0) setDeadline(lapic, now + left);
  else
    setDeadline(lapic, isPeriodic(lapic) && lapic.period !== 0 ? now + lapic.period : NO_DEADLINE);
}
