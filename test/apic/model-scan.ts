/**
 * The scan: every LAPIC judges a message for itself.
 *
 * Sources: KVM `kvm_apic_match_dest`, `kvm_apic_match_physical_addr`, `kvm_apic_match_logical_addr`; the same with
 * `kvm_apic_mda` of v4.9 for the sender-format form; SDM 3A "Logical Destination Mode".
 */
import { x2apicLdr, type Lapic, type Message, type Policy } from "./model-types.js";

const ALL_ONES = 0xffffffff;
const DFR_FLAT = 0xffffffff;
const DFR_CLUSTER = 0x0fffffff;

/** Does the LAPIC at `position` feel addressed? Hardware-disabled LAPICs are not asked. */
export function scanMatches(
  lapics: readonly Lapic[],
  target: Lapic,
  position: number,
  msg: Message,
  policy: Policy,
): boolean {
  if (msg.shorthand === 1) return position === msg.from;
  if (msg.shorthand === 2) return true;
  if (msg.shorthand === 3) return position !== msg.from;
  const sender = msg.from === null ? null : lapics[msg.from]!;
  if (policy.senderFormat) return matchesInSenderFormat(target, sender, msg, policy);
  return target.mode === "x2"
    ? matchesX2apic(target, sender, msg, policy)
    : matchesXapic(target, sender, msg, policy);
}

function matchesX2apic(target: Lapic, sender: Lapic | null, msg: Message, policy: Policy): boolean {
  const quirk = sender === null && policy.quirk && msg.dest === 0xff;
  const dest = quirk ? ALL_ONES : msg.dest;
  if (dest === ALL_ONES) return true;
  return msg.logical ? matchesX2apicLogical(target, dest) : dest === target.x2id;
}

function matchesX2apicLogical(target: Lapic, dest: number): boolean {
  const ldr = x2apicLdr(target.x2id);
  return ldr >>> 16 === dest >>> 16 && (ldr & dest & 0xffff) !== 0;
}

function matchesXapic(target: Lapic, sender: Lapic | null, msg: Message, policy: Policy): boolean {
  const dest = msg.dest;
  const longSender = sender !== null && sender.mode === "x2";
  if (dest === 0xff && (policy.bc8x2 || !longSender || msg.logical)) return true;
  if (dest === ALL_ONES && policy.bc32) return true;
  if (policy.high === "trunc") {
    const low = dest & 0xff;
    if (low === 0xff && dest > 0xff && policy.truncBroadcast) return true;
    return msg.logical ? matchesXapicLogical(target, low) : low === target.xid;
  }
  if (policy.high === "drop" && dest > 0xff) return false;
  if (msg.logical) return matchesXapicLogical(target, dest);
  return dest > 0xff ? dest === target.x2id : dest === target.xid;
}

/** @param dest - may hold more than 8 bits: a flat LAPIC looks at the low byte, a cluster one at the whole number */
function matchesXapicLogical(target: Lapic, dest: number): boolean {
  const logicalId = target.ldr >>> 24;
  if (target.dfr === DFR_FLAT) return (logicalId & dest) !== 0;
  if (target.dfr === DFR_CLUSTER)
    return logicalId >>> 4 === dest >>> 4 && (logicalId & dest & 0xf) !== 0;
  return false;
}

/** v4.9: a message has its sender's format, and an 8-bit destination is compared from bit 24 up. */
function matchesInSenderFormat(
  target: Lapic,
  sender: Lapic | null,
  msg: Message,
  policy: Policy,
): boolean {
  const format = sender === null ? target.mode : sender.mode;
  const quirk = sender === null && policy.quirk && msg.dest === 0xff && format === "x2";
  const mda = quirk ? ALL_ONES : format === "x2" ? msg.dest : (msg.dest << 24) >>> 0;
  if (target.mode === "x2") {
    if (mda === ALL_ONES) return true;
    return msg.logical ? matchesX2apicLogical(target, mda) : mda === target.x2id;
  }
  if (mda >>> 24 === 0xff) return true;
  if (msg.logical) return matchesXapicLogical(target, mda >>> 24);
  return mda === (target.xid << 24) >>> 0;
}
