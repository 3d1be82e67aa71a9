/**
 * The interrupt command register: a write is a message.
 *
 * Sources: SDM 3A "Interrupt Command Register (ICR)", "x2APIC ICR Operation in x2APIC Mode", "SELF IPI Register"; KVM
 * `kvm_apic_send_ipi`, `kvm_x2apic_icr_write`.
 * Deviates: combinations of shorthand and delivery mode that the manual calls invalid are carried out, as KVM does.
 */
import * as def from "../x86/apicdef";
import { raiseError } from "./accept";
import { Lapic } from "./lapic";
import { policy } from "./policy";
import { ORDINARY } from "./message";
import { sendMessage } from "./transit";

/** Bits 31:20, 17:16 and 13 of ICR[31:0]: a fault in x2APIC mode. */
export const X2APIC_ICR_RESERVED: u32 = 0xfff32000;

/** Low half in xAPIC mode: sends to the destination in ICR high. A software-disabled LAPIC sends, too. */
export function writeIcrLow(lapic: Lapic, value: u32, now: u64): void {
  lapic.icrLow = value & ~def.ICR_DELIVERY_STATUS;
  sendIpi(lapic, lapic.icrLow, lapic.icr2 >> 24, now);
}

/** The 64-bit register in x2APIC mode; reserved bits were checked. Reads give it back with bit 12 clear. */
export function writeIcr(lapic: Lapic, low: u32, high: u32, now: u64): void {
  lapic.icrLow = low & ~def.ICR_DELIVERY_STATUS;
  lapic.icrHigh = high;
  sendIpi(lapic, lapic.icrLow, high, now);
}

/** SELF IPI: a Fixed interrupt, edge-triggered. */
export function writeSelfIpi(lapic: Lapic, vector: u32, now: u64): void {
  sendIpi(lapic, vector | (def.SELF << def.ICR_SHORTHAND_SHIFT), 0, now);
}

/** @inline */
function sendIpi(lapic: Lapic, low: u32, dest: u32, now: u64): void {
  const mode = (low >> def.ICR_DELIVERY_MODE_SHIFT) & 7;
  if (
    policy.errors !== 0 &&
    mode <= def.LOWEST_PRIORITY &&
    (low & def.ICR_VECTOR) < def.FIRST_LEGAL_VECTOR
  ) {
    raiseError(lapic, def.ESR_SEND_ILLEGAL_VECTOR);
    return;
  }
  sendMessage(<i32>lapic.cpu.index, dest, low, ORDINARY, now);
}
