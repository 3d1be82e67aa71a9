/**
 * Delivery through the gates of the IDT: protected, virtual-8086 and IA-32e mode.
 *
 * Source: SDM 3A "Exception- or Interrupt-Handler Procedures", "64-Bit Mode Stack Frame", "Interrupt Stack Table";
 * SDM 2 "INT n/INTO/INT3/INT1" (order of checks and error codes).
 */
import { CS, DS, ES, FS, GS, SS } from "../abi";
import { raiseWithError } from "../fault";
import { readSystem } from "../mem/access";
import { isCanonical } from "../mem/paging";
import { Vcpu } from "../vcpu";
import {
  AR_CONFORMING,
  AR_DB,
  AR_L,
  AR_P,
  descriptorAr,
  descriptorBase,
  descriptorLimit,
  INTERRUPT_GATE16,
  INTERRUPT_GATE32,
  TASK_GATE,
  TRAP_GATE16,
  TRAP_GATE32,
} from "../x86/descriptor";
import { IF, NT, RF, TF, VM } from "../x86/eflags";
import { ERROR_IDT, GP, NP } from "../x86/exception";
import {
  eventExt,
  fetchDescriptor,
  isNull,
  markAccessed,
  raiseSelector,
  systemAddress,
  systemType,
} from "./descriptor-table";
import { setRflags } from "./flags";
import { commitFramePointer, openFrame, openFrame64, pushFrame, setCpl } from "./frame";
import {
  innerPointer,
  innerRaw,
  innerSelector,
  istSlot,
  readInnerRsp,
  readInnerStack,
  rspSlot,
  touchInnerStack,
} from "./inner-stack";
import { isLong, isV86, updateMode } from "./mode";
import { commitCode, commitNull, commitSegment, dplOf, isCode } from "./segment";
import { deliverThroughTaskGate } from "./task-gate";

/**
 * Delivers a vector through its gate.
 *
 * @param image - RFLAGS to save; @param savedRip - RIP to save
 *
 * On a fault (#GP, #NP, #TS, #SS, #PF) nothing has changed, but for a task switch that went through.
 */
export function deliverThroughIdt(
  cpu: Vcpu,
  vector: u32,
  hasError: bool,
  error: u32,
  image: u32,
  savedRip: u64,
): void {
  const long = isLong(cpu);
  const bytes: u32 = long ? 16 : 8;
  const gateError = (vector << 3) | ERROR_IDT | eventExt;
  if ((vector + 1) * bytes - 1 > cpu.idtrLimit) {
    raiseWithError(cpu, GP, gateError);
    return;
  }
  const gva = systemAddress(cpu, cpu.idtrBase + vector * bytes);
  const gate = readSystem<u64>(cpu, gva);
  if (cpu.fault !== 0) return;
  const ar = descriptorAr(gate);
  const type = systemType(ar);
  const isSoftware = eventExt === 0;
  if (!isEventGate(type, long) || (isSoftware && dplOf(ar) < cpu.cpl))
    raiseWithError(cpu, GP, gateError);
  else if (!(ar & AR_P)) raiseWithError(cpu, NP, gateError);
  if (cpu.fault !== 0) return;
  if (type === TASK_GATE) {
    deliverThroughTaskGate(cpu, <u32>(gate >> 16) & 0xffff, hasError, error, image, savedRip);
    return;
  }
  if (long) {
    const high = readSystem<u64>(cpu, gva + 8);
    if (cpu.fault === 0) enter64(cpu, gate, high << 32, hasError, error, image, savedRip);
  } else enterLegacy(cpu, gate, type, hasError, error, image, savedRip);
  if (cpu.fault !== 0) return;
  setRflags(cpu, 0, TF | NT | VM | RF | (type & 1 ? 0 : IF));
  updateMode(cpu);
}

function isEventGate(type: u32, long: bool): bool {
  if (type === INTERRUPT_GATE32 || type === TRAP_GATE32) return true;
  return !long && (type === TASK_GATE || type === INTERRUPT_GATE16 || type === TRAP_GATE16);
}

/** Fetches and checks the handler's code segment. @returns its descriptor; meaningless when `cpu.fault` is set */
function handlerCode(cpu: Vcpu, selector: u32): u64 {
  if (isNull(selector)) {
    raiseSelector(cpu, GP, 0);
    return 0;
  }
  const raw = fetchDescriptor(cpu, selector, GP);
  if (cpu.fault !== 0) return 0;
  const ar = descriptorAr(raw);
  const hasSize = !isLong(cpu) || (ar & (AR_L | AR_DB)) === AR_L;
  if (!isCode(ar) || dplOf(ar) > cpu.cpl || !hasSize) raiseSelector(cpu, GP, selector);
  // From virtual-8086 mode only ring 0 can be entered.
  else if (isV86(cpu) && (ar & AR_CONFORMING || dplOf(ar) !== 0)) raiseSelector(cpu, GP, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  return raw;
}

/** Marks the code descriptor accessed when the checks that come before have passed. */
function touch(cpu: Vcpu, selector: u32, raw: u64): u64 {
  return cpu.fault !== 0 ? raw : markAccessed(cpu, selector, raw);
}

function handlerCpl(cpu: Vcpu, raw: u64): u32 {
  const ar = descriptorAr(raw);
  return ar & AR_CONFORMING ? cpu.cpl : dplOf(ar);
}

function gateOffset(gate: u64): u32 {
  return (<u32>gate & 0xffff) | (<u32>(gate >> 32) & 0xffff0000);
}

/** 16- and 32-bit gates. */
function enterLegacy(
  cpu: Vcpu,
  gate: u64,
  type: u32,
  hasError: bool,
  error: u32,
  image: u32,
  savedRip: u64,
): void {
  const selector = <u32>(gate >> 16) & 0xffff;
  const is16 = type === INTERRUPT_GATE16 || type === TRAP_GATE16;
  const offset = is16 ? <u32>gate & 0xffff : gateOffset(gate);
  const raw = handlerCode(cpu, selector);
  if (cpu.fault !== 0) return;
  const oldCpl = cpu.cpl;
  const newCpl = handlerCpl(cpu, raw);
  const isInner = newCpl !== oldCpl;
  const fromV86 = isV86(cpu);
  if (isInner && !readInnerStack(cpu, newCpl)) return;
  const width: u32 = is16 ? 2 : 4;
  const count: u32 = (fromV86 ? 9 : isInner ? 5 : 3) + <u32>hasError;
  setCpl(cpu, newCpl);
  const isOpen = openStack(cpu, isInner, width, count);
  if (isOpen && offset > descriptorLimit(raw)) raiseSelector(cpu, GP, 0);
  const accessed = touch(cpu, selector, raw);
  if (isInner && cpu.fault === 0) touchInnerStack(cpu);
  if (fromV86) {
    pushFrame(cpu, cpu.segment(GS).selector);
    pushFrame(cpu, cpu.segment(FS).selector);
    pushFrame(cpu, cpu.segment(DS).selector);
    pushFrame(cpu, cpu.segment(ES).selector);
  }
  if (isInner) {
    pushFrame(cpu, cpu.segment(SS).selector);
    pushFrame(cpu, cpu.rsp);
  }
  pushReturn(cpu, image, savedRip, hasError, error);
  if (cpu.fault !== 0) {
    setCpl(cpu, oldCpl);
    return;
  }
  if (fromV86) {
    commitNull(cpu, GS, 0);
    commitNull(cpu, FS, 0);
    commitNull(cpu, DS, 0);
    commitNull(cpu, ES, 0);
  }
  if (isInner) commitSegment(cpu, SS, innerSelector, innerRaw);
  commitFramePointer(cpu);
  commitCode(cpu, selector, accessed, newCpl);
  cpu.rip = offset;
}

/** Opens the frame on the inner stack just read, or on the current one. */
function openStack(cpu: Vcpu, isInner: bool, width: u32, count: u32): bool {
  if (!isInner) {
    const stack = cpu.segment(SS);
    return openFrame(cpu, stack.base, stack.limit, stack.ar, cpu.rsp, width, count, eventExt);
  }
  const error = (innerSelector & 0xfffc) | eventExt;
  const limit = descriptorLimit(innerRaw);
  return openFrame(
    cpu,
    descriptorBase(innerRaw),
    limit,
    descriptorAr(innerRaw),
    innerPointer,
    width,
    count,
    error,
  );
}

function pushReturn(cpu: Vcpu, image: u32, savedRip: u64, hasError: bool, error: u32): void {
  pushFrame(cpu, image);
  pushFrame(cpu, cpu.segment(CS).selector);
  pushFrame(cpu, savedRip);
  if (hasError) pushFrame(cpu, error);
}

/** 64-bit gates: SS:RSP is always pushed, and the stack is aligned to 16 bytes first. */
function enter64(
  cpu: Vcpu,
  gate: u64,
  offsetHigh: u64,
  hasError: bool,
  error: u32,
  image: u32,
  savedRip: u64,
): void {
  const selector = <u32>(gate >> 16) & 0xffff;
  const raw = handlerCode(cpu, selector);
  if (cpu.fault !== 0) return;
  const oldCpl = cpu.cpl;
  const newCpl = handlerCpl(cpu, raw);
  const ist = <u32>(gate >> 32) & 7;
  let sp = cpu.rsp;
  if (ist !== 0) sp = readInnerRsp(cpu, istSlot(ist));
  else if (newCpl !== oldCpl) sp = readInnerRsp(cpu, rspSlot(newCpl));
  if (cpu.fault !== 0) return;
  const offset = offsetHigh | gateOffset(gate);
  setCpl(cpu, newCpl);
  const isOpen = openFrame64(cpu, sp & ~(<u64>15), 8, 5 + <u32>hasError, eventExt);
  if (isOpen && !isCanonical(offset)) raiseSelector(cpu, GP, 0);
  const accessed = touch(cpu, selector, raw);
  pushFrame(cpu, cpu.segment(SS).selector);
  pushFrame(cpu, cpu.rsp);
  pushReturn(cpu, image, savedRip, hasError, error);
  if (cpu.fault !== 0) {
    setCpl(cpu, oldCpl);
    return;
  }
  if (newCpl !== oldCpl) commitNull(cpu, SS, newCpl);
  commitFramePointer(cpu);
  commitCode(cpu, selector, accessed, newCpl);
  cpu.rip = offset;
}
