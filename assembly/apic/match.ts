/**
 * The scan: every LAPIC decides for itself whether a message is for it.
 *
 * Sources: KVM `kvm_apic_match_dest`, `kvm_apic_match_physical_addr`, `kvm_apic_match_logical_addr`, `kvm_apic_mda`
 * (6.18, and 4.9 for the sender's format); SDM 3A "Determining IPI Destination"; Knights Landing and textbook forms by
 * knob. The answer is a reason, so that the explanation of a delivery cannot differ from the delivery.
 */
import * as abi from "../abi";
import * as def from "../x86/apicdef";
import { Lapic } from "./lapic";
import { NO_SENDER, Message } from "./message";
import { policy } from "./policy";

/** True for the reasons that select a LAPIC. */
export function isMatch(reason: u32): bool {
  return reason < <u32>abi.MISS_HARDWARE_DISABLED;
}

/** Whether a LAPIC is selected by a scan, and why. @returns MATCH_* or MISS_* */
export function matchReason(lapic: Lapic, message: Message): u32 {
  if (!lapic.isPresent) return abi.MISS_HARDWARE_DISABLED;
  const shorthand = (message.low >> def.ICR_SHORTHAND_SHIFT) & 3;
  if (shorthand !== def.NO_SHORTHAND) return matchShorthand(lapic, message, shorthand);
  const logical = (message.low & def.ICR_LOGICAL) !== 0;
  if (policy.senderFormat !== 0) return matchSenderFormat(lapic, message, logical);
  return lapic.isX2apic
    ? matchX2apic(lapic, message, message.dest, logical)
    : matchXapic(lapic, message, logical);
}

function matchShorthand(lapic: Lapic, message: Message, shorthand: u32): u32 {
  const isSender = <i32>lapic.cpu.index === message.sender;
  if (shorthand === def.SELF) return isSender ? abi.MATCH_SELF : abi.MISS_NOT_SELF;
  if (shorthand === def.ALL_INCLUDING_SELF) return abi.MATCH_ALL;
  return isSender ? abi.MISS_SENDER : abi.MATCH_ALL;
}

/** Only a message without a sender is rewritten, and only for targets in x2APIC mode. */
function isQuirkBroadcast(message: Message): bool {
  return policy.quirk !== 0 && message.sender === NO_SENDER && message.dest === def.XAPIC_BROADCAST;
}

/** True when `matchReason` selects every LAPIC in x2APIC mode, whatever its IDs. */
export function matchesEveryX2apic(message: Message): bool {
  return (
    policy.senderFormat === 0 &&
    ((message.low >> def.ICR_SHORTHAND_SHIFT) & 3) === def.NO_SHORTHAND &&
    (isQuirkBroadcast(message) || message.dest === def.X2APIC_BROADCAST)
  );
}

function matchX2apic(lapic: Lapic, message: Message, dest: u32, logical: bool): u32 {
  if (isQuirkBroadcast(message)) return abi.MATCH_QUIRK;
  if (dest === def.X2APIC_BROADCAST) return abi.MATCH_BROADCAST;
  if (!logical) return dest === lapic.cpu.apicId ? abi.MATCH_X2ID : abi.MISS_X2ID;
  if (lapic.ldr >> 16 !== dest >> 16) return abi.MISS_CLUSTER;
  return (lapic.ldr & dest & 0xffff) !== 0 ? abi.MATCH_X2APIC_CLUSTER : abi.MISS_LOGICAL_BITS;
}

function matchXapic(lapic: Lapic, message: Message, logical: bool): u32 {
  const dest = message.dest;
  if (dest <= 0xff) {
    if (dest === def.XAPIC_BROADCAST && isBroadcast8(message, logical)) return abi.MATCH_BROADCAST;
    return matchXapicShort(lapic, dest, logical, abi.MATCH_XID);
  }
  if (dest === def.X2APIC_BROADCAST && policy.broadcast32 !== 0) return abi.MATCH_BROADCAST32;
  if (policy.high === abi.HIGH_DROP) return abi.MISS_LONG;
  if (policy.high === abi.HIGH_TRUNCATE) {
    const low = dest & 0xff;
    if (low === 0xff && policy.truncatedBroadcast !== 0) return abi.MATCH_TRUNCATED_BROADCAST;
    return matchXapicShort(lapic, low, logical, abi.MATCH_TRUNCATED);
  }
  // KVM tests the destination, not the target's ID: up to 0xff it is the 8-bit ID that counts.
  if (!logical) return dest === lapic.cpu.apicId ? abi.MATCH_HACK : abi.MISS_LONG_X2ID;
  return matchXapicLogical(lapic, dest);
}

function isBroadcast8(message: Message, logical: bool): bool {
  if (policy.broadcast8 !== 0 || logical || message.sender === NO_SENDER) return true;
  return !Lapic.at(message.sender).isX2apic;
}

function matchXapicShort(lapic: Lapic, dest: u32, logical: bool, match: u32): u32 {
  if (logical) return matchXapicLogical(lapic, dest);
  return dest === <u32>lapic.xid ? match : abi.MISS_XID;
}

/**
 * Flat and cluster model. The destination may be longer than 8 bits: flat looks at its low byte, cluster at the whole
 * number, so that it misses.
 */
function matchXapicLogical(lapic: Lapic, dest: u32): u32 {
  const id = lapic.ldr >> 24;
  if (lapic.dfr === def.DFR_FLAT) return (id & dest) !== 0 ? abi.MATCH_FLAT : abi.MISS_LOGICAL_BITS;
  if (lapic.dfr !== def.DFR_CLUSTER) return abi.MISS_DFR;
  if (id >> 4 !== dest >> 4) return abi.MISS_CLUSTER;
  return (id & dest & 0xf) !== 0 ? abi.MATCH_CLUSTER : abi.MISS_LOGICAL_BITS;
}

/**
 * KVM 4.9: the message has its sender's format, or the target's if it has no sender. An 8-bit destination travels in
 * bits 31:24; a target reads the 32 bits in its own way.
 */
function matchSenderFormat(lapic: Lapic, message: Message, logical: bool): u32 {
  const isLong = message.sender === NO_SENDER ? lapic.isX2apic : Lapic.at(message.sender).isX2apic;
  const dest = isLong ? message.dest : message.dest << 24;
  if (lapic.isX2apic) {
    const reason = matchX2apic(lapic, message, dest, logical);
    return reason === abi.MISS_X2ID && !isLong ? abi.MISS_FORMAT : reason;
  }
  const top = dest >> 24;
  if (top === 0xff) return abi.MATCH_BROADCAST;
  if (logical) return matchXapicLogical(lapic, top);
  if (dest === (<u32>lapic.xid) << 24) return abi.MATCH_XID;
  return isLong ? abi.MISS_FORMAT : abi.MISS_XID;
}
