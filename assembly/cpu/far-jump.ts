/**
 * Handlers of far transfers: EA, FF /5 jumpFar; 9A, FF /3 callFar; CB, CA retFar.
 *
 * Direct forms are #UD in 64-bit mode (the decoder's business). Source: SDM 2 "JMP", "CALL", "RET"; SDM 3A "Privilege
 * Level Checking When Transferring Program Control Between Code Segments".
 */
import { CS, SS } from "../abi";
import { raise, raiseWithError } from "../fault";
import { Vcpu } from "../vcpu";
import {
  AR_CONFORMING,
  AR_P,
  CALL_GATE16,
  CALL_GATE32,
  descriptorAr,
  TASK_GATE,
  TSS16_AVAILABLE,
  TSS32_AVAILABLE,
} from "../x86/descriptor";
import { GP, NP, UD } from "../x86/exception";
import { callThroughGate, jumpThroughGate } from "./call-gate";
import { jumpTo } from "./control";
import {
  fetchDescriptor,
  isNull,
  markAccessed,
  raiseSelector,
  systemType,
} from "./descriptor-table";
import { checkTarget, frameWithin, peekSized, returnFar } from "./far-return";
import { commitFramePointer, openFrame, openFrame64, pushFrame } from "./frame";
import { is64, isLong, isProtected, updateDecoding, updateMode } from "./mode";
import { ADDRESS_NONE, nextRip, Op } from "./op";
import { farSelector, readFarPointer, setStackPointer } from "./operand";
import { commitCode, commitParagraph, dplOf, hasLegalSize, isCode } from "./segment";
import { TASK_JUMP, TASK_NEST } from "./task";
import { availableTss, switchTaskAt } from "./task-gate";

const JMP_DIRECT: u32 = 0xea;
const CALL_DIRECT: u32 = 0x9a;
const RET_IMMEDIATE: u32 = 0xca;

let selector: u32 = 0;
let offset: u64 = 0;

/** Reads the far pointer operand into `selector` and `offset`. #UD for a register operand. */
function readTarget(cpu: Vcpu, op: Op): bool {
  if (op.opcode === JMP_DIRECT || op.opcode === CALL_DIRECT) {
    selector = <u32>(op.imm >> 32) & 0xffff;
    offset = <u32>op.imm;
    return true;
  }
  if (op.kind === ADDRESS_NONE) {
    raise(cpu, UD);
    return false;
  }
  offset = readFarPointer(cpu, op);
  selector = farSelector;
  return cpu.fault === 0;
}

/** JMP far: to code, through a call gate, to another task. */
export function jumpFar(cpu: Vcpu, op: Op): void {
  if (!readTarget(cpu, op)) return;
  if (isProtected(cpu)) transfer(cpu, op, false);
  else paragraph(cpu, op, false);
}

/** CALL far: to code, through a call gate, to another task. */
export function callFar(cpu: Vcpu, op: Op): void {
  if (!readTarget(cpu, op)) return;
  if (isProtected(cpu)) transfer(cpu, op, true);
  else paragraph(cpu, op, true);
}

/** Opens the return frame of a far call on the current stack. */
export function openReturnFrame(cpu: Vcpu, size: u32): bool {
  if (is64(cpu)) return openFrame64(cpu, cpu.rsp, size, 2, 0);
  const stack = cpu.segment(SS);
  return openFrame(cpu, stack.base, stack.limit, stack.ar, cpu.rsp, size, 2, 0);
}

/** Real-address and virtual-8086 mode. */
function paragraph(cpu: Vcpu, op: Op, isCall: bool): void {
  if (isCall && !openReturnFrame(cpu, op.size)) return;
  if (offset > cpu.segment(CS).limit) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  if (isCall && !pushReturn(cpu, op)) return;
  commitParagraph(cpu, CS, selector);
  updateDecoding(cpu);
  jumpTo(cpu, op, offset);
}

function pushReturn(cpu: Vcpu, op: Op): bool {
  pushFrame(cpu, cpu.segment(CS).selector);
  pushFrame(cpu, nextRip(cpu, op));
  if (cpu.fault !== 0) return false;
  commitFramePointer(cpu);
  return true;
}

/** Protected and IA-32e mode: by the type of the descriptor. */
function transfer(cpu: Vcpu, op: Op, isCall: bool): void {
  if (isNull(selector)) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  const raw = fetchDescriptor(cpu, selector, GP);
  if (cpu.fault !== 0) return;
  const ar = descriptorAr(raw);
  if (isCode(ar)) {
    toCode(cpu, op, raw, isCall);
    return;
  }
  const type = systemType(ar);
  const isTask = type === TASK_GATE || type === TSS16_AVAILABLE || type === TSS32_AVAILABLE;
  const isGate = type === CALL_GATE32 || (type === CALL_GATE16 && !isLong(cpu));
  const dpl = dplOf(ar);
  const isVisible = dpl >= cpu.cpl && dpl >= (selector & 3);
  if (!isVisible || !(isGate || (isTask && !isLong(cpu)))) raiseSelector(cpu, GP, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  else if (isTask)
    toTask(cpu, op, type === TASK_GATE ? <u32>(raw >> 16) & 0xffff : selector, isCall);
  else if (isCall) callThroughGate(cpu, op, selector, raw);
  else jumpThroughGate(cpu, op, selector, raw);
}

function toTask(cpu: Vcpu, op: Op, tss: u32, isCall: bool): void {
  const raw = availableTss(cpu, tss);
  if (cpu.fault === 0) switchTaskAt(cpu, op, tss, raw, isCall ? TASK_NEST : TASK_JUMP);
}

/** Directly to a code segment: the privilege level stays. */
function toCode(cpu: Vcpu, op: Op, raw: u64, isCall: bool): void {
  const ar = descriptorAr(raw);
  const dpl = dplOf(ar);
  const isAllowed = ar & AR_CONFORMING ? dpl <= cpu.cpl : dpl === cpu.cpl && (selector & 3) <= dpl;
  if (!isAllowed || !hasLegalSize(cpu, ar)) raiseSelector(cpu, GP, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  if (cpu.fault !== 0) return;
  if (isCall && !openReturnFrame(cpu, op.size)) return;
  if (!checkTarget(cpu, raw, offset)) return;
  const accessed = markAccessed(cpu, selector, raw);
  if (cpu.fault !== 0) return;
  if (isCall && !pushReturn(cpu, op)) return;
  commitCode(cpu, selector, accessed, cpu.cpl);
  updateDecoding(cpu);
  jumpTo(cpu, op, offset);
}

/** RETF, RETF imm16. */
export function retFar(cpu: Vcpu, op: Op): void {
  const size = op.size;
  const released = op.opcode === RET_IMMEDIATE ? <u32>op.imm & 0xffff : 0;
  if (!frameWithin(cpu, 2, size)) return;
  const rip = peekSized(cpu, 0, size);
  const code = <u32>peekSized(cpu, size, size) & 0xffff;
  if (cpu.fault !== 0) return;
  const taken = size * 2 + released;
  if (isProtected(cpu)) {
    if (!returnFar(cpu, size, taken, released, rip, code, false)) return;
  } else {
    if (rip > cpu.segment(CS).limit) {
      raiseWithError(cpu, GP, 0);
      return;
    }
    setStackPointer(cpu, cpu.rsp + taken);
    commitParagraph(cpu, CS, code);
  }
  updateMode(cpu);
  jumpTo(cpu, op, rip);
}
