/**
 * Call gates of 16, 32 and 64 bits, with their change of privilege, stack switch and parameter copy.
 *
 * Source: SDM 3A "Call Gates", "IA-32e Mode Call Gates", "Accessing a Code Segment Through a Call Gate", "Stack
 * Switching"; SDM 2 "CALL", CALL-GATE.
 */
import { CS, SS } from "../abi";
import { raiseWithError } from "../fault";
import { Vcpu } from "../vcpu";
import {
  AR_CONFORMING,
  AR_DB,
  AR_L,
  AR_P,
  CALL_GATE16,
  descriptorAr,
  descriptorBase,
  descriptorLimit,
} from "../x86/descriptor";
import { GP, NP } from "../x86/exception";
import { jumpTo } from "./control";
import {
  fetchDescriptor,
  fetchDescriptorHigh,
  isNull,
  markAccessed,
  raiseSelector,
  systemType,
} from "./descriptor-table";
import { checkTarget, peekSized } from "./far-return";
import { commitFramePointer, openFrame, openFrame64, pushFrame, setCpl } from "./frame";
import {
  innerPointer,
  innerRaw,
  innerSelector,
  readInnerRsp,
  readInnerStack,
  rspSlot,
  touchInnerStack,
} from "./inner-stack";
import { isLong, updateMode } from "./mode";
import { nextRip, Op } from "./op";
import { commitCode, commitNull, commitSegment, dplOf, isCode } from "./segment";

/** Parameters of a call, read before anything is written: up to 31 elements. */
const parameters: usize = memory.data(31 * 8, 8);

let selector: u32 = 0;
let offset: u64 = 0;
let width: u32 = 0;
let code: u64 = 0;

/**
 * Reads the gate's target into `selector`, `offset`, `width` and `code`, and checks it.
 *
 * @param gateSelector, gate - a present gate that is visible at this privilege
 */
function openGate(cpu: Vcpu, gateSelector: u32, gate: u64, isCall: bool): bool {
  const long = isLong(cpu);
  const is16 = systemType(descriptorAr(gate)) === CALL_GATE16;
  selector = <u32>(gate >> 16) & 0xffff;
  offset = gate & 0xffff;
  width = is16 ? 2 : long ? 8 : 4;
  if (!is16) offset |= (gate >> 32) & 0xffff0000;
  if (long) offset |= fetchDescriptorHigh(cpu, gateSelector, GP) << 32;
  if (cpu.fault !== 0) return false;
  if (isNull(selector)) {
    raiseWithError(cpu, GP, 0);
    return false;
  }
  code = fetchDescriptor(cpu, selector, GP);
  if (cpu.fault !== 0) return false;
  const ar = descriptorAr(code);
  const dpl = dplOf(ar);
  const isAllowed = isCall || ar & AR_CONFORMING ? dpl <= cpu.cpl : dpl === cpu.cpl;
  const hasSize = !long || (ar & (AR_L | AR_DB)) === AR_L;
  if (!isCode(ar) || !isAllowed || !hasSize) raiseSelector(cpu, GP, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  return cpu.fault === 0;
}

/** JMP through a call gate: the privilege level stays, and so does the stack. */
export function jumpThroughGate(cpu: Vcpu, op: Op, gateSelector: u32, gate: u64): void {
  if (!openGate(cpu, gateSelector, gate, false) || !checkTarget(cpu, code, offset)) return;
  if (touch(cpu)) enter(cpu, op, cpu.cpl);
}

/** Marks the code descriptor accessed when all else is checked. @returns false with a fault raised */
function touch(cpu: Vcpu): bool {
  if (cpu.fault === 0) code = markAccessed(cpu, selector, code);
  return cpu.fault === 0;
}

function enter(cpu: Vcpu, op: Op, cpl: u32): void {
  commitCode(cpu, selector, code, cpl);
  updateMode(cpu);
  jumpTo(cpu, op, offset);
}

/** CALL through a call gate. A non-conforming target of an inner level gets the stack of that level. */
export function callThroughGate(cpu: Vcpu, op: Op, gateSelector: u32, gate: u64): void {
  if (!openGate(cpu, gateSelector, gate, true)) return;
  const ar = descriptorAr(code);
  const cpl = ar & AR_CONFORMING ? cpu.cpl : dplOf(ar);
  if (cpl !== cpu.cpl) {
    if (width === 8) callInner64(cpu, op, cpl);
    else callInner(cpu, op, cpl, <u32>(gate >> 32) & 31);
    return;
  }
  if (width === 8) openFrame64(cpu, cpu.rsp, 8, 2, 0);
  else {
    const stack = cpu.segment(SS);
    openFrame(cpu, stack.base, stack.limit, stack.ar, cpu.rsp, width, 2, 0);
  }
  if (cpu.fault !== 0 || !checkTarget(cpu, code, offset) || !touch(cpu)) return;
  pushReturn(cpu, op);
  if (cpu.fault !== 0) return;
  commitFramePointer(cpu);
  enter(cpu, op, cpl);
}

function pushReturn(cpu: Vcpu, op: Op): void {
  pushFrame(cpu, cpu.segment(CS).selector);
  pushFrame(cpu, nextRip(cpu, op));
}

/** To an inner level of protected mode: SS, ESP, the parameters, CS and EIP go to the stack that the TSS names. */
function callInner(cpu: Vcpu, op: Op, cpl: u32, count: u32): void {
  if (!readInnerStack(cpu, cpl)) return;
  const outerCpl = cpu.cpl;
  const base = descriptorBase(innerRaw);
  const limit = descriptorLimit(innerRaw);
  const ar = descriptorAr(innerRaw);
  setCpl(cpu, cpl);
  openFrame(cpu, base, limit, ar, innerPointer, width, 4 + count, innerSelector & 0xfffc);
  if (cpu.fault === 0) checkTarget(cpu, code, offset);
  setCpl(cpu, outerCpl);
  for (let i: u32 = 0; i < count && cpu.fault === 0; i++) {
    store<u64>(parameters + (i << 3), peekSized(cpu, i * width, width));
  }
  if (!touch(cpu) || !touchInnerStack(cpu)) return;
  setCpl(cpu, cpl);
  pushFrame(cpu, cpu.segment(SS).selector);
  pushFrame(cpu, cpu.rsp);
  for (let i = count; i > 0; i--) pushFrame(cpu, load<u64>(parameters + ((i - 1) << 3)));
  pushReturn(cpu, op);
  if (cpu.fault !== 0) {
    setCpl(cpu, outerCpl);
    return;
  }
  commitSegment(cpu, SS, innerSelector, innerRaw);
  commitFramePointer(cpu);
  enter(cpu, op, cpl);
}

/** To an inner level of IA-32e mode: SS, RSP, CS and RIP go to RSP0..2 of the TSS; SS becomes null. */
function callInner64(cpu: Vcpu, op: Op, cpl: u32): void {
  const rsp = readInnerRsp(cpu, rspSlot(cpl));
  if (cpu.fault !== 0) return;
  const outerCpl = cpu.cpl;
  setCpl(cpu, cpl);
  if (openFrame64(cpu, rsp, 8, 4, 0)) checkTarget(cpu, code, offset);
  touch(cpu);
  pushFrame(cpu, cpu.segment(SS).selector);
  pushFrame(cpu, cpu.rsp);
  pushReturn(cpu, op);
  if (cpu.fault !== 0) {
    setCpl(cpu, outerCpl);
    return;
  }
  commitNull(cpu, SS, cpl);
  commitFramePointer(cpu);
  enter(cpu, op, cpl);
}
