/**
 * Where the CPU meets its LAPIC: the hooks of cpu/platform.ts and mem/hooks.ts, filled in.
 *
 * A write to the LAPIC may give the CPU something to do on its next instruction boundary: then it ends the block.
 */
import { HALTED, RUNNABLE, TRACE_CPU_MODE } from "../abi";
import { Lapic, X2APIC_MODE } from "../apic/lapic";
import { writeIcr } from "../apic/icr";
import { readMmio, writeMmio } from "../apic/mmio";
import {
  isEoiWrite,
  isIcrWrite,
  MSR_APIC_BASE,
  msrValue,
  readApicMsr,
  writeApicMsr,
  writeX2apicMsr,
} from "../apic/msr";
import { eoi, readCr8, writeCr8 } from "../apic/priority";
import { setWake as setLapicWake } from "../apic/requests";
import { setClock } from "../apic/time";
import { leaveBlock } from "../cpu/control";
import { noteDataAccess } from "../cpu/dr";
import { lineWritten } from "../cpu/monitor";
import { locateHere } from "../cpu/progress";
import { setMsrValue, setPlatform, setWake as setMonitorWake } from "../cpu/platform";
import { setApicPage, setDataAccess, setLineWritten } from "../mem/hooks";
import { flushTlb } from "../mem/space";
import { REGION_GOES_ON, REGION_LEAVES, REGION_REFUSED } from "../op-abi";
import { Vcpu } from "../vcpu";
import { X2APIC_FIRST, X2APIC_LAST } from "../x86/msr";
import { preciseNs } from "./clock";
import { takeLapicInterrupt } from "./events";
import { hypercall } from "./hypercall";
import { isKvmClockMsr, readKvmClock, writeKvmClock } from "./kvm-clock";
import { fetchPvEoi } from "./pv-eoi";
import { wake } from "./run";
import { markRunnable } from "./runnable";
import { apicMode, emitCpu } from "./trace";

function pageRead(cpu: Vcpu, offset: u32, size: u32): u32 {
  fetchPvEoi(cpu);
  return readMmio(Lapic.of(cpu), offset, size);
}

function pageWrite(cpu: Vcpu, offset: u32, size: u32, value: u32): void {
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

function writeX2apic(cpu: Vcpu, msr: u32, value: u64): bool {
  fetchPvEoi(cpu);
  if (!writeX2apicMsr(Lapic.of(cpu), msr, value)) return false;
  leaveIfRequested(cpu);
  return true;
}

/**
 * WRMSR to a register of the local APIC in x2APIC mode, from translated code (cpu/region.ts).
 *
 * @param left - instructions that may retire, this one among them @returns REGION_*
 */
export function regionWriteMsr(cpu: Vcpu, msr: u32, value: u64, left: u32): u32 {
  locateHere(left);
  const lapic = Lapic.of(cpu);
  // What interrupts spend their time with, in place.
  if ((cpu.cpl | lapic.pvEoiPending | (~lapic.flags & X2APIC_MODE)) === 0) {
    if (isIcrWrite(msr, value)) {
      writeIcr(lapic, value);
      return judgeRequests(cpu);
    }
    if (isEoiWrite(msr, value)) {
      eoi(lapic);
      return judgeRequests(cpu);
    }
  }
  if (cpu.cpl !== 0 || !writeX2apic(cpu, msr, value)) return REGION_REFUSED;
  return judgeRequests(cpu);
}

/** Whether a region goes on after a write to the LAPIC. @inline */
function judgeRequests(cpu: Vcpu): u32 {
  if (cpu.request === 0) return REGION_GOES_ON;
  leaveBlock();
  return REGION_LEAVES;
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
  wake(cpu.index);
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
