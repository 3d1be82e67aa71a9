/**
 * Firmware configuration: how a guest learns the number of CPUs and the size of its memory.
 *
 * Source: QEMU docs/specs/fw_cfg, traditional interface: selector at offset 0 (16 bits, write only), data at offset 1
 * (one byte for each read, 0 past the end of an item).
 * Not modelled: the DMA interface, writing to items, files.
 */
import type { AccessSize, Device, DeviceState } from "./device.js";
import { StateReader } from "./state-reader.js";

const SELECTOR = 0;
const DATA = 1;

const KEY_SIGNATURE = 0x00;
const KEY_INTERFACE = 0x01; // bit 0: traditional interface
const KEY_RAM_SIZE = 0x03; // u64, bytes
const KEY_NB_CPUS = 0x05; // u16, CPUs present
const KEY_MAX_CPUS = 0x0f; // u16: QEMU gives the highest possible APIC ID plus 1
const KEY_FILE_DIR = 0x19; // u32, big-endian: number of files

/** Bytes. */
const LONGEST_ITEM = 8;

/** What the items are made of, asked when an item is selected. */
export interface FwCfgSource {
  /** Guest RAM in bytes. */
  readonly ramBytes: number;
  /** CPUs that are present now. */
  cpuCount(): number;
  /** Highest APIC ID that a CPU of this machine can have. */
  highestApicId(): number;
}

export class FwCfg implements Device {
  readonly widest = 2;
  readonly #source: FwCfgSource;
  #key = 0;
  #position = 0;
  #item: readonly number[];

  constructor(source: FwCfgSource) {
    this.#source = source;
    this.#item = this.#content(0);
  }

  read(offset: number, size: AccessSize): number {
    if (offset !== DATA || size !== 1) return 0;
    return this.#item[this.#position++] ?? 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset !== SELECTOR || size !== 2) return;
    this.#key = value;
    this.#position = 0;
    this.#item = this.#content(value);
  }

  state(): DeviceState {
    return { key: this.#key, position: this.#position, item: this.#item };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, ["key", "position", "item"]);
    this.#key = from.number("key", 0xffff);
    this.#position = from.number("position", Number.MAX_SAFE_INTEGER);
    this.#item = from.numbers("item", 0xff, LONGEST_ITEM);
  }

  #content(key: number): readonly number[] {
    switch (key) {
      case KEY_SIGNATURE:
        return [...new TextEncoder().encode("QEMU")];
      case KEY_INTERFACE:
        return littleEndian(1, 4);
      case KEY_RAM_SIZE:
        return littleEndian(this.#source.ramBytes, 8);
      case KEY_NB_CPUS:
        return littleEndian(Math.min(this.#source.cpuCount(), 0xffff), 2);
      case KEY_MAX_CPUS:
        return littleEndian(Math.min(this.#source.highestApicId() + 1, 0xffff), 2);
      case KEY_FILE_DIR:
        return [0, 0, 0, 0];
      default:
        return [];
    }
  }
}

function littleEndian(value: number, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, i) => Math.floor(value / 2 ** (8 * i)) & 0xff);
}
