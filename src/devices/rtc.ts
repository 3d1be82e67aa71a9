/**
 * Real-time clock with CMOS memory: ports 0x70 (index) and 0x71 (data).
 *
 * Source: Motorola MC146818A data sheet; what a PC keeps in the memory: shutdown status 0FH, memory sizes 15H..18H, 30H,
 * 31H, 34H, 35H, century 32H. The clock starts at a given moment and follows the virtual clock, so runs repeat.
 * Deviates: an update is done in an instant, after UIP was set for 244 us; the data sheet has 1984 us for it.
 * Not modelled: daylight saving (bit DSE is kept), the square wave output, the time bases other than 32768 Hz. The NMI
 * mask of port 0x70 is kept; nothing here raises NMIs through it.
 */
import type { AccessSize, DeviceClock, DeviceState, InterruptLine, TimedDevice } from "./device.js";
import { Oscillator } from "./oscillator.js";
import { alarmMatches, readTime, writeTime } from "./rtc-time.js";
import { StateReader } from "./state-reader.js";

const HERTZ = 32768;
const OSCILLATOR = new Oscillator(HERTZ);
const CMOS_BYTES = 128;

const REGISTER_A = 0x0a;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const REGISTER_D = 0x0d;
const EQUIPMENT = 0x14;
const BASE_MEMORY = 0x15;
const EXTENDED_MEMORY = 0x17;
const EXTENDED_MEMORY_AGAIN = 0x30;
const CENTURY = 0x32;
const MEMORY_ABOVE_16M = 0x34;

const A_UIP = 0x80;
const A_WRITABLE = 0x7f;
/** Divider bits 11x: the divider chain is held in reset. */
const A_DIVIDER_RESET = 0x60;
const A_RATE = 0x0f;
/** 32768 Hz time base, periodic rate 1024 Hz. */
const A_INITIAL = 0x26;
const B_SET = 0x80;
const B_ENABLES = 0x70;
const B_UPDATE_ENABLE = 0x10;
const B_24_HOURS = 0x02;
const C_IRQ = 0x80;
const C_PERIODIC = 0x40;
const C_ALARM = 0x20;
const C_UPDATE = 0x10;
const D_VALID = 0x80;

/** Ticks before an update during which UIP is set: 244 us. */
const UIP_TICKS = 8;
/** The first update after the divider was held comes half a second later. */
const HALF_SECOND = HERTZ / 2;
const DAY_SECONDS = 86400;

export interface RtcSetup {
  /** Time of day at the start, seconds since 1970 (UTC). */
  readonly epochSeconds: number;
  readonly ramBytes: number;
}

export class Rtc implements TimedDevice {
  readonly #clock: DeviceClock;
  readonly #line: InterruptLine;
  readonly #cmos = new Uint8Array(CMOS_BYTES);
  #index = 0;
  #isNmiMasked = false;
  #lineLevel = false;
  /** Tick of an update: all others are whole seconds from it. */
  #phase = 0;
  /** Tick up to which all was done. */
  #done = 0;

  /** @param line - IRQ 8, active until register C is read */
  constructor(clock: DeviceClock, line: InterruptLine, setup: RtcSetup) {
    this.#clock = clock;
    this.#line = line;
    this.#cmos[REGISTER_A] = A_INITIAL;
    this.#cmos[REGISTER_B] = B_24_HOURS;
    this.#cmos[REGISTER_D] = D_VALID;
    this.#cmos[EQUIPMENT] = 0x06; // coprocessor, pointing device
    this.#putMemorySize(setup.ramBytes);
    writeTime(this.#cmos, setup.epochSeconds, B_24_HOURS, CENTURY);
  }

  get nextNs(): number {
    const enabled = this.#cmos[REGISTER_B]! & B_ENABLES;
    if (enabled === 0 || this.#lineLevel) return Infinity; // flags can wait until they are read
    const period = (enabled & C_PERIODIC) !== 0 ? this.#period : 0;
    const periodic = period === 0 ? Infinity : nextMultiple(this.#done, period);
    const updates = (enabled & (C_ALARM | C_UPDATE)) !== 0 && this.#isUpdating;
    const next = Math.min(periodic, updates ? this.#nextUpdate : Infinity);
    return next === Infinity ? Infinity : OSCILLATOR.ns(next);
  }

  advance(): void {
    const tick = OSCILLATOR.ticks(this.#clock.nowNs());
    const period = this.#period;
    let flags = 0;
    if (period !== 0 && nextMultiple(this.#done, period) <= tick) flags |= C_PERIODIC;
    if (this.#isUpdating && this.#nextUpdate <= tick) flags |= this.#update(tick);
    this.#done = tick;
    this.#cmos[REGISTER_C]! |= flags;
    this.#drive();
  }

  read(offset: number, _size: AccessSize): number {
    if (offset === 0) return 0xff; // the index cannot be read
    this.advance();
    if (this.#index === REGISTER_A) return this.#cmos[REGISTER_A]! | (this.#isUip ? A_UIP : 0);
    const value = this.#cmos[this.#index]!;
    if (this.#index === REGISTER_C) {
      this.#cmos[REGISTER_C] = 0;
      this.#drive();
      this.#clock.rearmed();
    }
    return value;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset === 0) {
      this.#index = value & 0x7f;
      this.#isNmiMasked = (value & 0x80) !== 0;
      return;
    }
    this.advance();
    if (this.#index === REGISTER_A) this.#writeA(value);
    else if (this.#index === REGISTER_B) {
      // SET ends an update and takes the update interrupt with it.
      this.#cmos[REGISTER_B] = (value & B_SET) !== 0 ? value & ~B_UPDATE_ENABLE : value;
    } else if (this.#index !== REGISTER_C && this.#index !== REGISTER_D) {
      this.#cmos[this.#index] = value;
    }
    this.#drive();
    this.#clock.rearmed();
  }

  state(): DeviceState {
    return {
      cmos: Array.from(this.#cmos),
      index: this.#index,
      isNmiMasked: this.#isNmiMasked,
      line: this.#lineLevel,
      phase: this.#phase,
      done: this.#done,
    };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, Object.keys(this.state()));
    this.#cmos.set(from.numbers("cmos", 0xff, CMOS_BYTES));
    this.#index = from.number("index", CMOS_BYTES - 1);
    this.#isNmiMasked = from.boolean("isNmiMasked");
    this.#lineLevel = from.boolean("line");
    this.#phase = from.number("phase", Number.MAX_SAFE_INTEGER);
    this.#done = from.number("done", Number.MAX_SAFE_INTEGER);
  }

  /** Ticks between periodic interrupts: rates 1 and 2 are those of 8 and 9; 0 for none. */
  get #period(): number {
    const rate = this.#cmos[REGISTER_A]! & A_RATE;
    if (rate === 0 || this.#isDividerReset) return 0;
    return 1 << ((rate < 3 ? rate + 7 : rate) - 1);
  }

  get #isDividerReset(): boolean {
    return (this.#cmos[REGISTER_A]! & A_DIVIDER_RESET) === A_DIVIDER_RESET;
  }

  get #isUpdating(): boolean {
    return (this.#cmos[REGISTER_B]! & B_SET) === 0 && !this.#isDividerReset;
  }

  get #nextUpdate(): number {
    return this.#phase + nextMultiple(this.#done - this.#phase, HERTZ);
  }

  get #isUip(): boolean {
    return this.#isUpdating && this.#nextUpdate - this.#done <= UIP_TICKS;
  }

  /** All updates until a tick. @returns flags of register C */
  #update(tick: number): number {
    const seconds = Math.floor((tick - this.#nextUpdate) / HERTZ) + 1;
    const control = this.#cmos[REGISTER_B]!;
    const first = readTime(this.#cmos, control, CENTURY) + 1;
    // Within a day every alarm that can match has matched.
    const tried = Math.min(seconds, DAY_SECONDS);
    let flags = C_UPDATE;
    for (let n = 0; n < tried; n++) {
      writeTime(this.#cmos, first + seconds - tried + n, control, CENTURY);
      if (!alarmMatches(this.#cmos)) continue;
      flags |= C_ALARM;
      break;
    }
    writeTime(this.#cmos, first + seconds - 1, control, CENTURY);
    return flags;
  }

  #writeA(value: number): void {
    const wasReset = this.#isDividerReset;
    this.#cmos[REGISTER_A] = value & A_WRITABLE;
    if (wasReset && !this.#isDividerReset) this.#phase = this.#done + HALF_SECOND;
  }

  #drive(): void {
    const flags = this.#cmos[REGISTER_C]! & ~C_IRQ;
    const level = (flags & this.#cmos[REGISTER_B]! & B_ENABLES) !== 0;
    this.#cmos[REGISTER_C] = flags | (level ? C_IRQ : 0);
    if (level === this.#lineLevel) return;
    this.#lineLevel = level;
    this.#line.set(level);
  }

  #putMemorySize(ramBytes: number): void {
    const put = (register: number, value: number) => {
      const most = Math.min(Math.max(0, Math.floor(value)), 0xffff);
      this.#cmos[register] = most & 0xff;
      this.#cmos[register + 1] = most >> 8;
    };
    const kibibytes = ramBytes / 1024;
    put(BASE_MEMORY, Math.min(kibibytes, 640));
    put(EXTENDED_MEMORY, kibibytes - 1024);
    put(EXTENDED_MEMORY_AGAIN, kibibytes - 1024);
    put(MEMORY_ABOVE_16M, (kibibytes - 16384) / 64);
  }
}

/** The first multiple of a period after a tick, which may be before 0. */
function nextMultiple(tick: number, period: number): number {
  return (Math.floor(tick / period) + 1) * period;
}
