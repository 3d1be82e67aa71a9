/**
 * The fabric: takes a message to the LAPICs that its destination selects.
 *
 * Sources: KVM `kvm_irq_delivery_to_apic`, `kvm_irq_delivery_to_apic_fast`, `kvm_apic_map_get_dest_lapic`,
 * `kvm_apic_is_broadcast_dest`; SDM 3A "Determining IPI Destination", "Lowest Priority Delivery Mode".
 *
 * Self shorthand goes straight to the sender, other shorthands and broadcasts to a scan, everything else through the map
 * where the policy has one.
 */
import { LOW_ALL, LOW_LAST, MAP_KVM_4_9, PATH_MAP, PATH_SCAN, PATH_SELF, SLOT_SCAN } from "../abi";
import { vcpuCount } from "../layout";
import * as def from "../x86/apicdef";
import { accept } from "./accept";
import { scanWinner, slotWinner } from "./arbitration";
import { Lapic } from "./lapic";
import { logicalMode, LOGICAL_DISABLED } from "./logical-map";
import { logicalBits, picksOne, slotMember, usesMap } from "./lookup";
import { mapOwner } from "./map";
import { isMatch, matchReason } from "./match";
import { Message, NO_SENDER } from "./message";
import { policy } from "./policy";

/** What a scan returns when no LAPIC matched; KVM's KVM_SIGNAL_MSI then fails. */
export const NOBODY: i32 = -1;

const DELIVERY_MODE: u32 = 7 << def.ICR_DELIVERY_MODE_SHIFT;

/**
 * Finds the targets of a message and delivers it; `path` tells how, and `low` in which delivery mode.
 *
 * @returns number of LAPICs that accepted; 0 when the map knows nobody or all refused; NOBODY when a scan matched none
 */
export function route(msg: Message): i32 {
  const shorthand = (msg.low >> def.ICR_SHORTHAND_SHIFT) & 3;
  if (shorthand === def.SELF && msg.sender !== NO_SENDER) {
    msg.path = PATH_SELF;
    const lapic = Lapic.at(msg.sender);
    return lapic.isPresent ? <i32>deliver(lapic, msg) : 0;
  }
  if (usesMap(msg)) {
    if ((msg.low & def.ICR_LOGICAL) === 0) return routePhysical(msg);
    const mode = logicalMode();
    if (mode !== LOGICAL_DISABLED) return routeLogical(msg, mode);
  }
  return scan(msg);
}

function deliver(lapic: Lapic, msg: Message): u32 {
  const accepted = accept(lapic, msg.low);
  if (accepted !== 0) lapic.acceptedMessage = msg.number;
  return accepted;
}

/** What a map lookup returns that found no LAPIC. */
function nobodyInMap(): i32 {
  return policy.mapForm === MAP_KVM_4_9 ? NOBODY : 0;
}

function routePhysical(msg: Message): i32 {
  msg.path = PATH_MAP;
  const owner = mapOwner(msg.dest);
  return owner >= 0 ? <i32>deliver(Lapic.at(owner), msg) : nobodyInMap();
}

function routeLogical(msg: Message, mode: u32): i32 {
  msg.path = PATH_MAP;
  if (picksOne(msg)) {
    const winner = slotWinner(msg, mode);
    return winner >= 0 ? <i32>deliver(Lapic.at(winner), msg) : nobodyInMap();
  }
  let accepted = nobodyInMap();
  for (let rest = logicalBits(msg.dest, mode); rest !== 0; rest &= rest - 1) {
    const member = slotMember(msg.dest, mode, <u32>ctz(rest));
    if (member >= 0) accepted = max(accepted, 0) + <i32>deliver(Lapic.at(member), msg);
  }
  return accepted;
}

function scan(msg: Message): i32 {
  msg.path = PATH_SCAN;
  if (isBroadcastToOne(msg)) msg.low &= ~DELIVERY_MODE;
  if (picksOne(msg)) return deliverTo(scanWinner(msg), msg);
  if (isOwned(msg)) return deliverTo(scanOwner(msg), msg);
  let accepted = NOBODY;
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const lapic = Lapic.at(i);
    if (!isMatch(matchReason(lapic, msg))) continue;
    accepted = max(accepted, 0) + <i32>deliver(lapic, msg);
  }
  return accepted;
}

function deliverTo(vcpuIndex: i32, msg: Message): i32 {
  return vcpuIndex >= 0 ? <i32>deliver(Lapic.at(vcpuIndex), msg) : NOBODY;
}

/**
 * KVM turns lowest priority to physical 0xff into Fixed to all. It tests the destination field alone, so that this hits
 * the shorthands too; and an MSI with the redirection hint changes its mode but still goes to one LAPIC.
 */
function isBroadcastToOne(msg: Message): bool {
  return msg.dest === def.XAPIC_BROADCAST && (msg.low & def.ICR_LOGICAL) === 0 && picksOne(msg);
}

/** The knob `low` on a policy that only scans: a physical 8-bit ID has one owner. */
export function isOwned(msg: Message): bool {
  const fields = def.ICR_LOGICAL | (3 << def.ICR_SHORTHAND_SHIFT);
  return (
    policy.slot === SLOT_SCAN &&
    policy.low !== LOW_ALL &&
    (msg.low & fields) === 0 &&
    msg.dest < 0xff
  );
}

/** @returns vcpuIndex, or -1 */
export function scanOwner(msg: Message): i32 {
  let owner = -1;
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const lapic = Lapic.at(i);
    if (!isMatch(matchReason(lapic, msg))) continue;
    if (owner < 0 || policy.low === LOW_LAST || lapic.isX2apic) owner = <i32>i;
  }
  return owner;
}
