/**
 * Which parts of guest RAM and ROM hold decoded code, and which lines MONITOR watches: two 64-bit masks per page, one bit per
 * 64 bytes.
 *
 * A page with a non-zero mask has no entry in the write TLB, so every store to it takes the slow path and asks here.
 */
import { codeWritten, lineWritten } from "./hooks";
import { clearPages, pageIndex, reservePages } from "../layout";
import { dropWriteEntries } from "./tlb";

let masks: usize = 0;
let watches: usize = 0;

/** Reserves the masks. @param bytes - guest RAM size */
export function placeCodeMap(bytes: u32): bool {
  masks = reservePages(bytes, 8);
  watches = reservePages(bytes, 8);
  return masks !== 0 && watches !== 0;
}

function chunks(gpa: u32, length: u32): u64 {
  const first = (gpa & 0xfff) >> 6;
  const last = (((gpa & 0xfff) + length - 1) >> 6) & 63;
  return (<u64>-1 >> (63 - last)) & ((<u64>-1) << first);
}

/** True when the page of `gpa` holds decoded code or a watched line: stores to it must come here. */
export function pageHasCode(gpa: u32): bool {
  const slot = pageIndex(gpa) << 3;
  return (load<u64>(masks + slot) | load<u64>(watches + slot)) !== 0;
}

/** True when a store to gpa..gpa+length-1 must be told: one of its lines holds decoded code or is watched. */
export function isCodeLine(gpa: u32, length: u32): bool {
  const slot = pageIndex(gpa) << 3;
  return ((load<u64>(masks + slot) | load<u64>(watches + slot)) & chunks(gpa, length)) !== 0;
}

/** Has `lineWritten` told before the next store to the 64-byte line of `gpa`. */
export function watchLine(gpa: u32): void {
  const slot = watches + (pageIndex(gpa) << 3);
  if (load<u64>(slot) === 0) dropWriteEntries(gpa);
  store<u64>(slot, load<u64>(slot) | chunks(gpa, 1));
}

/** Ends `watchLine`. */
export function unwatchLine(gpa: u32): void {
  const slot = watches + (pageIndex(gpa) << 3);
  store<u64>(slot, load<u64>(slot) & ~chunks(gpa, 1));
}

/** Records decoded code at gpa..gpa+length-1, inside one page. */
export function markCode(gpa: u32, length: u32): void {
  const slot = masks + (pageIndex(gpa) << 3);
  if (load<u64>(slot) === 0) dropWriteEntries(gpa);
  store<u64>(slot, load<u64>(slot) | chunks(gpa, length));
}

/** Forgets all decoded code of a page. */
export function unmarkPage(gpa: u32): void {
  store<u64>(masks + (pageIndex(gpa) << 3), 0);
}

/** Forgets all decoded code. */
export function unmarkAll(): void {
  clearPages(masks, 8);
}

/**
 * To be called before a store to RAM: tells the block cache when decoded bytes change, and MONITOR when a watched line
 * does. @param length - inside one page
 */
export function beforeStore(gpa: u32, length: u32): void {
  const slot = pageIndex(gpa) << 3;
  if (load<u64>(masks + slot) & chunks(gpa, length)) codeWritten(gpa, length);
  let lines = load<u64>(watches + slot);
  if (lines === 0) return;
  for (lines &= chunks(gpa, length); lines !== 0; lines &= lines - 1) {
    lineWritten((gpa & ~0xfff) | ((<u32>ctz<u64>(lines)) << 6));
  }
}
