/**
 * Sleep control and status registers of a hardware-reduced ACPI platform: two ports, 0x604 and 0x605.
 *
 * Source: ACPI Specification, "Sleep Control and Status Registers". Soft-off (S5) ends the run; there is no other state.
 */
import type { AccessSize, Device, DeviceState } from "./device.js";

/** SLP_TYP of soft-off, as the DSDT's `_S5` tells it. */
export const SLEEP_TYPE_OFF = 5;

const CONTROL = 0;
const SLEEP_ENABLE = 0x20;

export class SleepControl implements Device {
  readonly #exit: (code: number) => void;

  /** @param exit - gets 0 when the guest turns the machine off */
  constructor(exit: (code: number) => void) {
    this.#exit = exit;
  }

  /** Control reads 0: SLP_EN is write-only. Status reads 0: the machine has never slept. */
  read(_offset: number, _size: AccessSize): number {
    return 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    const type = (value >> 2) & 7;
    if (offset === CONTROL && (value & SLEEP_ENABLE) !== 0 && type === SLEEP_TYPE_OFF)
      this.#exit(0);
  }

  state(): DeviceState {
    return {};
  }

  fromState(_state: DeviceState): void {}
}
