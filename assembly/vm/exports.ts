/**
 * The machine as the host sees it: creation, running, and access to vCPUs.
 *
 * 64-bit values cross as doubles where 2^53 is enough, else as two halves or through the exchange area.
 */
import { initApic } from "../apic/apic";
import { writeApicBase } from "../apic/base";
import { setKnob as storeKnob } from "../apic/knobs";
import { Lapic } from "../apic/lapic";
import { signalMsi, signalRte } from "../apic/msi";
import { restoreLapic, saveLapic } from "../apic/state";
import { dropAll, placeBlocks } from "../cpu/block";
import { leaveBlock } from "../cpu/control";
import { syncPdptes } from "../cpu/cr";
import { setBusCycle, setKvmSignature } from "../cpu/cpuid";
import { featureWord, setFeatureWord } from "../cpu/features";
import { rflags, setRflags as storeRflags } from "../cpu/flags";
import { lastError, lastException as lastVector } from "../cpu/interrupt";
import { isProtected, isV86, updateMode } from "../cpu/mode";
import { msrResult, readMsr as cpuReadMsr, writeMsr as cpuWriteMsr } from "../cpu/msr";
import { setRandomState } from "../cpu/random";
import { retiredSoFar } from "../cpu/progress";
import {
  LOW_ROM_END,
  placeRam,
  placeRom,
  placeVcpus,
  ramBase,
  ramBytes as ramSize,
  vcpuAt,
  vcpuCount,
} from "../layout";
import { beforeStore, placeCodeMap } from "../mem/code-map";
import { NO_GPA } from "../mem/paging";
import { probe } from "../mem/access";
import { flushTlb } from "../mem/space";
import { flushAll } from "../mem/tlb";
import { KNOB_BUS_CYCLE, KNOB_TSC_DEADLINE, KNOB_X2APIC, REQ_EXTINT, SS } from "../abi";
import { FEATURE_TSC_DEADLINE, FEATURE_X2APIC, WORD_KVM_EAX } from "../x86/cpuid";
import { AR_DPL, AR_DPL_SHIFT } from "../x86/descriptor";
import { clockNs, preciseNs, setInstructionNs as storeInstructionNs } from "./clock";
import { connect } from "./platform";
import { markRunnable, placeRunnable } from "./runnable";
import { current, run as runMachine, setStop, step as stepVcpu, totalRetired } from "./run";
import { checkRestored, listAreas } from "./snapshot";
import { hashState } from "./state-hash";
import { placeTimers, updateTimer } from "./timers";
import { vcpu } from "./vcpus";

export { setBrand, setSignature, setVendor } from "../cpu/cpuid";
export { setFeatureWord } from "../cpu/features";
export { addVcpu, findVcpu, removeVcpu, slotsInUse } from "./vcpus";
export { requestStop } from "./run";

const exchange: usize = memory.data(4096, 64);

/**
 * Lays out the machine. Once for an instance.
 *
 * @param capacity - vCPU slots; @param ramBytes - a multiple of 4096, at most 2 GiB; @param seed - of RDRAND
 * @returns 1, or 0 when it does not fit 4 GiB
 */
export function create(capacity: u32, ramBytes: u32, seed: u32): u32 {
  if (!initApic(capacity) || !placeRunnable(capacity) || !placeTimers(capacity)) return 0;
  if (!placeCodeMap(ramBytes) || !placeBlocks(ramBytes)) return 0;
  if (!placeVcpus(capacity) || !placeRam(ramBytes)) return 0;
  setRandomState(seed);
  connect();
  return 1;
}

/**
 * Puts a ROM into the machine: the host writes it to where guest RAM begins, minus its size.
 *
 * @param bytes - a multiple of 4096, at most ROM_MAX_BYTES; 0 takes it out
 * @param lowBytes - of guest RAM below 1 MiB are read-only, where the host writes the end of the ROM; at most
 *   ROM_LOW_BYTES
 */
export function setRom(bytes: u32, lowBytes: u32): void {
  placeRom(bytes, LOW_ROM_END - lowBytes);
  dropAll();
  flushAll(); // an entry tells what it may be used for, too
  for (let i: u32 = 0; i < vcpuCount; i++) flushTlb(vcpu(i));
}

export function vcpuAddress(vcpuIndex: u32): usize {
  return vcpuAt(vcpuIndex);
}
export function ramAddress(): usize {
  return ramBase;
}
export function exchangeAddress(): usize {
  return exchange;
}

/** Runs. @param budget - instructions, 1..2^53 @returns EXIT_* */
export function run(budget: f64): u32 {
  return runMachine(<u64>budget);
}
/** Runs one instruction of one vCPU. @returns EXIT_* */
export function step(vcpuIndex: u32): u32 {
  return stepVcpu(vcpuIndex);
}
/** The exception that `step` delivered: vector, bit 8 when it has an error code; -1 for none. */
export function lastException(vcpuIndex: u32): i32 {
  return lastVector;
}
export function lastErrorCode(): u32 {
  return lastError;
}
/** vcpuIndex of the vCPU that ran last: for EXIT_SHUTDOWN. */
export function currentVcpu(): u32 {
  return current;
}
/** `run` returns EXIT_TIME at this virtual time. @param ns - negative: never */
export function setStopTime(ns: f64): void {
  setStop(ns < 0 ? -1 : <u64>ns);
}
/** Virtual time of an instruction, 1..1000 ns. Before the first `run`. */
export function setInstructionNs(ns: u32): void {
  storeInstructionNs(ns);
}
/** Virtual time in ns. */
export function clock(): f64 {
  return <f64>clockNs();
}
/** Virtual time in ns, exact to the present instruction: while an instruction reads or writes a port or far MMIO. */
export function preciseClock(): f64 {
  return <f64>preciseNs();
}
/** Instructions retired by all vCPUs, exact also while an instruction reads or writes a port or far MMIO. */
export function retired(): f64 {
  return <f64>(totalRetired + retiredSoFar());
}

export function getRflags(vcpuIndex: u32): u32 {
  return rflags(vcpu(vcpuIndex));
}
export function setRflags(vcpuIndex: u32, value: u32): void {
  storeRflags(vcpu(vcpuIndex), value, -1);
  updateMode(vcpu(vcpuIndex));
  leaveBlock();
}
/** To be called after the host wrote segments, control registers or EFER in the record. CPL is the DPL of SS. */
export function syncVcpu(vcpuIndex: u32): void {
  const cpu = vcpu(vcpuIndex);
  if (isV86(cpu)) cpu.cpl = 3;
  else cpu.cpl = isProtected(cpu) ? (cpu.segment(SS).ar & AR_DPL) >> AR_DPL_SHIFT : 0;
  syncPdptes(cpu);
  flushTlb(cpu);
  updateMode(cpu);
  leaveBlock();
}

/** Reads an MSR as RDMSR does. @returns 1 with the value in the exchange area, 0 for #GP */
export function readMsr(vcpuIndex: u32, msr: u32): u32 {
  const cpu = vcpu(vcpuIndex);
  if (!cpuReadMsr(cpu, msr)) return 0;
  store<u64>(exchange, msrResult);
  return 1;
}
/** Writes an MSR with the host's rights. @returns 1, or 0 when the value is refused */
export function writeMsr(vcpuIndex: u32, msr: u32, low: u32, high: u32): u32 {
  if (!cpuWriteMsr(vcpu(vcpuIndex), msr, ((<u64>high) << 32) | low, true)) return 0;
  leaveBlock();
  updateTimer(vcpuIndex); // a CPU that waits does not look at its requests
  return 1;
}

/** KVM_GET_LAPIC: the LAPIC's registers, 1,024 bytes, to the exchange area. */
export function getLapic(vcpuIndex: u32): void {
  saveLapic(Lapic.at(vcpuIndex), exchange);
}
/** KVM_SET_LAPIC: takes them from there. @returns 1, or 0 when they hold another x2APIC ID */
export function setLapic(vcpuIndex: u32): u32 {
  if (!restoreLapic(Lapic.at(vcpuIndex), exchange, clockNs())) return 0;
  updateTimer(vcpuIndex);
  return 1;
}
/** IA32_APIC_BASE by the host, which may make transitions that software may not. @returns 1, or 0 when it is refused */
export function setApicBase(vcpuIndex: u32, low: u32, high: u32): u32 {
  if (!writeApicBase(Lapic.at(vcpuIndex), ((<u64>high) << 32) | low, true)) return 0;
  flushTlb(vcpu(vcpuIndex));
  leaveBlock();
  return 1;
}

/** To be called before or after the host changes guest RAM: drops decoded code. */
export function ramWritten(gpa: u32, length: u32): void {
  let at = gpa;
  let left = min<u32>(length, ramSize - gpa);
  while (left > 0) {
    const part = min<u32>(left, 0x1000 - (at & 0xfff));
    beforeStore(at, part);
    at += part;
    left -= part;
  }
}

/** Linear to guest-physical, without side effects. @returns gpa, or -1 */
export function translate(vcpuIndex: u32, low: u32, high: u32): f64 {
  const gpa = probe(vcpu(vcpuIndex), ((<u64>high) << 32) | low);
  return gpa === NO_GPA ? -1 : <f64>gpa;
}

/** Writes 16 bytes to the exchange area. */
export function stateHash(): void {
  hashState(exchange);
}

/** Lists the areas of memory that a snapshot holds, in the exchange area: address, length. @returns how many */
export function stateAreas(): u32 {
  return listAreas(exchange);
}
/** Makes a machine of restored variables, areas and RAM. @returns 0, or which part cannot be (vm/snapshot.ts) */
export function finishRestore(savedRamBase: usize): u32 {
  return checkRestored(savedRamBase);
}

/** The INTR line of the PIC pair at a vCPU's LINT0. */
export function setExtInt(vcpuIndex: u32, level: u32): void {
  const cpu = vcpu(vcpuIndex);
  if (level) {
    cpu.request |= REQ_EXTINT;
    markRunnable(vcpuIndex);
  } else cpu.request &= ~REQ_EXTINT;
}

/** Sets a knob of the interrupt policy. @returns 1, or 0 for an unknown knob or value */
export function setKnob(knob: u32, value: u32): u32 {
  if (!storeKnob(knob, value)) return 0;
  // CPUID tells what the policy's LAPICs can do.
  if (knob === KNOB_X2APIC) offerFeature(FEATURE_X2APIC, value !== 0);
  if (knob === KNOB_BUS_CYCLE) setBusCycle(value);
  if (knob === KNOB_TSC_DEADLINE) offerFeature(FEATURE_TSC_DEADLINE, value !== 0);
  return 1;
}

function offerFeature(feature: u32, on: bool): void {
  const word = feature >> 5;
  const bit = (<u32>1) << (feature & 31);
  setFeatureWord(word, on ? featureWord(word) | bit : featureWord(word) & ~bit);
}

/** Offers KVM's CPUID leaves. @param features - EAX of leaf 40000001H */
export function offerKvm(features: u32): void {
  setKvmSignature(true);
  setFeatureWord(WORD_KVM_EAX, features);
}

/** A message without a sender, as KVM_SIGNAL_MSI. @returns how many LAPICs accepted, or a negative error */
export function raiseMsi(addressLow: u32, addressHigh: u32, data: u32): i32 {
  return signalMsi(addressLow, addressHigh, data);
}
/** An entry of the I/O APIC's redirection table fires. @returns how many LAPICs accepted, or a negative error */
export function raiseRte(low: u32, high: u32): i32 {
  leaveBlock();
  return signalRte(low, high);
}
