/**
 * Which parts of guest RAM hold decoded code: one 64-bit mask per page, one bit per 64 bytes.
 *
 * A page with a non-zero mask has no entry in the write TLB, so every store to it takes the slow path and asks here.
 */
import { codeWritten } from "./hooks";
import { ramBytes, reserve } from "../layout";
import { dropWriteEntries } from "./tlb";

let masks: usize = 0;

/** Reserves the masks. @param bytes - guest RAM size */
export function placeCodeMap(bytes: u32): bool {
  masks = reserve(<u64>(bytes >> 12) << 3, 64);
  return masks !== 0;
}

function chunks(gpa: u32, length: u32): u64 {
  const first = (gpa & 0xfff) >> 6;
  const last = (((gpa & 0xfff) + length - 1) >> 6) & 63;
  return (<u64>-1 >> (63 - last)) & (<u64>-1 << first);
}

/** True when the page of `gpa` holds decoded code. */
export function pageHasCode(gpa: u32): bool {
  return load<u64>(masks + ((gpa >> 12) << 3)) !== 0;
}

/** Records decoded code at gpa..gpa+length-1, inside one page. */
export function markCode(gpa: u32, length: u32): void {
  const slot = masks + ((gpa >> 12) << 3);
  if (load<u64>(slot) === 0) dropWriteEntries(gpa);
  store<u64>(slot, load<u64>(slot) | chunks(gpa, length));
}

/** Forgets all decoded code of a page. */
export function unmarkPage(gpa: u32): void {
  store<u64>(masks + ((gpa >> 12) << 3), 0);
}

/** Forgets all decoded code. */
export function unmarkAll(): void {
  memory.fill(masks, 0, (ramBytes >> 12) << 3);
}

/** To be called before a store to RAM: tells the block cache when decoded bytes change. @param length - inside one page */
export function beforeStore(gpa: u32, length: u32): void {
  if (load<u64>(masks + ((gpa >> 12) << 3)) & chunks(gpa, length)) codeWritten(gpa, length);
}
