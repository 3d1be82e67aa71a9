/**
 * The destination map: KVM's fast path, physical part and rebuild rule.
 *
 * Sources: KVM `kvm_recalculate_apic_map`, `kvm_recalculate_phys_map` (6.18); `recalculate_apic_map` (4.9).
 *
 * KVM draws the map up anew after every change of a LAPIC. Here it is kept incrementally, because a rebuild of N LAPICs
 * for each of N mode changes costs N squared. Each LAPIC remembers what it is entered as (`mapMode`, `mapXid`); the
 * table itself is not stored, since the owner of an ID follows from the LAPIC with that x2APIC ID (ids.ts) and from the
 * xAPIC-mode LAPICs with that 8-bit ID, for which there are 256 buckets.
 *
 * What KVM decides at the moment of a rebuild is decided at that moment here too: which vCPUs exist (`visible`) and
 * whether 32-bit IDs are on (`slot`, `low`).
 */
import {
  LOW_ALL,
  LOW_LAST,
  LOW_OWNER,
  MAP_KVM_4_9,
  SLOT_MAP_BOTH,
  SLOT_MAP_MODE,
  SLOT_SCAN,
} from "../abi";
import { reserve, vcpuCount } from "../layout";
import { addArea } from "../state-areas";
import { findApicId } from "./ids";
import { Lapic } from "./lapic";
import {
  clearLogicalMap,
  enterLogical,
  leaveLogical,
  LOGICAL_CLUSTER,
  reenterLogical,
} from "./logical-map";
import { forgetTargets } from "./plain-targets";
import { policy } from "./policy";

// Lapic.mapMode
const NOT_IN_MAP: u32 = 0;
const IN_XAPIC_MODE: u32 = 1;
const IN_X2APIC_MODE: u32 = 2;

/** The largest 8-bit ID is the least that KVM's table holds. */
const BOUND_MIN: u32 = 0xff;

@unmanaged
class MapState {
  /** vCPUs below this vcpuIndex existed at the last rebuild. */
  visible: u32;
  /** SLOT_* and LOW_* as of the last rebuild. */
  slot: u32;
  low: u32;
  /** IDs up to 0xff that more than one LAPIC claims. */
  aliases: u32;
  /** Largest ID of an entered LAPIC; too large while `boundStale`. */
  bound: u32;
  boundStale: u32;
}

/** The xAPIC-mode LAPICs with one 8-bit ID. */
@unmanaged
class Bucket {
  count: u32;
  /** XOR of vcpuIndex + 1 of all: with one member, the member. */
  members: u32;
  /** First (or last, for LOW_LAST) vcpuIndex; while `stale`, a bound on it. */
  pick: u32;
  stale: u32;
  /** 1 when the LAPIC with this x2APIC ID is in x2APIC mode. */
  x2apicOwner: u32;

  @inline
  static of(id: u32): Bucket {
    return changetype<Bucket>(buckets + <usize>id * offsetof<Bucket>());
  }

  @inline
  get claims(): u32 {
    return this.count + this.x2apicOwner;
  }
}

const state: MapState = changetype<MapState>(memory.data(24, 8));
const BUCKETS_BYTES: usize = 256 * 20;
const buckets: usize = memory.data(5120, 8);
/** One bit for each vCPU that is entered in xAPIC mode. */
let xapicBits: usize = 0;
let xapicBytes: usize = 0;

if (offsetof<MapState>() !== 24) ERROR("MapState: size of its memory");
if (offsetof<Bucket>() !== 20) ERROR("Bucket: size of its memory");

/** Places the table of xAPIC-mode vCPUs. @returns false when memory does not suffice */
export function initMap(capacity: u32): bool {
  xapicBytes = ((<usize>capacity + 63) >> 6) << 3;
  xapicBits = reserve(xapicBytes, 64);
  forgetTargets();
  return xapicBits !== 0;
}

/** Forgets all entries; the LAPICs must be forgotten too. */
export function clearMap(): void {
  forgetTargets();
  memory.fill(changetype<usize>(state), 0, offsetof<MapState>());
  memory.fill(buckets, 0, BUCKETS_BYTES);
  memory.fill(xapicBits, 0, xapicBytes);
  clearLogicalMap();
}

/**
 * A rebuild: takes in every vCPU that was created since the last one, and the new state of one LAPIC.
 *
 * Called where KVM calls `kvm_recalculate_apic_map`, after the LAPIC changed.
 */
export function rebuild(lapic: Lapic): void {
  rebuildUpTo(vcpuCount);
  if (lapic.cpu.index < state.visible) {
    leave(lapic);
    enter(lapic);
  }
}

/** The rebuild that creating a vCPU makes: it sees the vCPUs before it, not the new one. */
export function rebuildUpTo(count: u32): void {
  takeFlag();
  while (state.visible < count) enter(Lapic.at(state.visible++));
}

/** Takes the knobs `slot`, `low` and `mapForm` as they are now. */
export function applyMapKnobs(): void {
  for (let i: u32 = 0; i < state.visible; i++) leave(Lapic.at(i));
  clearLogicalMap();
  state.bound = 0;
  state.boundStale = 0;
  takeFlag();
  for (let i: u32 = 0; i < state.visible; i++) enter(Lapic.at(i));
}

/** What every rebuild begins with. USE_32BIT_IDS chooses the form of KVM's map since 6.3, from the next rebuild on. */
function takeFlag(): void {
  forgetTargets();
  let slot = policy.slot;
  let low = policy.low;
  if (policy.followIds32 !== 0 && slot !== SLOT_SCAN) {
    slot = policy.ids32 !== 0 ? SLOT_MAP_BOTH : SLOT_MAP_MODE;
    low = policy.ids32 !== 0 ? LOW_OWNER : LOW_ALL;
  }
  const turned = (low === LOW_LAST) !== (state.low === LOW_LAST);
  state.slot = slot;
  state.low = low;
  if (!turned) return;
  for (let id: u32 = 0; id < 256; id++) {
    const bucket = Bucket.of(id);
    bucket.pick = low === LOW_LAST ? u32.MAX_VALUE : 0;
    bucket.stale = 1;
  }
}

function enter(lapic: Lapic): void {
  if (!lapic.isPresent) return;
  const cpu = lapic.cpu;
  let key = cpu.apicId;
  if (lapic.isX2apic) {
    lapic.mapMode = <u8>IN_X2APIC_MODE;
    enterOwner(key);
  } else {
    lapic.mapMode = <u8>IN_XAPIC_MODE;
    lapic.mapXid = lapic.xid;
    enterBucket(lapic.xid, cpu.index);
    if (policy.mapForm === MAP_KVM_4_9) key = lapic.xid;
  }
  state.bound = max(state.bound, key);
  enterLogical(lapic);
}

/** The LAPIC with this x2APIC ID is in x2APIC mode. */
function enterOwner(apicId: u32): void {
  if (apicId > 0xff) return;
  const bucket = Bucket.of(apicId);
  bucket.x2apicOwner = 1;
  if (bucket.claims === 2) state.aliases++;
}

function leave(lapic: Lapic): void {
  const mode: u32 = lapic.mapMode;
  if (mode === NOT_IN_MAP) return;
  lapic.mapMode = <u8>NOT_IN_MAP;
  leaveLogical(lapic);
  const cpu = lapic.cpu;
  if (cpu.apicId >= state.bound) state.boundStale = 1;
  if (mode === IN_XAPIC_MODE) {
    leaveBucket(lapic.mapXid, cpu.index);
  } else if (cpu.apicId <= 0xff) {
    const bucket = Bucket.of(cpu.apicId);
    bucket.x2apicOwner = 0;
    if (bucket.claims === 1) state.aliases--;
  }
}

function enterBucket(xid: u32, vcpuIndex: u32): void {
  const bucket = Bucket.of(xid);
  bucket.count++;
  bucket.members ^= vcpuIndex + 1;
  if (bucket.claims === 2) state.aliases++;
  const word = xapicBits + ((<usize>vcpuIndex >> 6) << 3);
  store<u64>(word, load<u64>(word) | ((<u64>1) << (vcpuIndex & 63)));
  const isAhead = state.low === LOW_LAST ? vcpuIndex > bucket.pick : vcpuIndex < bucket.pick;
  if (bucket.count === 1 || isAhead) {
    bucket.pick = vcpuIndex;
    bucket.stale = 0;
  }
}

function leaveBucket(xid: u32, vcpuIndex: u32): void {
  const bucket = Bucket.of(xid);
  bucket.count--;
  bucket.members ^= vcpuIndex + 1;
  if (bucket.claims === 1) state.aliases--;
  const word = xapicBits + ((<usize>vcpuIndex >> 6) << 3);
  store<u64>(word, load<u64>(word) & ~((<u64>1) << (vcpuIndex & 63)));
  if (bucket.count === 1) {
    bucket.pick = bucket.members - 1;
    bucket.stale = 0;
  } else if (bucket.pick === vcpuIndex) {
    bucket.stale = 1;
  }
}

/**
 * The first or last member of a bucket that has one. A stale pick is a bound: no member lies before it (after it, for
 * LOW_LAST), so that the search goes on where the last one ended.
 */
function memberOf(xid: u32): u32 {
  const bucket = Bucket.of(xid);
  if (bucket.stale !== 0) {
    bucket.pick =
      state.low === LOW_LAST ? lastMember(xid, bucket.pick) : firstMember(xid, bucket.pick);
    bucket.stale = 0;
  }
  return bucket.pick;
}

function firstMember(xid: u32, from: u32): u32 {
  let vcpuIndex = xapicAtOrAfter(from);
  while (Lapic.at(vcpuIndex).mapXid !== <u8>xid) vcpuIndex = xapicAtOrAfter(vcpuIndex + 1);
  return vcpuIndex;
}

function lastMember(xid: u32, from: u32): u32 {
  let vcpuIndex = xapicAtOrBefore(min(from, state.visible - 1));
  while (Lapic.at(vcpuIndex).mapXid !== <u8>xid) vcpuIndex = xapicAtOrBefore(vcpuIndex - 1);
  return vcpuIndex;
}

function xapicAtOrAfter(vcpuIndex: u32): u32 {
  let n = vcpuIndex >> 6;
  let word = bitsOf(n) & (u64.MAX_VALUE << (vcpuIndex & 63));
  while (word === 0) word = bitsOf(++n);
  return (n << 6) | <u32>ctz(word);
}

function xapicAtOrBefore(vcpuIndex: u32): u32 {
  let n = vcpuIndex >> 6;
  let word = bitsOf(n) & (u64.MAX_VALUE >> (63 - (vcpuIndex & 63)));
  while (word === 0) word = bitsOf(--n);
  return (n << 6) | (63 - <u32>clz(word));
}

function bitsOf(n: u32): u64 {
  return load<u64>(xapicBits + ((<usize>n) << 3));
}

/** False when every message is scanned: no map by policy, or given up because of an alias. @inline */
export function hasMap(): bool {
  return state.slot !== SLOT_SCAN && (state.low !== LOW_ALL || state.aliases === 0);
}

/** The policy has a map, but two LAPICs claim one ID (KVM: APICV_INHIBIT_REASON_PHYSICAL_ID_ALIASED). */
export function isMapGivenUp(): bool {
  return state.slot !== SLOT_SCAN && !hasMap();
}

/** The LAPIC that the map holds under an ID. @returns vcpuIndex, or -1 */
export function mapOwner(id: u32): i32 {
  let owner = findApicId(id);
  if (owner >= 0 && !isEnteredByX2id(owner, id)) owner = -1;
  if (id > 0xff || (owner >= 0 && state.low !== LOW_LAST)) return owner;
  // For the last created the order counts; otherwise nobody else has claimed the ID so far.
  return Bucket.of(id).count === 0 ? owner : max(owner, <i32>memberOf(id));
}

/** @inline */
function isEnteredByX2id(vcpuIndex: u32, id: u32): bool {
  const mode: u32 = Lapic.at(vcpuIndex).mapMode;
  return (
    mode === IN_X2APIC_MODE || (mode === IN_XAPIC_MODE && id > 0xff && state.slot === SLOT_MAP_BOTH)
  );
}

/** True when the last rebuild saw this vCPU. */
export function isVisible(vcpuIndex: u32): bool {
  return vcpuIndex < state.visible;
}

/** The largest ID that KVM's table has room for: 255, or the largest ID in it. */
export function mapBound(): u32 {
  if (state.boundStale !== 0) {
    state.bound = 0;
    for (let i: u32 = 0; i < state.visible; i++) {
      const lapic = Lapic.at(i);
      const mode: u32 = lapic.mapMode;
      if (mode === NOT_IN_MAP) continue;
      const byXid = mode === IN_XAPIC_MODE && policy.mapForm === MAP_KVM_4_9;
      state.bound = max(state.bound, byXid ? <u32>lapic.mapXid : lapic.cpu.apicId);
    }
    state.boundStale = 0;
  }
  return max(state.bound, BOUND_MIN);
}

/** For snapshots: the rest follows from what the LAPICs remember to be entered as. */
export function listMap(): void {
  addArea(changetype<usize>(state), offsetof<MapState>());
}

/** Draws the map up anew as the restored LAPICs remember it. @returns false when it cannot have been so */
export function restoreMap(): bool {
  if (state.visible > vcpuCount) return false;
  if (state.slot > <u32>SLOT_MAP_MODE || state.low > <u32>LOW_LAST) return false;
  const pick = state.low === LOW_LAST ? u32.MAX_VALUE : 0;
  for (let id: u32 = 0; id < 256; id++) Bucket.of(id).pick = pick;
  state.aliases = 0;
  state.bound = 0;
  state.boundStale = 1;
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const lapic = Lapic.at(i);
    if (lapic.mapMode > IN_X2APIC_MODE || lapic.mapLogical > LOGICAL_CLUSTER) return false;
    if (lapic.mapMode === NOT_IN_MAP) {
      if (lapic.mapLogical !== 0) return false;
    } else if (i < state.visible) reenter(lapic);
    else return false;
  }
  return true;
}

function reenter(lapic: Lapic): void {
  if (lapic.mapMode === IN_X2APIC_MODE) enterOwner(lapic.cpu.apicId);
  else enterBucket(lapic.mapXid, lapic.cpu.index);
  reenterLogical(lapic);
}
