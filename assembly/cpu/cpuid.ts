/**
 * CPUID (0F A2): identification, features, topology.
 *
 * Source: SDM 2A "CPUID"; leaves 40000000H and 40000001H: Linux Documentation/virt/kvm/x86/cpuid.rst.
 * What depends on the vCPU: the APIC ID (leaves 1, 0BH, 1FH), EDX[9] of leaf 1, which mirrors IA32_APIC_BASE.EN, and
 * OSXSAVE. Features come from cpu/features.ts.
 *
 * What AMD's manual has and Intel's has not (vendor in 80000000H, CMP_LEGACY, core count in 80000008H) is there under
 * AMD's vendor string. Deviates: the leaves of Intel's manual are the same for every vendor.
 *
 * Topology rule: every level is a field of the x2APIC ID. Package = ID >> coreShift, core = the bits between the
 * shifts, thread = the bits below threadShift. With the default of 8 an ID of 0x123 is core 0x23 of package 1,
 * whatever other IDs exist, so that IDs that are hot-added later never change what a CPU reported before.
 */
import { raiseWithError } from "../fault";
import { addArea } from "../state-areas";
import { Vcpu } from "../vcpu";
import { CR4_OSXSAVE, MAXPHYADDR } from "../x86/cr";
import * as feature from "../x86/cpuid";
import { GP } from "../x86/exception";
import {
  CPUID_FAULTING,
  IA32_APIC_BASE,
  MISC_ENABLE_LIMIT_CPUID,
  MISC_ENABLE_MONITOR,
  MISC_ENABLE_XD_DISABLE,
} from "../x86/msr";
import { featureWord, offers } from "./features";
import { miscFeatures } from "./msr-bank";
import { Op } from "./op";
import { apicMsrRead, msrValue } from "./platform";

const MAX_BASIC: u32 = 0x1f;
const MAX_EXTENDED: u32 = 0x80000008;
const MAX_KVM: u32 = 0x40000001;
const TSC_HZ: u32 = 1000000000;
const APIC_BASE_EN: u64 = 1 << 11;

const LINE_BYTES: u32 = 64;
const XSAVE_BYTES: u32 = 576;
const LEVEL_SMT: u32 = 1;
const LEVEL_CORE: u32 = 2;

// Vendor string, in the order EBX EDX ECX; brand string: 12 registers of leaves 80000002H-4H. The host gives both.
const vendor: usize = memory.data(12, 4);
const brand: usize = memory.data(48, 4);
const GENUINE_EBX: u32 = 0x756e6547; // "Genu"
const AUTHENTIC_EBX: u32 = 0x68747541; // "Auth"

/** Family, model, stepping: CPUID.1:EAX, also RDX after RESET and INIT. */
export let signature: u32 = 0;
let threadShift: u32 = 0;
let coreShift: u32 = 8;
let logicalPerPackage: u32 = 256;
let kvmSignature = false;
let busCycle: u32 = 1;

// What the last `cpuid` gave.
export let cpuidA: u32 = 0;
export let cpuidB: u32 = 0;
export let cpuidC: u32 = 0;
export let cpuidD: u32 = 0;

/** @param value - CPUID.1:EAX */
export function setSignature(value: u32): void {
  signature = value;
}

/** Vendor string, four bytes a register, little-endian. */
export function setVendor(ebx: u32, edx: u32, ecx: u32): void {
  store<u32>(vendor, ebx);
  store<u32>(vendor, edx, 4);
  store<u32>(vendor, ecx, 8);
}

/** Brand string. @param index - 0..11: EAX EBX ECX EDX of leaves 80000002H, 80000003H, 80000004H */
export function setBrand(index: u32, value: u32): void {
  if (index < 12) store<u32>(brand + ((<usize>index) << 2), value);
}

/**
 * Topology of the machine.
 *
 * @param smt - bits of the APIC ID that number threads; @param core - bits that number threads and cores, 0..31,
 * not below `smt`; @param logical - logical processors per package, as leaves 1 and 0BH count them
 * @returns false when the shifts are out of order
 */
export function setTopology(smt: u32, core: u32, logical: u32): bool {
  if (smt > core || core > 31 || logical === 0) return false;
  threadShift = smt;
  coreShift = core;
  logicalPerPackage = logical;
  return true;
}

/** Whether leaf 40000000H carries KVM's signature. Its features are word WORD_KVM_EAX of cpu/features.ts. */
export function setKvmSignature(on: bool): void {
  kvmSignature = on;
}

/** @param ns - cycle of the APIC timer's input, for leaf 15H */
export function setBusCycle(ns: u32): void {
  busCycle = ns;
}

/** True under AMD's vendor string, which software takes for more than a name. */
export function isAmd(): bool {
  return load<u32>(vendor) === AUTHENTIC_EBX;
}

/** True when the KVM leaves are offered: hypercalls work. */
export function offersKvm(): bool {
  return kvmSignature;
}

/** For snapshots. */
export function listCpuid(): void {
  addArea(vendor, 12);
  addArea(brand, 48);
}

/** @returns false when the topology that was put back is impossible */
export function restoreCpuid(): bool {
  return setTopology(threadShift, coreShift, logicalPerPackage);
}

/** CPUID: leaf in EAX, subleaf in ECX. */
export function cpuidInstruction(cpu: Vcpu, op: Op): void {
  if (cpu.cpl > 0 && miscFeatures(cpu) & CPUID_FAULTING) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  cpuid(cpu, <u32>cpu.rax, <u32>cpu.rcx);
  cpu.rax = cpuidA;
  cpu.rbx = cpuidB;
  cpu.rcx = cpuidC;
  cpu.rdx = cpuidD;
}

function result(a: u32, b: u32, c: u32, d: u32): void {
  cpuidA = a;
  cpuidB = b;
  cpuidC = c;
  cpuidD = d;
}

function maxBasic(cpu: Vcpu): u32 {
  return cpu.miscEnable & MISC_ENABLE_LIMIT_CPUID ? 3 : MAX_BASIC;
}

/** Leaves `cpuidA` .. `cpuidD` as the guest on `cpu` sees them. */
export function cpuid(cpu: Vcpu, leaf: u32, subleaf: u32): void {
  result(0, 0, 0, 0);
  if (leaf >= 0x80000000) {
    if (leaf <= MAX_EXTENDED) extended(cpu, leaf);
    else beyond(cpu, subleaf);
  } else if (leaf >= 0x40000000 && leaf < 0x50000000) {
    if (kvmSignature) hypervisor(leaf);
  } else if (leaf <= maxBasic(cpu)) basic(cpu, leaf, subleaf);
  else beyond(cpu, subleaf);
}

/** Beyond the highest leaf an Intel CPU answers with its highest basic leaf, others with zeros. */
function beyond(cpu: Vcpu, subleaf: u32): void {
  if (load<u32>(vendor) === GENUINE_EBX) basic(cpu, maxBasic(cpu), subleaf);
}

function basic(cpu: Vcpu, leaf: u32, subleaf: u32): void {
  switch (leaf) {
    case 0:
      result(maxBasic(cpu), cpuVendor(0), cpuVendor(2), cpuVendor(1));
      break;
    case 1:
      features(cpu);
      break;
    case 2:
      result(0x00ffff01, 0, 0, 0); // FFH: caches are in leaf 4
      break;
    case 4:
      caches(subleaf);
      break;
    case 5:
      // MONITOR line size; ECX: these can be enumerated, masked interrupts can end MWAIT; EDX: one C1 sub-state.
      if (monitorOffered(cpu)) result(LINE_BYTES, LINE_BYTES, 3, 0x10);
      break;
    case 6:
      result(featureWord(feature.WORD_6_EAX), 0, 0, 0);
      break;
    case 7:
      if (subleaf === 0) {
        result(
          0,
          featureWord(feature.WORD_7_EBX),
          featureWord(feature.WORD_7_ECX),
          featureWord(feature.WORD_7_EDX),
        );
      }
      break;
    case 0xb:
    case 0x1f:
      topology(cpu, subleaf);
      break;
    case 0xd:
      stateComponents(cpu, subleaf);
      break;
    case 0x15:
      result(1, busCycle, TSC_HZ / busCycle, 0); // the crystal is the APIC timer's input; the TSC a multiple of it
      break;
    case 0x16:
      result(1000, 1000, 100, 0);
      break;
  }
}

function monitorOffered(cpu: Vcpu): bool {
  return offers(feature.FEATURE_MONITOR) && (cpu.miscEnable & MISC_ENABLE_MONITOR) !== 0;
}

/** Smallest power of two that is not below `n`. */
function roundedUp(n: u32): u32 {
  return n <= 1 ? 1 : (<u32>1) << (32 - clz<u32>(n - 1));
}

function features(cpu: Vcpu): void {
  let c = featureWord(feature.WORD_1_ECX);
  let d = featureWord(feature.WORD_1_EDX);
  if (cpu.cr4 & CR4_OSXSAVE) c |= (<u32>1) << (feature.FEATURE_OSXSAVE & 31);
  if (!monitorOffered(cpu)) c &= ~((<u32>1) << (feature.FEATURE_MONITOR & 31));
  if (!apicMsrRead(cpu, IA32_APIC_BASE) || !(msrValue & APIC_BASE_EN))
    d &= ~((<u32>1) << feature.FEATURE_APIC);
  const logical = roundedUp(logicalPerPackage);
  if (logical > 1) d |= (<u32>1) << feature.FEATURE_HTT;
  // Initial APIC ID: the low byte of the x2APIC ID, whatever is written to the xAPIC ID register.
  const b = ((cpu.apicId & 0xff) << 24) | (min<u32>(logical, 255) << 16) | ((LINE_BYTES >> 3) << 8);
  result(signature, b, c, d);
}

/** Leaf 4: 32 KiB L1 data, 32 KiB L1 code, 2 MiB L2, all private to a core. */
function caches(subleaf: u32): void {
  const coreIds = min<u32>((<u32>1) << (coreShift - threadShift), 64) - 1;
  const sharing = min<u32>((<u32>1) << threadShift, 4096) - 1;
  const common = (coreIds << 26) | (sharing << 14) | (1 << 8);
  if (subleaf === 0) result(common | (1 << 5) | 1, cacheShape(8), 63, 0);
  else if (subleaf === 1) result(common | (1 << 5) | 2, cacheShape(8), 63, 0);
  else if (subleaf === 2) result(common | (2 << 5) | 3, cacheShape(16), 2047, 0);
}

function cacheShape(ways: u32): u32 {
  return ((ways - 1) << 22) | (LINE_BYTES - 1);
}

/** Leaves 0BH and 1FH: threads, then cores, then the invalid level. */
function topology(cpu: Vcpu, subleaf: u32): void {
  const level = subleaf & 0xff;
  if (subleaf === 0)
    result(threadShift, (<u32>1) << threadShift, level | (LEVEL_SMT << 8), cpu.apicId);
  else if (subleaf === 1) {
    result(coreShift, min<u32>(logicalPerPackage, 0xffff), level | (LEVEL_CORE << 8), cpu.apicId);
  } else result(0, 0, level, cpu.apicId);
}

/** Leaf 0DH: x87 and SSE state, whose size is that of legacy region and header, whatever XCR0 enables of it. */
function stateComponents(cpu: Vcpu, subleaf: u32): void {
  if (!offers(feature.FEATURE_XSAVE)) return;
  if (subleaf === 0) result(3, XSAVE_BYTES, XSAVE_BYTES, 0);
  else if (subleaf === 1) {
    const compacted = offers(feature.FEATURE_XSAVEC) ? XSAVE_BYTES : 0;
    result(featureWord(feature.WORD_D1_EAX), compacted, 0, 0);
  }
}

function hypervisor(leaf: u32): void {
  // "KVMKVMKVM\0\0\0"
  if (leaf === 0x40000000) result(MAX_KVM, 0x4b4d564b, 0x564b4d56, 0x4d);
  else if (leaf === 0x40000001) result(featureWord(feature.WORD_KVM_EAX), 0, 0, 0);
}

function brandRegister(index: u32): u32 {
  return load<u32>(brand + ((<usize>index) << 2));
}

/** ECX of leaf 80000008H by AMD: bits of the APIC ID that number cores, and the count of them less one. */
function coreCount(): u32 {
  return (min<u32>(coreShift, 15) << 12) | (min<u32>(logicalPerPackage, 256) - 1);
}

function cpuVendor(part: usize): u32 {
  return load<u32>(vendor + (part << 2));
}

function extended(cpu: Vcpu, leaf: u32): void {
  switch (leaf) {
    case 0x80000000:
      result(MAX_EXTENDED, 0, 0, 0);
      if (isAmd()) result(MAX_EXTENDED, cpuVendor(0), cpuVendor(2), cpuVendor(1));
      break;
    case 0x80000001: {
      let d = featureWord(feature.WORD_80000001_EDX);
      if (cpu.miscEnable & MISC_ENABLE_XD_DISABLE) d &= ~((<u32>1) << (feature.FEATURE_NX & 31));
      let c = featureWord(feature.WORD_80000001_ECX);
      // The logical processors of leaf 1 are cores, not threads.
      if (isAmd() && logicalPerPackage > 1) c |= (<u32>1) << (feature.FEATURE_CMP_LEGACY & 31);
      result(isAmd() ? signature : 0, 0, c, d);
      break;
    }
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const first = (leaf - 0x80000002) << 2;
      result(
        brandRegister(first),
        brandRegister(first + 1),
        brandRegister(first + 2),
        brandRegister(first + 3),
      );
      break;
    }
    case 0x80000006:
      result(0, 0, (2048 << 16) | (8 << 12) | LINE_BYTES, 0); // L2: 2048 KiB, 16 ways
      break;
    case 0x80000007:
      result(0, 0, 0, featureWord(feature.WORD_80000007_EDX));
      break;
    case 0x80000008:
      result(MAXPHYADDR | (48 << 8), 0, isAmd() ? coreCount() : 0, 0);
      break;
  }
}
