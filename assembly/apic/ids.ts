/**
 * From x2APIC ID to vCPU: a plain array for IDs below the number of slots, a hash table for the rest of the 32 bits.
 *
 * Both hold vcpuIndex + 1, so that zeroed memory means "nobody". An ID stays bound when its CPU is removed, so that the
 * same CPU comes back into the same slot, until another CPU takes the slot over.
 */
import { reserve } from "../layout";

const DENSE_MIN: u32 = 1024;
/** Fibonacci hashing: spreads IDs that differ in few bits. */
const HASH_MULTIPLIER: u32 = 0x9e3779b1;

let dense: usize = 0;
let denseCount: u32 = 0;
let sparse: usize = 0;
let sparseBits: u32 = 0;

/** Places the tables. @param capacity - number of vCPU slots @returns false when memory does not suffice */
export function initIds(capacity: u32): bool {
  denseCount = max(capacity, DENSE_MIN);
  sparseBits = 4;
  while ((<u64>1) << sparseBits < <u64>capacity * 2) sparseBits++;
  dense = reserve(<u64>denseCount * 4, 64);
  sparse = reserve((<u64>8) << sparseBits, 64);
  return dense !== 0 && sparse !== 0;
}

/** Forgets all IDs. */
export function clearIds(): void {
  memory.fill(dense, 0, denseCount * 4);
  memory.fill(sparse, 0, (<usize>8) << sparseBits);
}

/** The vCPU with an x2APIC ID. @returns vcpuIndex, or -1 @inline */
export function findApicId(apicId: u32): i32 {
  if (apicId < denseCount) return load<i32>(dense + ((<usize>apicId) << 2)) - 1;
  return load<i32>(entryOf(apicId), 4) - 1;
}

/** Binds an ID to a slot. At most as many IDs as there are slots may be bound at a time. */
export function bindApicId(apicId: u32, vcpuIndex: u32): void {
  if (apicId < denseCount) {
    store<u32>(dense + ((<usize>apicId) << 2), vcpuIndex + 1);
    return;
  }
  const entry = entryOf(apicId);
  store<u32>(entry, apicId);
  store<u32>(entry, vcpuIndex + 1, 4);
}

/** Takes an ID off its slot. */
export function unbindApicId(apicId: u32): void {
  if (apicId < denseCount) {
    store<u32>(dense + ((<usize>apicId) << 2), 0);
    return;
  }
  // Linear probing without gaps: what was pushed past this entry moves back.
  const mask = ((<u32>1) << sparseBits) - 1;
  let gap = entryOf(apicId);
  let n = (<u32>(gap - sparse) >> 3) & mask;
  for (;;) {
    n = (n + 1) & mask;
    const entry = sparse + ((<usize>n) << 3);
    if (load<u32>(entry, 4) === 0) break;
    const home = (load<u32>(entry) * HASH_MULTIPLIER) >> (32 - sparseBits);
    const gapAt = <u32>(gap - sparse) >> 3;
    if (((n - home) & mask) < ((n - gapAt) & mask)) continue;
    store<u64>(gap, load<u64>(entry));
    gap = entry;
  }
  store<u64>(gap, 0);
}

/** The entry that holds an ID, or the free one where it belongs. The table is at most half full, so there is one. */
function entryOf(apicId: u32): usize {
  const mask = ((<u32>1) << sparseBits) - 1;
  let n = (apicId * HASH_MULTIPLIER) >> (32 - sparseBits);
  let entry = sparse + ((<usize>n) << 3);
  while (load<u32>(entry, 4) !== 0 && load<u32>(entry) !== apicId) {
    n = (n + 1) & mask;
    entry = sparse + ((<usize>n) << 3);
  }
  return entry;
}
