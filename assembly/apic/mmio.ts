/**
 * The xAPIC interface: a page of 32-bit registers, 16 bytes apart.
 *
 * Sources: SDM 3A "Local APIC Register Address Map"; KVM `apic_mmio_read`, `kvm_lapic_reg_read`, `apic_mmio_write`.
 * Deviates: KVM leaves the reader's buffer as it was where no register is; here such a read gives 0.
 */
import * as def from "../x86/apicdef";
import { raiseError } from "./accept";
import { writeIcrHigh, writeIcrLow } from "./icr";
import { Lapic } from "./lapic";
import { rebuild } from "./map";
import { policy } from "./policy";
import { isListed, isReadable, readRegister, writeEsr, writeRegister } from "./registers";

/**
 * Reads 1, 2 or 4 bytes of the page; of 8, which no register has, each half.
 *
 * @param offset - 0..4095 @returns the bytes, zero-extended: a slice of a register, if it lies in the register's four
 * bytes; 0 where no register is; all ones when the page is not open (x2APIC mode, or disabled)
 */
export function readMmio(lapic: Lapic, offset: u32, size: u32): u32 {
  const mask = size < 4 ? ((<u32>1) << (size << 3)) - 1 : u32.MAX_VALUE;
  if (!lapic.isPresent || lapic.isX2apic) return mask;
  const register = offset >> 4;
  const byte = offset & 0xf;
  if (byte + size > 4 || !isReadable(lapic, register)) {
    if (!isListed(lapic, register)) raiseError(lapic, def.ESR_ILLEGAL_REGISTER);
    return 0;
  }
  return (readRegister(lapic, register) >> (byte << 3)) & mask;
}

/** Writes the page. Only aligned 32-bit writes to a register of an open page have an effect. */
export function writeMmio(lapic: Lapic, offset: u32, size: u32, value: u32): void {
  if (!lapic.isPresent || lapic.isX2apic || size !== 4 || (offset & 0xf) !== 0) return;
  const register = offset >> 4;
  switch (register) {
    case def.APIC_ID:
      if (policy.xidWritable === 0) return;
      lapic.xid = <u8>(value >> 24);
      rebuild(lapic);
      return;
    case def.APIC_LDR:
      lapic.ldr = value & 0xff000000;
      rebuild(lapic);
      return;
    case def.APIC_DFR:
      lapic.dfr = value | 0x0fffffff;
      rebuild(lapic);
      return;
    case def.APIC_ESR:
      writeEsr(lapic);
      return;
    case def.APIC_ICR_LOW:
      writeIcrLow(lapic, value);
      return;
    case def.APIC_ICR_HIGH:
      writeIcrHigh(lapic, value);
      return;
    default:
      if (writeRegister(lapic, register, value)) return;
      if (!isListed(lapic, register)) raiseError(lapic, def.ESR_ILLEGAL_REGISTER);
  }
}
