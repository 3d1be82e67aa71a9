/**
 * Linear to guest-physical translation: no paging, 32-bit with PSE-36, PAE, 4-level.
 *
 * Source: SDM 3A "Paging". Accessed and dirty bits are set only when the whole translation succeeds.
 * Not modelled: protection keys, 5-level paging, caching of paging structures (each walk reads memory).
 */
import { FAULT_BEYOND, raisePageFault, raiseWithError } from "../fault";
import { Vcpu } from "../vcpu";
import { CR0_WP, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_NXE, MAXPHYADDR } from "../x86/cr";
import { GP, PF_I, PF_P, PF_RSVD, PF_U, PF_W } from "../x86/exception";
import { readEntry, writeEntry } from "./physical";
import { noteLargePage } from "./tlb";
import { noteWalked } from "./walked";

export const PAGING_NONE: u32 = 0;
export const PAGING_32: u32 = 1;
export const PAGING_PAE: u32 = 2;
export const PAGING_4LEVEL: u32 = 3;

/** `translate` and `probe`: no translation. */
export const NO_GPA: u64 = -1;

// What an access is, in the bits of a #PF error code, and whether SMAP lets it reach user pages.
export const ACCESS_WRITE: u32 = PF_W;
export const ACCESS_USER: u32 = PF_U;
export const ACCESS_FETCH: u32 = PF_I;
export const ACCESS_SMAP_AC: u32 = 0x100; // explicit supervisor access with RFLAGS.AC = 1
export const ACCESS_PROBE: u32 = 0x200; // neither raises a fault nor sets accessed and dirty bits

const ENTRY_P: u64 = 1;
const ENTRY_W: u64 = 2;
const ENTRY_U: u64 = 4;
const ENTRY_A: u64 = 0x20;
const ENTRY_D: u64 = 0x40;
const ENTRY_PS: u64 = 0x80;
const ENTRY_NX: u64 = 1 << 63;
const ADDRESS: u64 = (((<u64>1) << MAXPHYADDR) - 1) & ~(<u64>0xfff);
/** Physical address bits above MAXPHYADDR, up to 51. */
const RESERVED_HIGH: u64 = 0x000fffffffffffff & ~(((<u64>1) << MAXPHYADDR) - 1);

function pageFault(cpu: Vcpu, gva: u64, access: u32, cause: u32): u64 {
  if (access & ACCESS_PROBE) return NO_GPA;
  let error = cause | (access & (PF_W | PF_U));
  // The I bit is only reported where fetches have rights of their own: SDM 3A "Page-Fault Exceptions".
  if (
    access & ACCESS_FETCH &&
    (cpu.cr4 & CR4_SMEP || (cpu.paging >= PAGING_PAE && cpu.efer & EFER_NXE))
  )
    error |= PF_I;
  raisePageFault(cpu, gva, error);
  return NO_GPA;
}

/** Raises the #GP(0) of a non-canonical address (`throughStack` makes it #SS(0)). @returns NO_GPA */
export function nonCanonical(cpu: Vcpu, access: u32): u64 {
  if (access & ACCESS_PROBE || cpu.fault !== 0) return NO_GPA;
  raiseWithError(cpu, GP, 0);
  if (!(access & ACCESS_FETCH)) cpu.fault |= FAULT_BEYOND;
  return NO_GPA;
}

/** Rights of a leaf: @param rights - AND of U and W over the levels, OR of NX. */
function allowed(cpu: Vcpu, access: u32, rights: u64): bool {
  const userPage = (rights & ENTRY_U) !== 0;
  if (access & ACCESS_FETCH && rights & ENTRY_NX) return false;
  if (access & ACCESS_USER)
    return userPage && (!(access & ACCESS_WRITE) || (rights & ENTRY_W) !== 0);
  if (userPage) {
    if (access & ACCESS_FETCH) {
      if (cpu.cr4 & CR4_SMEP) return false;
    } else if (cpu.cr4 & CR4_SMAP && !(access & ACCESS_SMAP_AC)) return false;
  }
  return !(access & ACCESS_WRITE) || (rights & ENTRY_W) !== 0 || !(cpu.cr0 & CR0_WP);
}

/** Canonical: bits 63:47 all equal. */
export function isCanonical(gva: u64): bool {
  return <i64>(gva << 16) >> 16 === <i64>gva;
}

/**
 * Translates a linear address.
 *
 * @param access - ACCESS_* bits
 * @returns the guest-physical address, or NO_GPA after raising #PF (#GP for a non-canonical address)
 */
export function translate(cpu: Vcpu, gva: u64, access: u32): u64 {
  switch (cpu.paging) {
    case PAGING_NONE:
      return gva & 0xffffffff;
    case PAGING_32:
      return walk32(cpu, <u32>gva, access);
    case PAGING_PAE:
      return walkPae(cpu, <u32>gva, access);
    default:
      if (!isCanonical(gva)) {
        return nonCanonical(cpu, access);
      }
      return walk64(cpu, gva, access, 39, cpu.cr3 & ADDRESS, ENTRY_U | ENTRY_W);
  }
}

function walk32(cpu: Vcpu, gva: u32, access: u32): u64 {
  const pdeGpa = (cpu.cr3 & 0xfffff000) | ((gva >> 20) & 0xffc);
  const pde = readEntry<u32>(pdeGpa);
  if (!(pde & <u32>ENTRY_P)) return pageFault(cpu, gva, access, 0);
  if (pde & <u32>ENTRY_PS && cpu.cr4 & CR4_PSE) {
    // PSE-36: bits 20:13 are address bits 39:32; bit 21 is reserved.
    if (pde & (1 << 21)) return pageFault(cpu, gva, access, PF_P | PF_RSVD);
    if (!allowed(cpu, access, <u64>pde & (ENTRY_U | ENTRY_W)))
      return pageFault(cpu, gva, access, PF_P);
    mark<u32>(cpu, pdeGpa, pde, access, true);
    noteLargePage(gva, 22);
    return (((<u64>pde >> 13) & 0xff) << 32) | (pde & 0xffc00000) | (gva & 0x3fffff);
  }
  const pteGpa = <u64>(pde & 0xfffff000) | ((gva >> 10) & 0xffc);
  const pte = readEntry<u32>(pteGpa);
  if (!(pte & <u32>ENTRY_P)) return pageFault(cpu, gva, access, 0);
  if (!allowed(cpu, access, <u64>(pde & pte) & (ENTRY_U | ENTRY_W)))
    return pageFault(cpu, gva, access, PF_P);
  mark<u32>(cpu, pdeGpa, pde, access, false);
  mark<u32>(cpu, pteGpa, pte, access, true);
  return <u64>(pte & 0xfffff000) | (gva & 0xfff);
}

function walkPae(cpu: Vcpu, gva: u32, access: u32): u64 {
  const pdpte = load<u64>(changetype<usize>(cpu) + ((gva >> 30) << 3), offsetof<Vcpu>("pdpte0"));
  if (!(pdpte & ENTRY_P)) return pageFault(cpu, gva, access, 0);
  return walk64(cpu, gva, access, 21, pdpte & ADDRESS, ENTRY_U | ENTRY_W);
}

/** CPUID offers pages of 1 GiB; without them PS is a reserved bit of a PDPTE. */
let hasGigabytePages = true;

export function setGigabytePages(on: bool): void {
  hasGigabytePages = on;
}

/**
 * Walks 8-byte entries from a table down to the leaf.
 *
 * @param shift - lowest address bit that indexes `table`: 39, 30, 21 or 12
 * @param rights - rights so far
 */
function walk64(cpu: Vcpu, gva: u64, access: u32, shift: u32, table: u64, rights: u64): u64 {
  const entryGpa = table | (((gva >> shift) & 511) << 3);
  const entry = readEntry<u64>(entryGpa);
  if (!(entry & ENTRY_P)) return pageFault(cpu, gva, access, 0);
  const large = shift > 12 && shift < 39 && (entry & ENTRY_PS) !== 0;
  let reserved = RESERVED_HIGH;
  if (!(cpu.efer & EFER_NXE)) reserved |= ENTRY_NX;
  if (shift === 39 || (shift === 30 && !hasGigabytePages)) reserved |= ENTRY_PS;
  if (cpu.paging === PAGING_PAE) reserved |= 0x7ff0000000000000;
  if (large) reserved |= (((<u64>1) << shift) - 1) & ~(<u64>0x1fff);
  if (entry & reserved) return pageFault(cpu, gva, access, PF_P | PF_RSVD);
  const below = (rights & entry) | ((rights | entry) & ENTRY_NX);
  if (large || shift === 12) {
    if (!allowed(cpu, access, below)) return pageFault(cpu, gva, access, PF_P);
    mark<u64>(cpu, entryGpa, entry, access, true);
    if (large) noteLargePage(gva, shift);
    const offset = ((<u64>1) << shift) - 1;
    return (entry & ADDRESS & ~offset) | (gva & offset);
  }
  const gpa = walk64(cpu, gva, access, shift - 9, entry & ADDRESS, below);
  if (gpa !== NO_GPA) mark<u64>(cpu, entryGpa, entry, access, false);
  return gpa;
}

/** An entry was part of a translation. @inline */
function mark<T>(cpu: Vcpu, entryGpa: u64, entry: T, access: u32, leaf: bool): void {
  if (access & ACCESS_PROBE) return;
  let marked = entry | <T>ENTRY_A;
  if (leaf && access & ACCESS_WRITE) marked |= <T>ENTRY_D;
  if (marked !== entry) writeEntry<T>(entryGpa, marked);
  noteWalked<T>(cpu.space, entryGpa, entry, marked);
}
