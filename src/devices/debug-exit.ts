/**
 * Debug exit: a guest ends the run by a write, with an exit code.
 *
 * Source: QEMU `isa-debug-exit` (value v ends the process with code (v << 1) | 1). Reads give 0.
 */
import type { AccessSize, Device, DeviceState } from "./device.js";
import { StateReader } from "./state-reader.js";

export class DebugExit implements Device {
  readonly widest = 4;
  readonly #exit: (code: number) => void;

  /** @param exit - gets the exit code, odd by construction, 32 bits unsigned */
  constructor(exit: (code: number) => void) {
    this.#exit = exit;
  }

  read(_offset: number, _size: AccessSize): number {
    return 0;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#exit(((value << 1) | 1) >>> 0);
  }

  state(): DeviceState {
    return {};
  }

  fromState(_state: DeviceState): void {}
}

const SHUTDOWN = "Shutdown";

/**
 * Shutdown port of the Bochs BIOS (0x8900): the bytes of "Shutdown", one after the other, end the run with code 0.
 * A byte that does not continue the word starts over.
 */
export class ShutdownPort implements Device {
  readonly #exit: (code: number) => void;
  #matched = 0;

  /** @param exit - gets 0 when the word is complete */
  constructor(exit: (code: number) => void) {
    this.#exit = exit;
  }

  read(_offset: number, _size: AccessSize): number {
    return 0xff;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    if (value !== SHUTDOWN.charCodeAt(this.#matched)) this.#matched = 0;
    if (value === SHUTDOWN.charCodeAt(this.#matched)) this.#matched++;
    if (this.#matched < SHUTDOWN.length) return;
    this.#matched = 0;
    this.#exit(0);
  }

  state(): DeviceState {
    return { matched: this.#matched };
  }

  fromState(state: DeviceState): void {
    this.#matched = new StateReader(state, ["matched"]).number("matched", SHUTDOWN.length - 1);
  }
}
