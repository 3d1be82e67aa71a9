/**
 * Boot sector: the first sector of a disk, at 0x7c00, in real mode.
 *
 * There is no BIOS to fetch more sectors, so whatever follows the first 512 bytes of the file follows it in memory.
 */
import { biosPieces } from "./bios.js";
import type { LoadTarget } from "./load-target.js";
import { LOW_MEMORY_END, checkPieces, piece, refuse, type LoadPlan } from "./image.js";

const LOAD_ADDRESS = 0x7c00;
const SECTOR_BYTES = 512;
const SIGNATURE_OFFSET = 510;
const FIRST_HARD_DISK = 0x80;

export function hasBootSignature(image: Uint8Array): boolean {
  return image[SIGNATURE_OFFSET] === 0x55 && image[SIGNATURE_OFFSET + 1] === 0xaa;
}

/** @throws X2vmError IMAGE_MALFORMED, IMAGE_DOES_NOT_FIT */
export function planBootSector(
  image: Uint8Array,
  name: string,
  ramBytes: number,
  target: LoadTarget,
): LoadPlan {
  if (image.length < SECTOR_BYTES) {
    refuse(
      "IMAGE_MALFORMED",
      name,
      `a boot sector has at least 512 bytes, this file has ${image.length}`,
    );
  }
  if (!hasBootSignature(image)) {
    refuse("IMAGE_MALFORMED", name, "the boot signature 55 AA is missing at offset 510");
  }
  const room = LOW_MEMORY_END - LOAD_ADDRESS;
  if (image.length > room) {
    const reason = `${image.length} bytes do not fit between 0x7c00 and 0x9ffff, where a boot sector is loaded (${room})`;
    refuse("IMAGE_DOES_NOT_FIT", name, reason);
  }
  const sectors = [piece("the boot sector", LOAD_ADDRESS, image)];
  const pieces = [...sectors, ...biosPieces(sectors, ramBytes, target)];
  checkPieces(name, pieces, ramBytes);
  const start = {
    mode: "real",
    cs: 0,
    ip: LOAD_ADDRESS,
    dl: FIRST_HARD_DISK,
    sp: LOAD_ADDRESS,
  } as const;
  return { format: "boot-sector", pieces, start };
}
