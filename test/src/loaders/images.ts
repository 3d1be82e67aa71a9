/** Builds the images that the loader tests need: small, by the book, with any field changed on request. */

export const MULTIBOOT_MAGIC = 0x1badb002;

/** A Multiboot header; `addresses` are header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr. */
export function multibootHeader(flags: number, addresses: readonly number[] = []): Uint8Array {
  const checksum = -(MULTIBOOT_MAGIC + flags) >>> 0;
  return words([MULTIBOOT_MAGIC, flags, checksum, ...addresses]);
}

export function words(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(i * 4, value >>> 0, true));
  return bytes;
}

/** Parts at offsets in a file of `length` bytes, 0xcc elsewhere. */
export function file(
  length: number,
  ...parts: readonly [offset: number, bytes: Uint8Array][]
): Uint8Array {
  const bytes = new Uint8Array(length).fill(0xcc);
  for (const [offset, part] of parts) bytes.set(part, offset);
  return bytes;
}

export function bootSector(length = 512): Uint8Array {
  return file(length, [510, Uint8Array.of(0x55, 0xaa)]);
}

export interface Segment {
  readonly type?: number;
  readonly offset: number;
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly fileBytes: number;
  readonly memoryBytes?: number;
}

export interface ElfFields {
  readonly bits: 32 | 64;
  readonly entry: bigint;
  readonly segments: readonly Segment[];
  readonly machine?: number;
  readonly dataEncoding?: number;
  readonly programHeaderOffset?: number;
  readonly programHeaderBytes?: number;
  readonly length?: number;
  readonly multibootFlags?: number;
  /** Offset of the Multiboot header; -1: none. */
  readonly multibootOffset?: number;
}

/** An ELF executable with a Multiboot header at 0x400 and code from 0x1000 of the file. */
export function elf(fields: ElfFields): Uint8Array {
  const { bits, entry, segments } = fields;
  const is64 = bits === 64;
  const bytes = new Uint8Array(fields.length ?? 0x3000).fill(0x90);
  const view = new DataView(bytes.buffer);
  const word = (offset: number, value: bigint) => {
    if (is64) view.setBigUint64(offset, value, true);
    else view.setUint32(offset, Number(value), true);
  };
  bytes.fill(0, 0, 0x400);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, fields.dataEncoding ?? 1, 1]);
  view.setUint16(16, 2, true); // executable
  view.setUint16(18, fields.machine ?? (is64 ? 62 : 3), true);
  word(24, entry);
  const headerBytes = is64 ? 64 : 52;
  const programBytes = is64 ? 56 : 32;
  word(is64 ? 32 : 28, BigInt(fields.programHeaderOffset ?? headerBytes));
  view.setUint16(is64 ? 54 : 42, fields.programHeaderBytes ?? programBytes, true);
  view.setUint16(is64 ? 56 : 44, segments.length, true);
  segments.forEach((segment, i) => {
    const at = headerBytes + i * programBytes;
    view.setUint32(at, segment.type ?? 1, true);
    const { offset, virtual, physical, fileBytes, memoryBytes = fileBytes } = segment;
    const values = [BigInt(offset), virtual, physical, BigInt(fileBytes), BigInt(memoryBytes)];
    values.forEach((value, field) => word(at + (is64 ? 8 : 4) + field * (is64 ? 8 : 4), value));
  });
  const multibootOffset = fields.multibootOffset ?? 0x400;
  if (multibootOffset >= 0) bytes.set(multibootHeader(fields.multibootFlags ?? 0), multibootOffset);
  return bytes;
}
