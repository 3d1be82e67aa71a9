/**
 * The fabric: takes a message to the LAPICs that its destination selects.
 *
 * Sources: KVM `kvm_irq_delivery_to_apic`, `kvm_irq_delivery_to_apic_fast`; SDM 3A "Determining IPI Destination".
 *
 * Self shorthand goes straight to the sender, other shorthands and broadcasts to a scan, everything else through the map
 * where the policy has one.
 */
import { MAP_KVM_4_9, PATH_MAP, PATH_SCAN, PATH_SELF } from "../abi";
import { vcpuCount } from "../layout";
import * as def from "../x86/apicdef";
import { accept, acceptEdge, isEdge } from "./accept";
import { isOwned, scanOwner, scanWinner, slotWinner } from "./arbitration";
import { Lapic, PRESENT, X2APIC_MODE } from "./lapic";
import { logicalMode, LOGICAL_DISABLED } from "./logical-map";
import { isLogical, logicalBits, picksOne, slotMember, usesMap } from "./lookup";
import { mapOwner } from "./map";
import { isMatch, matchesEveryX2apic, matchReason } from "./match";
import { MAP_ONLY, Message, NO_SENDER } from "./message";
import { policy } from "./policy";

/** What a scan returns when no LAPIC matched; KVM's KVM_SIGNAL_MSI then fails. */
const NOBODY: i32 = -1;

/** Flags that no LAPIC has. */
const NO_FLAGS: u32 = 0xffffffff;
/** Fields that are 0 in a message for one physical ID. */
export const NOT_UNICAST: u32 = def.ICR_LOGICAL | (3 << def.ICR_SHORTHAND_SHIFT);
const DELIVERY_MODE: u32 = 7 << def.ICR_DELIVERY_MODE_SHIFT;

/**
 * Decides how the targets of a message are found (`path`). On a scan KVM may turn the message into a Fixed one.
 *
 * KVM turns lowest priority to physical 0xff into Fixed to all. It tests the destination field alone, so that this hits
 * the shorthands too; and an MSI with the redirection hint changes its mode but still goes to one LAPIC.
 */
export function choosePath(msg: Message): void {
  if (isSelf(msg)) {
    msg.path = PATH_SELF;
  } else if (msg.kind === MAP_ONLY) {
    msg.path = PATH_MAP;
  } else if (usesMap(msg) && (!isLogical(msg) || logicalMode() !== LOGICAL_DISABLED)) {
    msg.path = PATH_MAP;
  } else {
    msg.path = PATH_SCAN;
    if (msg.dest === def.XAPIC_BROADCAST && !isLogical(msg) && picksOne(msg))
      msg.low &= ~DELIVERY_MODE;
  }
}

/**
 * Delivers a message along its path.
 *
 * @returns number of LAPICs that accepted; 0 when the map knows nobody or all refused; NOBODY when a scan matched none
 */
export function route(msg: Message): i32 {
  switch (msg.path) {
    case PATH_SELF:
      return routeSelf(msg);
    case PATH_MAP:
      return isLogical(msg) ? routeLogical(msg) : routeUnicast(msg);
    default:
      return scan(msg);
  }
}

/** The shorthand Self, from a LAPIC. */
function isSelf(msg: Message): bool {
  return ((msg.low >> def.ICR_SHORTHAND_SHIFT) & 3) === def.SELF && msg.sender !== NO_SENDER;
}

/** Delivers to the sender. */
function routeSelf(msg: Message): i32 {
  const lapic = Lapic.at(msg.sender);
  return lapic.isPresent ? <i32>deliver(lapic, msg) : 0;
}

/** No shorthand, physical, and no destination that could be a broadcast. @inline */
export function isUnicast(msg: Message): bool {
  return (msg.low & NOT_UNICAST) === 0 && !isBroadcastId(msg.dest);
}

/** @inline */
export function isBroadcastId(dest: u32): bool {
  return dest === def.XAPIC_BROADCAST || dest === def.X2APIC_BROADCAST;
}

/** Delivers to the LAPIC that the map holds under the destination. @inline */
export function routeUnicast(msg: Message): i32 {
  msg.path = PATH_MAP;
  const owner = mapOwner(msg.dest);
  return owner >= 0 ? <i32>deliver(Lapic.at(owner), msg) : nobodyInMap();
}

/** @inline */
function deliver(lapic: Lapic, msg: Message): u32 {
  const accepted = accept(lapic, msg.low);
  if (accepted !== 0) lapic.acceptedMessage = msg.number;
  return accepted;
}

function deliverTo(vcpuIndex: i32, msg: Message, nobody: i32): i32 {
  return vcpuIndex >= 0 ? <i32>deliver(Lapic.at(vcpuIndex), msg) : nobody;
}

/** What a lookup returns that found no LAPIC. */
function nobodyInMap(): i32 {
  return policy.mapForm === MAP_KVM_4_9 ? NOBODY : 0;
}

function routeLogical(msg: Message): i32 {
  const mode = logicalMode();
  let accepted = nobodyInMap();
  if (picksOne(msg)) return deliverTo(slotWinner(msg, mode), msg, accepted);
  for (let rest = logicalBits(msg.dest, mode); rest !== 0; rest &= rest - 1) {
    const member = slotMember(msg.dest, mode, <u32>ctz(rest));
    if (member >= 0) accepted = max(accepted, 0) + <i32>deliver(Lapic.at(member), msg);
  }
  return accepted;
}

function scan(msg: Message): i32 {
  if (picksOne(msg)) return deliverTo(scanWinner(msg), msg, NOBODY);
  if (isOwned(msg)) return deliverTo(scanOwner(msg), msg, NOBODY);
  const shorthand = (msg.low >> def.ICR_SHORTHAND_SHIFT) & 3;
  if (shorthand === def.ALL_INCLUDING_SELF) return deliverToAll(msg, NO_SENDER);
  if (shorthand === def.ALL_EXCLUDING_SELF) return deliverToAll(msg, msg.sender);
  // The broadcast of a big machine: it selects every LAPIC in x2APIC mode, and only the others are asked.
  const everyX2apic = matchesEveryX2apic(msg) ? PRESENT | X2APIC_MODE : NO_FLAGS;
  let accepted = NOBODY;
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const lapic = Lapic.at(i);
    const isSelected = (lapic.flags & (PRESENT | X2APIC_MODE)) === everyX2apic;
    if (!isSelected && !isMatch(matchReason(lapic, msg))) continue;
    accepted = max(accepted, 0) + <i32>deliver(lapic, msg);
  }
  return accepted;
}

/** What the scan comes to for a shorthand: no ID is compared. @param except - a vcpuIndex, or NO_SENDER */
function deliverToAll(msg: Message, except: i32): i32 {
  if (isEdge(msg.low)) return deliverEdgeToAll(msg, except);
  let accepted = NOBODY;
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const lapic = Lapic.at(i);
    if (!lapic.isPresent || <i32>i === except) continue;
    accepted = max(accepted, 0) + <i32>deliver(lapic, msg);
  }
  return accepted;
}

/** The same for most interrupts, without deciding for each LAPIC what kind of message it is. */
function deliverEdgeToAll(msg: Message, except: i32): i32 {
  const vector = msg.low & def.ICR_VECTOR;
  const number = msg.number;
  let accepted = NOBODY;
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const lapic = Lapic.at(i);
    if (!lapic.isPresent || <i32>i === except) continue;
    accepted = max(accepted, 0);
    if (!lapic.acceptsFixed) continue;
    accepted++;
    lapic.acceptedMessage = number;
    acceptEdge(lapic, vector);
  }
  return accepted;
}
