/**
 * Software TLB: three direct-mapped arrays (read, write, execute), shared by all vCPUs and tagged by address space.
 *
 *     entry   0 tag u64 = page of gva | asid + privilege      8 addend u32: host offset = gva + addend (mod 2^32)
 *
 * One compare of the tag with the page of an access's *last* byte covers presence, permission and page crossing.
 * An address space (asid) is a group of four tags; a flush takes a fresh asid, so it costs nothing. When they run out,
 * all entries are dropped and a new epoch begins; a vCPU with an old epoch takes a new asid when it next runs.
 */
import { Vcpu } from "../vcpu";
import { CR0_AM, CR4_SMAP } from "../x86/cr";
import { AC_FLAG } from "../x86/eflags";
import { ramBase } from "../layout";

export const TLB_ENTRIES: usize = 2048;
export const TLB_MASK: u64 = 2047;
const TLB_BYTES: usize = 2048 * 16;

// Static, so that their addresses are constants in the code.
export const tlbRead: usize = memory.data(2048 * 16, 64);
export const tlbWrite: usize = memory.data(2048 * 16, 64);
export const tlbExecute: usize = memory.data(2048 * 16, 64);

// Privilege part of a tag.
export const TAG_SUPERVISOR: u32 = 0; // also implicit accesses; under SMAP: user pages refused
export const TAG_USER: u32 = 1;
export const TAG_SUPERVISOR_AC: u32 = 2; // SMAP on, RFLAGS.AC = 1: user pages allowed
export const TAG_SLOW: u32 = 3; // never filled: alignment checks or data breakpoints see every access

/** Counts what the tags do not show: pages dropped from a living address space, and epochs. */
export let pageFlushes: u32 = 1;

let epoch: u32 = 1;
let nextAsid: u32 = 4;

/** Drops every entry of every address space. */
export function flushAll(): void {
  memory.fill(tlbRead, 0, TLB_BYTES);
  memory.fill(tlbWrite, 0, TLB_BYTES);
  memory.fill(tlbExecute, 0, TLB_BYTES);
  epoch++;
  pageFlushes++;
  nextAsid = 4;
}

/** Gives `cpu` an empty address space: what MOV CR3 and every change of paging mode do. */
export function flushTlb(cpu: Vcpu): void {
  if (nextAsid > 4092) flushAll();
  cpu.asid = nextAsid;
  cpu.asidEpoch = epoch;
  nextAsid += 4;
  updateTlbTag(cpu);
}

/** To be called before `cpu` runs: renews an asid of an earlier epoch. */
export function enterTlb(cpu: Vcpu): void {
  if (cpu.asidEpoch !== epoch) flushTlb(cpu);
}

/** Bytes of the largest page but 1 GiB ones: what one INVLPG has to drop, since entries do not know their page size. */
const REGION_PAGES: usize = 1024;

/**
 * Drops the page of `gva` from the address space of `cpu` (INVLPG): every entry of the 4 MiB around it, as a large page
 * is entered 4 KiB at a time.
 *
 * @param huge - 1 GiB pages may be in use: drops the whole address space
 */
export function flushPage(cpu: Vcpu, gva: u64, huge: bool): void {
  if (huge) {
    flushTlb(cpu);
    return;
  }
  pageFlushes++;
  const first = (<usize>((gva >> 12) & TLB_MASK) & ~(REGION_PAGES - 1)) << 4;
  memory.fill(tlbRead + first, 0, REGION_PAGES << 4);
  memory.fill(tlbWrite + first, 0, REGION_PAGES << 4);
  memory.fill(tlbExecute + first, 0, REGION_PAGES << 4);
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

/** Enters a translation. @param array - tlbRead, tlbWrite or tlbExecute; @param gpa - inside guest RAM */
export function fillTlb(array: usize, gva: u64, gpa: u64, tag: u32): void {
  if ((tag & 3) === TAG_SLOW) return;
  const entry = array + (<usize>((gva >> 12) & TLB_MASK) << 4);
  store<u64>(entry, (gva & ~(<u64>0xfff)) | tag);
  store<u32>(entry, <u32>(ramBase + <usize>gpa) - <u32>gva, 8);
}

/** Drops all write translations to the RAM page of `gpa`. */
export function dropWriteEntries(gpa: u32): void {
  const page = (<u32>ramBase + gpa) >> 12;
  for (let slot: usize = 0; slot < TLB_BYTES; slot += 16) {
    const entry = tlbWrite + slot;
    const tag = load<u64>(entry);
    if (tag !== 0 && (<u32>(tag & ~(<u64>0xfff)) + load<u32>(entry, 8)) >> 12 === page) store<u64>(entry, 0);
  }
}
