/**
 * Operating mode of a vCPU, derived from CR0, CR4, EFER, RFLAGS.VM, CS and SS: never stored apart from what it derives
 * from, but for `Vcpu.mode`, `paging` and `tlbTag`, which `updateMode` re-derives after every change.
 */
import { CS, DS, ES, SS } from "../abi";
import { PAGING_32, PAGING_4LEVEL, PAGING_NONE, PAGING_PAE } from "../mem/paging";
import { updateTlbTag } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { CR0_EM, CR0_PE, CR0_PG, CR0_TS, CR4_OSFXSR, CR4_PAE, EFER_LMA } from "../x86/cr";
import {
  AR_CODE,
  AR_DB,
  AR_EXPAND_DOWN,
  AR_L,
  AR_S,
  AR_UNUSABLE,
  AR_WRITABLE,
} from "../x86/descriptor";
import { VM } from "../x86/eflags";

// Vcpu.mode: everything that changes how bytes are decoded into micro-ops.
export const MODE_64: u32 = 1; // 64-bit code
export const MODE_32: u32 = 2; // CS.D = 1 outside 64-bit mode
export const MODE_SS32: u32 = 4; // SS.B = 1: ESP is the stack pointer (not in 64-bit mode)
export const MODE_FLAT: u32 = 8; // ES, CS, SS and DS all have base 0 and limit 4 GiB, and may be written: no checks needed
export const MODE_PROTECTED: u32 = 16; // CR0.PE = 1 and not virtual-8086: #UD rules of LAR, LTR, SYSENTER ...
export const MODE_SSE: u32 = 32; // XMM registers are available: CR0.EM = CR0.TS = 0, CR4.OSFXSR = 1

/** CR0.PE = 1 and RFLAGS.VM = 0. */
export function isProtected(cpu: Vcpu): bool {
  return (cpu.cr0 & CR0_PE) !== 0 && !(cpu.eflags & VM);
}

/** Virtual-8086 mode. */
export function isV86(cpu: Vcpu): bool {
  return (cpu.eflags & VM) !== 0;
}

/** Real-address mode. */
export function isReal(cpu: Vcpu): bool {
  return !(cpu.cr0 & CR0_PE);
}

/** IA-32e mode: 64-bit or compatibility. */
export function isLong(cpu: Vcpu): bool {
  return (cpu.efer & EFER_LMA) !== 0;
}

/** 64-bit code segment in IA-32e mode. */
export function is64(cpu: Vcpu): bool {
  return (cpu.mode & MODE_64) !== 0;
}

const DATA_RIGHTS: u32 = AR_UNUSABLE | AR_S | AR_CODE | AR_WRITABLE | AR_EXPAND_DOWN;

/** Base 0, limit 4 GiB, usable; and but for CS writable data. */
function isFlat(cpu: Vcpu, n: u32): bool {
  const segment = cpu.segment(n);
  if (segment.base !== 0 || segment.limit !== 0xffffffff) return false;
  if (n === CS) return !(segment.ar & AR_UNUSABLE);
  return (segment.ar & DATA_RIGHTS) === (AR_S | AR_WRITABLE);
}

/** Re-derives `mode`: all that follows from a change of CS, SS, DS or ES, when the privilege level stays. */
export function updateDecoding(cpu: Vcpu): void {
  const cs = cpu.segment(CS).ar;
  let mode: u32 = 0;
  if (cpu.efer & EFER_LMA && cs & AR_L) mode = MODE_64 | MODE_FLAT;
  else {
    if (cs & AR_DB) mode |= MODE_32;
    if (cpu.segment(SS).ar & AR_DB) mode |= MODE_SS32;
    // SS first: real-address mode ends here, and who sets up protected mode loads it late.
    if (isFlat(cpu, SS) && isFlat(cpu, CS) && isFlat(cpu, DS) && isFlat(cpu, ES)) mode |= MODE_FLAT;
  }
  if (isProtected(cpu)) mode |= MODE_PROTECTED;
  if (!(cpu.cr0 & (CR0_EM | CR0_TS)) && cpu.cr4 & CR4_OSFXSR) mode |= MODE_SSE;
  cpu.mode = mode;
}

/** Re-derives `mode`, `paging` and `tlbTag`; to be called after any change of their sources. Does not flush the TLB. */
export function updateMode(cpu: Vcpu): void {
  updateDecoding(cpu);
  if (!(cpu.cr0 & CR0_PG)) cpu.paging = PAGING_NONE;
  else if (cpu.efer & EFER_LMA) cpu.paging = PAGING_4LEVEL;
  else cpu.paging = cpu.cr4 & CR4_PAE ? PAGING_PAE : PAGING_32;
  updateTlbTag(cpu);
}
