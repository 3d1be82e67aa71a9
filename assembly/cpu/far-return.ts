/**
 * Return to a code segment of the same or an outer privilege level: what RETF and IRET have in common.
 *
 * Source: SDM 2 "RET", "IRET/IRETD/IRETQ"; SDM 3A "Returning from a Called Procedure".
 */
import { SS } from "../abi";
import { raiseWithError } from "../fault";
import { isCanonical } from "../mem/paging";
import { Vcpu } from "../vcpu";
import { AR_CONFORMING, AR_DB, AR_P, descriptorAr, descriptorLimit } from "../x86/descriptor";
import { GP, NP } from "../x86/exception";
import { fetchDescriptor, isNull, markAccessed, raiseSelector } from "./descriptor-table";
import { linear } from "./address";
import { peek, setStackPointer, stackMask } from "./operand";
import {
  checkStackSegment,
  commitCode,
  commitNull,
  commitSegment,
  dplOf,
  dropInnerSegments,
  hasLegalSize,
  isCode,
  isCode64,
  mayNullStack,
} from "./segment";

/** Reads a stack element. @param offset - bytes above SP; @param size - 2, 4 or 8 */
export function peekSized(cpu: Vcpu, offset: u64, size: u32): u64 {
  if (size === 4) return peek<u32>(cpu, offset);
  return size === 8 ? peek<u64>(cpu, offset) : <u64>peek<u16>(cpu, offset);
}

/**
 * False, with #SS(0) raised, unless the limit of the stack allows `count` elements at its top: before any of them is read.
 *
 * SDM 2 "RET", "IRET/IRETD/IRETQ": "top ... bytes of stack not within stack limits".
 */
export function frameWithin(cpu: Vcpu, count: u32, size: u32): bool {
  for (let i: u32 = 0; i < count && cpu.fault === 0; i++)
    linear(cpu, SS, (cpu.rsp + i * size) & stackMask(cpu), size, false);
  return cpu.fault === 0;
}

/** Checks the CS selector of a return. @returns its descriptor; meaningless when `cpu.fault` is set */
function returnCode(cpu: Vcpu, selector: u32): u64 {
  if (isNull(selector)) {
    raiseWithError(cpu, GP, 0);
    return 0;
  }
  const raw = fetchDescriptor(cpu, selector, GP);
  if (cpu.fault !== 0) return 0;
  const ar = descriptorAr(raw);
  const rpl = selector & 3;
  const isAllowed = ar & AR_CONFORMING ? dplOf(ar) <= rpl : dplOf(ar) === rpl;
  if (!isCode(ar) || rpl < cpu.cpl || !isAllowed || !hasLegalSize(cpu, ar))
    raiseSelector(cpu, GP, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  return raw;
}

/** True when `rip` may be the next RIP in a code segment; else raises #GP(EXT). */
export function checkTarget(cpu: Vcpu, raw: u64, rip: u64): bool {
  const ok = isCode64(cpu, descriptorAr(raw)) ? isCanonical(rip) : rip <= descriptorLimit(raw);
  if (!ok) raiseSelector(cpu, GP, 0);
  return ok;
}

/**
 * Returns in protected or IA-32e mode: checks everything, then loads CS, SS and RSP. RIP and RFLAGS are left to the
 * caller, and so is `updateMode`.
 *
 * @param size - operand size; @param taken - bytes above SP that hold RIP, CS and what follows up to SS:RSP
 * @param released - parameter bytes that the outer stack is moved by as well (RETF imm16); part of `taken`
 * @param rip, selector - popped already
 * @param popsStack - SS:RSP is popped at the same level too: IRET in 64-bit mode
 * @returns false with a fault raised and nothing changed
 */
export function returnFar(
  cpu: Vcpu,
  size: u32,
  taken: u64,
  released: u32,
  rip: u64,
  selector: u32,
  popsStack: bool,
): bool {
  const raw = returnCode(cpu, selector);
  if (cpu.fault !== 0) return false;
  const cpl = selector & 3;
  const isOuter = cpl !== cpu.cpl;
  if (!isOuter && !popsStack) {
    if (!checkTarget(cpu, raw, rip)) return false;
    const accessed = markAccessed(cpu, selector, raw);
    if (cpu.fault !== 0) return false;
    setStackPointer(cpu, cpu.rsp + taken);
    commitCode(cpu, selector, accessed, cpl);
    return true;
  }
  const sp = peekSized(cpu, taken, size) + released;
  const stack = <u32>peekSized(cpu, taken + size, size) & 0xffff;
  if (cpu.fault !== 0) return false;
  const to64 = isCode64(cpu, descriptorAr(raw));
  // At the same level silicon looks at RIP before SS; to an outer level the manual has SS first.
  if (!isOuter && !checkTarget(cpu, raw, rip)) return false;
  let stackRaw: u64 = 0;
  if (!isNull(stack)) stackRaw = checkStackSegment(cpu, stack, cpl, GP);
  else if (!mayNullStack(to64, cpl, stack)) raiseWithError(cpu, GP, 0);
  if (cpu.fault !== 0 || !checkTarget(cpu, raw, rip)) return false;
  const accessed = markAccessed(cpu, selector, raw);
  if (cpu.fault === 0 && !isNull(stack)) stackRaw = markAccessed(cpu, stack, stackRaw);
  if (cpu.fault !== 0) return false;
  commitCode(cpu, selector, accessed, cpl);
  if (isNull(stack)) commitNull(cpu, SS, stack);
  else commitSegment(cpu, SS, stack, stackRaw);
  if (to64) cpu.rsp = sp;
  else if (descriptorAr(stackRaw) & AR_DB) cpu.rsp = <u32>sp;
  // A 16-bit stack takes SP alone; the bits above it are those of the stack that was left.
  else cpu.rsp = (cpu.rsp & ~(<u64>0xffff)) | (sp & 0xffff);
  if (isOuter) dropInnerSegments(cpu);
  return true;
}
