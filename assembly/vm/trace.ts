/**
 * Trace records of a vCPU's life: it starts after SIPI, its LAPIC changes its mode, it stops for good. Offsets are in
 * abi.ts (TRACE_CPU_*), text in src/trace.
 */
import * as abi from "../abi";
import { Lapic } from "../apic/lapic";
import { traceMask } from "../apic/trace";
import { wakesOnMasked } from "../cpu/monitor";
import { traceEvent } from "../host";
import { Vcpu } from "../vcpu";
import { APIC_BASE_EN, APIC_BASE_EXTD } from "../x86/apicdef";
import { IF } from "../x86/eflags";
import { preciseNs } from "./clock";

@unmanaged
class CpuRecord {
  vcpuIndex: u32;
  apicId: u32;
  now: u64;
  value: u32;
  private pad0: u32;
}

const record: CpuRecord = changetype<CpuRecord>(memory.data(24, 8));

/** Mode of a LAPIC: 0 off, 1 xAPIC, 2 x2APIC. */
export function apicMode(cpu: Vcpu): u32 {
  const base = Lapic.of(cpu).apicBase;
  if (!(base & APIC_BASE_EN)) return 0;
  return base & APIC_BASE_EXTD ? 2 : 1;
}

/** @param kind - TRACE_CPU_START with the start address, TRACE_CPU_MODE with the new mode, others @inline */
export function emitCpu(kind: u32, cpu: Vcpu, value: u32): void {
  if (traceMask & ((<u32>1) << kind)) emit(kind, cpu, value);
}

const WAITS: u32 = (1 << abi.TRACE_CPU_IDLE) | (1 << abi.TRACE_CPU_PARK);

/** A vCPU has left RUNNABLE by an instruction of its own: if it halted, says whether an interrupt can end that. @inline */
export function emitWait(cpu: Vcpu): void {
  if (traceMask & WAITS) traceWait(cpu);
}

/** @noinline */
function traceWait(cpu: Vcpu): void {
  if (cpu.runState !== abi.HALTED) return;
  const isAwake = (cpu.eflags & IF) !== 0 || wakesOnMasked(cpu);
  emitCpu(isAwake ? abi.TRACE_CPU_IDLE : abi.TRACE_CPU_PARK, cpu, 0);
}

function emit(kind: u32, cpu: Vcpu, value: u32): void {
  record.vcpuIndex = cpu.index;
  record.apicId = cpu.apicId;
  record.now = preciseNs();
  record.value = value;
  traceEvent(kind, changetype<usize>(record));
}

if (offsetof<CpuRecord>("apicId") !== abi.TRACE_CPU_APIC_ID) ERROR("CpuRecord.apicId");
if (offsetof<CpuRecord>("now") !== abi.TRACE_CPU_NOW) ERROR("CpuRecord.now");
if (offsetof<CpuRecord>("value") !== abi.TRACE_CPU_VALUE) ERROR("CpuRecord.value");
if (offsetof<CpuRecord>() !== 24) ERROR("CpuRecord: size of its memory");
