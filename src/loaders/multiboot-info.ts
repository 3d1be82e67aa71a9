/**
 * The Multiboot information structure: command line, modules, memory map, boot loader name.
 *
 * Source: Multiboot Specification 0.6.96 "Boot information format". It lies on the first page behind the kernel and
 * behind 1 MiB, modules on the pages after it.
 */
import { EXTENDED_DATA } from "./bios.js";
import { LOW_MEMORY_END, piece, type LoadOptions, type LoadPiece } from "./image.js";

const PAGE_BYTES = 4096;
const ONE_MEBIBYTE = 0x100000;
const BIOS = 0xf0000;

const INFO_MEMORY = 1 << 0;
const INFO_COMMAND_LINE = 1 << 2;
const INFO_MODULES = 1 << 3;
const INFO_MEMORY_MAP = 1 << 6;
const INFO_LOADER_NAME = 1 << 9;

const INFO_BYTES = 120;
const MODULE_BYTES = 16;
const MAP_ENTRY_BYTES = 24;

const MAP_AVAILABLE = 1;
const MAP_RESERVED = 2;

export interface MapEntry {
  readonly address: number;
  readonly length: number;
  readonly type: number;
}

/** Guest RAM as a PC would report it. @param ramBytes - guest RAM, which starts at 0 */
export function memoryMap(ramBytes: number): MapEntry[] {
  const map: MapEntry[] = [
    { address: 0, length: Math.min(ramBytes, EXTENDED_DATA), type: MAP_AVAILABLE },
    {
      address: EXTENDED_DATA,
      length: LOW_MEMORY_END - EXTENDED_DATA,
      type: MAP_RESERVED,
    },
    { address: BIOS, length: ONE_MEBIBYTE - BIOS, type: MAP_RESERVED },
  ];
  if (ramBytes > ONE_MEBIBYTE) {
    map.push({ address: ONE_MEBIBYTE, length: ramBytes - ONE_MEBIBYTE, type: MAP_AVAILABLE });
  }
  return map;
}

/** @returns the pieces to add to the kernel's, and where the structure itself is */
export function buildBootInformation(
  kernel: readonly LoadPiece[],
  name: string,
  ramBytes: number,
  options: LoadOptions,
): { pieces: LoadPiece[]; address: number } {
  const kernelEnd = Math.max(
    ONE_MEBIBYTE,
    ...kernel.map(({ address, length }) => address + length),
  );
  const address = pageUp(kernelEnd);
  const modules = options.modules ?? [];
  const map = memoryMap(ramBytes);

  const fixedBytes = INFO_BYTES + modules.length * MODULE_BYTES + map.length * MAP_ENTRY_BYTES;
  const strings = new Strings(address + fixedBytes);
  const commandLine = strings.add([name, options.commandLine ?? ""].join(" ").trim());
  const loaderName = strings.add("x2vm");
  const moduleLines = modules.map((each) =>
    strings.add([each.name, each.commandLine ?? ""].join(" ").trim()),
  );

  const bytes = new Uint8Array(fixedBytes + strings.length);
  bytes.set(strings.bytes(), fixedBytes);
  const info = new DataView(bytes.buffer);
  const set = (offset: number, value: number) => info.setUint32(offset, value, true);
  const modulesAt = INFO_BYTES;
  const mapAt = modulesAt + modules.length * MODULE_BYTES;

  set(0, INFO_MEMORY | INFO_COMMAND_LINE | INFO_MODULES | INFO_MEMORY_MAP | INFO_LOADER_NAME);
  set(4, Math.min(ramBytes, EXTENDED_DATA) >> 10); // KiB from 0
  set(8, Math.max(0, ramBytes - ONE_MEBIBYTE) >>> 10); // KiB from 1 MiB
  set(16, commandLine);
  set(20, modules.length);
  set(24, address + modulesAt);
  set(44, map.length * MAP_ENTRY_BYTES);
  set(48, address + mapAt);
  set(64, loaderName);

  map.forEach((entry, i) => {
    const at = mapAt + i * MAP_ENTRY_BYTES;
    set(at, MAP_ENTRY_BYTES - 4); // the size field does not count itself
    set(at + 4, entry.address);
    set(at + 12, entry.length);
    set(at + 20, entry.type);
  });

  const pieces = [piece("the boot information", address, bytes)];
  let next = pageUp(address + bytes.length);
  modules.forEach((module, i) => {
    const at = modulesAt + i * MODULE_BYTES;
    set(at, next);
    set(at + 4, next + module.bytes.length);
    set(at + 8, moduleLines[i]!);
    pieces.push(piece(`module ${module.name}`, next, module.bytes));
    next = pageUp(next + module.bytes.length);
  });
  return { pieces, address };
}

function pageUp(address: number): number {
  return Math.ceil(address / PAGE_BYTES) * PAGE_BYTES;
}

/** Zero-terminated strings, one after the other, that know their guest-physical addresses. */
class Strings {
  readonly #base: number;
  readonly #bytes: number[] = [];

  constructor(base: number) {
    this.#base = base;
  }

  /** @returns guest-physical address of the string */
  add(text: string): number {
    const address = this.#base + this.#bytes.length;
    this.#bytes.push(...new TextEncoder().encode(text), 0);
    return address;
  }

  get length(): number {
    return this.#bytes.length;
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}
