/**
 * kvm-clock: the guest reads the time from two structures in its memory, which tell how to get it from the TSC.
 *
 * Source: Linux Documentation/virt/kvm/x86/msr.rst (MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK and their `_NEW` numbers);
 * KVM `kvm_write_wall_clock`, `kvm_guest_time_update`. Time is virtual time, which is 0 when the machine is made, at
 * the same moment of every run: the calendar starts at `EPOCH_SECONDS`.
 * Not modelled: an update when the guest moves its TSC: it has to write MSR_KVM_SYSTEM_TIME again.
 */
import { BANK_KVM_SYSTEM_TIME, storedRead, storedWrite } from "../cpu/msr-bank";
import { offers } from "../cpu/features";
import { readTsc } from "../cpu/tsc";
import { ramBase } from "../layout";
import { beforeStore } from "../mem/code-map";
import { isWritable } from "../mem/physical";
import { Vcpu } from "../vcpu";
import { FEATURE_KVM_CLOCKSOURCE_STABLE } from "../x86/cpuid";
import {
  MSR_KVM_SYSTEM_TIME,
  MSR_KVM_SYSTEM_TIME_NEW,
  MSR_KVM_WALL_CLOCK,
  MSR_KVM_WALL_CLOCK_NEW,
} from "../x86/msr";
import { preciseNs } from "./clock";

/** Seconds since 1970 at virtual time 0: 2025-01-01, 00:00:00 UTC. */
const EPOCH_SECONDS: u32 = 1735689600;

const ENABLED: u64 = 1;
const TIME_BYTES: u32 = 32;
const WALL_BYTES: u32 = 12;
/** ns = (ticks << 1) * 2^31 / 2^32: the TSC ticks at 1 GHz. */
const TSC_TO_SYSTEM_MUL: u32 = 0x80000000;
const TSC_SHIFT: u8 = 1;
/** PVCLOCK_TSC_STABLE_BIT: the clocks of all CPUs agree. */
const TSC_STABLE: u8 = 1;

let wallClock: u64 = 0;

/** True for the four MSRs of the clock. */
export function isKvmClockMsr(msr: u32): bool {
  return (
    msr === MSR_KVM_WALL_CLOCK_NEW ||
    msr === MSR_KVM_SYSTEM_TIME_NEW ||
    msr === MSR_KVM_WALL_CLOCK ||
    msr === MSR_KVM_SYSTEM_TIME
  );
}

function isWallClock(msr: u32): bool {
  return msr === MSR_KVM_WALL_CLOCK_NEW || msr === MSR_KVM_WALL_CLOCK;
}

export function readKvmClock(cpu: Vcpu, msr: u32): u64 {
  return isWallClock(msr) ? wallClock : storedRead(cpu, BANK_KVM_SYSTEM_TIME);
}

/** @param value - guest-physical address; bit 0 of the system time's switches it on */
export function writeKvmClock(cpu: Vcpu, msr: u32, value: u64): void {
  if (isWallClock(msr)) {
    wallClock = value;
    storeWallClock(value);
  } else {
    storedWrite(cpu, BANK_KVM_SYSTEM_TIME, value);
    if (value & ENABLED) storeSystemTime(cpu, value & ~ENABLED);
  }
}

/** INIT switches the clock of a CPU off (KVM `kvmclock_reset`). */
export function resetKvmClock(cpu: Vcpu): void {
  storedWrite(cpu, BANK_KVM_SYSTEM_TIME, 0);
}

/** struct pvclock_wall_clock: version, seconds, nanoseconds. An address outside RAM is ignored. */
function storeWallClock(gpa: u64): void {
  if (!isWritable(gpa, WALL_BYTES)) return;
  const at = prepare(gpa, WALL_BYTES);
  store<u32>(at, evenAfter(load<u32>(at)));
  store<u32>(at, EPOCH_SECONDS, 4);
  store<u32>(at, 0, 8);
}

/** struct pvclock_vcpu_time_info: version, TSC and time of one moment, scale. */
function storeSystemTime(cpu: Vcpu, gpa: u64): void {
  if (!isWritable(gpa, TIME_BYTES)) return;
  const at = prepare(gpa, TIME_BYTES);
  store<u32>(at, evenAfter(load<u32>(at)));
  store<u32>(at, 0, 4);
  store<u64>(at, readTsc(cpu), 8);
  store<u64>(at, preciseNs(), 16);
  store<u32>(at, TSC_TO_SYSTEM_MUL, 24);
  store<u8>(at, TSC_SHIFT, 28);
  store<u8>(at, offers(FEATURE_KVM_CLOCKSOURCE_STABLE) ? TSC_STABLE : 0, 29);
  store<u16>(at, 0, 30);
}

/** The structures may cross a page: both pages lose their decoded code. */
function prepare(gpa: u64, size: u32): usize {
  const first = min<u32>(size, 0x1000 - (<u32>gpa & 0xfff));
  beforeStore(<u32>gpa, first);
  if (first < size) beforeStore(<u32>gpa + first, size - first);
  return ramBase + <usize>gpa;
}

/** The version is odd during an update, which no guest can see here. */
function evenAfter(version: u32): u32 {
  return (version | 1) + 1;
}
