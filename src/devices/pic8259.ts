/**
 * One programmable interrupt controller, and the pair of them that a PC has.
 *
 * Source: Intel 8259A data sheet; edge/level control as in the 82371 (ELCR).
 * Not modelled: MCS-80 mode, buffered mode, special fully nested mode.
 */
import type { AccessSize, Device, DeviceState, InterruptLine } from "./device.js";
import { StateReader } from "./state-reader.js";

const DATA = 1;

const ICW1 = 0x10; // bit that tells ICW1 from OCW2 and OCW3
const ICW1_ICW4 = 0x01;
const ICW1_SINGLE = 0x02;
const ICW4_AUTO_EOI = 0x02;
const OCW3 = 0x08;
const OCW3_READ_ISR = 0x03;
const OCW3_READ_IRR = 0x02;
const OCW3_POLL = 0x04;
const OCW3_SPECIAL_MASK_CHANGE = 0x40;
const OCW3_SPECIAL_MASK = 0x20;

const CASCADE = 2; // input of the master that the slave drives
const SPURIOUS = 7;

/** One chip: eight inputs, one output. */
export class Pic8259 implements Device {
  readonly #output: InterruptLine;
  /** Cascade input, if a slave hangs there: a level input whatever `level` says. */
  readonly #cascade: number;
  #irr = 0;
  #isr = 0;
  #imr = 0xff; // nothing comes through before a guest programs the chip
  #lines = 0;
  #level = 0;
  #vectorBase = 0;
  #lowestPriority = 7;
  #initStep = 0; // the ICW expected next at DATA: 2, 3, 4; 0 = none
  #icw1 = 0;
  #isAutoEoi = false;
  #rotatesOnAutoEoi = false;
  #readsIsr = false;
  #isSpecialMask = false;
  #isPolled = false;
  #outputLevel = false;

  /** @param cascade - mask of the input that a slave drives, 0 for none */
  constructor(output: InterruptLine, cascade = 0) {
    this.#output = output;
    this.#cascade = cascade;
  }

  /** @param irq - input 0..7 */
  setLine(irq: number, level: boolean): void {
    const bit = 1 << irq;
    if (level) {
      if ((this.#lines & bit) === 0 || this.#isLevel(bit)) this.#irr |= bit;
      this.#lines |= bit;
    } else {
      this.#lines &= ~bit;
      this.#irr &= ~bit; // the request must last until the acknowledge
    }
    this.#update();
  }

  /** Level-triggered inputs, a mask (ELCR). */
  get level(): number {
    return this.#level;
  }

  set level(mask: number) {
    this.#level = mask & 0xff;
    this.#update();
  }

  /**
   * Interrupt acknowledge cycle: the request goes from IRR to ISR.
   *
   * @returns input 0..7 that is served; 7 without an ISR bit when the request has gone (spurious)
   */
  acknowledge(): number {
    const irq = this.#highestRequest();
    if (irq < 0) {
      this.#update();
      return SPURIOUS;
    }
    const bit = 1 << irq;
    if (!this.#isLevel(bit)) this.#irr &= ~bit;
    if (this.#isAutoEoi) {
      if (this.#rotatesOnAutoEoi) this.#lowestPriority = irq;
    } else {
      this.#isr |= bit;
    }
    this.#update();
    return irq;
  }

  /** Vector of an input. @param irq - 0..7 */
  vector(irq: number): number {
    return this.#vectorBase | irq;
  }

  read(offset: number, _size: AccessSize): number {
    if (this.#isPolled) {
      this.#isPolled = false;
      const isRequest = this.#highestRequest() >= 0;
      return isRequest ? 0x80 | this.acknowledge() : 0;
    }
    if (offset === DATA) return this.#imr;
    return this.#readsIsr ? this.#isr : this.#irr;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset === DATA) this.#writeData(value);
    else if ((value & ICW1) !== 0) this.#initialise(value);
    else if ((value & OCW3) !== 0) this.#writeOcw3(value);
    else this.#writeOcw2(value);
    this.#update();
  }

  state(): DeviceState {
    return {
      irr: this.#irr,
      isr: this.#isr,
      imr: this.#imr,
      lines: this.#lines,
      level: this.#level,
      vectorBase: this.#vectorBase,
      lowestPriority: this.#lowestPriority,
      initStep: this.#initStep,
      icw1: this.#icw1,
      isAutoEoi: this.#isAutoEoi,
      rotatesOnAutoEoi: this.#rotatesOnAutoEoi,
      readsIsr: this.#readsIsr,
      isSpecialMask: this.#isSpecialMask,
      isPolled: this.#isPolled,
    };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, Object.keys(this.state()));
    this.#irr = from.number("irr", 0xff);
    this.#isr = from.number("isr", 0xff);
    this.#imr = from.number("imr", 0xff);
    this.#lines = from.number("lines", 0xff);
    this.#level = from.number("level", 0xff);
    this.#vectorBase = from.number("vectorBase", 0xff);
    this.#lowestPriority = from.number("lowestPriority", 7);
    this.#initStep = from.number("initStep", 4);
    this.#icw1 = from.number("icw1", 0xff);
    this.#isAutoEoi = from.boolean("isAutoEoi");
    this.#rotatesOnAutoEoi = from.boolean("rotatesOnAutoEoi");
    this.#readsIsr = from.boolean("readsIsr");
    this.#isSpecialMask = from.boolean("isSpecialMask");
    this.#isPolled = from.boolean("isPolled");
    this.#update();
  }

  #isLevel(bit: number): boolean {
    return ((this.#level | this.#cascade) & bit) !== 0;
  }

  #initialise(icw1: number): void {
    this.#icw1 = icw1;
    this.#initStep = 2;
    this.#imr = 0;
    this.#isr = 0;
    this.#irr = this.#lines & (this.#level | this.#cascade); // the edge detector starts over
    this.#lowestPriority = 7;
    this.#isAutoEoi = false;
    this.#rotatesOnAutoEoi = false;
    this.#readsIsr = false;
    this.#isSpecialMask = false;
    this.#isPolled = false;
  }

  #writeData(value: number): void {
    switch (this.#initStep) {
      case 2:
        this.#vectorBase = value & 0xf8;
        this.#initStep = (this.#icw1 & ICW1_SINGLE) === 0 ? 3 : this.#stepAfterCascade();
        return;
      case 3: // ICW3 says where the slave is: wiring that is fixed here
        this.#initStep = this.#stepAfterCascade();
        return;
      case 4:
        this.#isAutoEoi = (value & ICW4_AUTO_EOI) !== 0;
        this.#initStep = 0;
        return;
      default:
        this.#imr = value;
    }
  }

  #stepAfterCascade(): number {
    return (this.#icw1 & ICW1_ICW4) !== 0 ? 4 : 0;
  }

  #writeOcw3(value: number): void {
    if ((value & OCW3_POLL) !== 0) this.#isPolled = true;
    if ((value & OCW3_READ_ISR) === OCW3_READ_ISR) this.#readsIsr = true;
    else if ((value & OCW3_READ_ISR) === OCW3_READ_IRR) this.#readsIsr = false;
    if ((value & OCW3_SPECIAL_MASK_CHANGE) !== 0)
      this.#isSpecialMask = (value & OCW3_SPECIAL_MASK) !== 0;
  }

  #writeOcw2(value: number): void {
    const irq = value & 7;
    const command = value >> 5;
    switch (command) {
      case 0b000:
      case 0b100:
        this.#rotatesOnAutoEoi = command === 0b100;
        return;
      case 0b001: // non-specific EOI, without and with rotation
      case 0b101: {
        const served = this.#highest(this.#isr);
        if (served < 0) return;
        this.#isr &= ~(1 << served);
        if (command === 0b101) this.#lowestPriority = served;
        return;
      }
      case 0b011: // specific EOI, without and with rotation
      case 0b111:
        this.#isr &= ~(1 << irq);
        if (command === 0b111) this.#lowestPriority = irq;
        return;
      case 0b110: // set priority
        this.#lowestPriority = irq;
        return;
      // 0b010: no operation
    }
  }

  /** The set bit that comes first in priority order, or -1. */
  #highest(mask: number): number {
    for (let i = 1; i <= 8; i++) {
      const irq = (this.#lowestPriority + i) & 7;
      if ((mask & (1 << irq)) !== 0) return irq;
    }
    return -1;
  }

  #rank(irq: number): number {
    return (irq - this.#lowestPriority - 1) & 7;
  }

  /** The input to be served next, or -1: unmasked, and above all that is in service. */
  #highestRequest(): number {
    const irq = this.#highest(this.#irr & ~this.#imr);
    if (irq < 0) return -1;
    // Special mask mode: an input in service that is masked holds nothing back.
    const inService = this.#isSpecialMask ? this.#isr & ~this.#imr : this.#isr;
    const served = this.#highest(inService);
    return served >= 0 && this.#rank(irq) >= this.#rank(served) ? -1 : irq;
  }

  #update(): void {
    const level = this.#highestRequest() >= 0;
    if (level === this.#outputLevel) return;
    this.#outputLevel = level;
    this.#output.set(level);
  }
}

/** Edge/level control registers (ports 0x4d0 and 0x4d1): IRQs 0, 1, 2, 8 and 13 stay edge-triggered. */
class EdgeLevelControl implements Device {
  readonly #chips: readonly Pic8259[];

  constructor(chips: readonly Pic8259[]) {
    this.#chips = chips;
  }

  read(offset: number, _size: AccessSize): number {
    return this.#chips[offset]!.level;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    this.#chips[offset]!.level = value & (offset === 0 ? 0xf8 : 0xde);
  }

  /** The chips keep it. */
  state(): DeviceState {
    return {};
  }

  fromState(_state: DeviceState): void {}
}

/** Master and slave as wired in a PC: IRQ 8..15 reach the CPU through input 2 of the master. */
export class PicPair {
  readonly master: Pic8259;
  readonly slave: Pic8259;
  readonly edgeLevelControl: Device;

  /** @param output - INTR of the CPU */
  constructor(output: InterruptLine) {
    this.master = new Pic8259(output, 1 << CASCADE);
    this.slave = new Pic8259({ set: (level) => this.master.setLine(CASCADE, level) });
    this.edgeLevelControl = new EdgeLevelControl([this.master, this.slave]);
  }

  /** The wire of an IRQ. @param irq - 0..15 except 2 */
  line(irq: number): InterruptLine {
    const chip = irq < 8 ? this.master : this.slave;
    return { set: (level) => chip.setLine(irq & 7, level) };
  }

  /** Interrupt acknowledge cycle of the CPU. @returns the vector to deliver */
  acknowledge(): number {
    const irq = this.master.acknowledge();
    if (irq !== CASCADE) return this.master.vector(irq);
    return this.slave.vector(this.slave.acknowledge());
  }
}
