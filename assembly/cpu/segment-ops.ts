/**
 * Handlers of the instructions that move and examine selectors.
 *
 *     8C MOV r/m,Sreg  movFromSegment      8E MOV Sreg,r/m16  movToSegment
 *     06 0E 16 1E 0FA0 0FA8  pushSegment   07 17 1F 0FA1 0FA9  popSegment
 *     C4 LES  C5 LDS  0FB2 LSS  0FB4 LFS  0FB5 LGS  loadFarPointer   (C4, C5: not in 64-bit mode)
 *     0F00 /0 SLDT /1 STR  storeSystemSegment   /2 lldt   /3 ltr   /4 VERR /5 VERW  verify
 *     0F02 lar   0F03 lsl   63 arpl (not in 64-bit mode)
 *
 * Source: SDM 2, the instructions; SDM 3A "Pointer Validation".
 */
import { CS, DS, ES, FS, GS, LDTR, SS, TR } from "../abi";
import { raise, raiseWithError } from "../fault";
import { readSystem } from "../mem/access";
import { isCanonical } from "../mem/paging";
import { SHADOW_MOV_SS, Vcpu } from "../vcpu";
import { CR4_UMIP } from "../x86/cr";
import {
  AR_CODE,
  AR_CONFORMING,
  AR_P,
  AR_READABLE,
  AR_S,
  AR_TYPE,
  AR_WRITABLE,
  CALL_GATE16,
  CALL_GATE32,
  descriptorAr,
  descriptorLimit,
  LDT,
  TASK_GATE,
  TSS16_AVAILABLE,
  TSS16_BUSY,
  TSS32_AVAILABLE,
  TSS32_BUSY,
} from "../x86/descriptor";
import { GP, NP, UD } from "../x86/exception";
import { leaveBlock } from "./control";
import {
  descriptorAddress,
  fetchDescriptor,
  fetchDescriptorHigh,
  isNull,
  markBusy,
  NO_DESCRIPTOR,
  raiseSelector,
  systemType,
} from "./descriptor-table";
import { setZero } from "./flags";
import { is64, isLong, isProtected } from "./mode";
import { ADDRESS_NONE, Op } from "./op";
import {
  farSelector,
  peek,
  poke,
  readFarPointer,
  readReg,
  readRm,
  setStackPointer,
  writeReg,
  writeRm,
} from "./operand";
import { commitNull, commitSegment, dplOf, loadSegment, segmentChanged } from "./segment";

/** Stores a selector: 16 bits to memory, zero-extended to the operand size in a register. */
function storeSelector(cpu: Vcpu, op: Op, selector: u16): void {
  if (op.kind !== ADDRESS_NONE || op.size === 2) writeRm<u16>(cpu, op, selector);
  else writeRm<u32>(cpu, op, selector);
}

/** MOV r/m, Sreg. #UD for segment numbers 6 and 7. */
export function movFromSegment(cpu: Vcpu, op: Op): void {
  if (op.extension > <u32>GS) raise(cpu, UD);
  else storeSelector(cpu, op, cpu.segment(op.extension).selector);
}

/** MOV Sreg, r/m16. #UD for CS and for numbers 6 and 7. */
export function movToSegment(cpu: Vcpu, op: Op): void {
  const n = op.extension;
  if (n === CS || n > <u32>GS) {
    raise(cpu, UD);
    return;
  }
  const selector = readRm<u16>(cpu, op);
  if (cpu.fault !== 0) return;
  loadSegment(cpu, n, selector);
  if (cpu.fault !== 0) return;
  segmentChanged(cpu);
  if (n === SS) shadowStack(cpu);
}

/** Holds interrupts and debug traps until after the next instruction: SDM 3A "Masking Exceptions and Interrupts...". */
function shadowStack(cpu: Vcpu): void {
  cpu.shadow = SHADOW_MOV_SS;
  leaveBlock();
}

/** Segment number in a one-byte or 0F opcode of PUSH and POP Sreg. */
function opcodeSegment(op: Op): u32 {
  return (op.opcode >> 3) & 7;
}

/** PUSH Sreg. With 32-bit operands the two bytes above the selector stay, as on recent CPUs (SDM 2 "PUSH"). */
export function pushSegment(cpu: Vcpu, op: Op): void {
  const selector = cpu.segment(opcodeSegment(op)).selector;
  const size = op.size;
  if (size === 8) poke<u64>(cpu, -8, selector);
  else poke<u16>(cpu, -(<u64>size), selector);
  if (cpu.fault === 0) setStackPointer(cpu, cpu.rsp - size);
}

/** POP Sreg. SP is counted in the width of the old SS. */
export function popSegment(cpu: Vcpu, op: Op): void {
  const n = opcodeSegment(op);
  const selector = peek<u16>(cpu, 0);
  if (cpu.fault !== 0) return;
  loadSegment(cpu, n, selector);
  if (cpu.fault !== 0) return;
  setStackPointer(cpu, cpu.rsp + op.size);
  segmentChanged(cpu);
  if (n === SS) shadowStack(cpu);
}

function farPointerSegment(op: Op): u32 {
  switch (op.opcode) {
    case 0xc4:
      return ES;
    case 0xc5:
      return DS;
    case 0x1b2:
      return SS;
    case 0x1b4:
      return FS;
    default:
      return GS;
  }
}

/** LDS, LES, LSS, LFS, LGS: offset into a register, selector into a segment register. #UD with a register operand. */
export function loadFarPointer(cpu: Vcpu, op: Op): void {
  if (op.kind === ADDRESS_NONE) {
    raise(cpu, UD);
    return;
  }
  const offset = readFarPointer(cpu, op);
  if (cpu.fault !== 0) return;
  const n = farPointerSegment(op);
  loadSegment(cpu, n, farSelector);
  if (cpu.fault !== 0) return;
  if (op.size === 2) writeReg<u16>(cpu, op, <u16>offset);
  else writeReg<u64>(cpu, op, offset);
  segmentChanged(cpu);
}

/** #UD outside protected mode. @returns false with the fault raised */
function needProtected(cpu: Vcpu): bool {
  if (!isProtected(cpu)) raise(cpu, UD);
  return cpu.fault === 0;
}

/** SLDT, STR. #UD outside protected mode; #GP(0) in ring > 0 under CR4.UMIP. */
export function storeSystemSegment(cpu: Vcpu, op: Op): void {
  if (!needProtected(cpu)) return;
  if (cpu.cpl !== 0 && cpu.cr4 & CR4_UMIP) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  storeSelector(cpu, op, cpu.segment(op.extension === 0 ? LDTR : TR).selector);
}

/** Checks of LLDT and LTR on mode and privilege; reads the selector. @returns -1 with a fault raised */
function systemSelector(cpu: Vcpu, op: Op): i32 {
  if (!needProtected(cpu)) return -1;
  if (cpu.cpl !== 0) {
    raiseWithError(cpu, GP, 0);
    return -1;
  }
  const selector = <i32>readRm<u16>(cpu, op);
  if (cpu.fault !== 0) return -1;
  if (selector & 4) raiseSelector(cpu, GP, selector);
  return cpu.fault !== 0 ? -1 : selector;
}

/** Upper half of the base of a system descriptor: 64-bit mode only. #GP(selector) when the base is not canonical. */
function highBase(cpu: Vcpu, selector: u32, low: u64): u64 {
  const high = fetchDescriptorHigh(cpu, selector, GP) << 32;
  const base = high | (<u64>(<u32>(low >> 16) & 0xffffff) | ((low >> 32) & 0xff000000));
  if (cpu.fault === 0 && !isCanonical(base)) raiseSelector(cpu, GP, selector);
  return high;
}

/** LLDT r/m16. */
export function lldt(cpu: Vcpu, op: Op): void {
  const selector = systemSelector(cpu, op);
  if (selector < 0) return;
  if (isNull(selector)) {
    commitNull(cpu, LDTR, selector);
    return;
  }
  const raw = fetchDescriptor(cpu, selector, GP);
  if (cpu.fault !== 0) return;
  const ar = descriptorAr(raw);
  if (systemType(ar) !== LDT) raiseSelector(cpu, GP, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  const high = is64(cpu) && cpu.fault === 0 ? highBase(cpu, selector, raw) : 0;
  if (cpu.fault !== 0) return;
  commitSegment(cpu, LDTR, selector, raw);
  cpu.segment(LDTR).base |= high;
}

/** LTR r/m16: loads TR and marks the TSS busy. */
export function ltr(cpu: Vcpu, op: Op): void {
  const selector = systemSelector(cpu, op);
  if (selector < 0) return;
  if (isNull(selector)) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  const raw = fetchDescriptor(cpu, selector, GP);
  if (cpu.fault !== 0) return;
  const ar = descriptorAr(raw);
  const type = systemType(ar);
  if (type !== TSS32_AVAILABLE && (type !== TSS16_AVAILABLE || isLong(cpu)))
    raiseSelector(cpu, GP, selector);
  else if (!(ar & AR_P)) raiseSelector(cpu, NP, selector);
  const high = is64(cpu) && cpu.fault === 0 ? highBase(cpu, selector, raw) : 0;
  if (cpu.fault !== 0) return;
  markBusy(cpu, selector, true);
  if (cpu.fault !== 0) return;
  commitSegment(cpu, TR, selector, raw);
  const tr = cpu.segment(TR);
  tr.base |= high;
  tr.ar |= 2;
}

/**
 * Fetches a descriptor for LAR, LSL, VERR and VERW, which tell of a bad selector by ZF = 0.
 *
 * @returns access rights, or 0 when the selector is null, beyond its table or not visible at this privilege; the raw
 *   descriptor is in `examined`
 */
function examine(cpu: Vcpu, selector: u32): u32 {
  if (isNull(selector)) return 0;
  const gva = descriptorAddress(cpu, selector, 8);
  if (gva === NO_DESCRIPTOR) return 0;
  examined = readSystem<u64>(cpu, gva);
  if (cpu.fault !== 0) return 0;
  // Bit 8 of the access rights is never set in a descriptor: it keeps a legal 0 apart from "not visible".
  const ar = descriptorAr(examined) | VISIBLE;
  if ((ar & (AR_S | AR_CODE | AR_CONFORMING)) === (AR_S | AR_CODE | AR_CONFORMING)) return ar;
  const dpl = dplOf(ar);
  return cpu.cpl > dpl || (selector & 3) > dpl ? 0 : ar;
}

const VISIBLE: u32 = 0x100;
let examined: u64 = 0;

/** System descriptor types that LAR accepts, one bit a type. */
const LAR_LEGACY: u32 =
  (1 << TSS16_AVAILABLE) |
  (1 << LDT) |
  (1 << TSS16_BUSY) |
  (1 << CALL_GATE16) |
  (1 << TASK_GATE) |
  (1 << TSS32_AVAILABLE) |
  (1 << TSS32_BUSY) |
  (1 << CALL_GATE32);
const LAR_LONG: u32 = (1 << LDT) | (1 << TSS32_AVAILABLE) | (1 << TSS32_BUSY) | (1 << CALL_GATE32);
const GATES: u32 = (1 << CALL_GATE16) | (1 << TASK_GATE) | (1 << CALL_GATE32);

function isAccepted(cpu: Vcpu, ar: u32, types: u32): bool {
  return ar !== 0 && (ar & AR_S || (types >> (ar & AR_TYPE)) & 1) ? true : false;
}

/**
 * LAR r, r/m16: access rights of a descriptor. Bits 19:16 of the result, undefined in the manual, are those of the
 * limit, as on silicon.
 */
export function lar(cpu: Vcpu, op: Op): void {
  if (!needProtected(cpu)) return;
  const selector = readRm<u16>(cpu, op);
  if (cpu.fault !== 0) return;
  const ar = examine(cpu, selector);
  if (cpu.fault !== 0) return;
  const ok = isAccepted(cpu, ar, isLong(cpu) ? LAR_LONG : LAR_LEGACY);
  if (ok) {
    const rights = <u32>(examined >> 32) & 0x00ffff00;
    if (op.size === 2) writeReg<u16>(cpu, op, <u16>rights);
    else writeReg<u32>(cpu, op, rights);
  }
  setZero(cpu, ok);
}

/** LSL r, r/m16: limit of a descriptor in bytes. */
export function lsl(cpu: Vcpu, op: Op): void {
  if (!needProtected(cpu)) return;
  const selector = readRm<u16>(cpu, op);
  if (cpu.fault !== 0) return;
  const ar = examine(cpu, selector);
  if (cpu.fault !== 0) return;
  const ok = isAccepted(cpu, ar, (isLong(cpu) ? LAR_LONG : LAR_LEGACY) & ~GATES);
  if (ok) {
    const limit = descriptorLimit(examined);
    if (op.size === 2) writeReg<u16>(cpu, op, <u16>limit);
    else writeReg<u32>(cpu, op, limit);
  }
  setZero(cpu, ok);
}

/** VERR (0F 00 /4), VERW (/5) r/m16: ZF = 1 when the segment may be read or written at this privilege. */
export function verify(cpu: Vcpu, op: Op): void {
  if (!needProtected(cpu)) return;
  const selector = readRm<u16>(cpu, op);
  if (cpu.fault !== 0) return;
  const ar = examine(cpu, selector);
  if (cpu.fault !== 0) return;
  let ok = (ar & AR_S) !== 0;
  if (op.extension === 4) ok = ok && (ar & (AR_CODE | AR_READABLE)) !== AR_CODE;
  else ok = ok && (ar & (AR_CODE | AR_WRITABLE)) === AR_WRITABLE;
  setZero(cpu, ok);
}

/** ARPL r/m16, r16: raises the RPL of a selector to that of another. Memory is only written when the RPL changes. */
export function arpl(cpu: Vcpu, op: Op): void {
  if (!needProtected(cpu)) return;
  const selector = readRm<u16>(cpu, op);
  if (cpu.fault !== 0) return;
  const rpl = readReg<u16>(cpu, op) & 3;
  const isLower = (selector & 3) < rpl;
  if (isLower) {
    writeRm<u16>(cpu, op, (selector & ~3) | rpl);
    if (cpu.fault !== 0) return;
  }
  setZero(cpu, isLower);
}
