/**
 * Software TLB: three direct-mapped arrays (read, write, execute), shared by all vCPUs and tagged by address space.
 *
 *     entry   0 tag u64 = page of gva | asid + privilege      8 addend u32: host offset = gva + addend (mod 2^32)
 *
 * One compare of the tag with the page of an access's *last* byte covers presence, permission and page crossing.
 * An asid is a group of four tags; a flush takes a fresh one (space.ts), so it costs nothing. When they run out, all
 * entries are dropped and a new epoch begins.
 */
import { Vcpu } from "../vcpu";
import { CR0_AM, CR4_SMAP } from "../x86/cr";
import { AC_FLAG } from "../x86/eflags";
import { pageIndex, ramBase, ramBytes, romBytes } from "../layout";
import { addArea } from "../state-areas";

const TLB_ENTRIES: usize = 2048;
const TLB_MASK: u64 = TLB_ENTRIES - 1;
const TLB_BYTES: usize = TLB_ENTRIES * 16;

// Static, so that their addresses are constants in the code.
export const tlbRead: usize = memory.data(<i32>TLB_BYTES, 64);
export const tlbWrite: usize = memory.data(<i32>TLB_BYTES, 64);
export const tlbExecute: usize = memory.data(<i32>TLB_BYTES, 64);

/**
 * Translations of pages that are no plain RAM, above all of the LAPIC's registers: the page is physical, not a host
 * address, and every access still goes to the device. Tags as in the other arrays.
 */
const DEVICE_ENTRIES: usize = 64;
const DEVICE_BYTES: usize = DEVICE_ENTRIES * 16;
export const tlbDeviceRead: usize = memory.data(<i32>DEVICE_BYTES, 64);
export const tlbDeviceWrite: usize = memory.data(<i32>DEVICE_BYTES, 64);

function deviceEntry(array: usize, gva: u64, tag: u32): usize {
  return array + ((<usize>(((gva >> 12) ^ <u64>saltOf(tag)) & (DEVICE_ENTRIES - 1))) << 4);
}

/** Physical address behind `gva` where that is known to be no plain RAM; else all ones. */
export function findDevice(array: usize, gva: u64, tag: u32): u64 {
  const entry = deviceEntry(array, gva, tag);
  if (load<u64>(entry) !== ((gva & ~(<u64>0xfff)) | tag)) return u64.MAX_VALUE;
  return load<u64>(entry, 8) | (gva & 0xfff);
}

/** True when `gva` is known to lie in this physical page, which is no plain RAM. @param page - all ones: never @inline */
export function leadsTo(array: usize, gva: u64, tag: u32, page: u64): bool {
  const entry = deviceEntry(array, gva, tag);
  const sought = (gva & ~(<u64>0xfff)) | tag;
  return ((load<u64>(entry) ^ sought) | (load<u64>(entry, 8) ^ page)) === 0;
}

/** Enters a translation of a page that is no plain RAM. @param array - tlbDeviceRead or tlbDeviceWrite */
export function fillDevice(array: usize, gva: u64, gpa: u64, tag: u32): void {
  if ((tag & 3) === TAG_SLOW) return;
  const entry = deviceEntry(array, gva, tag);
  store<u64>(entry, (gva & ~(<u64>0xfff)) | tag);
  store<u64>(entry, gpa & ~(<u64>0xfff), 8);
}

/** What an address space adds to the places of its entries. @param tag - any tag of the address space */
export function saltOf(tag: u32): u32 {
  return (tag >> 2) * 89;
}

/**
 * Place of an address in the arrays, in bytes. The address space is mixed in, so that spaces with the same code at
 * the same addresses do not take each other's entries.
 */
export function tlbSlot(cpu: Vcpu, gva: u64): usize {
  return (<usize>(((gva >> 12) ^ <u64>cpu.tlbSalt) & TLB_MASK)) << 4;
}

// Privilege part of a tag.
export const TAG_SUPERVISOR: u32 = 0; // also implicit accesses; under SMAP: user pages refused
export const TAG_USER: u32 = 1;
export const TAG_SUPERVISOR_AC: u32 = 2; // SMAP on, RFLAGS.AC = 1: user pages allowed
export const TAG_SLOW: u32 = 3; // never filled: alignment checks or data breakpoints see every access

/** Counts what the tags do not show: pages dropped from a living address space, and epochs. */
export let pageFlushes: u32 = 1;

/** What two translations of an address under one tag must have in common to be the same. @inline */
export function translationKey(tag: u32): u64 {
  return ((<u64>pageFlushes) << 32) | <u64>tag;
}

/** asids of an epoch: tags have twelve bits, and the first four tags belong to nobody. */
export const ASIDS: u32 = 1023;
const FIRST_ASID: u32 = 4;
const ASID_STEP: u32 = 4;

/** Counts the times that all entries were dropped: what is known about asids of an earlier epoch is void. */
export let epoch: u32 = 1;
let nextAsid: u32 = FIRST_ASID;

/** Drops every entry of every address space. */
export function flushAll(): void {
  memory.fill(tlbRead, 0, TLB_BYTES);
  memory.fill(tlbWrite, 0, TLB_BYTES);
  memory.fill(tlbExecute, 0, TLB_BYTES);
  memory.fill(tlbDeviceRead, 0, DEVICE_BYTES);
  memory.fill(tlbDeviceWrite, 0, DEVICE_BYTES);
  memory.fill(largePages, 0, 512);
  epoch++;
  pageFlushes++;
  nextAsid = FIRST_ASID;
}

/** Sees to it that there is an asid to take: it may begin a new epoch. */
export function makeRoom(): void {
  if (nextAsid >= FIRST_ASID + ASIDS * ASID_STEP) flushAll();
}

/** An asid without entries. The caller made room. */
export function takeAsid(): u32 {
  const asid = nextAsid;
  nextAsid += ASID_STEP;
  return asid;
}

/** True for an asid that was taken in this epoch. */
export function isTaken(asid: u32): bool {
  return (asid & 3) === 0 && asid >= FIRST_ASID && asid < nextAsid;
}

/** One bit for each large page that was entered since the last `flushAll`, by a hash: 4096 bits. */
const largePages: usize = memory.data(512, 8);

/** Source of a bit number: page number and size mixed. */
function largeBit(page: u64, shift: u32): u32 {
  return (<u32>(page ^ (page >> 12)) * 0x9e3779b1 + shift * 0x85ebca6b) >> 20;
}

function isLarge(gva: u64, shift: u32): bool {
  const bit = largeBit(gva >> shift, shift);
  return ((load<u8>(largePages + (bit >> 3)) >> (bit & 7)) & 1) !== 0;
}

/** Told of each translation by a large page. @param shift - 21, 22 or 30 */
export function noteLargePage(gva: u64, shift: u32): void {
  const bit = largeBit(gva >> shift, shift);
  const cell = largePages + (bit >> 3);
  store<u8>(cell, load<u8>(cell) | <u8>((<u32>1) << (bit & 7)));
}

/** True when `gva` may have been translated by a large page in this epoch. */
export function mayBeLarge(gva: u64): bool {
  return isLarge(gva, 21) || isLarge(gva, 22) || isLarge(gva, 30);
}

/** Drops a page of 4 KiB from the asid of `cpu`. */
export function dropPage(cpu: Vcpu, gva: u64): void {
  pageFlushes++;
  const slot = tlbSlot(cpu, gva);
  store<u64>(tlbRead + slot, 0);
  store<u64>(tlbWrite + slot, 0);
  store<u64>(tlbExecute + slot, 0);
  store<u64>(deviceEntry(tlbDeviceRead, gva, cpu.asid), 0);
  store<u64>(deviceEntry(tlbDeviceWrite, gva, cpu.asid), 0);
}

/** Re-derives `tlbTag`: after every change of CPL, RFLAGS.AC, CR0.AM, CR4.SMAP, VM or data breakpoints. */
export function updateTlbTag(cpu: Vcpu): void {
  const ac = (cpu.eflags & AC_FLAG) !== 0;
  let kind = TAG_SUPERVISOR;
  if (cpu.cpl === 3) kind = ac && cpu.cr0 & CR0_AM ? TAG_SLOW : TAG_USER;
  else if (ac && cpu.cr4 & CR4_SMAP) kind = TAG_SUPERVISOR_AC;
  // An enabled breakpoint that is not for instruction execution (R/W field not 0).
  if (cpu.dr7 & 0xff && cpu.dr7 & 0x33330000) kind = TAG_SLOW;
  cpu.tlbTag = cpu.asid | kind;
}

/** Enters a translation. @param array - tlbRead, tlbWrite or tlbExecute; @param gpa - inside guest RAM or ROM */
export function fillTlb(array: usize, gva: u64, gpa: u64, tag: u32): void {
  if ((tag & 3) === TAG_SLOW) return;
  const entry = array + ((<usize>(((gva >> 12) ^ <u64>saltOf(tag)) & TLB_MASK)) << 4);
  store<u64>(entry, (gva & ~(<u64>0xfff)) | tag);
  store<u32>(entry, <u32>(ramBase + <usize>gpa) - <u32>gva, 8);
}

/** Drops all write translations to the page of `gpa`. */
export function dropWriteEntries(gpa: u32): void {
  const page = (<u32>ramBase + gpa) >> 12;
  for (let slot: usize = 0; slot < TLB_BYTES; slot += 16) {
    const entry = tlbWrite + slot;
    const tag = load<u64>(entry);
    if (tag !== 0 && (<u32>(tag & ~(<u64>0xfff)) + load<u32>(entry, 8)) >> 12 === page)
      store<u64>(entry, 0);
  }
}

/** For snapshots: entries that a guest did not flush are as good as its page tables. */
export function listTlb(): void {
  addArea(tlbRead, TLB_BYTES);
  addArea(tlbWrite, TLB_BYTES);
  addArea(tlbExecute, TLB_BYTES);
  addArea(tlbDeviceRead, DEVICE_BYTES);
  addArea(tlbDeviceWrite, DEVICE_BYTES);
  addArea(largePages, 512);
}

/**
 * Checks what was put back, and moves it to where guest RAM lies now.
 *
 * @param savedRamBase - `ramBase` of the machine that was saved
 * @returns false for an entry that points elsewhere than at a page of guest RAM or ROM
 */
export function restoreTlb(savedRamBase: usize): bool {
  if ((nextAsid & 3) !== 0 || nextAsid < 4 || nextAsid > 4096) return false;
  return (
    restoreEntries(tlbRead, savedRamBase) &&
    restoreEntries(tlbWrite, savedRamBase) &&
    restoreEntries(tlbExecute, savedRamBase)
  );
}

function restoreEntries(array: usize, savedRamBase: usize): bool {
  for (let entry = array; entry < array + TLB_BYTES; entry += 16) {
    const tag = load<u64>(entry);
    if (tag === 0) continue;
    const page = <u32>(tag & ~(<u64>0xfff));
    const gpa = page + load<u32>(entry, 8) - <u32>savedRamBase;
    const isRom = pageIndex(gpa) < 0;
    if ((gpa & 0xfff) !== 0 || (isRom ? 0 - gpa > romBytes : gpa >= ramBytes)) return false;
    store<u32>(entry, <u32>ramBase + gpa - page, 8);
  }
  return true;
}
