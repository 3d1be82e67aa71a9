/**
 * Descriptors in the GDT and the LDT: where they are, fetching them, marking them accessed or busy.
 *
 * Source: SDM 3A "Segment Descriptor Tables", "Error Code".
 */
import { LDTR } from "../abi";
import { raiseWithError } from "../fault";
import { checkWriteSystem, readSystem, writeSystem } from "../mem/access";
import { Vcpu } from "../vcpu";
import { AR_S, AR_UNUSABLE } from "../x86/descriptor";
import { isLong } from "./mode";

/** `descriptorAddress`: the selector is beyond the limit of its table. */
export const NO_DESCRIPTOR: u64 = -1;

const RAW_ACCESSED: u64 = (<u64>1) << 40;

/** EXT while an event from outside the program is delivered, else 0: bit 0 of every selector error code. */
export let eventExt: u32 = 0;

/** @param ext - ERROR_EXT or 0 */
export function setEventExt(ext: u32): void {
  eventExt = ext;
}

/** Raises `vector` with the error code of a selector: index, TI, and EXT while an event is delivered. */
export function raiseSelector(cpu: Vcpu, vector: u32, selector: u32): void {
  raiseWithError(cpu, vector, (selector & 0xfffc) | eventExt);
}

/** GDTs of different CPUs mostly give different numbers: for tables of what is known of descriptors. @inline */
export function gdtHash(cpu: Vcpu): u32 {
  return <u32>(cpu.gdtrBase >> 12) * 0x9e3779b1;
}

/** True for selectors 0..3. */
export function isNull(selector: u32): bool {
  return (selector & 0xfffc) === 0;
}

/** Linear address of a system structure: 32 bits outside IA-32e mode. */
export function systemAddress(cpu: Vcpu, gva: u64): u64 {
  return isLong(cpu) ? gva : gva & 0xffffffff;
}

/**
 * Linear address of a descriptor.
 *
 * @param selector - GDT or LDT selector; the null selector is GDT entry 0 here
 * @param bytes - 8, or 16 for the system descriptors of IA-32e mode
 * @returns the address, or NO_DESCRIPTOR beyond the table's limit
 */
export function descriptorAddress(cpu: Vcpu, selector: u32, bytes: u32): u64 {
  const offset = selector & 0xfff8;
  let base = cpu.gdtrBase;
  let limit = cpu.gdtrLimit;
  if (selector & 4) {
    const ldt = cpu.segment(LDTR);
    if (ldt.ar & AR_UNUSABLE) return NO_DESCRIPTOR;
    base = ldt.base;
    limit = ldt.limit;
  }
  if (offset + bytes - 1 > limit) return NO_DESCRIPTOR;
  return systemAddress(cpu, base + offset);
}

/**
 * Fetches the low 8 bytes of a descriptor.
 *
 * @param vector - raised with the selector when it is beyond its table
 * @returns the raw descriptor; meaningless when `cpu.fault` is set
 */
export function fetchDescriptor(cpu: Vcpu, selector: u32, vector: u32): u64 {
  const gva = descriptorAddress(cpu, selector, 8);
  if (gva === NO_DESCRIPTOR) {
    raiseSelector(cpu, vector, selector);
    return 0;
  }
  return readSystem<u64>(cpu, gva);
}

/**
 * Fetches the high 8 bytes of a 16-byte system descriptor.
 *
 * Raises `vector` with the selector when they are beyond the table or their type field (bits 12:8 of the last
 * doubleword) is not 0.
 */
export function fetchDescriptorHigh(cpu: Vcpu, selector: u32, vector: u32): u64 {
  const gva = descriptorAddress(cpu, selector, 16);
  if (gva === NO_DESCRIPTOR) {
    raiseSelector(cpu, vector, selector);
    return 0;
  }
  const high = readSystem<u64>(cpu, gva + 8);
  if (cpu.fault === 0 && high & ((<u64>0x1f) << 40)) raiseSelector(cpu, vector, selector);
  return high;
}

/** Sets the accessed bit of a code or data descriptor in memory. @returns the descriptor with the bit set */
export function markAccessed(cpu: Vcpu, selector: u32, raw: u64): u64 {
  if (raw & RAW_ACCESSED) return raw;
  const gva = descriptorAddress(cpu, selector, 8);
  writeSystem<u8>(cpu, gva + 5, <u8>(raw >> 40) | 1);
  return raw | RAW_ACCESSED;
}

/** Sets or clears the busy bit of a TSS descriptor in memory. */
export function markBusy(cpu: Vcpu, selector: u32, busy: bool): void {
  const gva = descriptorAddress(cpu, selector, 8);
  if (gva === NO_DESCRIPTOR) return;
  const type = readSystem<u8>(cpu, gva + 5);
  if (cpu.fault === 0) writeSystem<u8>(cpu, gva + 5, busy ? type | 2 : type & ~2);
}

/** Checks that `markBusy` will not fault. */
export function canMarkBusy(cpu: Vcpu, selector: u32): bool {
  const gva = descriptorAddress(cpu, selector, 8);
  return gva === NO_DESCRIPTOR || checkWriteSystem(cpu, gva + 5, 1);
}

/** Type of a system descriptor with the S bit: 0..15 for system descriptors, above for code and data. */
export function systemType(ar: u32): u32 {
  return ar & (AR_S | 0xf);
}
