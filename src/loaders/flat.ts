/**
 * Flat binary: bytes at an address, entered at the first of them.
 *
 * Below 1 MiB it starts in real mode (CS 0 up to 0xffff, above that CS = address / 16), from there on in 32-bit
 * protected mode with flat segments.
 */
import { hex } from "../errors.js";
import { checkPieces, piece, refuse, type CpuStart, type LoadPlan } from "./image.js";

const ONE_MEBIBYTE = 0x100000;

/** @param address - guest-physical @throws X2vmError BAD_OPTION, IMAGE_MALFORMED, IMAGE_DOES_NOT_FIT */
export function planFlat(
  image: Uint8Array,
  name: string,
  ramBytes: number,
  address: number | undefined,
): LoadPlan {
  if (address === undefined) refuse("BAD_OPTION", name, "a flat binary needs a load address");
  if (!Number.isSafeInteger(address) || address < 0) {
    refuse("BAD_OPTION", name, `${address} is not a load address`);
  }
  if (image.length === 0) refuse("IMAGE_MALFORMED", name, "the file is empty");
  const isReal = address < ONE_MEBIBYTE;
  if (isReal && address > 0xffff && address % 16 !== 0) {
    refuse(
      "BAD_OPTION",
      name,
      `real-mode code above 0xffff starts at a multiple of 16, not at ${hex(address)}`,
    );
  }
  const pieces = [piece("the binary", address, image)];
  checkPieces(name, pieces, ramBytes);
  return { format: "flat", pieces, start: isReal ? realStart(address) : protectedStart(address) };
}

function realStart(address: number): CpuStart {
  const cs = address > 0xffff ? address >> 4 : 0;
  return { mode: "real", cs, ip: address - cs * 16, dl: 0, sp: 0 };
}

function protectedStart(address: number): CpuStart {
  return { mode: "protected", eip: address, eax: 0, ebx: 0 };
}
