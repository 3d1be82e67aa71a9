/**
 * ROM image: firmware in place of a BIOS, as a flash chip holds it.
 *
 * It ends at 4 GiB, and its last 128 KiB (or all of a smaller one) show once more below 1 MiB. Both are read-only. The boot
 * CPU starts at the reset vector, in the state after power-up: CS base ffff0000H, IP fff0H, so that the 16 bytes at the
 * end of the file run first.
 *
 * Deviates: with `isShadowed` the part below 1 MiB is RAM that begins as a copy, as a chipset makes it; there is no
 * chipset here whose registers a firmware could ask for that.
 */
import { checkPieces, piece, refuse, type LoadPlan } from "./image.js";

/** What the core has room for. */
export const ROM_MAX_BYTES = 0x1000000;
export const ROM_LOW_BYTES = 0x20000;

const PAGE_BYTES = 4096;
/** Flash chips and BIOS images are whole multiples of this: what is not is not taken for a ROM by its content. */
const CHIP_BYTES = 0x10000;
const ONE_MEBIBYTE = 0x100000;
const RESET_VECTOR_BYTES = 16;

/** JMP rel8, rel16, ptr16:16: how code leaves the reset vector. */
const JUMPS = [0xeb, 0xe9, 0xea];
/** What may stand before it: NOP, CLI, CLD, WBINVD (two bytes), an operand-size prefix. */
const BEFORE_JUMP = [0x90, 0xfa, 0xfc, 0x0f, 0x09, 0x66];

/** Whether a file without any header looks like a ROM: the size of a chip, and a jump at the reset vector. */
export function looksLikeRom(image: Uint8Array): boolean {
  if (image.length === 0 || image.length > ROM_MAX_BYTES || image.length % CHIP_BYTES !== 0)
    return false;
  const vector = image.subarray(image.length - RESET_VECTOR_BYTES);
  const first = vector.find((byte) => !BEFORE_JUMP.includes(byte));
  return first !== undefined && JUMPS.includes(first);
}

/** @throws X2vmError IMAGE_MALFORMED, IMAGE_DOES_NOT_FIT */
export function planRom(
  image: Uint8Array,
  name: string,
  ramBytes: number,
  isShadowed: boolean,
): LoadPlan {
  if (image.length === 0) refuse("IMAGE_MALFORMED", name, "the file is empty");
  if (image.length % PAGE_BYTES !== 0) {
    const reason = `a ROM is a multiple of 4096 bytes long, with the reset vector in its last 16; this file has ${image.length}`;
    refuse("IMAGE_MALFORMED", name, reason);
  }
  if (image.length > ROM_MAX_BYTES) {
    const reason = `a ROM has at most 16 MiB, the room below 4 GiB; this file has ${image.length} bytes`;
    refuse("IMAGE_DOES_NOT_FIT", name, reason);
  }
  const lowBytes = Math.min(image.length, ROM_LOW_BYTES);
  const low = image.subarray(image.length - lowBytes);
  const pieces = [piece("the ROM below 1 MiB", ONE_MEBIBYTE - lowBytes, low)];
  checkPieces(name, pieces, ramBytes);
  const rom = { bytes: image, readOnlyLowBytes: isShadowed ? 0 : lowBytes };
  return { format: "rom", pieces, rom, start: { mode: "reset" } };
}
