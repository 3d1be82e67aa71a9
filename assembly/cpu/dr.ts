/**
 * Debug registers and breakpoints.
 *
 *     0F 21 movFromDr   0F 23 movToDr
 *
 * Source: SDM 3B "Debug Registers", "Debug Exceptions"; SDM 2B "MOV—Move to/from Debug Registers".
 * Not modelled: RTM and bus-lock debugging, task-switch trap (raised where tasks are switched).
 */
import { FAULT_LENGTH_SHIFT, FAULT_SOFTWARE, raise, raiseWithError } from "../fault";
import { updateTlbTag } from "../mem/tlb";
import { SHADOW_HITS_SHIFT, SHADOW_MOV_SS, Vcpu } from "../vcpu";
import { CR4_DE } from "../x86/cr";
import { RF } from "../x86/eflags";
import { GP, UD } from "../x86/exception";
import { leaveBlock } from "./control";
import { DR6_BD, DR6_RESET, noteDebug, raiseDebug } from "./debug-status";
import { is64 } from "./mode";
import { Op } from "./op";
import { setRegister } from "./operand";

const DR6_WRITABLE: u64 = 0xe00f;
/** DR7 after RESET: bit 10 is always 1. */
export const DR7_RESET: u64 = 0x400;
const DR7_WRITABLE: u64 = 0xffff23ff;
/** General detect: the next access to a debug register raises #DB; delivery of #DB clears it. */
export const DR7_GD: u64 = 1 << 13;
const DR7_ENABLES: u64 = 0xff;

// R/W fields of DR7.
const ON_EXECUTE: u32 = 0;
const ON_IO: u32 = 2;

/** DR0-3, DR6 and DR7 with DR4 and DR5 as their aliases, after the checks. @returns 0..7, or -1 after a fault */
function selected(cpu: Vcpu, op: Op): i32 {
  let n = op.regNumber;
  if (n > 7 || ((n === 4 || n === 5) && cpu.cr4 & CR4_DE)) {
    raise(cpu, UD);
    return -1;
  }
  if (cpu.cpl !== 0) {
    raiseWithError(cpu, GP, 0);
    return -1;
  }
  if (cpu.dr7 & DR7_GD) {
    // The handler of #DB must be able to use the debug registers: GD is cleared on its way there.
    cpu.dr7 &= ~DR7_GD;
    raiseDebug(cpu, DR6_BD, false);
    return -1;
  }
  if (n === 4 || n === 5) n += 2;
  return n;
}

/** MOV r, DRn. */
export function movFromDr(cpu: Vcpu, op: Op): void {
  const n = selected(cpu, op);
  if (n < 0) return;
  const value = debugRegister(cpu, n);
  if (is64(cpu)) setRegister<u64>(cpu, op.rm, value);
  else setRegister<u32>(cpu, op.rm, <u32>value);
}

/** MOV DRn, r. */
export function movToDr(cpu: Vcpu, op: Op): void {
  const n = selected(cpu, op);
  if (n < 0) return;
  let value = load<u64>(changetype<usize>(cpu) + op.rm);
  if (!is64(cpu)) value &= 0xffffffff;
  if (!setDebugRegister(cpu, n, value)) raiseWithError(cpu, GP, 0);
  else leaveBlock();
}

/** @param n - 0..3, 6 or 7 */
export function debugRegister(cpu: Vcpu, n: u32): u64 {
  if (n >= 6) return n === 6 ? cpu.dr6 : cpu.dr7;
  return load<u64>(changetype<usize>(cpu) + (n << 3), offsetof<Vcpu>("dr0"));
}

/** Writes a debug register, fixed bits kept. @param n - 0..3, 6 or 7 @returns false for #GP: DR6 or DR7 beyond 32 bits */
export function setDebugRegister(cpu: Vcpu, n: u32, value: u64): bool {
  if (n < 6) {
    store<u64>(changetype<usize>(cpu) + (n << 3), value, offsetof<Vcpu>("dr0"));
    return true;
  }
  if (value >> 32) return false;
  if (n === 6) cpu.dr6 = (value & DR6_WRITABLE) | DR6_RESET;
  else {
    cpu.dr7 = (value & DR7_WRITABLE) | DR7_RESET;
    updateTlbTag(cpu);
  }
  return true;
}

/** Breakpoint kinds that a condition can match, as a mask of 1 << R/W. */
const MATCH_WRITE: u32 = 0b1010;
const MATCH_READ: u32 = 0b1000;

/** Bytes that breakpoint `n` covers: LEN field 0..3 is 1, 2, 8, 4. */
function lengthOf(dr7: u64, n: u32): u64 {
  const field = <u32>(dr7 >> (18 + (n << 2))) & 3;
  return field === 2 ? 8 : field + 1;
}

function kindOf(dr7: u64, n: u32): u32 {
  return <u32>(dr7 >> (16 + (n << 2))) & 3;
}

/** DR6 bits 3:0 of the breakpoints that cover first .. first+size-1 and have one of `kinds`, enabled or not. */
function matches(cpu: Vcpu, first: u64, size: u32, kinds: u32): u32 {
  let hits: u32 = 0;
  for (let n: u32 = 0; n < 4; n++) {
    if (!((kinds >> kindOf(cpu.dr7, n)) & 1)) continue;
    const length = lengthOf(cpu.dr7, n);
    // LEN masks the low address bits of the register.
    const start = debugRegister(cpu, n) & ~(length - 1);
    if (first <= start + (length - 1) && first + (size - 1) >= start) hits |= 1 << n;
  }
  return hits;
}

/** The subset of `hits` that is enabled by an L or G bit. */
function enabled(cpu: Vcpu, hits: u32): u32 {
  const both = <u32>(cpu.dr7 | (cpu.dr7 >> 1));
  return hits & ((both & 1) | ((both >> 1) & 2) | ((both >> 2) & 4) | ((both >> 3) & 8));
}

/** True when the loop has to call `checkInstructionBreakpoint` before every instruction. */
export function hasInstructionBreakpoint(cpu: Vcpu): bool {
  if (!(cpu.dr7 & DR7_ENABLES)) return false;
  for (let n: u32 = 0; n < 4; n++) {
    if (kindOf(cpu.dr7, n) === ON_EXECUTE && enabled(cpu, 1 << n)) return true;
  }
  return false;
}

/**
 * To be called before the instruction at `gva` runs: a match raises #DB as a fault, unless RFLAGS.RF is set.
 *
 * @param gva - linear address of the instruction's first byte @returns true when #DB was raised
 */
export function checkInstructionBreakpoint(cpu: Vcpu, gva: u64): bool {
  if (cpu.eflags & RF) return false;
  // Conditions of disabled breakpoints may be reported too; only the enabled ones are, as on current CPUs.
  const hits = enabled(cpu, matches(cpu, gva, 1, 1 << ON_EXECUTE));
  if (hits === 0) return false;
  raiseDebug(cpu, hits, false);
  return true;
}

/** DR6 bits of data and I/O breakpoints that the present instruction hit. */
let trapHits: u32 = 0;

/** Takes up the breakpoints that MOV SS or POP SS hit: their trap waits for the end of the next instruction. */
export function resumeDataBreakpoints(cpu: Vcpu): void {
  trapHits = cpu.shadow >> SHADOW_HITS_SHIFT;
}

/** Told by mem/access.ts of every access while data breakpoints are enabled (TAG_SLOW). @param size - in bytes */
export function noteDataAccess(cpu: Vcpu, gva: u64, size: u32, isWrite: bool): void {
  note(cpu, matches(cpu, gva, size, isWrite ? MATCH_WRITE : MATCH_READ));
}

/** Told by IN and OUT of every port access. */
export function noteIoAccess(cpu: Vcpu, port: u32, size: u32): void {
  if (cpu.cr4 & CR4_DE && cpu.dr7 & DR7_ENABLES) note(cpu, matches(cpu, port, size, 1 << ON_IO));
}

function note(cpu: Vcpu, hits: u32): void {
  if (!enabled(cpu, hits)) return;
  trapHits |= enabled(cpu, hits);
  leaveBlock();
}

/**
 * To be called on the instruction boundary after `leaveBlock`: raises the #DB trap of data and I/O breakpoints.
 *
 * Hits that MOV SS held back outlive a software interrupt: their #DB comes behind it, before the first instruction of its
 * handler (interrupt.ts). INT1 is a #DB itself and takes them in.
 *
 * @param retired - the instruction completed; if it faulted, its hits are forgotten
 */
export function takeDataBreakpoints(cpu: Vcpu, retired: bool): void {
  if (trapHits === 0) return;
  const hits = trapHits;
  trapHits = 0;
  if (retired && cpu.shadow & SHADOW_MOV_SS) {
    cpu.shadow |= hits << SHADOW_HITS_SHIFT;
    return;
  }
  if (cpu.fault & FAULT_SOFTWARE) cpu.shadow = hits << SHADOW_HITS_SHIFT;
  else if (cpu.fault >> FAULT_LENGTH_SHIFT !== 0) noteDebug(cpu, hits);
  else if (retired && cpu.fault === 0) raiseDebug(cpu, hits, true);
}
