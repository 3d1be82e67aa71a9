/**
 * Accesses of translated code to memory, where the TLB has no entry: plain memory gets one, anything else is for the
 * interpreter.
 */
import { ramBase } from "../layout";
import { accessOf } from "../mem/access";
import { isCodeLine, pageHasCode } from "../mem/code-map";
import { ACCESS_WRITE, NO_GPA, translate } from "../mem/paging";
import { isPlainMemory, isPlainRam } from "../mem/physical";
import {
  fillTlb,
  findDevice,
  TAG_SLOW,
  tlbDeviceRead,
  tlbDeviceWrite,
  tlbRead,
  tlbWrite,
} from "../mem/tlb";
import { REGION_GOES_ON, REGION_REFUSED } from "../op-abi";
import { Vcpu } from "../vcpu";
import { blockEnd } from "./control";

/** Guest-physical address of an access inside one page of plain memory; NO_GPA: the interpreter must do it. */
function plainMemory(cpu: Vcpu, gva: u64, size: u32, access: u32): u64 {
  if ((<u32>gva & 0xfff) + size > 0x1000 || (cpu.tlbTag & 3) === TAG_SLOW) return NO_GPA;
  const devices = access & ACCESS_WRITE ? tlbDeviceWrite : tlbDeviceRead;
  if (findDevice(devices, gva, cpu.tlbTag) !== NO_GPA) return NO_GPA;
  const gpa = translate(cpu, gva, accessOf(cpu, cpu.tlbTag) | access);
  if (gpa === NO_GPA) {
    // The interpreter raises it again.
    cpu.fault = 0;
    return NO_GPA;
  }
  // The walk itself may have written to decoded code.
  if (blockEnd() === 0) return NO_GPA;
  const isPlain = access & ACCESS_WRITE ? isPlainRam(cpu, gpa) : isPlainMemory(cpu, gpa);
  return isPlain ? gpa : NO_GPA;
}

/** Host address for a read behind the TLB, or 0: leave the region. */
export function readMemory(cpu: Vcpu, gva: u64, size: u32): usize {
  const gpa = plainMemory(cpu, gva, size, 0);
  if (gpa === NO_GPA) return 0;
  fillTlb(tlbRead, gva, gpa, cpu.tlbTag);
  return ramBase + <usize>gpa;
}

/** Host address for a write, or a read and a write, behind the TLB; or 0: leave the region. */
export function writeMemory(cpu: Vcpu, gva: u64, size: u32): usize {
  const gpa = plainMemory(cpu, gva, size, ACCESS_WRITE);
  if (gpa === NO_GPA || isCodeLine(<u32>gpa, size)) return 0;
  fillTlb(tlbRead, gva, gpa, cpu.tlbTag);
  if (!pageHasCode(<u32>gpa)) fillTlb(tlbWrite, gva, gpa, cpu.tlbTag);
  return ramBase + <usize>gpa;
}

/** A store behind the TLB. @returns REGION_* */
export function storeMemory(cpu: Vcpu, gva: u64, size: u32, value: u64): u32 {
  const host = writeMemory(cpu, gva, size);
  if (host === 0) return REGION_REFUSED;
  if (size === 8) store<u64>(host, value);
  else if (size === 4) store<u32>(host, <u32>value);
  else if (size === 2) store<u16>(host, <u16>value);
  else store<u8>(host, <u8>value);
  return REGION_GOES_ON;
}
