/**
 * Block cache: straight-line runs of micro-ops, keyed by physical address and mode.
 *
 *     block    0 gpa u32   4 mode u32 (bit 31: valid)   8 count u16   10 bytes u16   12 hashNext u32
 *             16 next u32: the block behind the last instruction   20 heat i32   24 pageNext u32   28 short visits u32
 *             32 micro-ops
 *
 * A conditional branch does not end a block: while it is not taken, its block goes on. A direct branch that is taken
 * knows the block at its target in the `disp` of its micro-op, which it needs for nothing else.
 *
 * A block lies in one page. An instruction that crosses a page, is not in memory or may run into the CS limit is decoded
 * anew each time into a block of its own that is not kept. Blocks live in an arena that only ever grows; when it is
 * full, everything is forgotten. A dropped block keeps its memory until then, so that links to it can be checked.
 *
 * Heat counts how often a block was entered, until it is translated (cpu/region.ts): then it is negative and names the
 * function that holds the block and those around it in its page. A page whose code keeps changing is left alone.
 */
import { CS } from "../abi";
import { raiseWithError } from "../fault";
import { clearPages, pageIndex, ramBase, reserve, reservePages } from "../layout";
import { translateFetch } from "../mem/access";
import { markCode, unmarkAll, unmarkPage } from "../mem/code-map";
import { setCodeWritten } from "../mem/hooks";
import { NO_GPA } from "../mem/paging";
import { isPlainMemory, physicalRead } from "../mem/physical";
import { TAG_SLOW, translationKey } from "../mem/tlb";
import * as abi from "../op-abi";
import { Vcpu } from "../vcpu";
import { GP } from "../x86/exception";
import { leaveBlock } from "./control";
import { decode, endsBlock, NEED_MORE } from "./decode";
import { specialise } from "./handler";
import { MODE_FLAT } from "./mode";
import { Op, OP_BYTES } from "./op";

const VALID: u32 = <u32>abi.BLOCK_VALID;
const HEADER_BYTES: usize = abi.BLOCK_HEADER;
const MAX_OPS: u32 = 64;
const MAX_BLOCK_BYTES: usize = HEADER_BYTES + 64 * OP_BYTES;
const HASH_ENTRIES: u32 = 32768;
const ARENA_BYTES: usize = 32 << 20;
const LINK: usize = abi.BLOCK_NEXT;
const HEAT: usize = abi.BLOCK_HEAT;

let hash: usize = 0;
let pages: usize = 0;
let arena: usize = 0;
let arenaNext: usize = 0;
/** For each page, how often it lost its translations. */
let losses: usize = 0;

/** Heat of a block that is never to be translated. */
export const COLD: i32 = i32.MAX_VALUE;
/** Losses after which a page is not translated any more. */
let mostLosses: u32 = 8;

/** Counts every time that all blocks were forgotten: a block pointer from before must not be used. */
export let generation: u32 = 0;

const JUMP_ENTRIES: u32 = 4096;
/** Entries of 32 bytes: linear address u64, key of its translation u64, block u32. */
const jumps: usize = memory.data(4096 * 32, 8);
const single: usize = memory.data(64, 8);
const window: usize = memory.data(32, 8);

/** Reserves the cache. @param bytes - guest RAM size */
export function placeBlocks(bytes: u32): bool {
  hash = reserve(HASH_ENTRIES << 2, 64);
  pages = reservePages(bytes, 4);
  losses = reservePages(bytes, 1);
  arena = reserve(ARENA_BYTES, 64);
  arenaNext = arena;
  setCodeWritten(dropWritten);
  return hash !== 0 && pages !== 0 && losses !== 0 && arena !== 0;
}

/** Forgets every block. */
export function dropAll(): void {
  memory.fill(hash, 0, HASH_ENTRIES << 2);
  clearPages(pages, 4);
  memory.fill(jumps, 0, JUMP_ENTRIES << 5);
  unmarkAll();
  arenaNext = arena;
  generation++;
}

export function blockCount(block: usize): u32 {
  return load<u16>(block, 8);
}
export function blockOps(block: usize): usize {
  return block + HEADER_BYTES;
}

/** @param losses - after which a page is not translated any more */
export function setMostLosses(losses: u32): void {
  mostLosses = losses;
}

/** Entries so far, COLD, or the complement of the index of a translation. */
export function heatOf(block: usize): i32 {
  return load<i32>(block, HEAT);
}

export function setHeat(block: usize, heat: i32): void {
  store<i32>(block, heat, HEAT);
}

/** By how many the visits of the region that begins here that were of little use outnumber the others (cpu/heat.ts). */
export function shortVisits(block: usize): u32 {
  return load<u32>(block, 28);
}

export function setShortVisits(block: usize, visits: u32): void {
  store<u32>(block, visits, 28);
}

/** True for a block that stays until its code changes, of flat segments: RIP and address have the same place in the page. */
export function isTranslatable(block: usize): bool {
  return (load<u32>(block, 4) & (VALID | MODE_FLAT)) === (VALID | MODE_FLAT);
}

/** Where a block keeps the one that follows it without a branch. */
export function nextLink(block: usize): usize {
  return block + LINK;
}

/** Where a direct branch keeps the block at its target. @param op - the branch's micro-op */
export function branchLink(op: usize): usize {
  return op + offsetof<Op>("disp");
}

/** The block behind a link, or 0. @param link - from `nextLink` or `branchLink` */
export function linked(link: usize): usize {
  const target = <usize>load<u32>(link);
  return target !== 0 && load<u32>(target, 4) & VALID ? target : 0;
}

/**
 * Sets a link if it stays true for the life of both blocks: same page, same mode, both kept. Blocks of segments that
 * are not flat are not linked: their limit is checked on every entry.
 *
 * @param distance - from the linear address of `from` to that of `to`. Another than that between their physical
 * addresses is a way to another virtual page that shows the same physical page now, and perhaps not the next time.
 */
export function setLink(from: usize, link: usize, to: usize, distance: i64): void {
  if ((load<u32>(from) ^ load<u32>(to)) >> 12 !== 0) return;
  if (distance !== <i64>load<u32>(to) - <i64>load<u32>(from)) return;
  const mode = load<u32>(from, 4);
  if (mode !== load<u32>(to, 4) || !(mode & VALID) || !(mode & MODE_FLAT)) return;
  store<u32>(link, <u32>to);
}

function slotOf(gpa: u32, mode: u32): usize {
  return hash + ((<usize>((gpa ^ (gpa >> 13) ^ (mode << 9)) & (HASH_ENTRIES - 1))) << 2);
}

/**
 * The block at CS:RIP, decoded if need be.
 *
 * @returns the block, or 0 with a fault raised (#PF or #GP of the fetch)
 */
export function lookup(cpu: Vcpu): usize {
  const rip = cpu.rip;
  const mode = cpu.mode;
  if (!(mode & MODE_FLAT)) return lookupSegmented(cpu);
  const known = recall(cpu, rip);
  if (known !== 0 && load<u32>(known, 4) === (mode | VALID)) return known;
  return find(cpu, rip, rip);
}

/** `lookup`, inlined as far as it mostly goes. @inline */
export function lookupHere(cpu: Vcpu): usize {
  const known = recallFlat(cpu);
  return known !== 0 ? known : lookup(cpu);
}

/**
 * The block at RIP where that was found before and segments are flat, or 0.
 *
 * One branch for all conditions; what lies at 0 has no valid mode.
 *
 * @inline
 */
function recallFlat(cpu: Vcpu): usize {
  const gva = cpu.rip;
  const mode = cpu.mode;
  const tag = cpu.tlbTag;
  const jump = jumpEntry(gva, tag);
  const known = <usize>load<u32>(jump, 16);
  const differs = (load<u64>(jump) ^ gva) | (load<u64>(jump, 8) ^ translationKey(tag));
  const misfits = (load<u32>(known, 4) ^ (mode | VALID)) | (~mode & MODE_FLAT);
  return (differs | misfits) === 0 ? known : 0;
}

/** The same where the segments are not flat: CS has a base, and its limit is checked each time. */
function lookupSegmented(cpu: Vcpu): usize {
  const rip = cpu.rip;
  const cs = cpu.segment(CS);
  const gva = (cs.base + rip) & 0xffffffff;
  const known = recall(cpu, gva);
  if (known !== 0 && load<u32>(known, 4) === (cpu.mode | VALID) && fitsLimit(cpu, rip, known))
    return known;
  if (rip > <u64>cs.limit) {
    raiseWithError(cpu, GP, 0);
    return 0;
  }
  return find(cpu, rip, gva);
}

/** @inline */
function jumpEntry(gva: u64, tag: u32): usize {
  return jumps + ((<usize>((<u32>(gva ^ (gva >> 10)) ^ (tag << 5)) & (JUMP_ENTRIES - 1))) << 5);
}

/** The block that was found at `gva` last, or 0; it may be one of another mode, or gone. */
function recall(cpu: Vcpu, gva: u64): usize {
  const tag = cpu.tlbTag;
  const jump = jumpEntry(gva, tag);
  return load<u64>(jump) === gva && load<u64>(jump, 8) === translationKey(tag)
    ? <usize>load<u32>(jump, 16)
    : 0;
}

/** Finds the block through the TLB, or decodes it. */
function find(cpu: Vcpu, rip: u64, gva: u64): usize {
  const mode = cpu.mode;
  const gpa64 = translateFetch(cpu, gva);
  if (gpa64 === NO_GPA) return 0;
  if (!isPlainMemory(cpu, gpa64)) return decodeSingle(cpu, gva, gpa64);
  const gpa = <u32>gpa64;
  let block = findBlock(gpa, mode);
  if (block === 0) block = build(gpa, mode);
  if (block === 0 || !(mode & MODE_FLAT || fitsLimit(cpu, rip, block)))
    return decodeSingle(cpu, gva, gpa64);
  const tag = cpu.tlbTag;
  if ((tag & 3) !== TAG_SLOW) {
    const jump = jumpEntry(gva, tag);
    store<u64>(jump, gva);
    store<u64>(jump, translationKey(tag), 8);
    store<u32>(jump, <u32>block, 16);
  }
  return block;
}

/** The block of a mode at a physical address, or 0 when there is none yet. */
export function findBlock(gpa: u32, mode: u32): usize {
  let block = <usize>load<u32>(slotOf(gpa, mode));
  while (block !== 0 && (load<u32>(block) !== gpa || load<u32>(block, 4) !== (mode | VALID))) {
    block = <usize>load<u32>(block, 12);
  }
  return block;
}

function fitsLimit(cpu: Vcpu, rip: u64, block: usize): bool {
  return rip + load<u16>(block, 10) - 1 <= <u64>cpu.segment(CS).limit;
}

/** Decodes a new block. @returns 0 when already its first instruction crosses the page */
function build(gpa: u32, mode: u32): usize {
  if (arenaNext + MAX_BLOCK_BYTES > arena + ARENA_BYTES) dropAll();
  const block = arenaNext;
  const start = ramBase + <usize>gpa;
  const pageEnd = (start | 0xfff) + 1;
  let at = start;
  let op = blockOps(block);
  let count: u32 = 0;
  while (count < MAX_OPS && at < pageEnd) {
    const view = changetype<Op>(op);
    const length = decode(at, pageEnd, mode, <u32>(at - start), view);
    if (length === NEED_MORE) break;
    specialise(view, mode);
    at += length;
    op += OP_BYTES;
    count++;
    if (endsBlock()) break;
  }
  if (count === 0) return 0;
  const bytes = <u32>(at - start);
  const slot = slotOf(gpa, mode);
  const page = pages + (pageIndex(gpa) << 2);
  store<u32>(block, gpa);
  store<u32>(block, mode | VALID, 4);
  store<u16>(block, <u16>count, 8);
  store<u16>(block, <u16>bytes, 10);
  store<u32>(block, load<u32>(slot), 12);
  store<u32>(block, 0, LINK);
  setShortVisits(block, 0);
  setHeat(block, load<u8>(losses + pageIndex(gpa)) < mostLosses ? 0 : COLD);
  store<u32>(block, load<u32>(page), 24);
  store<u32>(slot, <u32>block);
  store<u32>(page, <u32>block);
  markCode(gpa, bytes);
  arenaNext = op;
  return block;
}

/** Decodes one instruction into a block that is not kept: page crossings, devices, the end of the code segment. */
function decodeSingle(cpu: Vcpu, gva: u64, gpa: u64): usize {
  const room = min<u32>(15, 0x1000 - (<u32>gva & 0xfff));
  const limit = cpu.mode & MODE_FLAT ? <u64>-1 : <u64>cpu.segment(CS).limit;
  const inLimit: u32 =
    cpu.rip + 14 <= limit || cpu.mode & MODE_FLAT ? 15 : <u32>(limit - cpu.rip) + 1;
  for (let i: u32 = 0; i < min(room, inLimit); i++)
    store<u8>(window + i, physicalRead<u8>(cpu, gpa + i));
  const op = changetype<Op>(single + HEADER_BYTES);
  let length = decode(window, window + min(room, inLimit), cpu.mode, 0, op);
  if (length === NEED_MORE) {
    if (inLimit <= room) {
      raiseWithError(cpu, GP, 0);
      return 0;
    }
    const gva2 = cpu.mode & MODE_FLAT && cpu.mode & 1 ? gva + room : (gva + room) & 0xffffffff;
    const gpa2 = translateFetch(cpu, gva2);
    if (gpa2 === NO_GPA) return 0;
    for (let i = room; i < inLimit; i++)
      store<u8>(window + i, physicalRead<u8>(cpu, gpa2 + (i - room)));
    length = decode(window, window + inLimit, cpu.mode, 0, op);
    if (length === NEED_MORE) {
      raiseWithError(cpu, GP, 0);
      return 0;
    }
  }
  specialise(op, cpu.mode);
  store<u32>(single, <u32>gpa);
  store<u32>(single, cpu.mode, 4); // not VALID: never linked
  store<u16>(single, 1, 8);
  store<u16>(single, <u16>length, 10);
  store<u64>(single, 0, LINK);
  return single;
}

/** A store is about to change gpa .. gpa+length-1, inside one page: drops the blocks that hold one of these bytes. */
function dropWritten(gpa: u32, length: u32): void {
  const page = pages + (pageIndex(gpa) << 2);
  let dropped = false;
  let isLoss = false;
  let previous: usize = 0;
  let block = <usize>load<u32>(page);
  while (block !== 0) {
    const next = <usize>load<u32>(block, 24);
    const start = load<u32>(block);
    if (start < gpa + length && gpa < start + load<u16>(block, 10)) {
      if (heatOf(block) < 0) isLoss = true;
      unhash(block);
      store<u32>(block, 0, 4);
      if (previous !== 0) store<u32>(previous, <u32>next, 24);
      else store<u32>(page, <u32>next);
      dropped = true;
    } else previous = block;
    block = next;
  }
  if (!dropped) return;
  leaveBlock();
  dropTranslations(gpa, isLoss);
  unmarkPage(gpa);
  for (block = <usize>load<u32>(page); block !== 0; block = <usize>load<u32>(block, 24)) {
    markCode(load<u32>(block), load<u16>(block, 10));
  }
}

/**
 * Forgets the translations of a page: any of them may hold a block that is gone.
 *
 * @param known - that there was one
 */
function dropTranslations(gpa: u32, known: bool): void {
  const loss = losses + pageIndex(gpa);
  const first = <usize>load<u32>(pages + (pageIndex(gpa) << 2));
  let isLoss = known;
  for (let block = first; block !== 0; block = <usize>load<u32>(block, 24)) {
    if (heatOf(block) < 0) isLoss = true;
  }
  if (!isLoss) return;
  if (load<u8>(loss) < 255) store<u8>(loss, load<u8>(loss) + 1);
  const heat: i32 = load<u8>(loss) < mostLosses ? 0 : COLD;
  for (let block = first; block !== 0; block = <usize>load<u32>(block, 24)) setHeat(block, heat);
}

function unhash(block: usize): void {
  const slot = slotOf(load<u32>(block), load<u32>(block, 4) & ~VALID);
  let at = <usize>load<u32>(slot);
  if (at === block) {
    store<u32>(slot, load<u32>(block, 12));
    return;
  }
  while (<usize>load<u32>(at, 12) !== block) at = <usize>load<u32>(at, 12);
  store<u32>(at, load<u32>(block, 12), 12);
}
