/**
 * The armed LAPIC timers: a binary heap of vCPUs by deadline, then by vcpuIndex.
 *
 * The deadline itself is the LAPIC's; the heap holds vcpuIndex, and each vCPU's place in it, so that a change costs
 * log(armed timers).
 */
import { fabricDeadline, heldMessages } from "../apic/inject";
import { Lapic, NO_DEADLINE } from "../apic/lapic";
import { reserve, vcpuCount } from "../layout";
import { addArea } from "../state-areas";

let heap: usize = 0;
/** Place of each vCPU in the heap, plus one; 0 when it is not in it. */
let places: usize = 0;
let count: u32 = 0;

/** Reserves the heap. */
export function placeTimers(capacity: u32): bool {
  heap = reserve((<u64>capacity) << 2, 64);
  places = reserve((<u64>capacity) << 2, 64);
  return heap !== 0 && places !== 0;
}

function at(place: u32): u32 {
  return load<u32>(heap + ((<usize>place) << 2));
}

function put(place: u32, vcpuIndex: u32): void {
  store<u32>(heap + ((<usize>place) << 2), vcpuIndex);
  store<u32>(places + ((<usize>vcpuIndex) << 2), place + 1);
}

function isBefore(a: u32, b: u32): bool {
  const deadlineA = Lapic.at(a).deadline;
  const deadlineB = Lapic.at(b).deadline;
  return deadlineA < deadlineB || (deadlineA === deadlineB && a < b);
}

/** False when nothing happens by itself: no timer is armed, no message on hold. @inline */
export function hasDeadline(): bool {
  return (count | heldMessages()) !== 0;
}

/** The earliest time at which something happens by itself, ns: a timer or a message on hold; or NO_DEADLINE. */
export function nextDeadline(): u64 {
  return min(nextTimerDeadline(), fabricDeadline());
}

/** The earliest deadline of a timer in ns, or NO_DEADLINE. */
export function nextTimerDeadline(): u64 {
  return count === 0 ? NO_DEADLINE : Lapic.at(at(0)).deadline;
}

/** The vCPU with the earliest deadline; there is one. */
export function nextTimer(): u32 {
  return at(0);
}

/** Brings the heap up to date after the deadline of one LAPIC changed. */
export function updateTimer(vcpuIndex: u32): void {
  const slot = load<u32>(places + ((<usize>vcpuIndex) << 2));
  if (Lapic.at(vcpuIndex).deadline === NO_DEADLINE) {
    if (slot !== 0) remove(slot - 1);
    return;
  }
  if (slot !== 0) {
    siftDown(siftUp(slot - 1));
    return;
  }
  put(count, vcpuIndex);
  siftUp(count++);
}

function remove(place: u32): void {
  store<u32>(places + ((<usize>at(place)) << 2), 0);
  count--;
  if (place === count) return;
  put(place, at(count));
  siftDown(siftUp(place));
}

function siftUp(start: u32): u32 {
  let place = start;
  const vcpuIndex = at(place);
  while (place > 0) {
    const parent = (place - 1) >> 1;
    if (!isBefore(vcpuIndex, at(parent))) break;
    put(place, at(parent));
    place = parent;
  }
  put(place, vcpuIndex);
  return place;
}

function siftDown(start: u32): void {
  let place = start;
  const vcpuIndex = at(place);
  for (;;) {
    let child: u32 = 2 * place + 1;
    if (child >= count) break;
    if (child + 1 < count && isBefore(at(child + 1), at(child))) child++;
    if (!isBefore(at(child), vcpuIndex)) break;
    put(place, at(child));
    place = child;
  }
  put(place, vcpuIndex);
}

/** For snapshots: the order of the heap, because deadlines that changed are not in it yet. */
export function listTimers(): void {
  addArea(heap, (<usize>count) << 2);
  addArea(places, (<usize>vcpuCount) << 2);
}

/** @returns false when what was put back is no heap of vCPUs */
export function restoreTimers(): bool {
  if (count > vcpuCount) return false;
  let found: u32 = 0;
  for (let i: u32 = 0; i < vcpuCount; i++) {
    const place = load<u32>(places + ((<usize>i) << 2));
    if (place === 0) continue;
    if (place > count || at(place - 1) !== i) return false;
    found++;
  }
  return found === count;
}
