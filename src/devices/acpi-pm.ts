/**
 * Fixed hardware of ACPI: PM1 event and control registers and the power management timer, twelve ports from 0x600.
 *
 * Source: ACPI Specification, "PM1 Event Grouping", "PM1 Control Grouping", "Power Management Timer"; the block's layout is
 * that of the 82371AB (PIIX4). The timer has 3579545 Hz and 32 bits. Soft-off ends the run; there is no other state.
 *
 *     0 status   2 enable   4 control   8 timer
 *
 * Not modelled: power and sleep buttons, the RTC's wake-up, the global lock: their status bits never rise. The machine is
 * always in ACPI mode (SCI_EN).
 */
import type { AccessSize, DeviceClock, DeviceState, InterruptLine, TimedDevice } from "./device.js";
import { Oscillator } from "./oscillator.js";
import { SLEEP_TYPE_OFF } from "./sleep-control.js";
import { StateReader } from "./state-reader.js";

export const ACPI_PM_LENGTH = 12;
export const PM_TIMER_HERTZ = 3579545;
const OSCILLATOR = new Oscillator(PM_TIMER_HERTZ);

const STATUS = 0;
const ENABLE = 2;
const CONTROL = 4;
const TIMER = 8;

const TIMER_CARRY = 0x0001;
const CONTROL_SCI = 0x0001;
const CONTROL_SLEEP_TYPE = 0x1c00;
const CONTROL_SLEEP = 0x2000;
const ENABLES = 0x0721;
/** The carry comes when bit 31 changes. */
const CARRY_TICKS = 2 ** 31;

export class AcpiPm implements TimedDevice {
  readonly widest = 4;
  readonly #clock: DeviceClock;
  readonly #sci: InterruptLine;
  readonly #exit: (code: number) => void;
  #status = 0;
  #enable = 0;
  #sleepType = 0;
  #sciLevel = false;
  /** Carries that have been told. */
  #carries = 0;

  /** @param exit - gets 0 when the guest turns the machine off */
  constructor(clock: DeviceClock, sci: InterruptLine, exit: (code: number) => void) {
    this.#clock = clock;
    this.#sci = sci;
    this.#exit = exit;
  }

  get nextNs(): number {
    if ((this.#enable & TIMER_CARRY) === 0 || this.#sciLevel) return Infinity;
    return OSCILLATOR.ns((this.#carries + 1) * CARRY_TICKS);
  }

  advance(): void {
    const carries = Math.floor(this.#ticks / CARRY_TICKS);
    if (carries > this.#carries) this.#status |= TIMER_CARRY;
    this.#carries = carries;
    this.#drive();
  }

  read(offset: number, size: AccessSize): number {
    this.advance();
    const low = this.#status | (this.#enable << 16);
    const control = CONTROL_SCI | this.#sleepType;
    const register = offset & ~3;
    const value = register === TIMER ? this.#ticks % 2 ** 32 : register === CONTROL ? control : low;
    const shifted = Math.floor(value / 2 ** ((offset & 3) * 8));
    return size === 4 ? shifted : shifted % 2 ** (size * 8);
  }

  write(offset: number, size: AccessSize, value: number): void {
    this.advance();
    for (let n = 0; n < size; n++) this.#writeByte(offset + n, (value >>> (n * 8)) & 0xff);
    this.#drive();
    this.#clock.rearmed();
  }

  state(): DeviceState {
    return {
      status: this.#status,
      enable: this.#enable,
      sleepType: this.#sleepType,
      sci: this.#sciLevel,
      carries: this.#carries,
    };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, Object.keys(this.state()));
    this.#status = from.number("status", TIMER_CARRY);
    this.#enable = from.number("enable", ENABLES);
    this.#sleepType = from.number("sleepType", CONTROL_SLEEP_TYPE);
    this.#sciLevel = from.boolean("sci");
    this.#carries = from.number("carries");
  }

  get #ticks(): number {
    return OSCILLATOR.ticks(this.#clock.nowNs());
  }

  #writeByte(offset: number, value: number): void {
    const high = (offset & 1) * 8;
    const bits = value << high;
    switch (offset & ~1) {
      case STATUS: // ones clear
        this.#status &= ~bits;
        return;
      case ENABLE:
        this.#enable = (this.#enable & (0xff00 >> high)) | (bits & ENABLES);
        return;
      case CONTROL:
        if (high === 0) return;
        this.#sleepType = bits & CONTROL_SLEEP_TYPE;
        if ((bits & CONTROL_SLEEP) !== 0 && this.#sleepType >> 10 === SLEEP_TYPE_OFF) this.#exit(0);
    }
  }

  #drive(): void {
    const level = (this.#status & this.#enable) !== 0;
    if (level === this.#sciLevel) return;
    this.#sciLevel = level;
    this.#sci.set(level);
  }
}
