/**
 * RDMSR (0F 32) and WRMSR (0F 30), by the table of MSRs.
 *
 * The APIC's registers, TSC_DEADLINE and KVM's paravirtual MSRs are the machine's (cpu/platform.ts).
 */
import { raiseWithError } from "../fault";
import { isCanonical } from "../mem/paging";
import { flushTlb } from "../mem/space";
import { Vcpu } from "../vcpu";
import { CR0_PG, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE } from "../x86/cr";
import * as feature from "../x86/cpuid";
import { GP } from "../x86/exception";
import * as msr from "../x86/msr";
import { leaveBlock } from "./control";
import { offers } from "./features";
import { updateMode } from "./mode";
import { storedRead, storedWrite } from "./msr-bank";
import * as table from "./msr-table";
import { validFixedMtrr, validMtrrType, validPat } from "./mtrr";
import { Op } from "./op";
import * as platform from "./platform";
import { readTsc, writeTsc, writeTscAdjust } from "./tsc";

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

/** WRMSR: EDX:EAX to ECX. */
export function wrmsr(cpu: Vcpu, op: Op): void {
  const number = <u32>cpu.rcx;
  const value = (cpu.rdx << 32) | (cpu.rax & 0xffffffff);
  if (number >= msr.X2APIC_FIRST && number <= msr.X2APIC_LAST && cpu.cpl === 0) {
    // EOI and ICR: what interrupts spend their time with.
    if (!platform.apicMsrWrite(cpu, number, value)) raiseWithError(cpu, GP, 0);
  } else if (cpu.cpl !== 0 || !writeMsr(cpu, number, value, false)) raiseWithError(cpu, GP, 0);
}

/** Reads an MSR, for the guest or the host. @returns false for #GP; else the value is in `msrResult` */
export function readMsr(cpu: Vcpu, number: u32): bool {
  const row = table.rowOf(number);
  if (row === null) return false;
  switch (row.kind & table.KIND_PLACE) {
    case table.STORED:
      msrResult = storedRead(cpu, row.offsetOf(number));
      return true;
    case table.CONSTANT:
      msrResult = row.value;
      return true;
    case table.COMPUTED:
      msrResult = readTsc(cpu);
      return true;
    default:
      if (!platform.apicMsrRead(cpu, number)) return false;
      msrResult = platform.msrValue;
      return true;
  }
}

/**
 * Writes an MSR.
 *
 * @param hostInitiated - the host sets state: read-only registers accept what they hold, EFER.LMA is written
 * @returns false for #GP; nothing changed then
 */
export function writeMsr(cpu: Vcpu, number: u32, value: u64, hostInitiated: bool): bool {
  const row = table.rowOf(number);
  if (row === null) return false;
  const kind = row.kind;
  const place = kind & table.KIND_PLACE;
  // The machine says itself whether the block goes on; it does behind registers that are only stored.
  if (place === table.PLATFORM) return platform.apicMsrWrite(cpu, number, value);
  if (kind & table.WRITTEN) {
    leaveBlock();
    return writeOwn(cpu, number, value, hostInitiated);
  }
  if (kind & table.READ_ONLY) return hostInitiated && value === row.value;
  if (value & ~(row.writable | row.ignored) && !(hostInitiated && kind & table.HOST_SETS))
    return false;
  if (kind & table.CANONICAL && !isCanonical(value)) return false;
  if (kind & table.PAT_TYPES && !validPat(value)) return false;
  if (kind & table.MTRR_TYPES && !validFixedMtrr(value)) return false;
  if (kind & table.MTRR_TYPE && !validMtrrType(value)) return false;
  if (place === table.STORED) {
    const offset = row.offsetOf(number);
    const kept = storedRead(cpu, offset) & row.ignored;
    storedWrite(cpu, offset, (value & ~row.ignored) | kept);
  }
  return true;
}

/** Writes that do more than store. */
function writeOwn(cpu: Vcpu, number: u32, value: u64, hostInitiated: bool): bool {
  if (number === msr.IA32_EFER) return writeEfer(cpu, value, hostInitiated);
  if (number === msr.IA32_TSC) writeTsc(cpu, value);
  else if (hostInitiated) cpu.tscAdjust = value;
  else writeTscAdjust(cpu, value);
  return true;
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
