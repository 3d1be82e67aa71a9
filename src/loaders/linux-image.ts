/**
 * Linux kernels as files: bzImage, and the ELF vmlinux that one of them holds.
 *
 * Source: Linux Documentation/x86/boot.rst, "The Real-Mode Kernel Header". What cannot be unpacked here (bzip2, LZMA, LZO)
 * unpacks itself in the guest.
 * Not modelled: the check at the end of zstd data.
 */
import { isElf } from "./elf.js";
import { refuse } from "./image.js";
import { LZ4_LEGACY_MAGIC, unpackLz4 } from "./lz4.js";
import { viewOf } from "./view.js";

const SETUP_SECTORS = 0x1f1;
/** Operand of the jump over the header: where the header ends, from HEADER_MAGIC on. */
const HEADER_LENGTH = 0x201;
const HEADER_MAGIC = 0x202;
const VERSION = 0x206;
const LOADFLAGS = 0x211;
const XLOADFLAGS = 0x236;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const PREFERRED_ADDRESS = 0x258;
const INIT_SIZE = 0x260;
const HEADER_END = 0x268;
const HDRS = 0x53726448; // "HdrS"
const LOADED_HIGH = 0x01;
const XLF_KERNEL_64 = 0x01;
/** First version of the boot protocol that tells where the payload is. */
const PAYLOAD_VERSION = 0x0208;
const SECTOR_BYTES = 512;
/** A header that gives no number of setup sectors means this many. */
const DEFAULT_SETUP_SECTORS = 4;

const ELF_CLASS = 4;
const ELF_CLASS_64 = 2;
const NOTE_SEGMENT = 4;
/** Owners of the notes that the kernel's build puts in: Xen's entry points, the kernel's own. */
const NOTE_OWNERS = ["Linux", "Xen"];

/** True for a bzImage, cut off or not, of any version of the boot protocol. */
export function isBzImage(image: Uint8Array): boolean {
  return image.length >= VERSION && viewOf(image).getUint32(HEADER_MAGIC, true) === HDRS;
}

/** True for an ELF vmlinux: a 64-bit ELF file with a note of the kernel's. */
export function isVmlinux(image: Uint8Array): boolean {
  if (!isElf(image) || !isElf64(image) || image.length < 64) return false;
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

/** Where the code of a bzImage starts, behind its setup sectors. */
function codeOffset(image: Uint8Array): number {
  return ((image[SETUP_SECTORS]! || DEFAULT_SETUP_SECTORS) + 1) * SECTOR_BYTES;
}

/**
 * What a bzImage carries packed; empty for other programs in its form, which carry nothing.
 *
 * @throws X2vmError IMAGE_MALFORMED: cut off, or too old
 */
function payloadOf(image: Uint8Array, name: string): Uint8Array {
  if (image.length < HEADER_END)
    refuse("IMAGE_MALFORMED", name, "the Linux kernel is cut off in its setup header");
  const view = viewOf(image);
  const version = view.getUint16(VERSION, true);
  if (version < PAYLOAD_VERSION || (image[LOADFLAGS]! & LOADED_HIGH) === 0) {
    const text = `${version >> 8}.${String(version & 0xff).padStart(2, "0")}`;
    refuse("IMAGE_MALFORMED", name, `Linux boot protocol ${text} is too old, 2.08 is needed`);
  }
  const start = codeOffset(image) + view.getUint32(PAYLOAD_OFFSET, true);
  const length = view.getUint32(PAYLOAD_LENGTH, true);
  if (start + length > image.length) {
    const reason = `the Linux kernel is cut off: it has ${image.length} bytes, its payload ends at ${start + length}`;
    refuse("IMAGE_MALFORMED", name, reason);
  }
  return image.subarray(start, start + length);
}

/**
 * @param payload - without the unpacked length that the kernel's build appends, unless it is the format's own last word
 * @param length - that length
 * @returns undefined when it is damaged; may also throw
 */
type Unpack = (
  payload: Uint8Array,
  length: number,
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** How a payload is packed: how to know it, and how to unpack it, if it can be unpacked here. */
interface Packing {
  readonly name: string;
  /** A little-endian word's worth of bytes that a payload starts with. */
  readonly magic: number;
  readonly mask: number;
  /** Whether a packed file ends with the unpacked length. */
  readonly endsWithLength?: true;
  /** Libraries are loaded when a kernel needs them: most need none, and a page without a bundler cannot find them. */
  readonly load?: () => Promise<Unpack>;
}

const PACKINGS: readonly Packing[] = [
  { name: "gzip", magic: 0x8b1f, mask: 0xffff, endsWithLength: true, load: async () => gunzip },
  { name: "LZ4", magic: LZ4_LEGACY_MAGIC, mask: 0xffffffff, load: async () => unpackLz4 },
  { name: "zstd", magic: 0xfd2fb528, mask: 0xffffffff, load: loadZstd },
  { name: "xz", magic: 0x587a37fd, mask: 0xffffffff, load: loadXz },
  { name: "bzip2", magic: 0x685a42, mask: 0xffffff },
  { name: "LZO", magic: 0x4f5a4c89, mask: 0xffffffff },
  { name: "LZMA", magic: 0x00005d, mask: 0xffffff },
];

/** A vmlinux of more bytes than this is a damaged length. */
const MOST_UNPACKED = 2 ** 30;

/**
 * The ELF vmlinux in a Linux kernel. Other files, ELF files, kernels of 32 bits, and those that only unpack themselves come back as they are.
 *
 * @throws X2vmError IMAGE_MALFORMED for a damaged kernel
 */
export async function unpackLinux(image: Uint8Array, name = "image"): Promise<Uint8Array> {
  if (!isBzImage(image)) return image;
  const payload = payloadOf(image, name);
  if (isElf(payload)) return isElf64(payload) ? payload : image;
  const magic = payload.length < 8 ? 0 : viewOf(payload).getUint32(0, true);
  const packing = PACKINGS.find((each) => ((magic ^ each.magic) & each.mask) === 0);
  if (packing?.load === undefined) return image;
  const unpack = await attempt(packing.load);
  if (unpack === undefined) return image; // no such library here: the guest unpacks it
  const length = viewOf(payload).getUint32(payload.length - 4, true);
  const bytes = await attempt(async () =>
    length > MOST_UNPACKED
      ? undefined
      : unpack(packing.endsWithLength ? payload : payload.subarray(0, -4), length),
  );
  if (bytes === undefined)
    refuse("IMAGE_MALFORMED", name, `the kernel's ${packing.name} payload is damaged`);
  if (!isElf(bytes)) refuse("IMAGE_MALFORMED", name, "the kernel's payload is not an ELF file");
  return isElf64(bytes) ? bytes : image;
}

/** Only its own code knows how to enter a kernel of 32 bits: that unpacks itself. */
function isElf64(elf: Uint8Array): boolean {
  return elf[ELF_CLASS] === ELF_CLASS_64;
}

async function attempt<T>(unpack: () => Promise<T>): Promise<T | undefined> {
  try {
    return await unpack();
  } catch {
    return undefined;
  }
}

async function gunzip(packed: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([packed.slice()]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function loadZstd(): Promise<Unpack> {
  const { decompress } = await import("fzstd");
  return (packed, length) => {
    const bytes = decompress(packed, new Uint8Array(length));
    return bytes.length === length ? bytes : undefined;
  };
}

async function loadXz(): Promise<Unpack> {
  return (await import("./xz.js")).unpackXz;
}

/** A bzImage that the guest unpacks: what the boot protocol says of it. */
export interface SelfUnpacking {
  /** Entered in 64-bit mode; otherwise in 32-bit protected mode, which every kernel has an entry for. */
  readonly is64Bit: boolean;
  /** The setup header, to be copied to the same place in boot_params. */
  readonly header: Uint8Array;
  /** Where the header starts in a bzImage and in boot_params. */
  readonly headerOffset: number;
  /** What follows the setup sectors. */
  readonly code: Uint8Array;
  /** Where the code is put, and how much memory from there on it and the kernel take. */
  readonly address: number;
  readonly memoryBytes: number;
}

/** @throws X2vmError IMAGE_MALFORMED: cut off, or too old */
export function selfUnpacking(image: Uint8Array, name: string): SelfUnpacking {
  payloadOf(image, name);
  const view = viewOf(image);
  return {
    is64Bit: (view.getUint16(XLOADFLAGS, true) & XLF_KERNEL_64) !== 0,
    header: image.subarray(SETUP_SECTORS, HEADER_MAGIC + image[HEADER_LENGTH]!),
    headerOffset: SETUP_SECTORS,
    code: image.subarray(codeOffset(image)),
    address: Number(view.getBigUint64(PREFERRED_ADDRESS, true)),
    memoryBytes: view.getUint32(INIT_SIZE, true),
  };
}
