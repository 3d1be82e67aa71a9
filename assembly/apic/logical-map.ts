/**
 * The destination map, logical part: which mode all LAPICs share, and who owns each logical ID.
 *
 * Sources: KVM `kvm_recalculate_logical_map`, `kvm_apic_map_get_logical_dest` (6.18); `recalculate_apic_map` (4.9).
 *
 * Kept incrementally (map.ts). A slot is a logical ID of one bit: eight for flat, four in each of sixteen clusters. A
 * slot with one claimant knows it by the XOR of all claimants. x2APIC logical IDs need no slots: they are read from
 * the physical part.
 */
import { MAP_KVM_4_9 } from "../abi";
import { vcpuCount } from "../layout";
import { DFR_FLAT } from "../x86/apicdef";
import { Lapic } from "./lapic";
import { policy } from "./policy";

// What a LAPIC takes part as (Lapic.mapLogical), and the mode of the whole part.
/** No LAPIC takes part: logical messages reach nobody. */
export const LOGICAL_EMPTY: u32 = 0;
export const LOGICAL_X2APIC: u32 = 1;
export const LOGICAL_FLAT: u32 = 2;
export const LOGICAL_CLUSTER: u32 = 3;
/** Mixed modes or ambiguous logical IDs: logical messages are scanned. */
export const LOGICAL_DISABLED: u32 = 4;

/** Slots 0..7 flat, 8.. cluster. */
const CLUSTER_SLOTS: u32 = 8;
const NO_SLOT: u32 = 0xff;

@unmanaged
class Slot {
  count: u32;
  /** XOR of vcpuIndex + 1 of all claimants. */
  members: u32;

  @inline
  static of(n: u32): Slot {
    return changetype<Slot>(slots + ((<usize>n) << 3));
  }
}

const slots: usize = memory.data(576, 8); // 72 slots
/** LAPICs that take part as each LOGICAL_*, then claims that are ambiguous: index 2 + 3 flat, 3 + 3 cluster. */
const counts: usize = memory.data(28, 4);
const AMBIGUOUS: u32 = 3;

function countOf(n: u32): u32 {
  return load<u32>(counts + (n << 2));
}

function addCount(n: u32, by: i32): void {
  store<u32>(counts + (n << 2), countOf(n) + by);
}

export function clearLogicalMap(): void {
  memory.fill(slots, 0, 576);
  memory.fill(counts, 0, 28);
}

/** Enters a present LAPIC. */
export function enterLogical(lapic: Lapic): void {
  const kind = kindOf(lapic);
  lapic.mapLogical = <u8>kind;
  lapic.mapLogicalId = <u8>(lapic.ldr >> 24);
  reenterLogical(lapic);
}

/** Enters a LAPIC as it remembers to be entered. */
export function reenterLogical(lapic: Lapic): void {
  const kind: u32 = lapic.mapLogical;
  if (kind === LOGICAL_EMPTY) return;
  addCount(kind, 1);
  const slot = slotOf(lapic);
  if (slot === NO_SLOT) {
    if (isAmbiguous(lapic)) addCount(kind + AMBIGUOUS, 1);
    return;
  }
  const entry = Slot.of(slot);
  if (++entry.count === 2) addCount(kind + AMBIGUOUS, 1);
  entry.members ^= lapic.cpu.index + 1;
}

/** Takes out what `enterLogical` entered. */
export function leaveLogical(lapic: Lapic): void {
  const kind: u32 = lapic.mapLogical;
  if (kind === LOGICAL_EMPTY) return;
  addCount(kind, -1);
  const slot = slotOf(lapic);
  if (slot === NO_SLOT) {
    if (isAmbiguous(lapic)) addCount(kind + AMBIGUOUS, -1);
  } else {
    const entry = Slot.of(slot);
    if (--entry.count === 1) addCount(kind + AMBIGUOUS, -1);
    entry.members ^= lapic.cpu.index + 1;
  }
  lapic.mapLogical = <u8>LOGICAL_EMPTY;
}

/** KVM 6.18 asks for SVR[8] and a 32-bit LDR that is not 0; 4.9 asks nothing of x2APIC mode, and an LDR of xAPIC mode. */
function kindOf(lapic: Lapic): u32 {
  if (policy.mapForm === MAP_KVM_4_9) {
    if (lapic.isX2apic) return LOGICAL_X2APIC;
    if (lapic.ldr === 0) return LOGICAL_EMPTY;
  } else {
    if (!lapic.isSoftwareEnabled || lapic.ldr === 0) return LOGICAL_EMPTY;
    if (lapic.isX2apic) return LOGICAL_X2APIC;
  }
  // Any DFR but the flat one counts as cluster here, though a scan matches no LAPIC with such a DFR.
  return lapic.dfr === DFR_FLAT ? LOGICAL_FLAT : LOGICAL_CLUSTER;
}

/** Bits of the logical ID that choose within the flat model or the cluster. */
function bitsOf(lapic: Lapic): u32 {
  const id: u32 = lapic.mapLogicalId;
  return lapic.mapLogical === <u8>LOGICAL_CLUSTER ? id & 0xf : id;
}

/** Several bits: KVM 6.18 gives the part up; 4.9 enters the LAPIC under its lowest bit. */
function isAmbiguous(lapic: Lapic): bool {
  return lapic.mapLogical !== <u8>LOGICAL_X2APIC && popcnt(bitsOf(lapic)) > 1;
}

function slotOf(lapic: Lapic): u32 {
  const kind: u32 = lapic.mapLogical;
  if (kind < LOGICAL_FLAT) return NO_SLOT;
  const bits = bitsOf(lapic);
  if (bits === 0) return NO_SLOT;
  if (policy.mapForm !== MAP_KVM_4_9 && popcnt(bits) > 1) return NO_SLOT;
  const bit = <u32>ctz(bits);
  return kind === LOGICAL_FLAT ? bit : clusterSlot(<u32>lapic.mapLogicalId >> 4, bit);
}

/** Slot of a flat logical ID. @param bit - 0..7 */
export function flatSlot(bit: u32): u32 {
  return bit;
}

/** @param cluster - 0..15; @param bit - 0..3 */
export function clusterSlot(cluster: u32, bit: u32): u32 {
  return CLUSTER_SLOTS + (cluster << 2) + bit;
}

/** How logical messages find their targets: LOGICAL_*. */
export function logicalMode(): u32 {
  const x2apic = countOf(LOGICAL_X2APIC);
  const flat = countOf(LOGICAL_FLAT);
  const cluster = countOf(LOGICAL_CLUSTER);
  const kinds = <u32>(x2apic !== 0) + <u32>(flat !== 0) + <u32>(cluster !== 0);
  const legacy = policy.mapForm === MAP_KVM_4_9;
  if (kinds === 0) return legacy ? LOGICAL_DISABLED : LOGICAL_EMPTY;
  if (kinds > 1) return LOGICAL_DISABLED;
  if (x2apic !== 0) return LOGICAL_X2APIC;
  const kind = flat !== 0 ? LOGICAL_FLAT : LOGICAL_CLUSTER;
  return !legacy && countOf(kind + AMBIGUOUS) !== 0 ? LOGICAL_DISABLED : kind;
}

/** The owner of a slot. @returns vcpuIndex, or -1 */
export function slotOwner(slot: u32): i32 {
  const entry = Slot.of(slot);
  if (entry.count <= 1) return <i32>entry.members - 1;
  // Only KVM 4.9 keeps a map with such a slot; the last created LAPIC has it.
  for (let i = <i32>vcpuCount - 1; i >= 0; i--) {
    if (slotOf(Lapic.at(i)) === slot) return i;
  }
  return -1;
}
