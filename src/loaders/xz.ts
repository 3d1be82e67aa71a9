/**
 * Files of xz, with the x86 filter that kernels are packed with.
 *
 * Source: "The .xz File Format". The decoder for LZMA2 is a library's, which knows no filters: each block is given to it
 * as a stream of its own without them, and filtered here.
 * Not modelled: filters for other processors, more than one stream; CRC64 and SHA-256 are not compared, CRC32 is.
 */
import * as library from "xz-decompress";
import { decodeBcjX86 } from "./bcj-x86.js";
import { viewOf } from "./view.js";

const HEADER_BYTES = 12;
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;
const CHECK_CRC32 = 1;
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;

/** In Node the library's exports are those of a CommonJS module. */
const { XzReadableStream } = ("default" in library ? library.default : library) as typeof library;

interface Block {
  readonly hasX86Filter: boolean;
  readonly startOffset: number;
  readonly dictionary: number;
  readonly packed: Uint8Array;
  readonly check: Uint8Array;
  readonly unpackedBytes: number;
}

/** Unpacks a file. @returns undefined when it is damaged, or packed in a way that is not modelled */
export async function unpackXz(file: Uint8Array): Promise<Uint8Array | undefined> {
  try {
    const checkType = file[7]! & 0x0f;
    const blocks = blocksOf(file, CHECK_BYTES[checkType]!);
    const out = new Uint8Array(blocks.reduce((sum, block) => sum + block.unpackedBytes, 0));
    let at = 0;
    for (const block of blocks) {
      const bytes = out.subarray(at, at + block.unpackedBytes);
      await unpackLzma2(block, bytes);
      if (block.hasX86Filter) decodeBcjX86(bytes, block.startOffset);
      if (checkType === CHECK_CRC32 && crc32(bytes) !== viewOf(block.check).getUint32(0, true))
        return undefined;
      at += bytes.length;
    }
    return out;
  } catch {
    return undefined; // the decoder, or a read behind the end
  }
}

/** @throws any error for a damaged file */
function blocksOf(file: Uint8Array, checkBytes: number): Block[] {
  const indexBytes = (viewOf(file).getUint32(file.length - 8, true) + 1) * 4;
  const index = new Reader(file, file.length - HEADER_BYTES - indexBytes + 1);
  let at = HEADER_BYTES;
  return Array.from({ length: index.number() }, () => {
    const size = index.number();
    const unpackedBytes = index.number();
    const block = file.subarray(at, at + size - checkBytes);
    at += (block.length + 3) & ~3; // padding comes before the check
    const check = file.subarray(at, at + checkBytes);
    at += checkBytes;
    return parseBlock(block, check, unpackedBytes);
  });
}

/** @param block - header and data */
function parseBlock(block: Uint8Array, check: Uint8Array, unpackedBytes: number): Block {
  const headerBytes = (block[0]! + 1) * 4;
  const flags = block[1]!;
  const header = new Reader(block, 2);
  if ((flags & 0x40) !== 0) header.number();
  if ((flags & 0x80) !== 0) header.number();
  let hasX86Filter = false;
  let startOffset = 0;
  let dictionary = -1;
  for (let left = (flags & 3) + 1; left > 0; left--) {
    const filter = header.number();
    const properties = header.take(header.number());
    if (filter === FILTER_X86) {
      hasX86Filter = true;
      if (properties.length === 4) startOffset = viewOf(properties).getUint32(0, true);
    } else if (filter === FILTER_LZMA2) dictionary = properties[0]!;
    else throw new RangeError(`filter ${filter}`);
  }
  const packed = block.subarray(headerBytes);
  return { hasX86Filter, startOffset, dictionary, packed, check, unpackedBytes };
}

/** Wraps LZMA2 data as a stream of one block without filters and check, and decodes it. */
async function unpackLzma2({ dictionary, packed }: Block, out: Uint8Array): Promise<void> {
  const streamFlags = [0, 0];
  const blockHeader = [2, 0, FILTER_LZMA2, 1, dictionary, 0, 0, 0];
  const unpadded = blockHeader.length + 4 + packed.length;
  const index = [0, 1, ...variable(unpadded), ...variable(out.length)];
  while (index.length % 4 !== 0) index.push(0);
  const footer = [...word((index.length + 4) / 4 - 1), ...streamFlags];
  const stream = new Blob([
    Uint8Array.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, ...streamFlags, ...crcOf(streamFlags)]),
    Uint8Array.from([...blockHeader, ...crcOf(blockHeader)]),
    packed.slice(),
    new Uint8Array(-packed.length & 3),
    Uint8Array.from([...index, ...crcOf(index), ...crcOf(footer), ...footer, 0x59, 0x5a]),
  ]).stream();
  const reader = new XzReadableStream(stream).getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    out.set(value, at);
    at += value.length;
  }
  if (at !== out.length) throw new RangeError("too few bytes");
}

/** Reads a part of a file from front to back. */
class Reader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** A number of variable length: seven bits a byte, the lowest first. */
  number(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new RangeError("a number of too many bytes");
  }

  take(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function variable(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 128) | 0x80, ...variable(Math.floor(value / 128))];
}

function word(value: number): number[] {
  return [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ ((value & 1) !== 0 ? 0xedb88320 : 0);
  return value;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
}

function crcOf(bytes: readonly number[]): number[] {
  return word(crc32(Uint8Array.from(bytes)));
}
