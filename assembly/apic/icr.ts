/**
 * The interrupt command register: a write is a message.
 *
 * Sources: SDM 3A "Interrupt Command Register (ICR)", "x2APIC ICR Operation in x2APIC Mode", "SELF IPI Register"; KVM
 * `kvm_apic_send_ipi`, `kvm_x2apic_icr_write`.
 * Deviates: combinations of shorthand and delivery mode that the manual calls invalid are carried out, as KVM does.
 */
import { PATH_MAP, PATH_SELF } from "../abi";
import * as def from "../x86/apicdef";
import { isIllegal, NOT_EDGE, raiseError } from "./accept";
import { isBroadcastId, NOT_UNICAST } from "./fabric";
import { Lapic } from "./lapic";
import { hasMap, mapOwner } from "./map";
import { ORDINARY } from "./message";
import { isKnown, learnTarget, targetOf } from "./plain-targets";
import { isWatched, sendMessage, sendPlain } from "./transit";

/** Bits 31:20, 17:16 and 13 of ICR[31:0]: a fault in x2APIC mode. */
export const X2APIC_ICR_RESERVED: u32 = 0xfff32000;

const TO_SELF: u32 = def.SELF << def.ICR_SHORTHAND_SHIFT;
/** Fields that are 0 in a plain IPI. */
const NOT_PLAIN: u32 = NOT_EDGE | NOT_UNICAST;

/** High half in xAPIC mode: the destination. @inline */
export function writeIcrHigh(lapic: Lapic, value: u32): void {
  lapic.icr2 = value & 0xff000000;
}

/** Low half in xAPIC mode: sends to the destination in ICR high. A software-disabled LAPIC sends, too. @inline */
export function writeIcrLow(lapic: Lapic, value: u32): void {
  const low = value & ~def.ICR_DELIVERY_STATUS;
  lapic.icrLow = low;
  sendIpi(lapic, low, lapic.icr2 >> 24);
}

/** The 64-bit register in x2APIC mode; reserved bits were checked. Reads give it back with bit 12 clear. @inline */
export function writeIcr(lapic: Lapic, value: u64): void {
  const low = <u32>value & ~def.ICR_DELIVERY_STATUS;
  const high = <u32>(value >> 32);
  lapic.icrLow = low;
  lapic.icrHigh = high;
  sendIpi(lapic, low, high);
}

/** SELF IPI: a Fixed interrupt, edge-triggered. */
export function writeSelfIpi(lapic: Lapic, vector: u32): void {
  sendIpi(lapic, vector | TO_SELF, 0);
}

/** Most IPIs are plain (plain-targets.ts), or the same to the sender itself, and these take few steps. @inline */
function sendIpi(lapic: Lapic, low: u32, dest: u32): void {
  if ((low & def.ICR_VECTOR) >= def.FIRST_LEGAL_VECTOR) {
    const fields = low & NOT_PLAIN;
    if (fields === 0) {
      if (isKnown(dest)) {
        sendPlain(lapic, dest, low, targetOf(dest), PATH_MAP);
        return;
      }
    } else if (fields === TO_SELF && !isWatched() && lapic.acceptsFixed) {
      sendPlain(lapic, dest, low, lapic, PATH_SELF);
      return;
    }
  }
  sendAnyIpi(lapic, low, dest);
}

function sendAnyIpi(lapic: Lapic, low: u32, dest: u32): void {
  const mode = (low >> def.ICR_DELIVERY_MODE_SHIFT) & 7;
  if (mode <= def.LOWEST_PRIORITY && isIllegal(low & def.ICR_VECTOR)) {
    raiseError(lapic, def.ESR_SEND_ILLEGAL_VECTOR);
    return;
  }
  if ((low & NOT_PLAIN) === 0 && !isWatched()) learn(dest);
  sendMessage(<i32>lapic.cpu.index, dest, low, ORDINARY);
}

/** The next plain IPIs to this destination shall be short, if there is a LAPIC that accepts them. */
function learn(dest: u32): void {
  if (isBroadcastId(dest) || !hasMap()) return;
  const owner = mapOwner(dest);
  if (owner >= 0 && Lapic.at(owner).acceptsFixed) learnTarget(dest, Lapic.at(owner));
}
