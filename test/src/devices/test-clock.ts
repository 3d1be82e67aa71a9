/** A virtual clock that a test sets, and a line that notes its edges. */
import type { DeviceClock, InterruptLine, TimedDevice } from "../../../src/devices/device.js";

export class TestClock implements DeviceClock {
  ns = 0;

  nowNs(): number {
    return this.ns;
  }

  rearmed(): void {}

  /** Goes to a moment as a machine does: by way of each moment that the device asks for. */
  runTo(ns: number, device: TimedDevice): void {
    while (device.nextNs <= ns) {
      this.ns = device.nextNs;
      device.advance();
    }
    this.ns = ns;
  }
}

export class TestLine implements InterruptLine {
  /** [virtual time, level] of each change. */
  readonly changes: (readonly [ns: number, level: boolean])[] = [];
  readonly #clock: DeviceClock;

  constructor(clock: DeviceClock) {
    this.#clock = clock;
  }

  get level(): boolean {
    return this.changes.at(-1)?.[1] ?? false;
  }

  set(level: boolean): void {
    this.changes.push([this.#clock.nowNs(), level]);
  }
}
