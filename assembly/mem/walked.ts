/**
 * The paging-structure entries that an address space's translations came from, with what they held.
 *
 *     record of a space, 256 bytes    0 entries u32, MOST + 1: too many or one that changed    16 entries, 16 bytes each
 *     entry                           0 gpa u64, bit 0: it has 4 bytes, else 8                  8 value u64
 *
 * As long as all of them still hold the same, a walk would find what the TLB has, so that a flush may keep it: hundreds
 * of CPUs that turn on paging with the same tables, one after the other, walk them once. Accessed and dirty bits count:
 * who clears one wants to see it set again.
 */
import { addArea } from "../state-areas";
import { readEntry } from "./physical";

const RECORD_BYTES: usize = 256;
/** Entries of a record: as many as a small kernel with large pages has. */
const MOST: u32 = 15;
const FIRST: usize = 16;
/** By number of the space, of which there are at most ASIDS (tlb.ts), from 1. */
const records: usize = memory.data(1024 * 256, 64);

function recordOf(space: u32): usize {
  return records + <usize>space * RECORD_BYTES;
}

/** Nothing was translated yet in a space. */
export function forgetWalked(space: u32): void {
  store<u32>(recordOf(space), 0);
}

/**
 * A translation went through an entry.
 *
 * @param T - type of the entry; @param found - what it held; @param left - the same with accessed and dirty bits set
 * @inline
 */
export function noteWalked<T>(space: u32, gpa: u64, found: T, left: T): void {
  // Most spaces have long had too many.
  if (load<u32>(recordOf(space)) <= MOST) note<T>(recordOf(space), gpa, found, left);
}

/** @noinline */
function note<T>(record: usize, gpa: u64, found: T, left: T): void {
  const count = load<u32>(record);
  const key = sizeof<T>() === 4 ? gpa | 1 : gpa;
  const end = record + FIRST + ((<usize>count) << 4);
  let entry = record + FIRST;
  while (entry < end && load<u64>(entry) !== key) entry += 16;
  const isKnown = entry < end;
  if (isKnown ? load<u64>(entry, 8) !== <u64>found : count === MOST) {
    store<u32>(record, MOST + 1);
    return;
  }
  store<u64>(entry, key);
  store<u64>(entry, <u64>left, 8);
  if (!isKnown) store<u32>(record, count + 1);
}

/** True when every entry that the translations of a space came from still holds the same. */
export function holdsWalked(space: u32): bool {
  const record = recordOf(space);
  const count = load<u32>(record);
  if (count > MOST) return false;
  const end = record + FIRST + ((<usize>count) << 4);
  for (let entry = record + FIRST; entry < end; entry += 16) {
    const key = load<u64>(entry);
    const value = key & 1 ? <u64>readEntry<u32>(key & ~(<u64>1)) : readEntry<u64>(key);
    if (value !== load<u64>(entry, 8)) return false;
  }
  return true;
}

/** For snapshots. @param spaces - how many there are */
export function listWalked(spaces: u32): void {
  addArea(records + RECORD_BYTES, <usize>spaces * RECORD_BYTES);
}
