/**
 * The time-stamp counter: the virtual clock in ns plus an offset, so it ticks at 1 GHz.
 *
 * Source: SDM 3B "Time-Stamp Counter", "Time-Stamp Counter Adjustment".
 */
import { Vcpu } from "../vcpu";
import { IA32_TSC_DEADLINE } from "../x86/msr";
import { apicMsrRead, apicMsrWrite, msrValue, now } from "./platform";

export function readTsc(cpu: Vcpu): u64 {
  return now(cpu) + cpu.tscOffset;
}

/** Moves the TSC by `delta` ticks; a pending TSC deadline is measured anew. */
function moveTsc(cpu: Vcpu, delta: u64): void {
  cpu.tscOffset += delta;
  cpu.tscAdjust += delta;
  if (delta !== 0 && apicMsrRead(cpu, IA32_TSC_DEADLINE) && msrValue !== 0) {
    apicMsrWrite(cpu, IA32_TSC_DEADLINE, msrValue);
  }
}

/** WRMSR of IA32_TSC: the difference also goes to IA32_TSC_ADJUST. */
export function writeTsc(cpu: Vcpu, value: u64): void {
  moveTsc(cpu, value - readTsc(cpu));
}

/** WRMSR of IA32_TSC_ADJUST: the TSC moves by the difference. */
export function writeTscAdjust(cpu: Vcpu, value: u64): void {
  moveTsc(cpu, value - cpu.tscAdjust);
}
