/**
 * Multiboot kernels: ELF32, ELF64, or any file whose header carries its addresses.
 *
 * Source: Multiboot Specification 0.6.96. An ELF64 kernel is entered in 32-bit protected mode, as any other.
 * Deviates: a header that asks for a video mode (bit 2) is loaded all the same; the video fields of the information
 * structure stay invalid, which the kernel can see in its flags.
 * Not modelled: symbol tables, drives, configuration table, APM, VBE.
 */
import { hex } from "../errors.js";
import { biosPieces } from "./bios.js";
import { isElf, parseElf } from "./elf.js";
import {
  checkPieces,
  piece,
  refuse,
  type LoadOptions,
  type LoadPiece,
  type LoadPlan,
} from "./image.js";
import { ONE_CPU, type LoadTarget } from "./load-target.js";
import { buildBootInformation } from "./multiboot-info.js";
import { viewOf } from "./view.js";

const HEADER_MAGIC = 0x1badb002;
const LOADED_MAGIC = 0x2badb002;
const HEADER_SEARCH_BYTES = 8192;
const HEADER_2_MAGIC = 0xe85250d6;
const HEADER_2_SEARCH_BYTES = 32768;

const FLAG_ALIGN_MODULES = 1 << 0;
const FLAG_MEMORY_INFO = 1 << 1;
const FLAG_VIDEO = 1 << 2;
const FLAG_ADDRESSES = 1 << 16;
/** A loader must refuse a bit of 15:0 that it does not know. */
const REQUIRED_KNOWN = FLAG_ALIGN_MODULES | FLAG_MEMORY_INFO | FLAG_VIDEO;

interface Kernel {
  readonly pieces: readonly LoadPiece[];
  readonly entry: number;
}

/** Offset of the Multiboot header, or -1. It is 4-byte aligned in the first 8 KiB, and its checksum is right. */
export function findMultibootHeader(image: Uint8Array): number {
  const view = viewOf(image);
  const end = Math.min(image.length, HEADER_SEARCH_BYTES) - 12;
  for (let offset = 0; offset <= end; offset += 4) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const sum = HEADER_MAGIC + view.getUint32(offset + 4, true) + view.getUint32(offset + 8, true);
    if (sum >>> 0 === 0) return offset;
  }
  return -1;
}

/** Whether there is a header of Multiboot 2: 8-byte aligned, in the first 32 KiB. */
export function hasMultiboot2Header(image: Uint8Array): boolean {
  const view = viewOf(image);
  const end = Math.min(image.length, HEADER_2_SEARCH_BYTES) - 16;
  for (let offset = 0; offset <= end; offset += 8) {
    if (view.getUint32(offset, true) !== HEADER_2_MAGIC) continue;
    const words = [0, 4, 8, 12].map((at) => view.getUint32(offset + at, true));
    if (words.reduce((a, b) => (a + b) >>> 0) === 0) return true;
  }
  return false;
}

/** @throws X2vmError IMAGE_MALFORMED, IMAGE_DOES_NOT_FIT, IMAGE_OVERLAP */
export function planMultiboot(
  image: Uint8Array,
  name: string,
  ramBytes: number,
  options: LoadOptions,
  target: LoadTarget = ONE_CPU,
): LoadPlan {
  const header = findMultibootHeader(image);
  if (header < 0)
    refuse("IMAGE_MALFORMED", name, "there is no Multiboot header in the first 8192 bytes");
  const view = viewOf(image);
  const flags = view.getUint32(header + 4, true);
  const unknown = flags & 0xffff & ~REQUIRED_KNOWN;
  if (unknown !== 0) {
    refuse(
      "IMAGE_MALFORMED",
      name,
      `the Multiboot header requires features that no loader knows (flags ${hex(flags)})`,
    );
  }
  const kernel =
    (flags & FLAG_ADDRESSES) !== 0 ? byAddresses(image, view, header, name) : byElf(image, name);
  checkPieces(name, kernel.pieces, ramBytes);
  const information = buildBootInformation(kernel.pieces, name, ramBytes, options);
  const bios = biosPieces([...kernel.pieces, ...information.pieces], ramBytes, target);
  const pieces = [...kernel.pieces, ...information.pieces, ...bios];
  checkPieces(name, pieces, ramBytes);
  const start = {
    mode: "protected",
    eip: kernel.entry,
    eax: LOADED_MAGIC,
    ebx: information.address,
  } as const;
  return { format: "multiboot", pieces, start };
}

function byElf(image: Uint8Array, name: string): Kernel {
  if (!isElf(image)) {
    refuse(
      "IMAGE_MALFORMED",
      name,
      "the Multiboot header gives no load addresses and the file is not ELF",
    );
  }
  const { entry, segments } = parseElf(image, name);
  const pieces = segments.map((segment, i) => {
    const bytes = image.subarray(segment.fileOffset, segment.fileOffset + segment.fileBytes);
    return piece(`segment ${i}`, segment.physicalAddress, bytes, segment.memoryBytes);
  });
  return { pieces, entry };
}

/** "The address fields of Multiboot header": the file is a plain run of bytes around the header. */
function byAddresses(image: Uint8Array, view: DataView, header: number, name: string): Kernel {
  if (header + 32 > image.length)
    refuse("IMAGE_MALFORMED", name, "the Multiboot header is cut off");
  const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((offset) =>
    view.getUint32(header + offset, true),
  ) as [number, number, number, number, number];
  const fileOffset = header - (headerAddress - loadAddress);
  if (loadAddress > headerAddress || fileOffset < 0) {
    const fields = `header_addr ${hex(headerAddress)}, load_addr ${hex(loadAddress)}`;
    refuse(
      "IMAGE_MALFORMED",
      name,
      `the Multiboot header at offset ${hex(header)} contradicts its ${fields}`,
    );
  }
  const end = loadEnd === 0 ? loadAddress + image.length - fileOffset : loadEnd;
  const fileBytes = end - loadAddress;
  if (fileBytes <= 0 || fileOffset + fileBytes > image.length) {
    refuse(
      "IMAGE_MALFORMED",
      name,
      `load_end_addr ${hex(loadEnd)} lies behind the end of the file`,
    );
  }
  if (bssEnd !== 0 && bssEnd < end) {
    refuse(
      "IMAGE_MALFORMED",
      name,
      `bss_end_addr ${hex(bssEnd)} lies below the end of the loaded bytes, ${hex(end)}`,
    );
  }
  const memoryBytes = (bssEnd === 0 ? end : bssEnd) - loadAddress;
  if (entry < loadAddress || entry >= loadAddress + memoryBytes) {
    refuse("IMAGE_MALFORMED", name, `entry_addr ${hex(entry)} lies outside the loaded bytes`);
  }
  const bytes = image.subarray(fileOffset, fileOffset + fileBytes);
  return { pieces: [piece("the kernel", loadAddress, bytes, memoryBytes)], entry };
}
