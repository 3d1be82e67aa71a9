/**
 * Where the CPU meets its LAPIC: the hooks of cpu/platform.ts and mem/hooks.ts, filled in.
 *
 * A write to the LAPIC may give the CPU something to do on its next instruction boundary: then it ends the block.
 */
import { HALTED, RUNNABLE, TRACE_CPU_MODE } from "../abi";
import { Lapic } from "../apic/lapic";
import { readMmio, writeMmio } from "../apic/mmio";
import { MSR_APIC_BASE, msrValue, readApicMsr, writeApicMsr, writeX2apicMsr } from "../apic/msr";
import { readCr8, writeCr8 } from "../apic/priority";
import { setWake as setLapicWake } from "../apic/requests";
import { setClock } from "../apic/time";
import { leaveBlock } from "../cpu/control";
import { noteDataAccess } from "../cpu/dr";
import { lineWritten } from "../cpu/monitor";
import { setMsrValue, setPlatform, setWake as setMonitorWake } from "../cpu/platform";
import { setApicPage, setDataAccess, setLineWritten } from "../mem/hooks";
import { flushTlb } from "../mem/space";
import { Vcpu } from "../vcpu";
import { X2APIC_FIRST, X2APIC_LAST } from "../x86/msr";
import { preciseNs } from "./clock";
import { takeLapicInterrupt } from "./events";
import { hypercall } from "./hypercall";
import { isKvmClockMsr, readKvmClock, writeKvmClock } from "./kvm-clock";
import { fetchPvEoi } from "./pv-eoi";
import { markRunnable } from "./runnable";
import { apicMode, emitCpu } from "./trace";

/** Reads the xAPIC page. @param offset - 0..4095; @param size - 1, 2 or 4 */
export function pageRead(cpu: Vcpu, offset: u32, size: u32): u32 {
  fetchPvEoi(cpu);
  return readMmio(Lapic.of(cpu), offset, size);
}

/** Writes it. */
export function pageWrite(cpu: Vcpu, offset: u32, size: u32, value: u32): void {
  fetchPvEoi(cpu);
  writeMmio(Lapic.of(cpu), offset, size, value);
  leaveIfRequested(cpu);
}

function leaveIfRequested(cpu: Vcpu): void {
  if (cpu.request !== 0) leaveBlock();
}

function msrRead(cpu: Vcpu, msr: u32): bool {
  if (isKvmClockMsr(msr)) {
    setMsrValue(readKvmClock(cpu, msr));
    return true;
  }
  fetchPvEoi(cpu);
  if (!readApicMsr(Lapic.of(cpu), msr)) return false;
  setMsrValue(msrValue);
  return true;
}

/** WRMSR of 800H-BFFH at privilege level 0. @returns false for #GP */
export function writeX2apic(cpu: Vcpu, msr: u32, value: u64): bool {
  fetchPvEoi(cpu);
  if (!writeX2apicMsr(Lapic.of(cpu), msr, value)) return false;
  leaveIfRequested(cpu);
  return true;
}

function msrWrite(cpu: Vcpu, msr: u32, value: u64): bool {
  if (msr >= X2APIC_FIRST && msr <= X2APIC_LAST) return writeX2apic(cpu, msr, value);
  if (isKvmClockMsr(msr)) {
    writeKvmClock(cpu, msr, value);
    return true;
  }
  fetchPvEoi(cpu);
  const modeBefore = apicMode(cpu);
  if (!writeApicMsr(Lapic.of(cpu), msr, value)) return false;
  leaveIfRequested(cpu);
  // The register page may have moved.
  if (msr === MSR_APIC_BASE) {
    flushTlb(cpu);
    leaveBlock();
    if (apicMode(cpu) !== modeBefore) emitCpu(TRACE_CPU_MODE, cpu, apicMode(cpu));
  }
  return true;
}

function cr8Read(cpu: Vcpu): u64 {
  return readCr8(Lapic.of(cpu));
}

function cr8Write(cpu: Vcpu, value: u64): void {
  fetchPvEoi(cpu);
  writeCr8(Lapic.of(cpu), <u32>value);
  leaveIfRequested(cpu);
}

function now(cpu: Vcpu): u64 {
  return preciseNs();
}

/** The line that MWAIT waits for was stored to. */
function wakeMonitor(cpu: Vcpu): void {
  if (cpu.runState === HALTED) cpu.runState = RUNNABLE;
  markRunnable(cpu.index);
}

/** Connects the parts. Once, at creation. */
export function connect(): void {
  setApicPage(pageRead, pageWrite);
  setPlatform(msrRead, msrWrite, cr8Read, cr8Write, now, hypercall, takeLapicInterrupt);
  setLapicWake(markRunnable);
  setClock(preciseNs);
  setMonitorWake(wakeMonitor);
  setLineWritten(lineWritten);
  setDataAccess(noteDataAccess);
}
