/**
 * The short way into and out of handlers: an event through a 64-bit gate, and IRETQ, where nothing can go wrong.
 *
 * Both first look, then act: each returns false with nothing changed unless every structure concerned (gate, descriptors,
 * TSS, frame) is in the TLB and every check of the exact path (gate.ts, iret.ts) would pass without a fault and without
 * an accessed bit to set. Descriptors are read from memory each time, so a changed table is honoured at once; what was
 * entered or returned to before has a shorter way still (known-gate.ts, known-segments.ts).
 */
import { CS, SS, TR } from "../abi";
import { TlbView } from "../mem/access";
import { isCanonical } from "../mem/paging";
import { updateTlbTag } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import {
  AR_ACCESSED,
  AR_CODE,
  AR_CONFORMING,
  AR_DB,
  AR_L,
  AR_P,
  AR_S,
  AR_WRITABLE,
  descriptorAr,
} from "../x86/descriptor";
import { AC_FLAG, ARITHMETIC, FLAG_FIXED } from "../x86/eflags";
import { leaveBlock } from "./control";
import { isNull } from "./descriptor-table";
import { clearFlags, EVENT_GATE, GATE_BITS, gateRip } from "./event-gate";
import { setArithmetic } from "./flags";
import { setCpl } from "./frame";
import { istSlot, rspSlot } from "./inner-stack";
import { KnownGate } from "./known-gate";
import { KnownSegments } from "./known-segments";
import { commitCode, commitNull, commitSegment, dplOf, dropInnerSegments } from "./segment";

// What is looked at of a code and of a stack descriptor, and what it has to be.
const CODE_BITS: u32 = AR_P | AR_S | AR_CODE | AR_CONFORMING | AR_ACCESSED | AR_L | AR_DB;
const CODE64: u32 = AR_P | AR_S | AR_CODE | AR_ACCESSED | AR_L;
const STACK_BITS: u32 = AR_P | AR_S | AR_CODE | AR_WRITABLE | AR_ACCESSED;
const STACK: u32 = AR_P | AR_S | AR_WRITABLE | AR_ACCESSED;
const GATE_BYTES: u32 = 16;

/** Host address of a descriptor of the GDT that is in the TLB; else 0. @inline */
function descriptorHost(cpu: Vcpu, selector: u32): usize {
  if (selector & 4 || isNull(selector) || (selector | 7) > cpu.gdtrLimit) return 0;
  return TlbView.read(cpu, cpu.gdtrBase + (selector & 0xfff8), 8, cpu.asid);
}

/** A descriptor of the GDT that is in the TLB; else 0, which is not present. */
export function knownDescriptor(cpu: Vcpu, selector: u32): u64 {
  const host = descriptorHost(cpu, selector);
  return host === 0 ? 0 : load<u64>(host);
}

/** RSP0..2 or IST1..7 of a TSS that is in the TLB; else NO_STACK. */
function knownStack(cpu: Vcpu, slot: u32): u64 {
  const tr = cpu.segment(TR);
  if (slot + 7 > tr.limit) return NO_STACK;
  const host = TlbView.read(cpu, tr.base + slot, 8, cpu.asid);
  return host === 0 ? NO_STACK : load<u64>(host);
}

/** Not canonical: no TLB entry ever matches it. */
const NO_STACK: u64 = (<u64>1) << 63;

/**
 * Delivers an event: from 64-bit code to 64-bit code of the same or an inner level.
 *
 * Source: SDM 3A "64-Bit Mode Stack Frame", "Interrupt Stack Table".
 *
 * @param ext - 0 for INT n, INT3, INTO, which the gate's DPL may refuse; @param image - RFLAGS to save;
 * @param savedRip - RIP to save
 * @returns false, with nothing changed, when the exact path has to do it
 */
export function enterFast(
  cpu: Vcpu,
  vector: u32,
  hasError: bool,
  error: u32,
  ext: u32,
  image: u32,
  savedRip: u64,
): bool {
  if ((vector + 1) * GATE_BYTES - 1 > cpu.idtrLimit) return false;
  const gate = TlbView.read(cpu, cpu.idtrBase + vector * GATE_BYTES, GATE_BYTES, cpu.asid);
  if (gate === 0) return false;
  const low = load<u64>(gate);
  if ((<u32>(low >> 40) & GATE_BITS) !== EVENT_GATE) return false;
  const selector = <u32>(low >> 16) & 0xffff;
  const code = descriptorHost(cpu, selector);
  if (code === 0) return false;
  const raw = load<u64>(code);
  const ar = descriptorAr(raw);
  const oldCpl = cpu.cpl;
  const newCpl = dplOf(ar);
  if (ext === 0 && dplOf(<u32>(low >> 40)) < oldCpl) return false;
  if ((ar & CODE_BITS) !== CODE64 || newCpl > oldCpl) return false;
  const rip = gateRip(low, load<u64>(gate, 8));
  if (!isCanonical(rip)) return false;
  const ist = <u32>(low >> 32) & 7;
  let sp = cpu.rsp;
  if (ist !== 0) sp = knownStack(cpu, istSlot(ist));
  else if (newCpl !== oldCpl) sp = knownStack(cpu, rspSlot(newCpl));
  else KnownGate.of(cpu, vector).take(cpu, gate, code);
  if (newCpl !== oldCpl) setCpl(cpu, newCpl);
  if (!pushFrame(cpu, sp, hasError, error, image, savedRip)) {
    if (newCpl !== oldCpl) setCpl(cpu, oldCpl);
    return false;
  }
  if (newCpl !== oldCpl) commitNull(cpu, SS, newCpl);
  commitCode(cpu, selector, raw, newCpl);
  // The mode is what it was: 64-bit code, and no flag that tells the TLB.
  cpu.rip = rip;
  clearFlags(cpu, low);
  cpu.shadow = 0;
  return true;
}

/** Writes the frame, and has RSP point to it. @param sp - before the frame, not aligned @inline */
function pushFrame(
  cpu: Vcpu,
  sp: u64,
  hasError: bool,
  error: u32,
  image: u32,
  savedRip: u64,
): bool {
  const bytes: u32 = hasError ? 48 : 40;
  const pointer = (sp & ~(<u64>15)) - bytes;
  let frame = TlbView.write(cpu, pointer, bytes, cpu.tlbTag);
  if (frame === 0) return false;
  if (hasError) {
    store<u64>(frame, error);
    frame += 8;
  }
  store<u64>(frame, savedRip);
  store<u64>(frame, cpu.segment(CS).selector, 8);
  store<u64>(frame, image, 16);
  store<u64>(frame, cpu.rsp, 24);
  store<u64>(frame, cpu.segment(SS).selector, 32);
  cpu.rsp = pointer;
  return true;
}

/** As `enterFast`, in 64-bit code, through a gate that was entered before at the present level. @inline */
export function enterKnown(
  cpu: Vcpu,
  vector: u32,
  hasError: bool,
  error: u32,
  ext: u32,
  image: u32,
  savedRip: u64,
): bool {
  const known = KnownGate.of(cpu, vector);
  if (!known.holds(cpu)) return false;
  if (ext === 0 && known.dpl < cpu.cpl) return false;
  if (!pushFrame(cpu, cpu.rsp, hasError, error, image, savedRip)) return false;
  known.loadCode(cpu);
  cpu.rip = known.rip;
  cpu.eflags = (cpu.eflags & known.flags) | FLAG_FIXED;
  cpu.shadow = 0;
  return true;
}

/**
 * IRETQ from 64-bit code to 64-bit code of the same or an outer level: RIP is where it returns to.
 *
 * Source: SDM 2 "IRET/IRETD/IRETQ".
 *
 * @param mask - the flags that it may load; all arithmetic ones are among them
 * @returns false, with nothing changed, when the exact path has to do it
 * @inline
 */
export function returnFast(cpu: Vcpu, mask: u32): bool {
  const frame = TlbView.read(cpu, cpu.rsp, 40, cpu.tlbTag);
  if (frame === 0) return false;
  const rip = load<u64>(frame);
  if (!isCanonical(rip)) return false;
  const selectors = <u32>load<u16>(frame, 8) | ((<u32>load<u16>(frame, 32)) << 16);
  const cpl = cpu.cpl;
  const known = KnownSegments.of(cpu, selectors);
  if (known.hold(cpu, selectors)) known.load(cpu);
  else if (!loadSegments(cpu, selectors)) return false;
  cpu.rsp = load<u64>(frame, 24);
  const before = cpu.eflags;
  const image = load<u32>(frame, 16);
  setArithmetic(cpu, image);
  cpu.eflags = (before & ~mask) | (image & mask & ~ARITHMETIC) | FLAG_FIXED;
  if (((cpu.cpl ^ cpl) | ((before ^ cpu.eflags) & AC_FLAG)) !== 0) updateTlbTag(cpu);
  cpu.rip = rip;
  leaveBlock();
  return true;
}

/**
 * Loads CS and SS for 64-bit code of the present or an outer level, and with them the CPL.
 *
 * @param selectors - that of CS in bits 15:0, that of SS in 31:16
 * @returns false, with nothing changed, when the exact path has to do it
 */
function loadSegments(cpu: Vcpu, selectors: u32): bool {
  const selector = selectors & 0xffff;
  const stack = selectors >> 16;
  const code = descriptorHost(cpu, selector);
  if (code === 0) return false;
  const raw = load<u64>(code);
  const ar = descriptorAr(raw);
  const oldCpl = cpu.cpl;
  const newCpl = selector & 3;
  if ((ar & CODE_BITS) !== CODE64 || dplOf(ar) !== newCpl || newCpl < oldCpl) return false;
  if ((stack & 3) !== newCpl) return false;
  let host: usize = 0;
  if (isNull(stack)) {
    if (newCpl === 3) return false;
    commitNull(cpu, SS, stack);
  } else {
    host = descriptorHost(cpu, stack);
    if (host === 0) return false;
    const stackRaw = load<u64>(host);
    const stackAr = descriptorAr(stackRaw);
    if ((stackAr & STACK_BITS) !== STACK || dplOf(stackAr) !== newCpl) return false;
    commitSegment(cpu, SS, stack, stackRaw);
  }
  commitCode(cpu, selector, raw, newCpl);
  if (newCpl !== oldCpl) dropInnerSegments(cpu);
  else KnownSegments.of(cpu, selectors).take(cpu, selectors, code, host);
  return true;
}
