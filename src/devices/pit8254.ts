/**
 * Programmable interval timer, and port 0x61 with the gate of its channel 2.
 *
 * Source: Intel 8254 data sheet; port 0x61: 82371 "NMI Status and Control Register". Channel 0 is the timer interrupt,
 * channel 1 the refresh of old memory, channel 2 the speaker. The oscillator has 1193182 Hz.
 * Not modelled: the speaker makes no sound; NMI enables of port 0x61 are kept, but nothing here raises these NMIs.
 */
import type { AccessSize, DeviceClock, DeviceState, InterruptLine, TimedDevice } from "./device.js";
import { Oscillator } from "./oscillator.js";
import { PitChannel } from "./pit-channel.js";
import { StateReader } from "./state-reader.js";

export const PIT_HERTZ = 1193182;
const OSCILLATOR = new Oscillator(PIT_HERTZ);

const LONGEST_PERIOD = 0x10000;

const CONTROL = 3;
const READ_BACK = 3;
const READ_BACK_NO_COUNT = 0x20;
const READ_BACK_NO_STATUS = 0x10;

const CHANNEL_2_GATE = 0x01;
const SPEAKER = 0x02;
const NMI_DISABLES = 0x0c;
const REFRESH = 0x10;
const CHANNEL_2_OUT = 0x20;
/** Refresh cycles, which toggle bit 4 of port 0x61: every 18 ticks. */
const REFRESH_TICKS = 18;

/** Ports 0x40 .. 0x43. */
export class Pit8254 implements TimedDevice {
  readonly #clock: DeviceClock;
  readonly #line: InterruptLine;
  readonly #channels = [new PitChannel(true), new PitChannel(true), new PitChannel(false)] as const;
  #lineLevel = true;
  /** Tick up to which OUT of channel 0 has been followed. */
  #followed = 0;

  /** @param line - follows OUT of channel 0 */
  constructor(clock: DeviceClock, line: InterruptLine) {
    this.#clock = clock;
    this.#line = line;
    line.set(true); // OUT rests high: the first control word must not look like an interrupt
  }

  get nextNs(): number {
    const next = this.#channels[0].nextChange(this.#followed);
    return next === Infinity ? Infinity : OSCILLATOR.ns(next);
  }

  advance(): void {
    const tick = this.#tick;
    // A machine comes at every change. A snapshot that anybody wrote may claim years without one.
    this.#followed = Math.max(this.#followed, tick - LONGEST_PERIOD);
    for (;;) {
      const next = this.#channels[0].nextChange(this.#followed);
      if (next > tick) break;
      this.#followed = next;
      this.#drive(this.#channels[0].out(next));
    }
    this.#followed = tick;
    this.#drive(this.#channels[0].out(tick));
  }

  read(offset: number, _size: AccessSize): number {
    this.advance();
    return offset === CONTROL ? 0xff : this.#channels[offset]!.read(this.#tick);
  }

  write(offset: number, _size: AccessSize, value: number): void {
    this.advance();
    if (offset !== CONTROL) this.#channels[offset]!.writeCount(value, this.#tick);
    else if (value >> 6 === READ_BACK) this.#readBack(value);
    else if ((value & 0x30) === 0) this.#channels[value >> 6]!.latchCount(this.#tick);
    else this.#channels[value >> 6]!.writeControl(value);
    this.advance();
    this.#clock.rearmed();
  }

  /** Bits of port 0x61 that follow from here. */
  get speakerStatus(): number {
    const tick = this.#tick;
    const channel = this.#channels[2];
    return (
      (channel.gate ? CHANNEL_2_GATE : 0) |
      (Math.floor(tick / REFRESH_TICKS) % 2 === 1 ? REFRESH : 0) |
      (channel.out(tick) ? CHANNEL_2_OUT : 0)
    );
  }

  set speakerGate(level: boolean) {
    this.#channels[2].setGate(level, this.#tick);
  }

  state(): DeviceState {
    return {
      channels: this.#channels.map((channel) => channel.state()),
      line: this.#lineLevel,
      followed: this.#followed,
    };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, ["channels", "line", "followed"]);
    const channels = from.list("channels");
    this.#channels.forEach((channel, n) => channel.fromState(channels[n] as DeviceState));
    this.#lineLevel = from.boolean("line");
    this.#followed = from.number("followed", Number.MAX_SAFE_INTEGER);
  }

  get #tick(): number {
    return OSCILLATOR.ticks(this.#clock.nowNs());
  }

  #readBack(value: number): void {
    this.#channels.forEach((channel, n) => {
      if ((value & (2 << n)) === 0) return;
      if ((value & READ_BACK_NO_COUNT) === 0) channel.latchCount(this.#tick);
      if ((value & READ_BACK_NO_STATUS) === 0) channel.latchStatus(this.#tick);
    });
  }

  #drive(level: boolean): void {
    if (level === this.#lineLevel) return;
    this.#lineLevel = level;
    this.#line.set(level);
  }
}

/** Port 0x61: bits 0 gate of channel 2, 1 speaker, 2 and 3 NMI disables, 4 refresh, 5 OUT of channel 2. */
export class SpeakerPort {
  readonly #pit: Pit8254;
  #kept = 0;

  constructor(pit: Pit8254) {
    this.#pit = pit;
  }

  read(_offset: number, _size: AccessSize): number {
    return this.#kept | this.#pit.speakerStatus;
  }

  write(_offset: number, _size: AccessSize, value: number): void {
    this.#kept = value & (SPEAKER | NMI_DISABLES);
    this.#pit.speakerGate = (value & CHANNEL_2_GATE) !== 0;
  }

  state(): DeviceState {
    return { kept: this.#kept };
  }

  fromState(state: DeviceState): void {
    this.#kept = new StateReader(state, ["kept"]).number("kept", SPEAKER | NMI_DISABLES);
  }
}
