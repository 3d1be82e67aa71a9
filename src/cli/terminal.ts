/**
 * The user's terminal as the other end of the guest's serial line.
 *
 * Keys go to the guest one by one. Ctrl-C ends the run; Ctrl-A is an escape as in QEMU: Ctrl-A x ends the run, Ctrl-A c
 * sends a Ctrl-C to the guest, Ctrl-A Ctrl-A a Ctrl-A.
 */
import type { ReadStream } from "node:tty";

const CTRL_A = 0x01;
const CTRL_C = 0x03;

export class Terminal {
  /** The user wants the run to end. */
  isInterrupted = false;
  /** The user has typed something that the guest got: the run can no longer be repeated. */
  hasTyped = false;
  readonly #keyboard: ReadStream | undefined;
  readonly #send: (bytes: Uint8Array) => void;
  #isEscaped = false;
  /** Something has happened since `activity` was last asked. */
  #isActive = false;
  #wake: (() => void) | undefined;

  /**
   * @param keyboard - undefined when there is none, as in a pipeline: then only SIGINT is heard
   * @param send - gets what the guest is to receive
   */
  constructor(keyboard: ReadStream | undefined, send: (bytes: Uint8Array) => void) {
    this.#keyboard = keyboard;
    this.#send = send;
  }

  get isInteractive(): boolean {
    return this.#keyboard !== undefined;
  }

  open(): void {
    process.on("SIGINT", this.#interrupt);
    process.on("SIGTERM", this.#interrupt);
    this.#keyboard?.setRawMode(true);
    this.#keyboard?.on("data", this.#typed);
    this.#keyboard?.resume();
  }

  /** Gives the terminal back as it was. */
  close(): void {
    process.off("SIGINT", this.#interrupt);
    process.off("SIGTERM", this.#interrupt);
    this.#keyboard?.off("data", this.#typed);
    this.#keyboard?.setRawMode(false);
    this.#keyboard?.pause();
  }

  /** Lets keys and signals that have come in take effect. */
  breathe(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Waits for a key or a signal, unless there was one since the last time. */
  async activity(): Promise<void> {
    if (!this.#isActive) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#isActive = false;
  }

  readonly #interrupt = (): void => {
    this.isInterrupted = true;
    this.#stir();
  };

  readonly #typed = (data: Uint8Array): void => {
    const toGuest: number[] = [];
    for (const key of data) {
      if (this.#isEscaped) this.#escape(key, toGuest);
      else if (key === CTRL_A) this.#isEscaped = true;
      else if (key === CTRL_C) this.isInterrupted = true;
      else toGuest.push(key);
    }
    if (toGuest.length > 0) {
      this.hasTyped = true;
      this.#send(Uint8Array.from(toGuest));
    }
    this.#stir();
  };

  #stir(): void {
    this.#isActive = true;
    this.#wake?.();
  }

  #escape(key: number, toGuest: number[]): void {
    this.#isEscaped = false;
    const letter = String.fromCharCode(key).toLowerCase();
    if (letter === "x") this.isInterrupted = true;
    else if (letter === "c") toGuest.push(CTRL_C);
    else if (key === CTRL_A) toGuest.push(CTRL_A);
  }
}
