/** Trace events of a vCPU's life: decoded from the core's records (assembly/vm/trace.ts). */
import * as abi from "../../assembly/abi.js";

/** A CPU starts after STARTUP, its LAPIC changes its mode, or it waits: with interrupts off, or for one. */
export interface CpuEvent {
  readonly kind: "start" | "mode" | "park" | "idle";
  readonly vcpuIndex: number;
  readonly apicId: number;
  /** Virtual time, ns. */
  readonly now: number;
  /** With kind "start": the guest-physical address of its first instruction. */
  readonly address?: number;
  /** With kind "mode": the new one. */
  readonly mode?: "off" | "xAPIC" | "x2APIC";
}

export const TRACE_CPUS =
  (1 << abi.TRACE_CPU_START) |
  (1 << abi.TRACE_CPU_MODE) |
  (1 << abi.TRACE_CPU_PARK) |
  (1 << abi.TRACE_CPU_IDLE);

const MODES = ["off", "xAPIC", "x2APIC"] as const;

/** True when an event of this kind is for `decodeCpuEvent`. */
export function isCpuEvent(kind: number): boolean {
  return ((TRACE_CPUS >>> kind) & 1) !== 0;
}

/** Decodes an event. @param view - linear memory; @param record - address of the event in it */
export function decodeCpuEvent(kind: number, view: DataView, record: number): CpuEvent {
  const value = view.getUint32(record + abi.TRACE_CPU_VALUE, true);
  const common = {
    vcpuIndex: view.getUint32(record + abi.TRACE_CPU_INDEX, true),
    apicId: view.getUint32(record + abi.TRACE_CPU_APIC_ID, true),
    now: Number(view.getBigUint64(record + abi.TRACE_CPU_NOW, true)),
  };
  if (kind === abi.TRACE_CPU_START) return { kind: "start", ...common, address: value };
  if (kind === abi.TRACE_CPU_MODE) return { kind: "mode", ...common, mode: MODES[value]! };
  return { kind: kind === abi.TRACE_CPU_PARK ? "park" : "idle", ...common };
}
