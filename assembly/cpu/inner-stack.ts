/**
 * Stack pointers of inner privilege levels, from the current TSS.
 *
 * Source: SDM 3A "Task-State Segment (TSS)", "Stack Switching", "TSS in 64-bit Mode".
 */
import { TR } from "../abi";
import { readSystem } from "../mem/access";
import { Vcpu } from "../vcpu";
import { AR_TYPE, TSS16_BUSY } from "../x86/descriptor";
import { TS } from "../x86/exception";
import { isNull, markAccessed, raiseSelector, systemAddress } from "./descriptor-table";
import { checkStackSegment } from "./segment";

/** SS of the last successful `readInnerStack`: selector and descriptor. */
export let innerSelector: u32 = 0;
export let innerRaw: u64 = 0;
/** ESP of the last successful `readInnerStack`. */
export let innerPointer: u32 = 0;

/**
 * Reads and checks SS:ESP of privilege level `dpl` (0..2) from a 16- or 32-bit TSS.
 *
 * Raises #TS (TSS too short; SS null, of another privilege level or not writable data), #SS (SS not present), #PF.
 *
 * @returns false with the fault raised
 */
export function readInnerStack(cpu: Vcpu, dpl: u32): bool {
  const tr = cpu.segment(TR);
  const is16 = (tr.ar & AR_TYPE) === TSS16_BUSY;
  const offset = is16 ? dpl * 4 + 2 : dpl * 8 + 4;
  if (offset + (is16 ? 3 : 5) > tr.limit) {
    raiseSelector(cpu, TS, tr.selector);
    return false;
  }
  const gva = systemAddress(cpu, tr.base + offset);
  innerPointer = is16 ? <u32>readSystem<u16>(cpu, gva) : readSystem<u32>(cpu, gva);
  if (cpu.fault !== 0) return false;
  innerSelector = readSystem<u16>(cpu, systemAddress(cpu, gva + (is16 ? 2 : 4)));
  if (cpu.fault !== 0) return false;
  if (isNull(innerSelector)) raiseSelector(cpu, TS, innerSelector);
  else innerRaw = checkStackSegment(cpu, innerSelector, dpl, TS);
  return cpu.fault === 0;
}

/** Marks the descriptor of the inner stack accessed, when all else is checked. @returns false with a fault raised */
export function touchInnerStack(cpu: Vcpu): bool {
  innerRaw = markAccessed(cpu, innerSelector, innerRaw);
  return cpu.fault === 0;
}

/** Offset of RSP0..RSP2 in a 64-bit TSS. */
export function rspSlot(dpl: u32): u32 {
  return dpl * 8 + 4;
}

/** Offset of IST1..IST7 in a 64-bit TSS. */
export function istSlot(ist: u32): u32 {
  return ist * 8 + 28;
}

/** Reads a stack pointer of a 64-bit TSS. Raises #TS when the TSS is too short. */
export function readInnerRsp(cpu: Vcpu, slot: u32): u64 {
  const tr = cpu.segment(TR);
  if (slot + 7 > tr.limit) {
    raiseSelector(cpu, TS, tr.selector);
    return 0;
  }
  return readSystem<u64>(cpu, tr.base + slot);
}
