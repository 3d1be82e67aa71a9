/**
 * Linux kernels as files: bzImage, and the ELF vmlinux that one of them holds.
 *
 * Source: Linux Documentation/x86/boot.rst, "The Real-Mode Kernel Header".
 * Not modelled: the kernel's own decompressor. The payload is unpacked here, or the image is refused.
 */
import { isElf } from "./elf.js";
import { refuse } from "./image.js";
import { LZ4_LEGACY_MAGIC, unpackLz4 } from "./lz4.js";

const SETUP_SECTORS = 0x1f1;
const HEADER_MAGIC = 0x202;
const VERSION = 0x206;
const LOADFLAGS = 0x211;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const HEADER_END = 0x268;
const HDRS = 0x53726448; // "HdrS"
const LOADED_HIGH = 0x01;
/** First version of the boot protocol that tells where the payload is. */
const PAYLOAD_VERSION = 0x0208;
const SECTOR_BYTES = 512;
/** A header that gives no number of setup sectors means this many. */
const DEFAULT_SETUP_SECTORS = 4;

const NOTE_SEGMENT = 4;
/** Owners of the notes that the kernel's build puts in: Xen's entry points, the kernel's own. */
const NOTE_OWNERS = ["Linux", "Xen"];

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** True for a bzImage, cut off or not, of any version of the boot protocol. */
export function isBzImage(image: Uint8Array): boolean {
  return image.length >= VERSION && viewOf(image).getUint32(HEADER_MAGIC, true) === HDRS;
}

/** True for an ELF vmlinux: a 64-bit ELF file with a note of the kernel's. */
export function isVmlinux(image: Uint8Array): boolean {
  if (!isElf(image) || image[4] !== 2 || image.length < 64) return false;
  const view = viewOf(image);
  const first = Number(view.getBigUint64(32, true));
  const count = view.getUint16(56, true);
  for (let i = 0; i < count; i++) {
    const at = first + i * 56;
    if (at + 56 > image.length) return false;
    if (view.getUint32(at, true) !== NOTE_SEGMENT) continue;
    const offset = Number(view.getBigUint64(at + 8, true));
    const length = Number(view.getBigUint64(at + 32, true));
    if (offset + length <= image.length && hasKernelNote(image.subarray(offset, offset + length)))
      return true;
  }
  return false;
}

function hasKernelNote(notes: Uint8Array): boolean {
  const view = viewOf(notes);
  let at = 0;
  while (at + 12 <= notes.length) {
    const nameBytes = view.getUint32(at, true);
    const valueBytes = view.getUint32(at + 4, true);
    const name = new TextDecoder("latin1").decode(notes.subarray(at + 12, at + 11 + nameBytes));
    if (NOTE_OWNERS.includes(name)) return true;
    at += 12 + ((nameBytes + 3) & ~3) + ((valueBytes + 3) & ~3);
  }
  return false;
}

/** True for what `unpackLinux` and the loader take as a Linux kernel. */
export function isLinux(image: Uint8Array): boolean {
  return isBzImage(image) || isVmlinux(image);
}

/** @throws X2vmError IMAGE_MALFORMED: cut off, or of a form that has no payload */
function payloadOf(image: Uint8Array, name: string): Uint8Array {
  if (image.length < HEADER_END)
    refuse("IMAGE_MALFORMED", name, "the Linux kernel is cut off in its setup header");
  const view = viewOf(image);
  const version = view.getUint16(VERSION, true);
  if (version < PAYLOAD_VERSION || (image[LOADFLAGS]! & LOADED_HIGH) === 0) {
    const text = `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;
    refuse("IMAGE_MALFORMED", name, `Linux boot protocol ${text} is too old, 2.08 is needed`);
  }
  const setup = (image[SETUP_SECTORS]! || DEFAULT_SETUP_SECTORS) + 1;
  const start = setup * SECTOR_BYTES + view.getUint32(PAYLOAD_OFFSET, true);
  const length = view.getUint32(PAYLOAD_LENGTH, true);
  if (start + length > image.length) {
    const reason = `the Linux kernel is cut off: it has ${image.length} bytes, its payload ends at ${start + length}`;
    refuse("IMAGE_MALFORMED", name, reason);
  }
  if (length < 8) refuse("IMAGE_MALFORMED", name, "the Linux kernel has no payload");
  return image.subarray(start, start + length);
}

type Packing = "ELF" | "LZ4" | "gzip" | "xz" | "zstd" | "bzip2" | "LZO" | "LZMA";

function packingOf(payload: Uint8Array): Packing | undefined {
  const magic = viewOf(payload).getUint32(0, true);
  if (isElf(payload)) return "ELF";
  if (magic === LZ4_LEGACY_MAGIC) return "LZ4";
  if ((magic & 0xffff) === 0x8b1f) return "gzip";
  if (magic === 0x587a37fd) return "xz";
  if (magic === 0xfd2fb528) return "zstd";
  if ((magic & 0xffffff) === 0x685a42) return "bzip2";
  if (magic === 0x4f5a4c89) return "LZO";
  if ((magic & 0xffffff) === 0x00005d) return "LZMA";
  return undefined;
}

/**
 * The ELF vmlinux in a Linux kernel. Other files, and ELF files, come back as they are.
 *
 * @throws X2vmError IMAGE_MALFORMED for a damaged kernel or one packed in a way that cannot be unpacked here
 */
export async function unpackLinux(image: Uint8Array, name = "image"): Promise<Uint8Array> {
  if (!isBzImage(image)) return image;
  const payload = payloadOf(image, name);
  if (packingOf(payload) !== "gzip") return unpackNow(image, name);
  const bytes = await gunzip(payload).catch(() => damaged(name, "gzip"));
  return checked(bytes, name);
}

/**
 * As `unpackLinux`, for the packings that need no asynchronous decoder: LZ4 and none.
 *
 * @throws X2vmError IMAGE_MALFORMED
 */
export function unpackNow(image: Uint8Array, name: string): Uint8Array {
  if (!isBzImage(image)) return image;
  const payload = payloadOf(image, name);
  const packing = packingOf(payload);
  if (packing === "ELF") return checked(payload, name);
  if (packing === "LZ4") {
    // The kernel's build appends the unpacked length.
    const length = viewOf(payload).getUint32(payload.length - 4, true);
    const bytes = length < 2 ** 31 ? unpackLz4(payload.subarray(0, -4), length) : undefined;
    return bytes === undefined ? damaged(name, packing) : checked(bytes, name);
  }
  if (packing === "gzip")
    refuse("IMAGE_MALFORMED", name, "the kernel is packed with gzip: give it to unpackLinux first");
  const how = packing === undefined ? "in an unknown way" : `with ${packing}`;
  refuse(
    "IMAGE_MALFORMED",
    name,
    `the kernel is packed ${how}; give its ELF vmlinux, or a kernel packed with gzip or LZ4`,
  );
}

function checked(bytes: Uint8Array, name: string): Uint8Array {
  if (!isElf(bytes)) refuse("IMAGE_MALFORMED", name, "the kernel's payload is not an ELF file");
  return bytes;
}

function damaged(name: string, packing: Packing): never {
  refuse("IMAGE_MALFORMED", name, `the kernel's ${packing} payload is damaged`);
}

async function gunzip(packed: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([packed.slice()]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
