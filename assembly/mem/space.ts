/**
 * Address spaces: which vCPUs share TLB entries, and what a flush does.
 *
 * vCPUs with the same CR3 under the same paging rules translate alike, so they share one asid, and with it the entries
 * that any of them made. The rules that a processor has to keep follow from one: a vCPU that runs uses the newest asid
 * of its space.
 *
 * - A flush gives the space a fresh asid. All entries of that were made after the flush; so what a vCPU has flushed never
 *   comes back from an entry of another. The others follow when they next run: to them it is a flush that nobody asked
 *   for, which the manual allows at any time (SDM 3A "Invalidation of TLBs and Paging-Structure Caches").
 * - Where the entries are those that its tables would give again (walked.ts), nobody can tell, and the asid stays.
 * - INVLPG drops the page from the asid that is in use, which is the newest.
 *
 * Spaces live for an epoch (tlb.ts). A vCPU of an earlier epoch looks its space up again, or founds it.
 */
import { addArea } from "../state-areas";
import { Vcpu } from "../vcpu";
import {
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  EFER_LMA,
  EFER_NXE,
} from "../x86/cr";
import { isMemory } from "./physical";
import {
  ASIDS,
  dropPage,
  epoch,
  isTaken,
  makeRoom,
  mayBeLarge,
  saltOf,
  takeAsid,
  updateTlbTag,
} from "./tlb";
import { forgetWalked, holdsWalked, listWalked } from "./walked";

/** What decides how addresses are translated, and the asid under which translations are kept. */
@unmanaged
class Space {
  /** CR3; a number of its own for a vCPU that shares with nobody; 0 without paging. */
  root: u64;
  /** Page of the LAPIC's registers where that hides RAM, else all ones. */
  apicPage: u64;
  /** CR0.WP, CR4 and EFER bits. */
  rules: u32;
  asid: u32;
  /** Number of the next space of the same bucket, or 0. */
  next: u32;
  private pad: u32;

  /** @param number - from 1 */
  @inline
  static at(number: u32): Space {
    return changetype<Space>(spaces + (<usize>number - 1) * SPACE_BYTES);
  }
}

const SPACE_BYTES: usize = 32;
/** Each founding takes an asid, so there are never more spaces than those. */
const spaces: usize = memory.data(1023 * 32, 64);
const BUCKETS: u32 = 256;
/** Number of the first space of each. */
const buckets: usize = memory.data(256 * 4, 64);
/** How many spaces there are. */
let founded: u32 = 0;
/** Epoch that they belong to. */
let foundedIn: u32 = 0;

if (offsetof<Space>() !== SPACE_BYTES) ERROR("Space: size of its memory");
if (ASIDS !== 1023) ERROR("Space: places for all");

/** No paging. */
const FLAT: u32 = 0x80000000;

function rulesOf(cpu: Vcpu): u32 {
  if (!(cpu.cr0 & CR0_PG)) return FLAT;
  const cr4 = CR4_PSE | CR4_PAE | CR4_SMEP | CR4_SMAP;
  return <u32>((cpu.cr0 & CR0_WP) | (cpu.cr4 & cr4) | (cpu.efer & (EFER_NXE | EFER_LMA)));
}

/** PAE paging: it starts from four registers, which may hold what memory no longer does. */
function hasPdptes(rules: u32): bool {
  return (rules & <u32>CR4_PAE) !== 0 && !(rules & <u32>EFER_LMA);
}

function rootOf(cpu: Vcpu, rules: u32): u64 {
  if (rules === FLAT) return 0;
  return hasPdptes(rules) ? ~(<u64>cpu.index) : cpu.cr3;
}

/** Page of the LAPIC's registers where that hides RAM, else all ones. */
function hidingPage(cpu: Vcpu): u64 {
  return isMemory(cpu.apicPage) ? cpu.apicPage : u64.MAX_VALUE;
}

/** Where a space of this key is listed. */
function bucketOf(root: u64, rules: u32): usize {
  const hash = <u32>(root >> 12) ^ <u32>root ^ rules ^ (rules >> 11);
  return buckets + ((<usize>((hash ^ (hash >> 8)) & (BUCKETS - 1))) << 2);
}

/** The space of a vCPU by its registers, in this epoch. @returns its number; it has no asid when it is new */
function spaceOf(cpu: Vcpu): u32 {
  if (foundedIn !== epoch) {
    memory.fill(buckets, 0, BUCKETS << 2);
    founded = 0;
    foundedIn = epoch;
  }
  const rules = rulesOf(cpu);
  const root = rootOf(cpu, rules);
  const apicPage = hidingPage(cpu);
  const bucket = bucketOf(root, rules);
  for (let number = load<u32>(bucket); number !== 0; number = Space.at(number).next) {
    const known = Space.at(number);
    if (known.root === root && known.rules === rules && known.apicPage === apicPage) return number;
  }
  const space = Space.at(++founded);
  space.root = root;
  space.apicPage = apicPage;
  space.rules = rules;
  space.asid = 0;
  space.next = load<u32>(bucket);
  store<u32>(bucket, founded);
  return founded;
}

/** Takes `cpu` to the newest asid of a space. @noinline */
function enter(cpu: Vcpu, number: u32): void {
  const asid = Space.at(number).asid;
  cpu.space = number;
  cpu.asid = asid;
  cpu.asidEpoch = epoch;
  cpu.tlbSalt = saltOf(asid);
  updateTlbTag(cpu);
}

/** True when a space has no entry that its tables would not give again. */
function isFresh(number: u32): bool {
  const space = Space.at(number);
  if (space.asid === 0) return false;
  const rules = space.rules;
  return rules === FLAT || (!hasPdptes(rules) && holdsWalked(number));
}

/** Gives a space an asid without entries. */
function renew(number: u32): void {
  Space.at(number).asid = takeAsid();
  forgetWalked(number);
}

/** True when `cpu` runs without paging and did so before: a flush changes nothing. */
function staysFlat(cpu: Vcpu): bool {
  if (cpu.cr0 & CR0_PG || cpu.asidEpoch !== epoch) return false;
  const space = Space.at(cpu.space);
  return space.rules === FLAT && space.asid === cpu.asid && space.apicPage === hidingPage(cpu);
}

/**
 * Empties the TLB for `cpu`: what MOV CR3 and every change of paging mode do. To be called when the registers have
 * changed. Entries stay where nothing can be stale: without paging, and while no table has changed that they came from.
 */
export function flushTlb(cpu: Vcpu): void {
  if (staysFlat(cpu)) return;
  makeRoom();
  const number = spaceOf(cpu);
  if (!isFresh(number)) renew(number);
  enter(cpu, number);
}

/** To be called before `cpu` runs or takes an event. @inline */
export function enterTlb(cpu: Vcpu): void {
  if (cpu.asidEpoch !== epoch) joinSpace(cpu);
  else if (Space.at(cpu.space).asid !== cpu.asid) enter(cpu, cpu.space);
}

/** `cpu` was of an earlier epoch. @noinline */
function joinSpace(cpu: Vcpu): void {
  makeRoom();
  const number = spaceOf(cpu);
  if (Space.at(number).asid === 0) renew(number);
  enter(cpu, number);
}

/**
 * Drops the page of `gva` from the space of `cpu`, which runs (INVLPG).
 *
 * A large page is entered 4 KiB at a time, so where one may be in use the whole address space goes.
 */
export function flushPage(cpu: Vcpu, gva: u64): void {
  if (mayBeLarge(gva)) flushTlb(cpu);
  else dropPage(cpu, gva);
}

/** For snapshots. */
export function listSpaces(): void {
  addArea(spaces, <usize>founded * SPACE_BYTES);
  listWalked(founded);
}

/** @returns false when what was put back are no spaces */
export function restoreSpaces(): bool {
  if (founded > ASIDS) return false;
  for (let number: u32 = 1; number <= founded; number++) {
    const space = Space.at(number);
    if (foundedIn === epoch && !isTaken(space.asid)) return false;
    const bucket = bucketOf(space.root, space.rules);
    space.next = load<u32>(bucket);
    store<u32>(bucket, number);
  }
  return true;
}

/** Derives what a restored vCPU knows of its address space. @returns false when it cannot be one of this epoch */
export function restoreSpace(cpu: Vcpu): bool {
  if (cpu.asidEpoch === epoch) {
    if (foundedIn !== epoch || cpu.space === 0 || cpu.space > founded) return false;
    if (!isTaken(cpu.asid)) return false;
  } else if ((cpu.asid & 3) !== 0 || cpu.asid >= 4096) return false;
  cpu.tlbSalt = saltOf(cpu.asid);
  updateTlbTag(cpu);
  return true;
}
