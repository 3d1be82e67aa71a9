/**
 * The bytes of a snapshot: a container for a header, the core's state areas and guest RAM.
 *
 *     page 0   0 "x2vmsnap"   8 version u32   12 pages of the file u32   16 header bytes u32   20 areas bytes u32
 *              24 RAM pages u32   28 zero   32 check: hash of these 32 bytes and of all other pages, 16 bytes
 *     then     the header: JSON in UTF-8 (header.ts)
 *     then     the state areas of the core, in its order (assembly/vm/snapshot.ts)
 *     then     the map of RAM: bit n of the map (byte n >> 3, bit n & 7) tells that page n is stored; the others are zero
 *     then     the stored pages of RAM, in the order of their addresses
 *
 * A page is 4096 bytes, each part begins on a page, numbers are little-endian. The check is against damage, not against
 * forgery: whatever is read from a snapshot is checked where it is used.
 */
import { X2vmError } from "../errors.js";
import { isZeroPage, StateHash } from "../state-hash.js";
import { malformed } from "./malformed.js";

const MAGIC = "x2vmsnap";
/** Of this format and of all that the header holds, device state too. */
export const VERSION = 1;
const PAGE = 4096;
const CHECK = 32;

export interface SnapshotParts {
  readonly header: string;
  readonly areas: Uint8Array;
  /** Guest RAM, whole pages. */
  readonly ram: Uint8Array;
}

/** A snapshot that was taken apart, with its RAM still packed. */
export interface UnpackedSnapshot {
  readonly header: string;
  readonly areas: Uint8Array;
  readonly ramBytes: number;
  /** Writes RAM. @param ram - zeroed, `ramBytes` long */
  copyRam(ram: Uint8Array): void;
}

/** @param isChecked - false leaves the check out, for a snapshot that never leaves this process */
export function packSnapshot({ header, areas, ram }: SnapshotParts, isChecked = true): Uint8Array {
  const text = new TextEncoder().encode(header);
  const map = new Uint8Array(Math.ceil(ram.length / PAGE / 8));
  const stored = mapRam(ram, map);
  const starts = startsOf(text.length, areas.length, ram.length / PAGE);
  const bytes = new Uint8Array(starts.pages + stored * PAGE);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  const numbers = [VERSION, bytes.length / PAGE, text.length, areas.length, ram.length / PAGE];
  numbers.forEach((number, i) => view.setUint32(8 + i * 4, number, true));
  bytes.set(text, starts.header);
  bytes.set(areas, starts.areas);
  bytes.set(map, starts.map);
  let at = starts.pages;
  for (const { first, end } of runs(map)) {
    bytes.set(ram.subarray(first * PAGE, end * PAGE), at);
    at += (end - first) * PAGE;
  }
  if (isChecked) bytes.set(checkOf(bytes), CHECK);
  return bytes;
}

/**
 * @param isChecked - false for what `packSnapshot` made without check
 * @throws X2vmError BAD_SNAPSHOT for anything else than a whole snapshot of this version
 */
export function unpackSnapshot(snapshot: Uint8Array, isChecked = true): UnpackedSnapshot {
  const bytes = aligned(snapshot);
  const magic = new TextDecoder("latin1").decode(bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC) throw new X2vmError("BAD_SNAPSHOT", "This is not a snapshot of x2vm.");
  if (bytes.length < PAGE) throw truncated(bytes.length, PAGE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [version, filePages, headerBytes, areasBytes, ramPages] = [8, 12, 16, 20, 24].map((at) =>
    view.getUint32(at, true),
  ) as [number, number, number, number, number];
  if (version !== VERSION) {
    throw new X2vmError(
      "BAD_SNAPSHOT",
      `The snapshot has version ${version} of the format; this x2vm reads version ${VERSION}.`,
    );
  }
  if (bytes.length < filePages * PAGE) throw truncated(bytes.length, filePages * PAGE);
  if (bytes.length !== filePages * PAGE)
    throw malformed(`${bytes.length - filePages * PAGE} bytes follow its end`);
  const starts = startsOf(headerBytes, areasBytes, ramPages);
  if (starts.pages > bytes.length) throw malformed("its parts are longer than the whole");
  if (isChecked && checkOf(bytes).some((byte, i) => byte !== bytes[CHECK + i]))
    throw new X2vmError("BAD_SNAPSHOT", "The snapshot is damaged: its check does not fit.");
  const map = bytes.subarray(starts.map, starts.map + Math.ceil(ramPages / 8));
  const stored = runs(map);
  const storedPages = stored.reduce((sum, { first, end }) => sum + end - first, 0);
  if (starts.pages + storedPages * PAGE !== bytes.length || (stored.at(-1)?.end ?? 0) > ramPages)
    throw malformed("its map of RAM does not fit");
  return {
    header: decode(bytes.subarray(starts.header, starts.header + headerBytes)),
    areas: bytes.subarray(starts.areas, starts.areas + areasBytes),
    ramBytes: ramPages * PAGE,
    copyRam(ram) {
      let at = starts.pages;
      for (const { first, end } of stored) {
        const length = (end - first) * PAGE;
        ram.set(bytes.subarray(at, at + length), first * PAGE);
        at += length;
      }
    },
  };
}

/** Where the parts begin. */
function startsOf(headerBytes: number, areasBytes: number, ramPages: number) {
  const pages = (length: number) => Math.ceil(length / PAGE) * PAGE;
  const header = PAGE;
  const areas = header + pages(headerBytes);
  const map = areas + pages(areasBytes);
  return { header, areas, map, pages: map + pages(Math.ceil(ramPages / 8)) };
}

/** Marks the pages that are not zero. @returns how many there are */
function mapRam(ram: Uint8Array, map: Uint8Array): number {
  const words = new Int32Array(ram.buffer, ram.byteOffset, ram.length / 4);
  let stored = 0;
  for (let page = 0; page < ram.length / PAGE; page++) {
    if (isZeroPage(words, (page * PAGE) / 4)) continue;
    map[page >> 3]! |= 1 << (page & 7);
    stored++;
  }
  return stored;
}

/** Runs of set bits. */
function runs(map: Uint8Array): { first: number; end: number }[] {
  const found: { first: number; end: number }[] = [];
  for (let page = 0; page < map.length * 8; page++) {
    if (page % 8 === 0 && map[page >> 3] === 0) {
      page += 7;
      continue;
    }
    if (((map[page >> 3]! >> (page & 7)) & 1) === 0) continue;
    const last = found.at(-1);
    if (last?.end === page) last.end++;
    else found.push({ first: page, end: page + 1 });
  }
  return found;
}

function checkOf(bytes: Uint8Array): Uint8Array {
  const hash = new StateHash();
  hash.words(bytes.subarray(0, CHECK));
  hash.memory(bytes.subarray(PAGE));
  return Uint8Array.from(hash.digest().match(/../g)!, (pair) => Number.parseInt(pair, 16));
}

/** A file that was read may begin anywhere in its buffer. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
}

function truncated(length: number, expected: number): X2vmError {
  return new X2vmError(
    "BAD_SNAPSHOT",
    `The snapshot is truncated: ${length} of ${expected} bytes.`,
  );
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw malformed("its header is not text");
  }
}
