/**
 * Keyboard controller (8042) with a keyboard that nobody touches: ports 0x60 and 0x64.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller". Every command
 * is answered at once.
 *
 * Not modelled: keys, a mouse (the second port answers no command), delays, A20 (always open).
 */
import type { AccessSize, Device, DeviceState, InterruptLine } from "./device.js";
import { StateReader } from "./state-reader.js";

// Status register.
const STATUS_OUTPUT_FULL = 0x01;
const STATUS_SYSTEM = 0x04;
const STATUS_COMMAND = 0x08; // the last write was to port 0x64
const STATUS_UNLOCKED = 0x10;

// Configuration byte.
const CONFIG_INTERRUPT = 0x01;
const CONFIG_SYSTEM = 0x04;
const CONFIG_DISABLED = 0x10;
const CONFIG_MOUSE_DISABLED = 0x20;
const CONFIG_TRANSLATES = 0x40;
const CONFIG_RESET = CONFIG_INTERRUPT | CONFIG_SYSTEM | CONFIG_MOUSE_DISABLED | CONFIG_TRANSLATES;

// Commands to the controller.
const READ_CONFIG = 0x20;
const WRITE_CONFIG = 0x60;
const DISABLE_MOUSE = 0xa7;
const TEST_MOUSE = 0xa9;
const SELF_TEST = 0xaa;
const TEST_KEYBOARD = 0xab;
const DISABLE_KEYBOARD = 0xad;
const ENABLE_KEYBOARD = 0xae;
const READ_INPUT_PORT = 0xc0;
const READ_OUTPUT_PORT = 0xd0;
const WRITE_OUTPUT_PORT = 0xd1;
const WRITE_OUTPUT_BUFFER = 0xd2;
const WRITE_MOUSE_BUFFER = 0xd3;
const WRITE_MOUSE = 0xd4;
const READ_TEST_INPUTS = 0xe0;
/** F0H to FFH pulse the bits of the output port that are 0 in the low four bits of the command. */
const PULSE = 0xf0;

const SELF_TEST_PASSED = 0x55;
const MOUSE_CLOCK_LOW = 0x01;
/** Keyboard not inhibited. */
const INPUT_PORT = 0x80;
const OUTPUT_NO_RESET = 0x01;
const OUTPUT_A20 = 0x02;
const OUTPUT_FULL = 0x10;

// Commands to the keyboard, and its answers.
const SET_LEDS = 0xed;
const ECHO = 0xee;
const SET_SCAN_CODES = 0xf0;
const IDENTIFY = 0xf2;
const SET_RATE = 0xf3;
const ENABLE_SCANNING = 0xf4;
const DISABLE_SCANNING = 0xf5;
const SET_DEFAULTS = 0xf6;
const RESET = 0xff;
const ACKNOWLEDGE = 0xfa;
const RESEND = 0xfe;
const TEST_PASSED = 0xaa;
const MF2_KEYBOARD = 0xab;
const MF2_PLAIN = 0x83;
const MF2_TRANSLATED = 0x41;
const SCAN_CODE_SET = 2;

/** Bytes that the keyboard holds for a guest that does not read. */
const QUEUE_BYTES = 16;

export class I8042 {
  readonly data: Device;
  readonly command: Device;
  readonly #line: InterruptLine;
  readonly #reset: () => void;
  #config = CONFIG_RESET;
  #wasCommand = false;
  /** The command of the controller that waits for its byte, 0 for none. */
  #controllerWaits = 0;
  /** The same of the keyboard. */
  #keyboardWaits = 0;
  /** What an empty output buffer still shows. */
  #last = 0;
  /** Bytes for port 0x60, the first of them in the output buffer. */
  readonly #queue: number[] = [];

  /** @param line - IRQ 1; @param reset - called when the guest pulls the processor's reset line */
  constructor(line: InterruptLine, reset: () => void) {
    this.#line = line;
    this.#reset = reset;
    const nothing = { state: () => ({}), fromState: () => {} };
    this.data = {
      ...nothing,
      read: () => this.#readData(),
      write: (_offset: number, _size: AccessSize, value: number) => this.#writeData(value),
    };
    this.command = {
      ...nothing,
      read: () => this.#status(),
      write: (_offset: number, _size: AccessSize, value: number) => this.#writeCommand(value),
    };
  }

  state(): DeviceState {
    return {
      config: this.#config,
      wasCommand: this.#wasCommand,
      controllerWaits: this.#controllerWaits,
      keyboardWaits: this.#keyboardWaits,
      last: this.#last,
      queue: [...this.#queue],
    };
  }

  fromState(state: DeviceState): void {
    const from = new StateReader(state, Object.keys(this.state()));
    this.#config = from.number("config", 0xff);
    this.#wasCommand = from.boolean("wasCommand");
    this.#controllerWaits = from.number("controllerWaits", 0xff);
    this.#keyboardWaits = from.number("keyboardWaits", 0xff);
    this.#last = from.number("last", 0xff);
    this.#queue.splice(0, Infinity, ...from.numbers("queue", 0xff, QUEUE_BYTES));
    this.#update();
  }

  #status(): number {
    return (
      STATUS_UNLOCKED |
      (this.#queue.length > 0 ? STATUS_OUTPUT_FULL : 0) |
      (this.#config & CONFIG_SYSTEM ? STATUS_SYSTEM : 0) |
      (this.#wasCommand ? STATUS_COMMAND : 0)
    );
  }

  /** The next byte of the queue is a new edge of the line. */
  #readData(): number {
    this.#last = this.#queue.shift() ?? this.#last;
    this.#line.set(false);
    this.#update();
    return this.#last;
  }

  #writeCommand(value: number): void {
    this.#wasCommand = true;
    this.#controllerWaits = 0;
    switch (value) {
      case READ_CONFIG:
        this.#put(this.#config);
        break;
      case WRITE_CONFIG:
      case WRITE_OUTPUT_PORT:
      case WRITE_OUTPUT_BUFFER:
      case WRITE_MOUSE_BUFFER:
      case WRITE_MOUSE:
        this.#controllerWaits = value;
        break;
      case DISABLE_MOUSE:
        this.#config |= CONFIG_MOUSE_DISABLED;
        break;
      case TEST_MOUSE:
        this.#put(MOUSE_CLOCK_LOW);
        break;
      case SELF_TEST:
        this.#queue.length = 0;
        this.#config = (this.#config & ~CONFIG_INTERRUPT) | CONFIG_SYSTEM | CONFIG_DISABLED;
        this.#put(SELF_TEST_PASSED);
        break;
      case TEST_KEYBOARD:
        this.#put(0);
        break;
      case DISABLE_KEYBOARD:
        this.#config |= CONFIG_DISABLED;
        break;
      case ENABLE_KEYBOARD:
        this.#config &= ~CONFIG_DISABLED;
        break;
      case READ_INPUT_PORT:
        this.#put(INPUT_PORT);
        break;
      case READ_OUTPUT_PORT:
        this.#put(OUTPUT_NO_RESET | OUTPUT_A20 | (this.#queue.length > 0 ? OUTPUT_FULL : 0));
        break;
      case READ_TEST_INPUTS:
        this.#put(0);
        break;
      default:
        if (value >= PULSE && (value & OUTPUT_NO_RESET) === 0) this.#reset();
    }
    this.#update();
  }

  #writeData(value: number): void {
    this.#wasCommand = false;
    const command = this.#controllerWaits;
    this.#controllerWaits = 0;
    if (command === WRITE_CONFIG) this.#config = value;
    else if (command === WRITE_OUTPUT_BUFFER) this.#put(value);
    else if (command === WRITE_OUTPUT_PORT) {
      if ((value & OUTPUT_NO_RESET) === 0) this.#reset();
    } else if (command === 0) this.#toKeyboard(value);
    this.#update();
  }

  /** What is written to the keyboard also opens its line. */
  #toKeyboard(value: number): void {
    this.#config &= ~CONFIG_DISABLED;
    const command = this.#keyboardWaits;
    this.#keyboardWaits = 0;
    if (command !== 0) {
      this.#put(ACKNOWLEDGE);
      if (command === SET_SCAN_CODES && value === 0) this.#put(SCAN_CODE_SET);
      return;
    }
    switch (value) {
      case SET_LEDS:
      case SET_RATE:
      case SET_SCAN_CODES:
        this.#put(ACKNOWLEDGE);
        this.#keyboardWaits = value;
        break;
      case ECHO:
        this.#put(ECHO);
        break;
      case IDENTIFY:
        this.#put(
          ACKNOWLEDGE,
          MF2_KEYBOARD,
          this.#config & CONFIG_TRANSLATES ? MF2_TRANSLATED : MF2_PLAIN,
        );
        break;
      case ENABLE_SCANNING:
      case DISABLE_SCANNING:
      case SET_DEFAULTS:
        this.#put(ACKNOWLEDGE);
        break;
      case RESET:
        this.#queue.length = 0;
        this.#put(ACKNOWLEDGE, TEST_PASSED);
        break;
      default:
        this.#put(RESEND);
    }
  }

  #put(...bytes: readonly number[]): void {
    for (const byte of bytes) if (this.#queue.length < QUEUE_BYTES) this.#queue.push(byte);
  }

  #update(): void {
    const isAsked = (this.#config & CONFIG_INTERRUPT) !== 0;
    this.#line.set(isAsked && this.#queue.length > 0);
  }
}
