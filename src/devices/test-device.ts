/**
 * A device for test programs: registers that keep what is written, memory behind the I/O bus, and a wire to every input of
 * the interrupt controllers.
 *
 * Source: QEMU `pc-testdev`, as kvm-unit-tests use it. Ports 0xe0 to 0xe3 keep 32 bits, in any width; a byte at port
 * 0x2000 + n sets input n; 64 KiB at 0xff000000.
 * Not modelled: the port that lets a page of memory go away for a moment; what a hypervisor would have cached of it does
 * not exist here.
 */
import type { AccessSize, Device, DeviceState, InterruptLine } from "./device.js";
import { StateReader } from "./state-reader.js";

export const TEST_REGISTER_LENGTH = 4;
export const TEST_LINES = 24;
export const TEST_MEMORY_BYTES = 0x10000;

/** Registers, little-endian, in any width. */
class Bytes implements Device {
  readonly widest = 4;
  readonly #view: DataView;

  constructor(length: number) {
    this.#view = new DataView(new ArrayBuffer(length));
  }

  read(offset: number, size: AccessSize): number {
    if (size === 4) return this.#view.getUint32(offset, true);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint8(offset);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (size === 4) this.#view.setUint32(offset, value, true);
    else if (size === 2) this.#view.setUint16(offset, value, true);
    else this.#view.setUint8(offset, value);
  }

  /** Without the zeros at the end, which is all of it for most guests. */
  state(): DeviceState {
    const bytes = new Uint8Array(this.#view.buffer);
    return { bytes: [...bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 1)] };
  }

  fromState(state: DeviceState): void {
    const bytes = new Uint8Array(this.#view.buffer);
    bytes.fill(0).set(new StateReader(state, ["bytes"]).numbers("bytes", 0xff, bytes.length));
  }
}

/** Inputs of the interrupt controllers, one a port. */
class Lines implements Device {
  readonly #lines: readonly InterruptLine[];
  /** Levels, by bit. */
  #levels = 0;

  constructor(lines: readonly InterruptLine[]) {
    this.#lines = lines;
  }

  read(offset: number, _size: AccessSize): number {
    return (this.#levels >>> offset) & 1;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const bit = 1 << offset;
    this.#levels = value === 0 ? this.#levels & ~bit : this.#levels | bit;
    this.#lines[offset]!.set(value !== 0);
  }

  state(): DeviceState {
    return { levels: this.#levels };
  }

  /** The wires' levels are part of the controllers' state. */
  fromState(state: DeviceState): void {
    this.#levels = new StateReader(state, ["levels"]).number("levels", 2 ** TEST_LINES - 1);
  }
}

export class TestDevice {
  readonly register = new Bytes(TEST_REGISTER_LENGTH);
  readonly memory = new Bytes(TEST_MEMORY_BYTES);
  readonly lines: Device;

  /** @param lines - TEST_LINES of them */
  constructor(lines: readonly InterruptLine[]) {
    this.lines = new Lines(lines);
  }
}
