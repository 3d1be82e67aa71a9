/**
 * A stack frame on a stack that may not be current yet: what interrupts, call gates and far calls push.
 *
 * All limits and, where the frame crosses a page, all pages are checked before the first byte is written, so that a
 * frame is written whole or not at all.
 */
import { raiseWithError } from "../fault";
import { checkWrite, write } from "../mem/access";
import { isCanonical } from "../mem/paging";
import { updateTlbTag } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { AR_DB, AR_EXPAND_DOWN, AR_UNUSABLE } from "../x86/descriptor";
import { SS_FAULT } from "../x86/exception";
import { isProtected } from "./mode";

const PAGE: u64 = ~(<u64>0xfff);

let base: u64 = 0;
let mask: u64 = 0;
let addressMask: u64 = 0;
let width: u32 = 0;

/** Offset of the last element pushed: the stack pointer to commit when the frame is whole. */
export let framePointer: u64 = 0;

/** Sets the privilege with which a frame is written. To be restored by the caller when the frame fails. */
export function setCpl(cpu: Vcpu, cpl: u32): void {
  cpu.cpl = cpl;
  updateTlbTag(cpu);
}

function inLimit(limit: u32, ar: u32, offset: u64, size: u32): bool {
  if (ar & AR_UNUSABLE) return false;
  const last = offset + size - 1;
  if (!(ar & AR_EXPAND_DOWN)) return last <= limit;
  return offset > limit && last <= (ar & AR_DB ? 0xffffffff : 0xffff);
}

/** Checks the pages of a frame that crosses one. */
function checkPages(cpu: Vcpu, sp: u64, count: u32): bool {
  const first = (base + ((sp - width) & mask)) & addressMask;
  const last = (base + ((sp - <u64>count * width) & mask)) & addressMask;
  if (((first + width - 1) & PAGE) === (last & PAGE)) return true;
  for (let i: u32 = 1; i <= count; i++) {
    const gva = (base + ((sp - <u64>i * width) & mask)) & addressMask;
    if (!checkWrite(cpu, gva, width, width)) return false;
  }
  return true;
}

/**
 * Opens a frame on a 16- or 32-bit stack.
 *
 * @param segmentBase, limit, ar - of the stack segment; SS.B gives the width of the stack pointer
 * @param sp - stack pointer before the frame
 * @param elementBytes - 2, 4 or 8; @param count - elements that will be pushed
 * @param error - error code of the #SS when the segment does not hold the frame
 * @returns false with a fault raised
 */
export function openFrame(
  cpu: Vcpu,
  segmentBase: u64,
  limit: u32,
  ar: u32,
  sp: u64,
  elementBytes: u32,
  count: u32,
  error: u32,
): bool {
  base = segmentBase;
  mask = ar & AR_DB ? 0xffffffff : 0xffff;
  addressMask = 0xffffffff;
  width = elementBytes;
  framePointer = sp & mask;
  // Expand-down is a notion of protected mode; the bit may linger in real-address mode.
  const rights = isProtected(cpu) ? ar : ar & ~AR_EXPAND_DOWN;
  for (let i: u32 = 1; i <= count; i++) {
    if (!inLimit(limit, rights, (sp - <u64>i * width) & mask, width)) {
      raiseWithError(cpu, SS_FAULT, error);
      return false;
    }
  }
  return checkPages(cpu, sp, count);
}

/** Opens a frame of `count` elements on a 64-bit stack. @param error - of the #SS when it is not canonical */
export function openFrame64(cpu: Vcpu, sp: u64, elementBytes: u32, count: u32, error: u32): bool {
  base = 0;
  mask = -1;
  addressMask = -1;
  width = elementBytes;
  framePointer = sp;
  if (!isCanonical(sp - 1) || !isCanonical(sp - <u64>count * width)) {
    raiseWithError(cpu, SS_FAULT, error);
    return false;
  }
  return checkPages(cpu, sp, count);
}

/** Pushes one element, truncated to the element size. */
export function pushFrame(cpu: Vcpu, value: u64): void {
  if (cpu.fault !== 0) return;
  const offset = (framePointer - width) & mask;
  const gva = (base + offset) & addressMask;
  if (width === 4) write<u32>(cpu, gva, <u32>value);
  else if (width === 8) write<u64>(cpu, gva, value);
  else write<u16>(cpu, gva, <u16>value);
  framePointer = offset;
}

/** Stores the frame's stack pointer in RSP, ESP or SP, by the width of the stack that was opened. */
export function commitFramePointer(cpu: Vcpu): void {
  if (mask === 0xffff) cpu.rsp = (cpu.rsp & ~mask) | framePointer;
  else cpu.rsp = framePointer;
}
