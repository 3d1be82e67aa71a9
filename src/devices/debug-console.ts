/**
 * Debug console: a port that takes characters without further ado.
 *
 * Source: Bochs' port 0xe9; QEMU `isa-debugcon`, which firmware writes to at 0x402. A read gives 0xe9: so a guest knows
 * that somebody listens.
 */
import type { AccessSize, Device, DeviceState } from "./device.js";

const SOMEBODY_LISTENS = 0xe9;

export class DebugConsole implements Device {
  readonly #put: (byte: number) => void;

  /** @param put - gets each character, 0..255 */
  constructor(put: (byte: number) => void) {
    this.#put = put;
  }

  read(_offset: number, _size: AccessSize): number {
    return SOMEBODY_LISTENS;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#put(value);
  }

  state(): DeviceState {
    return {};
  }

  fromState(_state: DeviceState): void {}
}
