/**
 * Register values after power-up, INIT and STARTUP.
 *
 * Source: SDM 3A "Processor State After Reset", "Initialization Overview"; KVM `kvm_vcpu_reset`.
 */
import { CS, ES, GS, LDTR, TR, VCPU_LAPIC } from "../abi";
import { DR6_RESET } from "../cpu/debug-status";
import { DR7_RESET } from "../cpu/dr";
import { setArithmetic } from "../cpu/flags";
import { updateDecoding, updateMode } from "../cpu/mode";
import { MISC_ENABLE_RESET } from "../cpu/msr-table";
import { resetFpu } from "../fpu/state";
import { flushTlb } from "../mem/space";
import { Vcpu } from "../vcpu";
import { CR0_CD, CR0_ET, CR0_NW } from "../x86/cr";
import { FLAG_FIXED } from "../x86/eflags";
import { PAT_RESET } from "../x86/msr";

const DATA_AR: u32 = 0x93; // present, read/write, accessed
const CODE_AR: u32 = 0x9b; // present, execute/read, accessed
const LDT_AR: u32 = 0x82;
const BUSY_TSS_AR: u32 = 0x8b;

function setSegment(cpu: Vcpu, n: u32, selector: u32, base: u64, ar: u32): void {
  const segment = cpu.segment(n);
  segment.selector = <u16>selector;
  segment.base = base;
  segment.limit = 0xffff;
  segment.ar = ar;
}

/**
 * INIT: everything but caches, x87/SSE state, TSC and most MSRs, which it keeps.
 *
 * @param signature - CPUID.1:EAX, goes to EDX
 */
export function initRegisters(cpu: Vcpu, signature: u32): void {
  for (let n: u32 = 0; n < 16; n++) cpu.setGpr(n, 0);
  cpu.rdx = signature;
  cpu.rip = 0xfff0;
  cpu.eflags = FLAG_FIXED;
  setArithmetic(cpu, 0);
  for (let n: u32 = ES; n <= <u32>GS; n++) setSegment(cpu, n, 0, 0, DATA_AR);
  setSegment(cpu, CS, 0xf000, 0xffff0000, CODE_AR);
  setSegment(cpu, LDTR, 0, 0, LDT_AR);
  setSegment(cpu, TR, 0, 0, BUSY_TSS_AR);
  cpu.gdtrBase = 0;
  cpu.gdtrLimit = 0xffff;
  cpu.idtrBase = 0;
  cpu.idtrLimit = 0xffff;
  // CD and NW keep their values: SDM 3A, footnote to the table of register values.
  cpu.cr0 = CR0_ET | (cpu.cr0 & (CR0_CD | CR0_NW));
  cpu.cr2 = 0;
  cpu.cr3 = 0;
  cpu.cr4 = 0;
  cpu.efer = 0;
  cpu.dr0 = 0;
  cpu.dr1 = 0;
  cpu.dr2 = 0;
  cpu.dr3 = 0;
  cpu.dr6 = DR6_RESET;
  cpu.dr7 = DR7_RESET;
  cpu.shadow = 0;
  cpu.fault = 0;
  cpu.monitorAddress = -1;
  flushTlb(cpu);
  updateMode(cpu);
}

/** Power-up: INIT, and what INIT keeps. A CPU that was there before leaves nothing but its numbers. */
export function powerUp(cpu: Vcpu, signature: u32): void {
  const record = cpu.address;
  const apicId = cpu.apicId;
  const index = cpu.index;
  const retired = cpu.retired;
  memory.fill(record, 0, VCPU_LAPIC);
  cpu.apicId = apicId;
  cpu.index = index;
  cpu.retired = retired;
  cpu.cr0 = CR0_CD | CR0_NW;
  cpu.xcr0 = 1;
  cpu.pat = PAT_RESET;
  cpu.miscEnable = MISC_ENABLE_RESET;
  resetFpu(cpu);
  initRegisters(cpu, signature);
}

/** STARTUP: real mode at vector << 12. @param vector - 0..255 */
export function startAt(cpu: Vcpu, vector: u32): void {
  setSegment(cpu, CS, vector << 8, (<u64>vector) << 12, CODE_AR);
  cpu.rip = 0;
  updateDecoding(cpu);
}
