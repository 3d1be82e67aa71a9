/**
 * Where the CPU meets its LAPIC: the hooks of cpu/platform.ts and mem/hooks.ts, filled in.
 *
 * Every write to the LAPIC may change what the CPU has to do on its next instruction boundary, so it ends the block.
 */
import { Lapic } from "../apic/lapic";
import { readMmio, writeMmio } from "../apic/mmio";
import { msrValue, readApicMsr, writeApicMsr } from "../apic/msr";
import { readCr8, writeCr8 } from "../apic/priority";
import { setWake as setLapicWake } from "../apic/requests";
import { leaveBlock } from "../cpu/control";
import { setMsrValue, setPlatform, setWake as setMonitorWake } from "../cpu/platform";
import { setApicPage } from "../mem/hooks";
import { flushTlb } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { preciseNs } from "./clock";
import { wake } from "./run";

const MSR_APIC_BASE: u32 = 0x1b;

function pageRead(cpu: Vcpu, offset: u32, size: u32): u32 {
  return readMmio(Lapic.of(cpu), offset, size, preciseNs());
}

function pageWrite(cpu: Vcpu, offset: u32, size: u32, value: u32): void {
  writeMmio(Lapic.of(cpu), offset, size, value, preciseNs());
  leaveBlock();
}

function msrRead(cpu: Vcpu, msr: u32): bool {
  if (!readApicMsr(Lapic.of(cpu), msr, preciseNs())) return false;
  setMsrValue(msrValue);
  return true;
}

function msrWrite(cpu: Vcpu, msr: u32, value: u64): bool {
  if (!writeApicMsr(Lapic.of(cpu), msr, value, preciseNs())) return false;
  leaveBlock();
  // The register page may have moved.
  if (msr === MSR_APIC_BASE) flushTlb(cpu);
  return true;
}

function cr8Read(cpu: Vcpu): u64 {
  return readCr8(Lapic.of(cpu));
}

function cr8Write(cpu: Vcpu, value: u64): void {
  writeCr8(Lapic.of(cpu), <u32>value);
  leaveBlock();
}

function now(cpu: Vcpu): u64 {
  return preciseNs();
}

function hypercall(cpu: Vcpu): u64 {
  return <u64>-1000; // KVM_ENOSYS
}

function wakeVcpu(cpu: Vcpu): void {
  wake(cpu.index);
}

/** Connects the parts. Once, at creation. */
export function connect(): void {
  setApicPage(pageRead, pageWrite);
  setPlatform(msrRead, msrWrite, cr8Read, cr8Write, now, hypercall);
  setLapicWake(wake);
  setMonitorWake(wakeVcpu);
}
