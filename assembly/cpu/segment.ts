/**
 * Loading of segment registers: what a selector must fulfil, and what goes into the hidden part.
 *
 * Source: SDM 3A "Segment Registers", "Privilege Level Checking When Accessing Data Segments", "Segment Descriptor
 * Tables in IA-32e Mode"; SDM 2 "MOV". The handlers are in segment-ops.ts.
 */
import { CS, DS, ES, FS, GS, SS } from "../abi";
import { Segment, Vcpu } from "../vcpu";
import {
  AR_ACCESSED,
  AR_CODE,
  AR_CONFORMING,
  AR_DB,
  AR_DPL,
  AR_DPL_SHIFT,
  AR_G,
  AR_L,
  AR_P,
  AR_READABLE,
  AR_S,
  AR_TYPE,
  AR_UNUSABLE,
  AR_WRITABLE,
  descriptorAr,
  descriptorBase,
  descriptorLimit,
} from "../x86/descriptor";
import { GP, NP, SS_FAULT } from "../x86/exception";
import { leaveBlock } from "./control";
import { fetchDescriptor, isNull, markAccessed, raiseSelector } from "./descriptor-table";
import { is64, isLong, isProtected, isV86, MODE_64, updateDecoding } from "./mode";
import { raiseWithError } from "../fault";

/** Present, writable, accessed data: type and rights of a segment in real-address mode. */
const REAL_AR: u32 = AR_P | AR_S | AR_WRITABLE | AR_ACCESSED;
const V86_AR: u32 = REAL_AR | AR_DPL;
const RIGHTS: u32 = AR_TYPE | AR_S | AR_DPL | AR_P | AR_L | AR_UNUSABLE;

/** DPL of access rights, 0..3. */
export function dplOf(ar: u32): u32 {
  return (ar & AR_DPL) >> AR_DPL_SHIFT;
}

/** True for a code descriptor. */
export function isCode(ar: u32): bool {
  return (ar & (AR_S | AR_CODE)) === (AR_S | AR_CODE);
}

/** Gives a segment register its selector and its hidden part. @inline */
export function putSegment(segment: Segment, selector: u32, base: u64, limit: u32, ar: u32): void {
  segment.selector = <u16>selector;
  segment.base = base;
  segment.limit = limit;
  segment.ar = ar;
}

/** Puts a descriptor that passed its checks into a segment register. */
export function commitSegment(cpu: Vcpu, n: u32, selector: u32, raw: u64): void {
  const segment = cpu.segment(n);
  putSegment(segment, selector, descriptorBase(raw), descriptorLimit(raw), descriptorAr(raw));
}

/** Marks a checked descriptor accessed and loads it, unless a fault is or gets pending. */
export function commitAccessed(cpu: Vcpu, n: u32, selector: u32, raw: u64): void {
  if (cpu.fault !== 0) return;
  const accessed = markAccessed(cpu, selector, raw);
  if (cpu.fault === 0) commitSegment(cpu, n, selector, accessed);
}

/** Makes a segment register null. @param selector - 0..3 */
export function commitNull(cpu: Vcpu, n: u32, selector: u32): void {
  const segment = cpu.segment(n);
  segment.selector = <u16>selector;
  segment.base = 0;
  segment.limit = 0;
  // SS keeps a DPL: it stands for the privilege level (SDM 3C "Guest Segment Registers").
  segment.ar = AR_UNUSABLE | (n === SS ? (selector & 3) << AR_DPL_SHIFT : 0);
}

/** Flat 4 GiB segment with given rights: SYSCALL, SYSENTER and their returns. */
export function commitFlat(cpu: Vcpu, n: u32, selector: u32, ar: u32): void {
  const segment = cpu.segment(n);
  segment.selector = <u16>selector;
  segment.base = 0;
  segment.limit = 0xffffffff;
  segment.ar = ar | AR_G | AR_P | AR_S;
}

/**
 * Loads a segment register as real-address mode does: the base only. Limit, G and D/B stay what they were, so that
 * "unreal" limits persist.
 */
export function commitReal(cpu: Vcpu, n: u32, selector: u32): void {
  const segment = cpu.segment(n);
  segment.selector = <u16>selector;
  segment.base = <u64>(selector << 4);
  // A null segment of protected mode has no limit to keep.
  if (segment.ar & AR_UNUSABLE) segment.limit = 0xffff;
  segment.ar = (segment.ar & ~RIGHTS) | REAL_AR;
}

/** Loads a segment register as virtual-8086 mode does. */
export function commitV86(cpu: Vcpu, n: u32, selector: u32): void {
  const segment = cpu.segment(n);
  segment.selector = <u16>selector;
  segment.base = <u64>(selector << 4);
  segment.limit = 0xffff;
  segment.ar = V86_AR;
}

/** Loads a segment register outside protected mode. */
export function commitParagraph(cpu: Vcpu, n: u32, selector: u32): void {
  if (isV86(cpu)) commitV86(cpu, n, selector);
  else commitReal(cpu, n, selector);
}

/**
 * Checks a selector for SS at privilege level `cpl`; a segment that is not present raises #SS, also in IRET, where the
 * manual has #NP and silicon does not. The caller marks the descriptor accessed when all is checked.
 *
 * @param selector - not null
 * @param vector - GP, or TS when it comes from a TSS
 * @returns the descriptor; meaningless when `cpu.fault` is set
 */
export function checkStackSegment(cpu: Vcpu, selector: u32, cpl: u32, vector: u32): u64 {
  const raw = fetchDescriptor(cpu, selector, vector);
  if (cpu.fault !== 0) return 0;
  const ar = descriptorAr(raw);
  const isWritableData = (ar & (AR_S | AR_CODE | AR_WRITABLE)) === (AR_S | AR_WRITABLE);
  if (!isWritableData || (selector & 3) !== cpl || dplOf(ar) !== cpl) {
    raiseSelector(cpu, vector, selector);
    return 0;
  }
  if (!(ar & AR_P)) {
    raiseSelector(cpu, SS_FAULT, selector);
    return 0;
  }
  return raw;
}

/**
 * Checks a selector for DS, ES, FS or GS at the present CPL.
 *
 * @param selector - not null; @param vector - GP, or TS in a task switch
 * @returns the descriptor; meaningless when `cpu.fault` is set
 */
export function checkDataSegment(cpu: Vcpu, selector: u32, vector: u32): u64 {
  const raw = fetchDescriptor(cpu, selector, vector);
  if (cpu.fault !== 0) return 0;
  const ar = descriptorAr(raw);
  let ok = (ar & AR_S) !== 0 && (ar & (AR_CODE | AR_READABLE)) !== AR_CODE;
  if ((ar & (AR_CODE | AR_CONFORMING)) !== (AR_CODE | AR_CONFORMING)) {
    const dpl = dplOf(ar);
    ok = ok && cpu.cpl <= dpl && (selector & 3) <= dpl;
  }
  if (!ok) {
    raiseSelector(cpu, vector, selector);
    return 0;
  }
  if (!(ar & AR_P)) {
    raiseSelector(cpu, NP, selector);
    return 0;
  }
  return raw;
}

/** True when SS may be null at `cpl`: 64-bit code below ring 3. @param is64BitCode - mode of the code that will run */
export function mayNullStack(is64BitCode: bool, cpl: u32, selector: u32): bool {
  return is64BitCode && cpl !== 3 && (selector & 3) === cpl;
}

/**
 * MOV Sreg, POP Sreg, LDS...: loads ES, SS, DS, FS or GS with all checks of the present mode.
 *
 * The caller pops its operand and sets the MOV SS shadow. Raises #GP, #NP, #SS, #PF and then changes nothing.
 */
export function loadSegment(cpu: Vcpu, n: u32, selector: u32): void {
  if (!isProtected(cpu)) {
    commitParagraph(cpu, n, selector);
    return;
  }
  if (isNull(selector)) {
    if (n === SS && !mayNullStack(is64(cpu), cpu.cpl, selector)) raiseWithError(cpu, GP, 0);
    else commitNull(cpu, n, selector);
    return;
  }
  const raw =
    n === SS ? checkStackSegment(cpu, selector, cpu.cpl, GP) : checkDataSegment(cpu, selector, GP);
  commitAccessed(cpu, n, selector, raw);
}

/** Re-derives the mode after ES, SS or DS changed; decoded code is left only when it no longer fits. */
export function segmentChanged(cpu: Vcpu): void {
  const before = cpu.mode;
  // 64-bit code has no use for them.
  if (before & MODE_64) return;
  updateDecoding(cpu);
  if (cpu.mode !== before) leaveBlock();
}

/** True when a code descriptor's L and D bits are a legal pair: both set means nothing in IA-32e mode. */
export function hasLegalSize(cpu: Vcpu, ar: u32): bool {
  return !isLong(cpu) || (ar & (AR_L | AR_DB)) !== (AR_L | AR_DB);
}

/** True when code with these rights runs in 64-bit mode. */
export function isCode64(cpu: Vcpu, ar: u32): bool {
  return isLong(cpu) && (ar & AR_L) !== 0;
}

/** Loads CS for privilege level `cpl`, which becomes the CPL. @param selector - its RPL is replaced */
export function commitCode(cpu: Vcpu, selector: u32, raw: u64, cpl: u32): void {
  commitSegment(cpu, CS, (selector & 0xfffc) | cpl, raw);
  cpu.cpl = cpl;
}

/**
 * After a return to an outer level: data segments that the new CPL may not use become null. SDM 2 "RET".
 *
 * Null selectors 1..3 become 0 as well: the manual is silent, but silicon does so.
 */
export function dropInnerSegments(cpu: Vcpu): void {
  dropInner(cpu, ES);
  dropInner(cpu, DS);
  dropInner(cpu, FS);
  dropInner(cpu, GS);
}

function dropInner(cpu: Vcpu, n: u32): void {
  const segment = cpu.segment(n);
  const isConforming = (segment.ar & (AR_CODE | AR_CONFORMING)) === (AR_CODE | AR_CONFORMING);
  if (!(segment.ar & AR_UNUSABLE) && (isConforming || dplOf(segment.ar) >= cpu.cpl)) return;
  segment.selector = 0;
  segment.ar = AR_UNUSABLE;
}
