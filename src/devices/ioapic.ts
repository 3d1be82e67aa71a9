/**
 * I/O APIC: 24 pins, each with an entry that tells which local APIC gets which vector when the pin is raised.
 *
 * Source: "82093AA I/O Advanced Programmable Interrupt Controller"; EOI register: ICH I/O APIC. The destination has 8 bits
 * in entry bits 63:56 and 7 more in 55:49, which count where the policy has the 15-bit extension.
 *
 *     offset 00H  index: selects a register      offset 40H  EOI, version 20H: ends a level-triggered vector
 *     offset 10H  data: the selected register    registers: 0 ID, 1 version, 2 arbitration, 10H.. entries, low then high
 *
 * Not modelled: pin polarity (a line is active or not), delivery status (a message is delivered at once).
 */
import type { AccessSize, Device, DeviceState, InterruptLine } from "./device.js";
import { StateReader } from "./state-reader.js";

export const IO_APIC_LENGTH = 0x1000;
export const IO_APIC_PINS = 24;

const INDEX = 0x00;
const DATA = 0x10;
const EOI = 0x40;

const REGISTER_ID = 0x00;
const REGISTER_VERSION = 0x01;
const REGISTER_ARBITRATION = 0x02;
const REGISTER_ENTRIES = 0x10;

const VERSION = 0x20;
const ID_BITS = 0x0f000000;

const ENTRY_VECTOR = 0xff;
const ENTRY_REMOTE_IRR = 1 << 14;
const ENTRY_LEVEL = 1 << 15;
const ENTRY_MASKED = 1 << 16;
/** Delivery status and remote IRR: guests cannot write them. */
const ENTRY_READ_ONLY = (1 << 12) | ENTRY_REMOTE_IRR;
const ENTRY_WRITABLE = 0x1ffff & ~ENTRY_READ_ONLY;
const ENTRY_HIGH_WRITABLE = 0xffff0000;

/** Sends what the entry of a pin says: its two halves. */
export type SendEntry = (low: number, high: number, pin: number) => void;

export class IoApic implements Device {
  readonly widest = 4;
  readonly #send: SendEntry;
  readonly #low = new Uint32Array(IO_APIC_PINS).fill(ENTRY_MASKED);
  readonly #high = new Uint32Array(IO_APIC_PINS);
  /** Pins whose lines are active, a bit each. */
  #lines = 0;
  #index = 0;
  #id = 0;

  constructor(send: SendEntry) {
    this.#send = send;
  }

  /** The line of a pin. @param pin - 0..23 */
  line(pin: number): InterruptLine {
    return { set: (level) => this.#setLine(pin, level) };
  }

  /** A local APIC finished a level-triggered vector: entries with it may fire again. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      const entry = this.#low[pin]!;
      if ((entry & ENTRY_LEVEL) === 0 || (entry & ENTRY_VECTOR) !== vector) continue;
      this.#low[pin] = entry & ~ENTRY_REMOTE_IRR;
      this.#serveLevel(pin);
    }
  }

  read(offset: number, _size: AccessSize): number {
    if (offset === INDEX) return this.#index;
    return offset === DATA ? this.#readRegister(this.#index) : 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset === INDEX) this.#index = value & 0xff;
    else if (offset === DATA) this.#writeRegister(this.#index, value);
    else if (offset === EOI) this.endOfInterrupt(value & 0xff);
  }

  state(): DeviceState {
    return {
      low: Array.from(this.#low),
      high: Array.from(this.#high),
      lines: this.#lines,
      index: this.#index,
      id: this.#id,
    };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, ["low", "high", "lines", "index", "id"]);
    this.#low.set(from.numbers("low", 0xffffffff, IO_APIC_PINS));
    this.#high.set(from.numbers("high", 0xffffffff, IO_APIC_PINS));
    this.#lines = from.number("lines", 2 ** IO_APIC_PINS - 1);
    this.#index = from.number("index", 0xff);
    this.#id = from.number("id");
  }

  #setLine(pin: number, level: boolean): void {
    const bit = 1 << pin;
    const hasRisen = level && (this.#lines & bit) === 0;
    this.#lines = level ? this.#lines | bit : this.#lines & ~bit;
    const low = this.#low[pin]!;
    if ((low & ENTRY_LEVEL) !== 0) this.#serveLevel(pin);
    // An edge that a masked entry sees is lost.
    else if (hasRisen && (low & ENTRY_MASKED) === 0) this.#send(low, this.#high[pin]!, pin);
  }

  /** Sends a level-triggered pin's interrupt if its line is active and nothing holds it back. */
  #serveLevel(pin: number): void {
    const low = this.#low[pin]!;
    if ((low & (ENTRY_MASKED | ENTRY_REMOTE_IRR)) !== 0 || (low & ENTRY_LEVEL) === 0) return;
    if ((this.#lines & (1 << pin)) === 0) return;
    this.#low[pin] = low | ENTRY_REMOTE_IRR;
    this.#send(low, this.#high[pin]!, pin);
  }

  #readRegister(register: number): number {
    if (register === REGISTER_ID || register === REGISTER_ARBITRATION) return this.#id;
    if (register === REGISTER_VERSION) return VERSION | ((IO_APIC_PINS - 1) << 16);
    const pin = (register - REGISTER_ENTRIES) >> 1;
    if (pin < 0 || pin >= IO_APIC_PINS) return 0;
    return (register & 1) === 0 ? this.#low[pin]! : this.#high[pin]!;
  }

  #writeRegister(register: number, value: number): void {
    if (register === REGISTER_ID) this.#id = value & ID_BITS;
    const pin = (register - REGISTER_ENTRIES) >> 1;
    if (pin < 0 || pin >= IO_APIC_PINS) return;
    if ((register & 1) === 1) {
      this.#high[pin] = value & ENTRY_HIGH_WRITABLE;
      return;
    }
    const kept = this.#low[pin]! & ENTRY_READ_ONLY;
    this.#low[pin] = (value & ENTRY_WRITABLE) | kept;
    // An edge-triggered entry has no remote IRR.
    if ((value & ENTRY_LEVEL) === 0) this.#low[pin] = this.#low[pin]! & ~ENTRY_REMOTE_IRR;
    this.#serveLevel(pin);
  }
}
