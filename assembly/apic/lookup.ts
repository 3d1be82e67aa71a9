/**
 * Asking the destination map: which messages, and what it answers to a logical destination.
 *
 * Sources: KVM `kvm_apic_is_broadcast_dest`, `kvm_apic_map_get_logical_dest`, `kvm_lowest_prio_delivery`.
 */
import * as def from "../x86/apicdef";
import { Lapic } from "./lapic";
import {
  clusterSlot,
  flatSlot,
  logicalMode,
  LOGICAL_FLAT,
  LOGICAL_X2APIC,
  slotOwner,
} from "./logical-map";
import { hasMap, mapBound, mapOwner } from "./map";
import { Message, NO_SENDER, REDIRECTION_HINT } from "./message";
import { policy } from "./policy";

const DELIVERY_MODE: u32 = 7 << def.ICR_DELIVERY_MODE_SHIFT;
const SHORTHAND: u32 = 3 << def.ICR_SHORTHAND_SHIFT;

/** True when a message is looked up; a logical one is scanned all the same while that part of the map is disabled. */
export function usesMap(msg: Message): bool {
  return (msg.low & SHORTHAND) === 0 && hasMap() && !isBroadcast(msg);
}

/** What KVM takes for a broadcast, and scans for. */
function isBroadcast(msg: Message): bool {
  const dest = msg.dest;
  if (policy.quirk !== 0) {
    const isLong = msg.sender !== NO_SENDER && Lapic.at(msg.sender).isX2apic;
    return dest === (isLong ? def.X2APIC_BROADCAST : def.XAPIC_BROADCAST);
  }
  if (dest === def.X2APIC_BROADCAST) return true;
  return dest === def.XAPIC_BROADCAST && logicalMode() !== LOGICAL_X2APIC;
}

export function isLogical(msg: Message): bool {
  return (msg.low & def.ICR_LOGICAL) !== 0;
}

/** Lowest-priority mode, or an MSI with the redirection hint: one LAPIC of several takes the message. */
export function picksOne(msg: Message): bool {
  return (
    msg.kind === REDIRECTION_HINT ||
    (msg.low & DELIVERY_MODE) === def.LOWEST_PRIORITY << def.ICR_DELIVERY_MODE_SHIFT
  );
}

/** The bits of a logical destination that name members. @param mode - LOGICAL_X2APIC, _FLAT or _CLUSTER, or _EMPTY */
export function logicalBits(dest: u32, mode: u32): u32 {
  if (mode === LOGICAL_X2APIC) return dest & 0xffff;
  if (mode === LOGICAL_FLAT) return dest & 0xff;
  return mode > LOGICAL_FLAT ? dest & 0xf : 0;
}

/** The same for arbitration, where bits count: without those beyond the end of KVM's table. */
export function logicalBitsInBound(dest: u32, mode: u32): u32 {
  const bits = logicalBits(dest, mode);
  if (mode !== LOGICAL_X2APIC) return bits;
  const base = (dest >> 16) << 4;
  const bound = mapBound();
  if (base > bound) return 0;
  const room = min<u32>(bound - base + 1, 16);
  return bits & (((<u32>1) << room) - 1);
}

/** The member that a bit of a logical destination names. @returns vcpuIndex, or -1 */
export function slotMember(dest: u32, mode: u32, bit: u32): i32 {
  // x2APIC members come from the physical part, whatever mode they are in.
  if (mode === LOGICAL_X2APIC) return mapOwner(((dest >> 16) << 4) + bit);
  if (mode === LOGICAL_FLAT) return slotOwner(flatSlot(bit));
  return slotOwner(clusterSlot((dest >> 4) & 0xf, bit));
}
