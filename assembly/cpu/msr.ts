/**
 * Model-specific registers: RDMSR (0F 32) and WRMSR (0F 30).
 *
 * Source: SDM 4 "Architectural MSRs". The APIC's registers, TSC_DEADLINE and KVM's paravirtual MSRs are the machine's
 * (cpu/platform.ts). Three of AMD's are there under its vendor string, for kernels that expect them: KVM
 * `kvm_get_msr_common`. Every other number raises #GP(0).
 * Not modelled: effects of memory types (MTRRs and PAT are stored and checked only), machine-check banks (there are
 * none), DEBUGCTL features (only zero can be written), microcode updates.
 */
import { FS, GS } from "../abi";
import { raiseWithError } from "../fault";
import { isCanonical } from "../mem/paging";
import { flushTlb } from "../mem/space";
import { Vcpu } from "../vcpu";
import { CR0_PG, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE } from "../x86/cr";
import * as feature from "../x86/cpuid";
import { GP } from "../x86/exception";
import * as msr from "../x86/msr";
import { leaveBlock } from "./control";
import { isAmd } from "./cpuid";
import { offers } from "./features";
import { updateMode } from "./mode";
import { BANK_MCG_STATUS, BANK_MISC_FEATURES, bankRead, bankWrite } from "./msr-bank";
import { mtrrRead, mtrrWrite, validPat } from "./mtrr";
import { Op } from "./op";
import * as platform from "./platform";
import { readTsc, writeTsc, writeTscAdjust } from "./tsc";

/** Revision that IA32_BIOS_SIGN_ID reports in bits 63:32. */
const MICROCODE_REVISION: u64 = 1;
/** Ratio of the TSC to its 100 MHz bus clock, bits 15:8; bit 31: CPUID faulting is there. */
const PLATFORM_INFO: u64 = (10 << 8) | 0x80000000;
/** RDCL_NO, SKIP_L1DFL, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO: nothing here speculates. */
const ARCH_CAPABILITIES: u64 = 0x179;
/** Locked, with VMX and SMX off. */
const FEATURE_CONTROL: u64 = 1;
/** Bits of AMD's HWCR that are written and not kept, as by KVM: IGNNEEM, FFDIS, TLBCACHEDIS. */
const HWCR_IGNORED: u64 = (1 << 8) | (1 << 6) | (1 << 3);
const MISC_ENABLE_READ_ONLY: u64 =
  msr.MISC_ENABLE_BTS_UNAVAILABLE | msr.MISC_ENABLE_PEBS_UNAVAILABLE;
const MISC_ENABLE_WRITABLE: u64 =
  msr.MISC_ENABLE_FAST_STRING |
  msr.MISC_ENABLE_MONITOR |
  msr.MISC_ENABLE_LIMIT_CPUID |
  msr.MISC_ENABLE_XD_DISABLE;
/** IA32_MISC_ENABLE after RESET. */
export const MISC_ENABLE_RESET: u64 =
  MISC_ENABLE_READ_ONLY | msr.MISC_ENABLE_FAST_STRING | msr.MISC_ENABLE_MONITOR;

/** What the last `readMsr` that returned true found. */
export let msrResult: u64 = 0;

/** RDMSR: ECX to EDX:EAX. */
export function rdmsr(cpu: Vcpu, op: Op): void {
  if (cpu.cpl !== 0 || !readMsr(cpu, <u32>cpu.rcx)) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  cpu.rax = msrResult & 0xffffffff;
  cpu.rdx = msrResult >> 32;
}

/** WRMSR: EDX:EAX to ECX. The machine's MSRs say themselves whether the block goes on. */
export function wrmsr(cpu: Vcpu, op: Op): void {
  const number = <u32>cpu.rcx;
  const value = (cpu.rdx << 32) | (cpu.rax & 0xffffffff);
  if (number >= msr.X2APIC_FIRST && number <= msr.X2APIC_LAST && cpu.cpl === 0) {
    // EOI and ICR: what interrupts spend their time with.
    if (!platform.apicMsrWrite(cpu, number, value)) raiseWithError(cpu, GP, 0);
  } else if (cpu.cpl !== 0 || !writeMsr(cpu, number, value, false)) raiseWithError(cpu, GP, 0);
  else if (!isPlatformMsr(number)) leaveBlock();
}

function isPlatformMsr(number: u32): bool {
  return (
    (number >= msr.X2APIC_FIRST && number <= msr.X2APIC_LAST) ||
    number === msr.IA32_APIC_BASE ||
    number === msr.IA32_TSC_DEADLINE ||
    (number >= msr.MSR_KVM_FIRST && number <= msr.MSR_KVM_LAST) ||
    number === msr.MSR_KVM_WALL_CLOCK ||
    number === msr.MSR_KVM_SYSTEM_TIME
  );
}

/** Reads an MSR, for the guest or the host. @returns false for #GP; else the value is in `msrResult` */
export function readMsr(cpu: Vcpu, number: u32): bool {
  if (isPlatformMsr(number)) {
    if (!platform.apicMsrRead(cpu, number)) return false;
    msrResult = platform.msrValue;
    return true;
  }
  switch (number) {
    case msr.IA32_TSC:
      msrResult = readTsc(cpu);
      return true;
    case msr.IA32_PLATFORM_ID:
    case msr.IA32_DEBUGCTL:
      msrResult = 0;
      return true;
    case msr.IA32_MCG_CAP:
      msrResult = 0;
      return offers(feature.FEATURE_MCA);
    case msr.IA32_FEATURE_CONTROL:
      msrResult = FEATURE_CONTROL;
      return true;
    case msr.IA32_TSC_ADJUST:
      msrResult = cpu.tscAdjust;
      return offers(feature.FEATURE_TSC_ADJUST);
    case msr.IA32_BIOS_SIGN_ID:
      msrResult = MICROCODE_REVISION << 32;
      return true;
    case msr.MSR_PLATFORM_INFO:
      msrResult = PLATFORM_INFO;
      return true;
    case msr.IA32_ARCH_CAPABILITIES:
      msrResult = ARCH_CAPABILITIES;
      return offers(feature.FEATURE_ARCH_CAPABILITIES);
    case msr.MSR_MISC_FEATURES_ENABLES:
      msrResult = bankRead(cpu, BANK_MISC_FEATURES);
      return true;
    case msr.IA32_SYSENTER_CS:
      msrResult = cpu.sysenterCs;
      return offers(feature.FEATURE_SEP);
    case msr.IA32_SYSENTER_ESP:
      msrResult = cpu.sysenterEsp;
      return offers(feature.FEATURE_SEP);
    case msr.IA32_SYSENTER_EIP:
      msrResult = cpu.sysenterEip;
      return offers(feature.FEATURE_SEP);
    case msr.IA32_MCG_STATUS:
      msrResult = bankRead(cpu, BANK_MCG_STATUS);
      return offers(feature.FEATURE_MCA);
    case msr.IA32_PERF_STATUS:
      msrResult = PLATFORM_INFO & 0xff00;
      return true;
    case msr.IA32_MISC_ENABLE:
      msrResult = cpu.miscEnable;
      return true;
    case msr.IA32_PAT:
      msrResult = cpu.pat;
      return true;
    case msr.IA32_EFER:
      msrResult = cpu.efer;
      return true;
    case msr.IA32_STAR:
      msrResult = cpu.star;
      return true;
    case msr.IA32_LSTAR:
      msrResult = cpu.lstar;
      return true;
    case msr.IA32_CSTAR:
      msrResult = cpu.cstar;
      return true;
    case msr.IA32_FMASK:
      msrResult = cpu.sfmask;
      return true;
    case msr.IA32_FS_BASE:
      msrResult = cpu.segment(FS).base;
      return true;
    case msr.IA32_GS_BASE:
      msrResult = cpu.segment(GS).base;
      return true;
    case msr.IA32_KERNEL_GS_BASE:
      msrResult = cpu.kernelGsBase;
      return true;
    case msr.IA32_TSC_AUX:
      msrResult = cpu.tscAux;
      return offers(feature.FEATURE_RDTSCP) || offers(feature.FEATURE_RDPID);
    case msr.MSR_AMD64_SYSCFG:
    case msr.MSR_K7_HWCR:
    case msr.MSR_K8_INT_PENDING_MSG:
      msrResult = 0;
      return isAmd();
    default:
      return readMtrr(cpu, number);
  }
}

function readMtrr(cpu: Vcpu, number: u32): bool {
  if (!offers(feature.FEATURE_MTRR) || !mtrrRead(cpu, number)) return false;
  msrResult = platform.msrValue;
  return true;
}

/**
 * Writes an MSR.
 *
 * @param hostInitiated - the host sets state: read-only and locked registers accept what they hold, EFER.LMA is written
 * @returns false for #GP; nothing changed then
 */
export function writeMsr(cpu: Vcpu, number: u32, value: u64, hostInitiated: bool): bool {
  if (isPlatformMsr(number)) return platform.apicMsrWrite(cpu, number, value);
  switch (number) {
    case msr.IA32_TSC:
      writeTsc(cpu, value);
      return true;
    case msr.IA32_TSC_ADJUST:
      if (!offers(feature.FEATURE_TSC_ADJUST)) return false;
      if (hostInitiated) cpu.tscAdjust = value;
      else writeTscAdjust(cpu, value);
      return true;
    case msr.IA32_BIOS_SIGN_ID:
      return true; // written before CPUID to have the revision loaded: it always is
    case msr.MSR_MISC_FEATURES_ENABLES:
      if (value & ~msr.CPUID_FAULTING) return false;
      bankWrite(cpu, BANK_MISC_FEATURES, value);
      return true;
    case msr.IA32_SYSENTER_CS:
      if (!offers(feature.FEATURE_SEP)) return false;
      cpu.sysenterCs = value & 0xffffffff;
      return true;
    case msr.IA32_SYSENTER_ESP:
      if (!offers(feature.FEATURE_SEP) || !isCanonical(value)) return false;
      cpu.sysenterEsp = value;
      return true;
    case msr.IA32_SYSENTER_EIP:
      if (!offers(feature.FEATURE_SEP) || !isCanonical(value)) return false;
      cpu.sysenterEip = value;
      return true;
    case msr.IA32_MCG_STATUS:
      // Software can only clear it.
      if (!offers(feature.FEATURE_MCA)) return false;
      if (value !== 0 && !hostInitiated) return false;
      bankWrite(cpu, BANK_MCG_STATUS, value);
      return true;
    case msr.IA32_MISC_ENABLE:
      if (value & ~(MISC_ENABLE_WRITABLE | MISC_ENABLE_READ_ONLY)) return false;
      cpu.miscEnable = (value & MISC_ENABLE_WRITABLE) | MISC_ENABLE_READ_ONLY;
      return true;
    case msr.IA32_DEBUGCTL:
      return value === 0;
    case msr.IA32_PAT:
      if (!validPat(value)) return false;
      cpu.pat = value;
      return true;
    case msr.IA32_EFER:
      return writeEfer(cpu, value, hostInitiated);
    case msr.IA32_STAR:
      cpu.star = value;
      return true;
    case msr.IA32_LSTAR:
      if (!isCanonical(value)) return false;
      cpu.lstar = value;
      return true;
    case msr.IA32_CSTAR:
      if (!isCanonical(value)) return false;
      cpu.cstar = value;
      return true;
    case msr.IA32_FMASK:
      cpu.sfmask = value & 0xffffffff;
      return true;
    case msr.IA32_FS_BASE:
      if (!isCanonical(value)) return false;
      cpu.segment(FS).base = value;
      return true;
    case msr.IA32_GS_BASE:
      if (!isCanonical(value)) return false;
      cpu.segment(GS).base = value;
      return true;
    case msr.IA32_KERNEL_GS_BASE:
      if (!isCanonical(value)) return false;
      cpu.kernelGsBase = value;
      return true;
    case msr.IA32_TSC_AUX:
      if (!offers(feature.FEATURE_RDTSCP) && !offers(feature.FEATURE_RDPID)) return false;
      if (value >> 32) return false;
      cpu.tscAux = value;
      return true;
    case msr.MSR_K7_HWCR:
      return isAmd() && (value & ~HWCR_IGNORED) === 0;
    default:
      if (hostInitiated && readMsr(cpu, number) && msrResult === value) return true;
      return offers(feature.FEATURE_MTRR) && mtrrWrite(cpu, number, value);
  }
}

/** EFER: LMA follows CR0.PG and cannot be written; LME cannot change while paging is on. */
function writeEfer(cpu: Vcpu, value: u64, hostInitiated: bool): bool {
  let valid = EFER_LMA;
  if (offers(feature.FEATURE_SYSCALL)) valid |= EFER_SCE;
  if (offers(feature.FEATURE_LM)) valid |= EFER_LME;
  if (offers(feature.FEATURE_NX) && !(cpu.miscEnable & msr.MISC_ENABLE_XD_DISABLE))
    valid |= EFER_NXE;
  if (value & ~valid) return false;
  let efer = value;
  if (!hostInitiated) {
    if (cpu.cr0 & CR0_PG && (value ^ cpu.efer) & EFER_LME) return false;
    efer = (value & ~EFER_LMA) | (cpu.efer & EFER_LMA);
  }
  const changed = efer ^ cpu.efer;
  cpu.efer = efer;
  if (changed & (EFER_NXE | EFER_LMA)) flushTlb(cpu);
  updateMode(cpu);
  return true;
}
