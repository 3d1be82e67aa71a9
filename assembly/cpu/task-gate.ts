/**
 * The ways into a task switch: far JMP and CALL to a TSS or task gate, IRET with NT, a task gate in the IDT.
 *
 * Source: SDM 3A "Task Gate Descriptor", "Task Switching"; SDM 2 "JMP", "CALL", "IRET/IRETD/IRETQ", "INT n".
 */
import { SS, TR } from "../abi";
import { FAULT_TRAP } from "../fault";
import { readSystem } from "../mem/access";
import { Vcpu } from "../vcpu";
import {
  AR_P,
  AR_TYPE,
  descriptorAr,
  TSS16_AVAILABLE,
  TSS16_BUSY,
  TSS32_AVAILABLE,
  TSS32_BUSY,
} from "../x86/descriptor";
import { RF } from "../x86/eflags";
import { GP, NP, TS } from "../x86/exception";
import { jumpTo } from "./control";
import {
  eventExt,
  fetchDescriptor,
  raiseSelector,
  systemAddress,
  systemType,
} from "./descriptor-table";
import { rflags } from "./flags";
import { commitFramePointer, openFrame, pushFrame } from "./frame";
import { nextRip, Op } from "./op";
import { switchTask, TASK_NEST, TASK_RETURN, taskRip } from "./task";

/** Fetches the descriptor of an available TSS in the GDT. Raises #GP or #NP with the selector. */
export function availableTss(cpu: Vcpu, selector: u32): u64 {
  if (selector & 4) {
    raiseSelector(cpu, GP, selector);
    return 0;
  }
  const raw = fetchDescriptor(cpu, selector, GP);
  if (cpu.fault !== 0) return 0;
  const ar = descriptorAr(raw);
  const type = systemType(ar);
  if (type !== TSS16_AVAILABLE && type !== TSS32_AVAILABLE) raiseSelector(cpu, GP, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  return raw;
}

/**
 * Switches tasks from an instruction.
 *
 * @param selector, raw - TSS that passed its checks; @param cause - TASK_* of task.ts
 */
export function switchTaskAt(cpu: Vcpu, op: Op, selector: u32, raw: u64, cause: u32): void {
  if (!switchTask(cpu, selector, raw, cause, rflags(cpu) & ~RF, nextRip(cpu, op))) return;
  jumpTo(cpu, op, taskRip);
  // A fault of the new task is reported at its first instruction, which is where the loop goes after a trap.
  if (cpu.fault !== 0) cpu.fault |= FAULT_TRAP;
}

/** IRET with NT = 1: back to the task that the back link names. */
export function returnFromTask(cpu: Vcpu, op: Op): void {
  const selector = <u32>readSystem<u16>(cpu, systemAddress(cpu, cpu.segment(TR).base));
  if (cpu.fault !== 0) return;
  if (selector & 4) {
    raiseSelector(cpu, TS, selector);
    return;
  }
  const raw = fetchDescriptor(cpu, selector, TS);
  if (cpu.fault !== 0) return;
  const ar = descriptorAr(raw);
  const type = systemType(ar);
  if (type !== TSS16_BUSY && type !== TSS32_BUSY) raiseSelector(cpu, TS, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  if (cpu.fault === 0) switchTaskAt(cpu, op, selector, raw, TASK_RETURN);
}

/** Task gate in the IDT. @param selector - the gate's TSS selector; other parameters as `deliverThroughIdt` */
export function deliverThroughTaskGate(
  cpu: Vcpu,
  selector: u32,
  hasError: bool,
  error: u32,
  image: u32,
  savedRip: u64,
): void {
  const raw = availableTss(cpu, selector);
  if (cpu.fault !== 0) return;
  if (!switchTask(cpu, selector, raw, TASK_NEST, image, savedRip)) return;
  cpu.rip = taskRip;
  // A T-bit trap waits until the error code is on the stack.
  const pending = cpu.fault;
  if (!hasError || (pending !== 0 && !(pending & FAULT_TRAP))) return;
  cpu.fault = 0;
  const stack = cpu.segment(SS);
  const width: u32 = (cpu.segment(TR).ar & AR_TYPE) === TSS16_BUSY ? 2 : 4;
  openFrame(cpu, stack.base, stack.limit, stack.ar, cpu.rsp, width, 1, eventExt);
  pushFrame(cpu, error);
  if (cpu.fault !== 0) return;
  commitFramePointer(cpu);
  cpu.fault = pending;
}
