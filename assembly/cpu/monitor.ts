/**
 * MONITOR (0F 01 C8) and MWAIT (0F 01 C9): wait for a store to one cache line.
 *
 * Source: SDM 2B "MONITOR", "MWAIT"; SDM 3A "MONITOR/MWAIT Instruction". The line is 64 bytes. Its chunk is marked in
 * mem/code-map.ts, so that a store to it by any vCPU takes the slow path and ends here.
 * `Vcpu.monitorAddress` holds the guest-physical line, and in its low bits what the vCPU does with it.
 */
import { DS, HALTED } from "../abi";
import { raise, raiseWithError } from "../fault";
import { vcpuAt, vcpuCount } from "../layout";
import { probe, read } from "../mem/access";
import { unwatchLine, watchLine } from "../mem/code-map";
import { NO_GPA } from "../mem/paging";
import { isPlainRam } from "../mem/physical";
import { Vcpu } from "../vcpu";
import { FEATURE_MONITOR } from "../x86/cpuid";
import { GP, UD } from "../x86/exception";
import { MISC_ENABLE_MONITOR } from "../x86/msr";
import { linear } from "./address";
import { leaveBlock } from "./control";
import { offers } from "./features";
import { Op, OP_ADDR16, OP_ADDR32, OP_SEGMENT } from "./op";
import { wake } from "./platform";

const LINE: u64 = ~(<u64>63);
/** No monitor is armed. */
export const MONITOR_NONE: u64 = -1;
const MONITOR_WAITING: u64 = 1; // in MWAIT
const MONITOR_MASKED: u64 = 2; // a masked interrupt ends the wait: MWAIT with ECX bit 0

function refused(cpu: Vcpu): bool {
  if (cpu.cpl === 0 && offers(FEATURE_MONITOR) && cpu.miscEnable & MISC_ENABLE_MONITOR)
    return false;
  raise(cpu, UD);
  return true;
}

/** MONITOR: arms the line of DS:rAX (segment override allowed). */
export function monitor(cpu: Vcpu, op: Op): void {
  if (refused(cpu)) return;
  if (<u32>cpu.rcx !== 0) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  let offset = cpu.rax;
  if (op.flags & OP_ADDR32) offset &= 0xffffffff;
  else if (op.flags & OP_ADDR16) offset &= 0xffff;
  const gva = linear(cpu, op.flags & OP_SEGMENT ? op.segment : DS, offset, 1, false);
  if (cpu.fault !== 0) return;
  read<u8>(cpu, gva);
  if (cpu.fault !== 0) return;
  const gpa = probe(cpu, gva);
  if (gpa === NO_GPA || !isPlainRam(cpu, gpa)) {
    // Only write-back memory can be monitored: MWAIT then does not wait.
    cpu.monitorAddress = MONITOR_NONE;
    return;
  }
  cpu.monitorAddress = gpa & LINE;
  watchLine(<u32>gpa);
}

/** MWAIT: waits until the armed line is stored to, or an event comes; returns at once if no monitor is armed. */
export function mwait(cpu: Vcpu, op: Op): void {
  if (refused(cpu)) return;
  const extensions = <u32>cpu.rcx;
  if (extensions & ~1) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  if (cpu.monitorAddress === MONITOR_NONE) return;
  cpu.monitorAddress |= MONITOR_WAITING | (extensions & 1 ? MONITOR_MASKED : 0);
  cpu.runState = HALTED;
  leaveBlock();
}

/** True when a HALTED vCPU is in an MWAIT that interrupts end although RFLAGS.IF is 0. */
export function wakesOnMasked(cpu: Vcpu): bool {
  return cpu.monitorAddress !== MONITOR_NONE && (cpu.monitorAddress & MONITOR_MASKED) !== 0;
}

/** Ends any wait: to be called when a HALTED vCPU becomes RUNNABLE, and on INIT. */
export function disarmMonitor(cpu: Vcpu): void {
  cpu.monitorAddress = MONITOR_NONE;
}

/** The line of an armed monitor. */
export function monitoredLine(cpu: Vcpu): u64 {
  return cpu.monitorAddress & LINE;
}

/** A watched line is about to change (hook of mem/code-map.ts): every monitor on it triggers. */
export function lineWritten(gpa: u32): void {
  const line = <u64>gpa & LINE;
  unwatchLine(gpa);
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const other = changetype<Vcpu>(vcpuAt(i));
    if ((other.monitorAddress & LINE) !== line || other.monitorAddress === MONITOR_NONE) continue;
    const waiting = (other.monitorAddress & MONITOR_WAITING) !== 0;
    other.monitorAddress = MONITOR_NONE;
    if (waiting) wake(other);
  }
}
