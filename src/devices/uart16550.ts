/**
 * Serial port with FIFOs, as in PCs.
 *
 * Source: National Semiconductor PC16550D data sheet.
 * The other side sends only to a guest that listens: one whose receive interrupt is enabled, or that looks at LSR twice in
 * a row, as a program does that polls. What has arrived but not been read when the receiver is cleared or the interrupt
 * disabled counts as not sent yet. So bytes that were typed early are not lost where a driver, while it starts, tries the
 * registers and empties the receiver. Clearing, and a write to IER, end the listening of a guest that polls.
 *
 * Not modelled: line speed. A byte leaves the moment it is written, and received bytes that stay below the FIFO trigger
 * level count as timed out at once. Parity, framing errors and breaks do not occur.
 */
import type { AccessSize, Device, DeviceState, InterruptLine } from "./device.js";
import { StateReader } from "./state-reader.js";

// Registers by offset. RBR, THR and DLL share 0, IER and DLM share 1, IIR and FCR share 2.
const RBR_THR_DLL = 0;
const IER_DLM = 1;
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

const IER_RDA = 0x01; // received data available
const IER_THRE = 0x02; // transmitter holding register empty
const IER_RLS = 0x04; // receiver line status
const IER_MS = 0x08; // modem status

const IIR_NONE = 0x01;
const IIR_RLS = 0x06;
const IIR_RDA = 0x04;
const IIR_TIMEOUT = 0x0c;
const IIR_THRE = 0x02;
const IIR_MS = 0x00;
const IIR_FIFOS_ON = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_CLEAR_RX = 0x02;

const LCR_DLAB = 0x80; // divisor latch access

const MCR_DTR = 0x01;
const MCR_RTS = 0x02;
const MCR_OUT1 = 0x04;
const MCR_OUT2 = 0x08; // on a PC: connects the interrupt output to the controller
const MCR_LOOP = 0x10;

const LSR_DR = 0x01; // data ready
const LSR_OE = 0x02; // overrun
const LSR_THRE = 0x20; // transmitter holding register empty
const LSR_TEMT = 0x40; // transmitter empty

const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RI = 0x40;
const MSR_DCD = 0x80;

const FIFO_BYTES = 16;
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

export class Uart16550 implements Device {
  readonly #line: InterruptLine;
  readonly #transmit: (byte: number) => void;

  /** Bytes that the other side has sent and that did not fit into the receiver yet: it holds them back. */
  #wire: number[] = [];
  #fifo: number[] = [];
  #ier = 0;
  #fcr = 0;
  #lcr = 0;
  #mcr = 0;
  #scr = 0;
  #divisor = 12; // 9600 baud
  #overrun = false;
  /** MSR bits 3:0: what changed since the last read of MSR. */
  #modemDelta = 0;
  /** The transmitter became empty and nobody has read that in IIR yet. */
  #threPending = false;
  /** The last access read LSR. */
  #hasLooked = false;
  /** The guest polls LSR for input. */
  #isPolling = false;
  /** What the line was last set to: a polling guest must not stir the interrupt controller with every read. */
  #lineLevel = false;

  /** @param transmit - gets each byte that the guest sends */
  constructor(line: InterruptLine, transmit: (byte: number) => void) {
    this.#line = line;
    this.#transmit = transmit;
  }

  /** Bytes from the other end of the cable. They wait there while the receiver is full or nobody listens: none is lost. */
  receive(bytes: Iterable<number>): void {
    for (const byte of bytes) this.#wire.push(byte & 0xff);
    this.#refill();
    this.#update();
  }

  /** Received bytes would raise the interrupt line. */
  get isReceiveInterruptEnabled(): boolean {
    return (this.#ier & IER_RDA) !== 0 && this.#isConnected;
  }

  read(offset: number, _size: AccessSize): number {
    if (offset === LSR && this.#hasLooked && !this.#isPolling) {
      this.#isPolling = true;
      this.#refill();
    }
    this.#hasLooked = offset === LSR;
    const value = this.#readRegister(offset);
    this.#update();
    return value;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    this.#hasLooked = false;
    this.#writeRegister(offset, value);
    this.#update();
  }

  state(): DeviceState {
    return {
      wire: [...this.#wire],
      fifo: [...this.#fifo],
      ier: this.#ier,
      fcr: this.#fcr,
      lcr: this.#lcr,
      mcr: this.#mcr,
      scr: this.#scr,
      divisor: this.#divisor,
      overrun: this.#overrun,
      modemDelta: this.#modemDelta,
      threPending: this.#threPending,
      hasLooked: this.#hasLooked,
      isPolling: this.#isPolling,
    };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, Object.keys(this.state()));
    this.#wire = from.numbers("wire", 0xff);
    this.#fifo = from.numbers("fifo", 0xff, FIFO_BYTES);
    this.#ier = from.number("ier", 0x0f);
    this.#fcr = from.number("fcr", 0xff);
    this.#lcr = from.number("lcr", 0xff);
    this.#mcr = from.number("mcr", 0x1f);
    this.#scr = from.number("scr", 0xff);
    this.#divisor = from.number("divisor", 0xffff);
    this.#overrun = from.boolean("overrun");
    this.#modemDelta = from.number("modemDelta", 0x0f);
    this.#threPending = from.boolean("threPending");
    this.#hasLooked = from.boolean("hasLooked");
    this.#isPolling = from.boolean("isPolling");
    this.#update();
  }

  get #isDivisorLatched(): boolean {
    return (this.#lcr & LCR_DLAB) !== 0;
  }

  get #isLoop(): boolean {
    return (this.#mcr & MCR_LOOP) !== 0;
  }

  get #fifoCapacity(): number {
    return (this.#fcr & FCR_ENABLE) !== 0 ? FIFO_BYTES : 1;
  }

  #readRegister(offset: number): number {
    switch (offset) {
      case RBR_THR_DLL:
        return this.#isDivisorLatched ? this.#divisor & 0xff : this.#readReceiver();
      case IER_DLM:
        return this.#isDivisorLatched ? this.#divisor >> 8 : this.#ier;
      case IIR_FCR: {
        const cause = this.#interruptCause();
        if (cause === IIR_THRE) this.#threPending = false;
        return cause | ((this.#fcr & FCR_ENABLE) !== 0 ? IIR_FIFOS_ON : 0);
      }
      case LCR:
        return this.#lcr;
      case MCR:
        return this.#mcr;
      case LSR: {
        const value = this.#lineStatus();
        this.#overrun = false;
        return value;
      }
      case MSR: {
        const value = this.#modemLines() | this.#modemDelta;
        this.#modemDelta = 0;
        return value;
      }
      case SCR:
        return this.#scr;
      default:
        return 0xff;
    }
  }

  #writeRegister(offset: number, value: number): void {
    switch (offset) {
      case RBR_THR_DLL:
        if (this.#isDivisorLatched) this.#divisor = (this.#divisor & 0xff00) | value;
        else this.#send(value);
        return;
      case IER_DLM:
        if (this.#isDivisorLatched) this.#divisor = (this.#divisor & 0x00ff) | (value << 8);
        else this.#enableInterrupts(value & 0x0f);
        return;
      case IIR_FCR:
        this.#writeFifoControl(value);
        return;
      case LCR:
        this.#lcr = value;
        return;
      case MCR:
        this.#writeModemControl(value & 0x1f);
        return;
      case SCR:
        this.#scr = value;
        return;
      // LSR and MSR: writes are for factory tests
    }
  }

  #readReceiver(): number {
    const byte = this.#fifo.shift() ?? 0;
    this.#refill();
    return byte;
  }

  #send(byte: number): void {
    if (this.#isLoop) this.#accept(byte);
    else this.#transmit(byte);
    this.#threPending = true;
  }

  /** A byte that arrives whether there is room or not. */
  #accept(byte: number): void {
    if (this.#fifo.length >= this.#fifoCapacity) {
      this.#overrun = true;
      if (this.#fifoCapacity === 1) this.#fifo[0] = byte; // without FIFOs the new byte replaces the unread one
      return;
    }
    this.#fifo.push(byte);
  }

  #refill(): void {
    if (this.#isLoop) return; // the receiver is disconnected from the wire
    if (!this.#isListening) return;
    while (this.#wire.length > 0 && this.#fifo.length < this.#fifoCapacity)
      this.#fifo.push(this.#wire.shift()!);
  }

  /** Received bytes go back to the wire; looped ones have never been there. */
  #withdraw(): void {
    if (this.#isLoop) return;
    this.#wire.unshift(...this.#fifo);
    this.#fifo = [];
  }

  get #isListening(): boolean {
    return (this.#ier & IER_RDA) !== 0 || this.#isPolling;
  }

  #enableInterrupts(value: number): void {
    // Enabling THRE while the transmitter is empty, which it always is, raises the interrupt anew.
    if ((value & ~this.#ier & IER_THRE) !== 0) this.#threPending = true;
    this.#ier = value;
    this.#isPolling = false; // a program that polls leaves IER alone
    if (!this.#isListening) this.#withdraw();
    this.#refill();
  }

  #writeFifoControl(value: number): void {
    const switched = ((value ^ this.#fcr) & FCR_ENABLE) !== 0;
    if (switched || (value & FCR_CLEAR_RX) !== 0) {
      this.#withdraw();
      this.#fifo = [];
      this.#isPolling = false;
    }
    // The clear bits return to 0 by themselves; without FCR_ENABLE the others are not programmed.
    this.#fcr = (value & FCR_ENABLE) !== 0 ? value & 0xc9 : 0;
    this.#refill();
  }

  #writeModemControl(value: number): void {
    const before = this.#modemLines();
    this.#mcr = value;
    const after = this.#modemLines();
    const changed = before ^ after;
    this.#modemDelta |= (changed >> 4) & 0x0b; // DCTS, DDSR, DDCD
    if ((before & ~after & MSR_RI) !== 0) this.#modemDelta |= 0x04; // TERI: the trailing edge of RI only
    this.#refill();
  }

  /** MSR bits 7:4. Outside loopback the other side is always there and ready. */
  #modemLines(): number {
    if (!this.#isLoop) return MSR_CTS | MSR_DSR | MSR_DCD;
    return (
      ((this.#mcr & MCR_RTS) !== 0 ? MSR_CTS : 0) |
      ((this.#mcr & MCR_DTR) !== 0 ? MSR_DSR : 0) |
      ((this.#mcr & MCR_OUT1) !== 0 ? MSR_RI : 0) |
      ((this.#mcr & MCR_OUT2) !== 0 ? MSR_DCD : 0)
    );
  }

  #lineStatus(): number {
    return (
      LSR_THRE | LSR_TEMT | (this.#fifo.length > 0 ? LSR_DR : 0) | (this.#overrun ? LSR_OE : 0)
    );
  }

  /** The pending interrupt of highest priority, as IIR bits 3:0. */
  #interruptCause(): number {
    if ((this.#ier & IER_RLS) !== 0 && this.#overrun) return IIR_RLS;
    if ((this.#ier & IER_RDA) !== 0 && this.#fifo.length > 0) {
      const trigger = (this.#fcr & FCR_ENABLE) !== 0 ? TRIGGER_LEVELS[(this.#fcr >> 6) & 3]! : 1;
      return this.#fifo.length >= trigger ? IIR_RDA : IIR_TIMEOUT;
    }
    if ((this.#ier & IER_THRE) !== 0 && this.#threPending) return IIR_THRE;
    if ((this.#ier & IER_MS) !== 0 && this.#modemDelta !== 0) return IIR_MS;
    return IIR_NONE;
  }

  get #isConnected(): boolean {
    return (this.#mcr & (MCR_OUT2 | MCR_LOOP)) === MCR_OUT2;
  }

  #update(): void {
    const level = this.#isConnected && this.#interruptCause() !== IIR_NONE;
    if (level === this.#lineLevel) return;
    this.#lineLevel = level;
    this.#line.set(level);
  }
}
