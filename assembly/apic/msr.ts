/**
 * The MSRs of the LAPIC: the x2APIC registers, IA32_APIC_BASE, IA32_TSC_DEADLINE and KVM's PV EOI.
 *
 * Sources: SDM 3A "x2APIC Register Address Space", "Reserved Bit Checking"; KVM `kvm_x2apic_msr_read`,
 * `kvm_x2apic_msr_write`, `kvm_lapic_set_pv_eoi`.
 */
import { RESERVED_SDM } from "../abi";
import * as def from "../x86/apicdef";
import { writeApicBase } from "./base";
import { writeIcr, writeSelfIpi, X2APIC_ICR_RESERVED } from "./icr";
import { Lapic } from "./lapic";
import { writePvEoiMsr } from "./pv-eoi";
import { policy } from "./policy";
import { eoi } from "./priority";
import { isReadable, readRegister, writableBits, writeEsr, writeRegister } from "./registers";
import { now } from "./time";
import { readTscDeadline, writeTscDeadline } from "./timer";

export const MSR_APIC_BASE: u32 = 0x1b;
export const MSR_TSC_DEADLINE: u32 = 0x6e0;
export const MSR_KVM_PV_EOI: u32 = 0x4b564d04;
const MSR_ICR: u32 = def.MSR_X2APIC_BASE + def.APIC_ICR_LOW;
const MSR_EOI: u32 = def.MSR_X2APIC_BASE + def.APIC_EOI;

/** Value of the last successful read. */
export let msrValue: u64 = 0;

/** Reads any MSR of the LAPIC. @returns false for #GP; the value is in `msrValue` */
export function readApicMsr(lapic: Lapic, msr: u32): bool {
  switch (msr) {
    case MSR_APIC_BASE:
      msrValue = lapic.apicBase;
      return true;
    case MSR_TSC_DEADLINE:
      msrValue = readTscDeadline(lapic);
      return policy.tscDeadline !== 0;
    case MSR_KVM_PV_EOI:
      msrValue = lapic.pvEoiMsr;
      return true;
    default:
      return readX2apicMsr(lapic, msr);
  }
}

/** Writes any MSR of the LAPIC. @returns false for #GP */
export function writeApicMsr(lapic: Lapic, msr: u32, value: u64): bool {
  switch (msr) {
    case MSR_APIC_BASE:
      return writeApicBase(lapic, value, false);
    case MSR_TSC_DEADLINE:
      if (policy.tscDeadline === 0) return false;
      writeTscDeadline(lapic, value, now());
      return true;
    case MSR_KVM_PV_EOI:
      return writePvEoiMsr(lapic, value);
    default:
      return writeX2apicMsr(lapic, msr, value);
  }
}

/** RDMSR of 800H-BFFH. @returns false for #GP: not in x2APIC mode, no such register, or write-only */
export function readX2apicMsr(lapic: Lapic, msr: u32): bool {
  const register = msr - def.MSR_X2APIC_BASE;
  if (!lapic.isX2apic || !isReadable(lapic, register)) return false;
  msrValue = readRegister(lapic, register);
  if (register === def.APIC_ICR_LOW) msrValue |= (<u64>lapic.icrHigh) << 32;
  return true;
}

/** A write of ICR that never faults in x2APIC mode. @inline */
export function isIcrWrite(msr: u32, value: u64): bool {
  return ((msr ^ MSR_ICR) | (<u32>value & X2APIC_ICR_RESERVED)) === 0;
}

/** A write of EOI that never faults in x2APIC mode, under any policy. @inline */
export function isEoiWrite(msr: u32, value: u64): bool {
  return (<u64>(msr ^ MSR_EOI) | value) === 0;
}

/**
 * WRMSR of 800H-BFFH.
 *
 * @returns false for #GP: not in x2APIC mode, no such register, read-only, or reserved bits
 */
export function writeX2apicMsr(lapic: Lapic, msr: u32, value: u64): bool {
  if (!lapic.isX2apic) return false;
  if (isIcrWrite(msr, value)) {
    writeIcr(lapic, value);
    return true;
  }
  if (isEoiWrite(msr, value)) {
    eoi(lapic);
    return true;
  }
  return value >> 32 === 0 && writeShortRegister(lapic, msr - def.MSR_X2APIC_BASE, <u32>value);
}

/** Writes a register of 32 bits. ICR, should it come here, is none: it has reserved bits. */
function writeShortRegister(lapic: Lapic, register: u32, low: u32): bool {
  switch (register) {
    case def.APIC_SELF_IPI:
      if (low > 0xff) return false;
      writeSelfIpi(lapic, low);
      return true;
    case def.APIC_ESR:
      if (low !== 0) return false;
      writeEsr(lapic);
      return true;
    default:
      if (policy.reservedBits === RESERVED_SDM && (low & ~writableBits(register)) !== 0)
        return false;
      return writeRegister(lapic, register, low);
  }
}
