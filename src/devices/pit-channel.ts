/**
 * One counter of the 8254: a value that follows from the tick, never stepped.
 *
 * Source: Intel 8254 data sheet, "Mode Definitions", "Read Operations", "Gate". A count that is written is loaded at the
 * next tick of the oscillator; one that is written while modes 2 and 3 run, at the end of the period.
 * Deviates: mode 3 loads a new count at the end of the period, not of the half. The counter of a mode 3 with an odd count
 * is read as the data sheet's text has it. Count 1, illegal in modes 2 and 3, counts as 2 there.
 */
import type { DeviceState } from "./device.js";
import { StateReader } from "./state-reader.js";

const ACCESS_LOW = 1;
const ACCESS_HIGH = 2;
const STATUS_OUT = 0x80;
const STATUS_NULL = 0x40;
const CONTROL_BCD = 0x01;
const CONTROL_BITS = 0x3f;
/** More than any run has. */
const LATEST = Number.MAX_SAFE_INTEGER;
const NONE = -1;

export class PitChannel {
  /** Access, mode, BCD: the low six bits of the control word. Firmware leaves mode 3, in which OUT is high. */
  #control = 0x36;
  #count = 0x10000;
  /** Tick at which `#count` was loaded. */
  #loaded = 0;
  /** A count that waits for its tick. */
  #nextCount = 0x10000;
  #nextLoad = 0;
  #isWaiting = false;
  /** A count was loaded, and in modes 1 and 5 the gate has triggered. */
  #isCounting = false;
  #gate: boolean;
  /** Ticks counted when the gate stopped modes 0 and 4. */
  #held = 0;
  /** The next byte read or written is the high one. */
  #readsHigh = false;
  #writesHigh = false;
  #lowByte = 0;
  #latch = NONE;
  #statusLatch = NONE;

  /** @param gate - level of the gate at power-on */
  constructor(gate: boolean) {
    this.#gate = gate;
  }

  get gate(): boolean {
    return this.#gate;
  }

  /** Mode 0..5. */
  get mode(): number {
    const bits = (this.#control >> 1) & 7;
    return bits > 5 ? bits - 4 : bits; // x10 and x11
  }

  /** A control word for this counter, other than a latch command. */
  writeControl(value: number): void {
    this.#control = value & CONTROL_BITS;
    this.#isCounting = false;
    this.#isWaiting = false;
    this.#readsHigh = false;
    this.#writesHigh = false;
    this.#latch = NONE;
    this.#statusLatch = NONE;
  }

  /** A byte of the count. @param tick - of the oscillator, now */
  writeCount(value: number, tick: number): void {
    this.settle(tick);
    const access = this.#control >> 4;
    if (access === ACCESS_LOW) this.#load(value, tick);
    else if (access === ACCESS_HIGH) this.#load(value << 8, tick);
    else if (this.#writesHigh) {
      this.#writesHigh = false;
      this.#load(this.#lowByte | (value << 8), tick);
    } else {
      this.#writesHigh = true;
      this.#lowByte = value;
      if (this.mode === 0) this.#isCounting = this.#isWaiting = false; // the first byte stops it
    }
  }

  /** A byte of the status, the latched count or the counter, in this order of precedence. */
  read(tick: number): number {
    if (this.#statusLatch !== NONE) {
      const status = this.#statusLatch;
      this.#statusLatch = NONE;
      return status;
    }
    const value = this.#latch === NONE ? this.value(tick) : this.#latch;
    const access = this.#control >> 4;
    const isBoth = access !== ACCESS_LOW && access !== ACCESS_HIGH;
    const isHigh = isBoth ? this.#readsHigh : access === ACCESS_HIGH;
    if (isBoth) this.#readsHigh = !this.#readsHigh;
    if (!isBoth || isHigh) this.#latch = NONE;
    return isHigh ? value >> 8 : value & 0xff;
  }

  /** Counter latch command; a second one before the read changes nothing. */
  latchCount(tick: number): void {
    if (this.#latch === NONE) this.#latch = this.value(tick);
  }

  latchStatus(tick: number): void {
    if (this.#statusLatch !== NONE) return;
    this.settle(tick);
    const isNull = this.#isWaiting || (!this.#isCounting && !this.#isTriggered);
    this.#statusLatch =
      (this.out(tick) ? STATUS_OUT : 0) | (isNull ? STATUS_NULL : 0) | this.#control;
  }

  setGate(level: boolean, tick: number): void {
    if (level === this.#gate) return;
    this.settle(tick);
    const elapsed = this.#elapsed(tick);
    this.#gate = level;
    if (this.#isTriggered) {
      if (level) this.#start(tick + 1);
      return;
    }
    if (!this.#isCounting) return;
    if (this.mode === 0 || this.mode === 4) {
      if (level) this.#loaded = tick - this.#held;
      else this.#held = elapsed;
    } else if (level) this.#start(tick + 1);
  }

  /** What the counting element shows, as the guest reads it: binary or BCD, 16 bits. */
  value(tick: number): number {
    this.settle(tick);
    const period = this.#period;
    const wrap = this.#isBcd ? 10000 : 0x10000;
    const elapsed = this.#elapsed(tick);
    let value: number;
    if (this.mode === 2) value = period - (elapsed % period);
    else if (this.mode === 3) value = squareValue(elapsed % period, period);
    else value = (((this.#count - elapsed) % wrap) + wrap) % wrap;
    value %= wrap; // 10000H and 10000 show as 0
    return this.#isBcd ? toBcd(value) : value;
  }

  /** Level of OUT. */
  out(tick: number): boolean {
    this.settle(tick);
    const { mode } = this;
    if (!this.#isCounting || tick < this.#loaded) return mode !== 0;
    if ((mode === 2 || mode === 3) && !this.#gate) return true;
    const elapsed = this.#elapsed(tick);
    const period = this.#period;
    if (mode <= 1) return elapsed >= this.#count;
    if (mode === 2) return elapsed % period !== period - 1;
    if (mode === 3) return elapsed % period < highHalf(period);
    return elapsed !== this.#count;
  }

  /** The next tick after this one at which OUT may change; Infinity when it stays. */
  nextChange(tick: number): number {
    this.settle(tick);
    const load = this.#isWaiting && this.#nextLoad < LATEST ? this.#nextLoad : Infinity;
    const isHeld = !this.#gate && !this.#isTriggered;
    return this.#isCounting && !isHeld ? Math.min(load, this.#nextEdge(tick)) : load;
  }

  /** Puts in the count that waits, once its tick has come. */
  settle(tick: number): void {
    if (!this.#isWaiting || tick < this.#nextLoad) return;
    this.#isWaiting = false;
    this.#count = this.#nextCount;
    this.#loaded = this.#nextLoad;
    this.#held = 0;
    this.#isCounting = true;
  }

  state(): DeviceState {
    return {
      control: this.#control,
      count: this.#count,
      loaded: this.#loaded,
      nextCount: this.#nextCount,
      nextLoad: this.#nextLoad,
      isWaiting: this.#isWaiting,
      isCounting: this.#isCounting,
      gate: this.#gate,
      held: this.#held,
      readsHigh: this.#readsHigh,
      writesHigh: this.#writesHigh,
      lowByte: this.#lowByte,
      latch: this.#latch - NONE,
      statusLatch: this.#statusLatch - NONE,
    };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, Object.keys(this.state()));
    this.#control = from.number("control", CONTROL_BITS);
    this.#count = Math.max(1, from.number("count", 0x10000));
    this.#loaded = from.number("loaded", LATEST);
    this.#nextCount = Math.max(1, from.number("nextCount", 0x10000));
    this.#nextLoad = from.number("nextLoad", LATEST);
    this.#isWaiting = from.boolean("isWaiting");
    this.#isCounting = from.boolean("isCounting");
    this.#gate = from.boolean("gate");
    this.#held = from.number("held", LATEST);
    this.#readsHigh = from.boolean("readsHigh");
    this.#writesHigh = from.boolean("writesHigh");
    this.#lowByte = from.number("lowByte", 0xff);
    this.#latch = from.number("latch", 0x10000) + NONE;
    this.#statusLatch = from.number("statusLatch", 0x100) + NONE;
  }

  /** Modes 1 and 5: the gate's rising edge starts them. */
  get #isTriggered(): boolean {
    return this.mode === 1 || this.mode === 5;
  }

  get #isBcd(): boolean {
    return (this.#control & CONTROL_BCD) !== 0;
  }

  get #period(): number {
    return Math.max(2, this.#count);
  }

  /** Ticks since the count was loaded, as far as the gate let them count. */
  #elapsed(tick: number): number {
    if (!this.#gate && !this.#isTriggered) return this.#held;
    if (!this.#isCounting) return 0;
    return Math.max(0, tick - this.#loaded);
  }

  /** As `nextChange`, for the count that is loaded. */
  #nextEdge(tick: number): number {
    if (tick < this.#loaded) return this.#loaded;
    const { mode } = this;
    const period = this.#period;
    if (mode === 2 || mode === 3) {
      const phase = this.#elapsed(tick) % period;
      const edge = mode === 2 ? period - 1 : highHalf(period);
      return tick - phase + (phase < edge ? edge : period);
    }
    const end = this.#loaded + this.#count;
    if (tick < end) return end;
    return mode >= 4 && tick === end ? end + 1 : Infinity;
  }

  #load(written: number, tick: number): void {
    const count = this.#isBcd ? fromBcd(written) : written;
    this.#nextCount = count === 0 ? (this.#isBcd ? 10000 : 0x10000) : count;
    this.#isWaiting = true;
    const { mode } = this;
    if (this.#isTriggered) this.#nextLoad = LATEST; // until the gate rises
    else if (this.#isCounting && mode >= 2 && mode <= 3 && this.#gate && tick >= this.#loaded) {
      this.#nextLoad = tick - (this.#elapsed(tick) % this.#period) + this.#period;
    } else this.#nextLoad = tick + 1;
    if (mode === 0) this.#isCounting = false; // OUT is low from the write on
  }

  /** Loads the count at a tick, as the gate asks for. */
  #start(tick: number): void {
    if (this.#isWaiting) {
      this.#nextLoad = tick;
      this.#isCounting = false;
    } else {
      this.#loaded = tick;
      this.#isCounting = true;
    }
  }
}

/** Mode 3: OUT is high for the longer half of an odd count. */
function highHalf(period: number): number {
  return (period + 1) >> 1;
}

/** Counts down by two in each half; an odd count is loaded without its lowest bit. */
function squareValue(phase: number, period: number): number {
  const half = highHalf(period);
  return (period & ~1) - 2 * (phase < half ? phase : phase - half);
}

function toBcd(value: number): number {
  return [1000, 100, 10, 1].reduce(
    (digits, unit) => (digits << 4) | (Math.floor(value / unit) % 10),
    0,
  );
}

function fromBcd(digits: number): number {
  return [12, 8, 4, 0].reduce((value, shift) => value * 10 + ((digits >> shift) & 15), 0);
}
