/**
 * The vCPUs that a scheduler has to visit: a hierarchical bitmap over vcpuIndex.
 *
 * A bit is set for every RUNNABLE vCPU, and for a waiting one whose request word got a new bit. Level 0 has one bit per
 * vCPU, each level above one bit per word below: an idle vCPU costs nothing, and the next one is found in four looks.
 */
import { reserve, vcpuCount } from "../layout";
import { addArea } from "../state-areas";

const LEVELS: u32 = 4; // 64^4 = 16 Mi vCPUs

let level0: usize = 0;
let level1: usize = 0;
let level2: usize = 0;
let level3: usize = 0;

/** How many bits are set. */
export let runnableCount: u32 = 0;

/** Reserves the bitmap. */
export function placeRunnable(capacity: u32): bool {
  const words = (<u64>capacity + 63) >> 6;
  level0 = reserve((words + 1) << 3, 64);
  level1 = reserve(((words >> 6) + 1) << 3, 64);
  level2 = reserve(((words >> 12) + 1) << 3, 64);
  level3 = reserve(((words >> 18) + 1) << 3, 64);
  return level0 !== 0 && level1 !== 0 && level2 !== 0 && level3 !== 0;
}

function base(level: u32): usize {
  if (level === 0) return level0;
  if (level === 1) return level1;
  return level === 2 ? level2 : level3;
}

/** Also the hook of apic/: a waiting vCPU has something to look at. */
export function markRunnable(vcpuIndex: u32): void {
  const word = level0 + ((<usize>vcpuIndex >> 6) << 3);
  const old = load<u64>(word);
  const marked = old | ((<u64>1) << (vcpuIndex & 63));
  if (marked === old) return;
  runnableCount++;
  store<u64>(word, marked);
  if (old === 0) markAbove(vcpuIndex >> 6);
}

/** A word of level 0 has its first bit. @param n - which one */
function markAbove(n: u32): void {
  let at = n;
  for (let level: u32 = 1; level < LEVELS; level++) {
    const word = base(level) + ((at >> 6) << 3);
    const old = load<u64>(word);
    store<u64>(word, old | ((<u64>1) << (at & 63)));
    if (old !== 0) return;
    at >>= 6;
  }
}

/** @inline */
export function unmarkRunnable(vcpuIndex: u32): void {
  const word = level0 + ((<usize>vcpuIndex >> 6) << 3);
  const old = load<u64>(word);
  const left = old & ~((<u64>1) << (vcpuIndex & 63));
  if (left === old) return;
  runnableCount--;
  store<u64>(word, left);
  if (left === 0) unmarkAbove(vcpuIndex >> 6);
}

/** A word of level 0 has lost its last bit. @param n - which one @noinline */
function unmarkAbove(n: u32): void {
  let at = n;
  for (let level: u32 = 1; level < LEVELS; level++) {
    const word = base(level) + ((at >> 6) << 3);
    const left = load<u64>(word) & ~((<u64>1) << (at & 63));
    store<u64>(word, left);
    if (left !== 0) return;
    at >>= 6;
  }
}

/**
 * The first marked vCPU after `vcpuIndex`, around the end. Often all are in its word, or the next one is.
 *
 * @returns vcpuIndex, or -1 when none is marked
 * @inline
 */
export function nextRunnable(vcpuIndex: u32): i32 {
  const word = load<u64>(level0 + ((<usize>vcpuIndex >> 6) << 3));
  const after = vcpuIndex + 1;
  if (<u32>popcnt(word) === runnableCount) {
    if (word === 0) return -1;
    return <i32>((vcpuIndex & ~63) | ((after + <u32>ctz(rotr<u64>(word, after))) & 63));
  }
  const later = (word >> 1) >> (vcpuIndex & 63);
  return later !== 0 ? <i32>(after + <u32>ctz(later)) : findAround(vcpuIndex);
}

/** The same beyond the word of `vcpuIndex`; there is one. @noinline */
function findAround(vcpuIndex: u32): i32 {
  const after = findFrom((vcpuIndex | 63) + 1);
  return after >= 0 ? after : findFrom(0);
}

function findFrom(start: u32): i32 {
  let n = start;
  for (let level: u32 = 0; level < LEVELS; level++) {
    if (isInside(level, n)) {
      const word = load<u64>(base(level) + ((n >> 6) << 3)) & ((<u64>-1) << (n & 63));
      if (word !== 0) return descend(level, (n & ~63) | <u32>ctz(word));
    }
    n = (n >> 6) + 1;
  }
  return -1;
}

/** The tables end where the next one begins or where the capacity does; beyond that nothing is marked. */
function isInside(level: u32, n: u32): bool {
  const next = level === 3 ? <usize>-1 : base(level + 1);
  return base(level) + ((n >> 6) << 3) < next;
}

function descend(level: u32, found: u32): i32 {
  let n = found;
  for (let below: i32 = <i32>level - 1; below >= 0; below--) {
    n = (n << 6) | <u32>ctz(load<u64>(base(<u32>below) + ((<usize>n) << 3)));
  }
  return <i32>n;
}

/** For snapshots: the levels above follow. */
export function listRunnable(): void {
  addArea(level0, ((<usize>vcpuCount + 63) >> 6) << 3);
}

/** Draws up the levels above the one that was put back. @returns false when it marks slots that hold no CPU */
export function restoreRunnable(): bool {
  // A device that was put back before may have woken vCPU 0.
  runnableCount = 0;
  for (let level: u32 = 1; level < LEVELS; level++) store<u64>(base(level), 0);
  for (let start: u32 = 0; start < vcpuCount; start += 64) {
    const word = level0 + ((<usize>start >> 6) << 3);
    let marked = load<u64>(word);
    const beyond = vcpuCount - start < 64 ? (<u64>-1) << (vcpuCount - start) : 0;
    if ((marked & beyond) !== 0) return false;
    store<u64>(word, 0);
    for (; marked !== 0; marked &= marked - 1) markRunnable(start + <u32>ctz(marked));
  }
  return true;
}
