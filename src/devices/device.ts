/**
 * What a device is to the machine: registers by offset, and state that can be taken out and put back.
 *
 * A device never knows the machine, its own address or other devices. It gets an interrupt line and its outputs when
 * it is made.
 */

/** Access width in bytes. */
export type AccessSize = 1 | 2 | 4;

/** Plain data: what `state` returns can be written as JSON and compared. */
export type DeviceState = {
  readonly [field: string]: number | boolean | string | readonly number[] | readonly DeviceState[];
};

export interface Device {
  /** Widest access that the registers understand; the bus cuts wider ones into pieces of this size. Default 1. */
  readonly widest?: AccessSize;

  /**
   * @param offset - register, 0 .. length of the claimed range - 1
   * @returns the value in the low `size` bytes
   */
  read(offset: number, size: AccessSize): number;

  /** @param value - zero-extended from `size` bytes */
  write(offset: number, size: AccessSize, value: number): void;

  /** All that decides future behaviour, as plain data. */
  state(): DeviceState;

  /** Puts back what `state` gave. */
  fromState(state: DeviceState): void;
}

/** A wire from a device to an interrupt controller. */
export interface InterruptLine {
  /** @param level - true while the device asks for service */
  set(level: boolean): void;
}

/** The virtual clock as a device sees it. */
export interface DeviceClock {
  /** Virtual time in nanoseconds, exact to the instruction that accesses the device. */
  nowNs(): number;
  /** The device's `nextNs` may have come nearer. */
  rearmed(): void;
}

/** A device that does something by itself as time passes. Its state says when, so that a snapshot needs no more. */
export interface TimedDevice extends Device {
  /** Virtual time at which `advance` is wanted, in nanoseconds; Infinity for none. */
  readonly nextNs: number;

  /** Does what is due by now. */
  advance(): void;
}
