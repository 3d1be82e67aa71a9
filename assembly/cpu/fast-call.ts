/**
 * Handlers of the fast system calls: 0F05 syscall, 0F07 sysret, 0F34 sysenter, 0F35 sysexit.
 *
 * Intel's rules: SYSCALL and SYSRET exist in 64-bit mode only. Their segments are flat and not read from the tables.
 * AMD's, under its vendor string: SYSCALL also in compatibility mode, SYSENTER and SYSEXIT not in long mode.
 * Source: SDM 2 "SYSCALL", "SYSRET", "SYSENTER", "SYSEXIT"; AMD APM 3 the same.
 * Deviates: under AMD's vendor string SYSRET still faults before it leaves ring 0, and legacy mode has no SYSCALL.
 */
import { CS, SS } from "../abi";
import { raise, raiseWithError } from "../fault";
import { isCanonical } from "../mem/paging";
import { Vcpu } from "../vcpu";
import { CR0_PE, EFER_SCE } from "../x86/cr";
import {
  AR_ACCESSED,
  AR_CODE,
  AR_DB,
  AR_DPL,
  AR_L,
  AR_READABLE,
  AR_WRITABLE,
} from "../x86/descriptor";
import { FEATURE_SEP } from "../x86/cpuid";
import { AC_FLAG, ARITHMETIC, DF_FLAG, ID, IF, IOPL, NT, RF, TF, VM } from "../x86/eflags";
import { GP, UD } from "../x86/exception";
import { jumpTo, setStepHandled } from "./control";
import { isAmd } from "./cpuid";
import { DR6_BS, raiseDebug } from "./debug-status";
import { offers } from "./features";
import { rflags, setRflags } from "./flags";
import { is64, isLong, updateMode } from "./mode";
import { nextRip, Op } from "./op";
import { commitFlat } from "./segment";
import { checkVirtualInterrupt, vmeFlags } from "./vme";

const CODE: u32 = AR_CODE | AR_READABLE | AR_ACCESSED;
const DATA: u32 = AR_WRITABLE | AR_ACCESSED | AR_DB;
/** Flags that SYSCALL may clear and SYSRET loads. */
const FLAGS: u32 = ARITHMETIC | TF | IF | DF_FLAG | IOPL | NT | AC_FLAG | ID;

/** Loads CS and SS for ring 0 or 3. @param size - AR_L or AR_DB */
function enter(cpu: Vcpu, selector: u32, stack: u32, cpl: u32, size: u32): void {
  const dpl = cpl === 3 ? AR_DPL : 0;
  commitFlat(cpu, CS, selector & 0xffff, CODE | size | dpl);
  commitFlat(cpu, SS, stack & 0xffff, DATA | dpl);
  cpu.cpl = cpl;
}

/**
 * Single step of SYSCALL and SYSRET: the TF that counts is that after the instruction, so that IA32_FMASK can keep the
 * trap out of the kernel and SYSRET traps as if the SYSCALL had just ended. Source: KVM `em_syscall`.
 */
function stepAfter(cpu: Vcpu): void {
  setStepHandled(true);
  if (cpu.eflags & TF) raiseDebug(cpu, DR6_BS, true);
}

/** SYSCALL. #UD outside 64-bit mode (AMD: outside long mode) or without EFER.SCE. */
export function syscall(cpu: Vcpu, op: Op): void {
  const long = is64(cpu);
  if (!(cpu.efer & EFER_SCE) || !(long || (isAmd() && isLong(cpu)))) {
    raise(cpu, UD);
    return;
  }
  const selector = <u32>(cpu.star >> 32);
  cpu.rcx = nextRip(cpu, op);
  cpu.r11 = rflags(cpu);
  setRflags(cpu, 0, <u32>cpu.sfmask & (FLAGS | RF | vmeFlags));
  // The RPL is taken off CS alone.
  enter(cpu, selector & 0xfffc, selector + 8, 0, AR_L);
  updateMode(cpu);
  jumpTo(cpu, op, long ? cpu.lstar : cpu.cstar);
  stepAfter(cpu);
}

/** SYSRET: to 64-bit code with REX.W, to compatibility mode without. #UD as SYSCALL; #GP(0) outside ring 0. */
export function sysret(cpu: Vcpu, op: Op): void {
  if (!is64(cpu) || !(cpu.efer & EFER_SCE)) {
    raise(cpu, UD);
    return;
  }
  const wide = op.size === 8;
  // The canonical check comes before the change to ring 3, as Intel's CPUs do it.
  if (cpu.cpl !== 0 || (wide && !isCanonical(cpu.rcx))) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  const selector = <u32>(cpu.star >> 48);
  const rip = wide ? cpu.rcx : cpu.rcx & 0xffffffff;
  setRflags(cpu, <u32>cpu.r11, FLAGS | RF | vmeFlags);
  cpu.eflags &= ~RF;
  enter(cpu, (wide ? selector + 16 : selector) | 3, (selector + 8) | 3, 3, wide ? AR_L : AR_DB);
  updateMode(cpu);
  jumpTo(cpu, op, rip);
  stepAfter(cpu);
  if (vmeFlags !== 0) checkVirtualInterrupt(cpu);
}

/** True, with #UD raised, where this CPU has no SYSENTER and SYSEXIT. */
function lacksSysenter(cpu: Vcpu): bool {
  if (offers(FEATURE_SEP) && !(isAmd() && isLong(cpu))) return false;
  raise(cpu, UD);
  return true;
}

/** SYSENTER. #GP(0) in real-address mode and while IA32_SYSENTER_CS is null. */
export function sysenter(cpu: Vcpu, op: Op): void {
  if (lacksSysenter(cpu)) return;
  const selector = <u32>cpu.sysenterCs & 0xfffc;
  if (!(cpu.cr0 & CR0_PE) || selector === 0) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  const long = isLong(cpu);
  setRflags(cpu, 0, VM | IF | RF);
  cpu.rsp = long ? cpu.sysenterEsp : cpu.sysenterEsp & 0xffffffff;
  enter(cpu, selector, selector + 8, 0, long ? AR_L : AR_DB);
  updateMode(cpu);
  jumpTo(cpu, op, long ? cpu.sysenterEip : cpu.sysenterEip & 0xffffffff);
}

/** SYSEXIT: RIP from RDX, RSP from RCX. #GP(0) outside ring 0, in real-address mode, while IA32_SYSENTER_CS is null. */
export function sysexit(cpu: Vcpu, op: Op): void {
  if (lacksSysenter(cpu)) return;
  const selector = <u32>cpu.sysenterCs & 0xfffc;
  const wide = op.size === 8;
  const isBad = wide && (!isCanonical(cpu.rcx) || !isCanonical(cpu.rdx));
  if (!(cpu.cr0 & CR0_PE) || selector === 0 || cpu.cpl !== 0 || isBad) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  cpu.rsp = wide ? cpu.rcx : cpu.rcx & 0xffffffff;
  const code = (selector + (wide ? 32 : 16)) | 3;
  enter(cpu, code, code + 8, 3, wide ? AR_L : AR_DB);
  updateMode(cpu);
  jumpTo(cpu, op, wide ? cpu.rdx : cpu.rdx & 0xffffffff);
}
