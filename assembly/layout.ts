/**
 * The memory map of the core: one linear memory, one chained list of bases.
 *
 *     0          static data of the modules (tables, constants, `memory.data`)
 *     heap base  what `reserve` hands out at creation, in this order:
 *                TLB arrays, block cache and micro-op arena, APIC ID map, vCPU set, vCPU records
 *     ramBase    guest RAM, ramBytes long; the last reservation, 64 KiB aligned
 *
 * A ROM ends where guest RAM begins: it is mapped below 4 GiB, so `ramBase + gpa` is its host offset too (mod 2^32).
 *
 * Bases are fixed at `create`; nothing moves afterwards. Guest RAM and ROM are the only regions that a guest address
 * reaches, and every access is bounded by their sizes (mem/physical.ts).
 */
import { ROM_MAX_BYTES, VCPU_BYTES } from "./abi";

const WASM_PAGE_BYTES: usize = 65536;
const ROM_PAGES: u32 = ROM_MAX_BYTES >> 12;
/** End of the read-only part of low memory. */
export const LOW_ROM_END: u32 = 0x100000;

/** First vCPU record; record n is at `vcpuBase + n * VCPU_BYTES`. */
export let vcpuBase: usize = 0;
/** Slots in the vCPU set: vcpuIndex is below this. */
export let vcpuCapacity: u32 = 0;
/** Slots ever used; slots at and above it hold no CPU. Slots below it may be ABSENT after a removal. */
export let vcpuCount: u32 = 0;
/** Host offset of guest-physical address 0. */
export let ramBase: usize = 0;
/** Guest RAM size in bytes, a multiple of 4096, at most 2 GiB. */
export let ramBytes: u32 = 0;
/** Size of the ROM that ends at 4 GiB, a multiple of 4096, at most ROM_MAX_BYTES; 0 when there is none. */
export let romBytes: u32 = 0;
/** Its end shows once more below 1 MiB: guest RAM from here to 1 MiB is read-only. 1 MiB when nothing is. */
export let lowRomStart: u32 = 0x100000;

let next: usize = 0;

/**
 * Sets aside zeroed linear memory for the life of the instance.
 *
 * @param bytes - size; @param align - power of two
 * @returns the base, or 0 when the 4 GiB of a wasm32 memory do not suffice
 */
export function reserve(bytes: u64, align: usize): usize {
  if (next === 0) next = __heap_base;
  const base = (next + align - 1) & ~(align - 1);
  const end = <u64>base + bytes;
  if (end > 0xffff0000) return 0;
  const pages = <i32>((end + WASM_PAGE_BYTES - 1) / WASM_PAGE_BYTES) - memory.size();
  if (pages > 0 && memory.grow(pages) < 0) return 0;
  next = <usize>end;
  return base;
}

/** Places the vCPU records. @returns false when memory does not suffice */
export function placeVcpus(capacity: u32): bool {
  vcpuBase = reserve(<u64>capacity * VCPU_BYTES, 64);
  vcpuCapacity = capacity;
  return vcpuBase !== 0;
}

/** Places guest RAM, behind room for a ROM; last of all. @returns false when memory does not suffice */
export function placeRam(bytes: u32): bool {
  ramBase = reserve(<u64>ROM_MAX_BYTES + bytes, WASM_PAGE_BYTES);
  if (ramBase === 0) return false;
  ramBase += ROM_MAX_BYTES;
  ramBytes = bytes;
  return true;
}

/** Puts a ROM of `bytes` into the machine, empty, and makes guest RAM from `lowStart` to 1 MiB read-only. */
export function placeRom(bytes: u32, lowStart: u32): void {
  romBytes = bytes;
  lowRomStart = lowStart;
}

/**
 * Sets aside a table of `bytesPerPage` for each page of RAM and ROM; entry n, `pageIndex` of its page, is at
 * `base + n * bytesPerPage`.
 *
 * @param bytes - guest RAM size
 * @returns the base, or 0 when memory does not suffice
 */
export function reservePages(bytes: u32, bytesPerPage: u32): usize {
  const below = <usize>(ROM_PAGES * bytesPerPage);
  const room = reserve(below + <u64>(bytes >> 12) * bytesPerPage, 64);
  return room === 0 ? 0 : room + below;
}

/** Zeroes such a table. */
export function clearPages(base: usize, bytesPerPage: u32): void {
  memory.fill(base - ROM_PAGES * bytesPerPage, 0, (ROM_PAGES + (ramBytes >> 12)) * bytesPerPage);
}

/** Number of the page of a guest-physical address in RAM or ROM: from 0 in RAM, below 0 in the ROM. */
export function pageIndex(gpa: u32): i32 {
  return <i32>gpa >> 12;
}

/** Takes the next slot of the vCPU set into use. @returns its vcpuIndex; the caller checked the capacity */
export function openSlot(): u32 {
  return vcpuCount++;
}

/** Gives all slots back, zeroed. For tests that want a fresh machine without a new instance. */
export function clearSlots(): void {
  memory.fill(vcpuBase, 0, <usize>vcpuCount * VCPU_BYTES);
  vcpuCount = 0;
}

/** The record of a vCPU. @param vcpuIndex - 0..vcpuCount-1 */
export function vcpuAt(vcpuIndex: u32): usize {
  return vcpuBase + <usize>vcpuIndex * VCPU_BYTES;
}
