/**
 * Buses: disjoint address ranges, each with one device behind it.
 *
 * Ports and memory-mapped registers are two address spaces, so they are two classes: an address of one is never looked
 * up in the other. What nobody claims reads all ones and drops writes.
 */
import type { AccessSize, Device } from "./devices/device.js";
import { X2vmError, hex } from "./errors.js";

interface Range {
  readonly first: number;
  /** One past the last address. */
  readonly end: number;
  readonly name: string;
  readonly device: Device;
  /** The widest access that the device takes whole. */
  readonly widest: AccessSize;
}

/** All ones in an access of this size, unsigned. */
function allOnes(size: AccessSize): number {
  return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
}

abstract class Bus {
  readonly #ranges: Range[] = [];
  readonly #space: string;
  readonly #end: number;
  /** The range of the last access: guests touch one device many times in a row. */
  #last: Range | undefined;

  protected constructor(space: string, end: number) {
    this.#space = space;
    this.#end = end;
  }

  /**
   * Puts a device behind a range.
   *
   * @param name - how errors and tables call it
   * @param first - first address
   * @param length - addresses, 1 or more
   * @throws X2vmError RANGE_INVALID or RANGE_OVERLAP; nothing is registered then
   */
  register(name: string, first: number, length: number, device: Device): void {
    const end = first + length;
    if (
      !Number.isSafeInteger(first) ||
      !Number.isSafeInteger(length) ||
      first < 0 ||
      length < 1 ||
      end > this.#end
    ) {
      throw new X2vmError(
        "RANGE_INVALID",
        `${name}: ${length} bytes at ${this.#space} ${first} are not a range below ${hex(this.#end)}.`,
      );
    }
    const other = this.#ranges.find((range) => first < range.end && range.first < end);
    if (other !== undefined) {
      throw new X2vmError(
        "RANGE_OVERLAP",
        `${name} at ${this.#space} ${hex(first)}..${hex(end - 1)} overlaps ${other.name} at ` +
          `${hex(other.first)}..${hex(other.end - 1)}.`,
      );
    }
    this.#ranges.push({ first, end, name, device, widest: device.widest ?? 1 });
    this.#ranges.sort((a, b) => a.first - b.first);
    this.#last = undefined;
  }

  /** The claimed ranges in address order: a table of the machine. */
  ranges(): { name: string; first: number; length: number }[] {
    return this.#ranges.map(({ name, first, end }) => ({ name, first, length: end - first }));
  }

  /**
   * Reads through the device that claims `address`.
   *
   * @returns unsigned value; all ones where nobody answers
   */
  read(address: number, size: AccessSize): number {
    const range = this.#find(address);
    if (range === undefined) return allOnes(size);
    const piece = pieceSize(range, address, size);
    if (piece === size)
      return (range.device.read(address - range.first, size) & allOnes(size)) >>> 0;
    let value = 0;
    for (let offset = 0; offset < size; offset += piece) {
      const at = address + offset;
      const part = at < range.end ? range.device.read(at - range.first, piece) : allOnes(piece);
      value |= (part & allOnes(piece)) << (offset * 8);
    }
    return value >>> 0;
  }

  /** Writes through the device that claims `address`. @param value - zero-extended from `size` bytes */
  write(address: number, size: AccessSize, value: number): void {
    const range = this.#find(address);
    if (range === undefined) return;
    const piece = pieceSize(range, address, size);
    if (piece === size) {
      range.device.write(address - range.first, size, (value & allOnes(size)) >>> 0);
      return;
    }
    for (let offset = 0; offset < size; offset += piece) {
      const at = address + offset;
      if (at >= range.end) return;
      range.device.write(
        at - range.first,
        piece,
        ((value >>> (offset * 8)) & allOnes(piece)) >>> 0,
      );
    }
  }

  #find(address: number): Range | undefined {
    const last = this.#last;
    if (last !== undefined && address >= last.first && address < last.end) return last;
    let low = 0;
    let high = this.#ranges.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const range = this.#ranges[middle]!;
      if (address < range.first) high = middle - 1;
      else if (address >= range.end) low = middle + 1;
      else return (this.#last = range);
    }
    return undefined;
  }
}

/** Size of the pieces in which a device sees an access; one byte where the access runs past the device's last address. */
function pieceSize(range: Range, address: number, size: AccessSize): AccessSize {
  if (address + size > range.end) return 1;
  return size < range.widest ? size : range.widest;
}

/**
 * I/O ports, 0 .. 0xffff. An access belongs to the device that claims its first port: a 4-byte write to 0xcf8 never
 * reaches what sits at 0xcf9.
 */
export class PortBus extends Bus {
  constructor() {
    super("port", 0x10000);
  }
}

/** Memory-mapped registers: guest-physical addresses outside guest RAM, below 2^52. */
export class MmioBus extends Bus {
  constructor() {
    super("address", 2 ** 52);
  }
}
