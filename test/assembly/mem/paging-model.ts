/**
 * What paging allows, by the manual: SDM 3A "Determination of Access Rights", "Page-Fault Exceptions", "Accessed and Dirty
 * Flags". Written from the text, without a look at the core.
 */
export type PagingName = "32-bit" | "PAE" | "4-level";

/** Control bits that decide about rights. */
export interface Controls {
  wp: boolean;
  smep: boolean;
  smap: boolean;
  /** EFLAGS.AC */
  ac: boolean;
  nxe: boolean;
}

export interface Access {
  kind: "read" | "write" | "fetch";
  /** CPL 3 and not an access that the processor makes by itself, to descriptor tables and the like. */
  user: boolean;
  implicit: boolean;
}

/** A paging-structure entry on the way to the page, the uppermost first. */
export interface Entry {
  bits: bigint;
  /** Level by the bit where its index begins: 39, 30, 21 (22 in 32-bit paging) or 12. */
  shift: number;
}

export const MAXPHYADDR = 40n;
const P = 1n;
const W = 2n;
const U = 4n;
export const ACCESSED = 0x20n;
export const DIRTY = 0x40n;
export const LARGE = 0x80n;
export const NX = 1n << 63n;

// Error code.
const PRESENT = 1;
const WRITE = 2;
const USER = 4;
const RESERVED = 8;
const FETCH = 16;

const bitsFrom = (low: bigint, high: bigint) => (1n << (high + 1n)) - (1n << low);

/** Bits of an entry that must be 0. */
export function reservedBits(paging: PagingName, { bits, shift }: Entry, nxe: boolean): bigint {
  const isLarge = (bits & LARGE) !== 0n && shift > 12;
  if (paging === "32-bit") return isLarge ? 1n << 21n : 0n;
  let mask = bitsFrom(MAXPHYADDR, paging === "PAE" ? 62n : 51n);
  if (!nxe) mask |= NX;
  if (shift === 39) mask |= LARGE;
  else if (isLarge) mask |= bitsFrom(13n, BigInt(shift) - 1n);
  return mask;
}

/** @returns undefined when the access is allowed, or the error code of its #PF */
export function pageFault(
  paging: PagingName,
  entries: readonly Entry[],
  access: Access,
  controls: Controls,
): number | undefined {
  const hasNx = paging !== "32-bit" && controls.nxe;
  let error = 0;
  if (access.kind === "write") error |= WRITE;
  if (access.user) error |= USER;
  if (access.kind === "fetch" && (controls.smep || hasNx)) error |= FETCH;
  let all = W | U;
  let any = 0n;
  for (const entry of entries) {
    if (!(entry.bits & P)) return error;
    if (entry.bits & reservedBits(paging, entry, controls.nxe)) return error | PRESENT | RESERVED;
    all &= entry.bits;
    any |= entry.bits;
  }
  const isUserPage = (all & U) !== 0n;
  const isWritable = (all & W) !== 0n;
  const neverFetched = hasNx && (any & NX) !== 0n;
  return isAllowed(access, controls, isUserPage, isWritable, neverFetched)
    ? undefined
    : error | PRESENT;
}

function isAllowed(
  { kind, user, implicit }: Access,
  { wp, smep, smap, ac }: Controls,
  isUserPage: boolean,
  isWritable: boolean,
  neverFetched: boolean,
): boolean {
  if (user) {
    if (!isUserPage) return false;
    return kind === "read" || (kind === "write" ? isWritable : !neverFetched);
  }
  if (kind === "fetch") return !neverFetched && !(isUserPage && smep);
  if (isUserPage && smap && (implicit || !ac)) return false;
  return kind === "read" || isWritable || !wp;
}
