/**
 * The three ways in which a PC guest asks for a reset: keyboard controller command 0xfe (port 0x64), chipset reset
 * control (port 0xcf9), system control port A (port 0x92).
 *
 * The minimal platform has no keyboard controller (i8042.ts) but this command of it: port 0x64 reads 0 (ready for a
 * command, no data), other commands are dropped. A20 is always open.
 */
import type { AccessSize, Device, DeviceState } from "./device.js";
import { StateReader } from "./state-reader.js";

const KBC_PULSE_RESET = 0xfe;
const CF9_RESET_CPU = 0x04; // a change from 0 to 1 resets
const PORT92_FAST_RESET = 0x01;
const PORT92_A20 = 0x02;

/** Port 0x64. */
export class KeyboardReset implements Device {
  readonly #reset: () => void;

  constructor(reset: () => void) {
    this.#reset = reset;
  }

  read(_offset: number, _size: AccessSize): number {
    return 0;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    if (value === KBC_PULSE_RESET) this.#reset();
  }

  state(): DeviceState {
    return {};
  }

  fromState(_state: DeviceState): void {}
}

/** Ports 0x92 and 0xcf9: a register that resets when a bit of it goes from 0 to 1. */
export class ResetRegister implements Device {
  readonly #resetBit: number;
  readonly #fixedBits: number;
  readonly #reset: () => void;
  #value = 0;

  /** @param resetBit - mask of the bit that resets; @param fixedBits - mask of bits that always read 1 */
  constructor(resetBit: number, fixedBits: number, reset: () => void) {
    this.#resetBit = resetBit;
    this.#fixedBits = fixedBits;
    this.#reset = reset;
  }

  /** Reset control register of the chipset, port 0xcf9. */
  static chipset(reset: () => void): ResetRegister {
    return new ResetRegister(CF9_RESET_CPU, 0, reset);
  }

  /** System control port A, port 0x92. */
  static systemControl(reset: () => void): ResetRegister {
    return new ResetRegister(PORT92_FAST_RESET, PORT92_A20, reset);
  }

  read(_offset: number, _size: AccessSize): number {
    return this.#value | this.#fixedBits;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    const risen = (value & ~this.#value & this.#resetBit) !== 0;
    this.#value = value;
    if (risen) this.#reset();
  }

  state(): DeviceState {
    return { value: this.#value };
  }

  fromState(state: DeviceState): void {
    this.#value = new StateReader(state, ["value"]).number("value", 0xff);
  }
}
