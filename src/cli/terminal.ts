/**
 * The user's terminal as the other end of the guest's serial line.
 *
 * Keys go to the guest one by one, Ctrl-C too if it reads its serial port. Ctrl-] ends the run. Ctrl-A is an escape as in
 * QEMU: Ctrl-A x ends the run, Ctrl-A Ctrl-A is a Ctrl-A, Ctrl-A and any other key is that key, unseen by us.
 */
import type { ReadStream } from "node:tty";

const CTRL_A = 0x01;
const CTRL_C = 0x03;
const CTRL_RIGHT_BRACKET = 0x1d;
/** Hangup is what comes when the terminal's window is closed. */
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface TerminalEnd {
  /** Gets what the guest is to receive. */
  send(bytes: Uint8Array): void;
  /** Whether the guest takes keys: one that does not is ended by Ctrl-C. */
  takesKeys(): boolean;
}

export class Terminal {
  /** The user wants the run to end. */
  isInterrupted = false;
  /** The user has typed something that the guest got: the run can no longer be repeated. */
  hasTyped = false;
  readonly #keyboard: ReadStream | undefined;
  readonly #end: TerminalEnd;
  #isEscaped = false;
  /** Something has happened since `activity` was last asked. */
  #isActive = false;
  #wake: (() => void) | undefined;

  /** @param keyboard - undefined when there is none, as in a pipeline: then only signals are heard */
  constructor(keyboard: ReadStream | undefined, end: TerminalEnd) {
    this.#keyboard = keyboard;
    this.#end = end;
  }

  get isInteractive(): boolean {
    return this.#keyboard !== undefined;
  }

  open(): void {
    for (const signal of SIGNALS) process.on(signal, this.#interrupt);
    if (this.#keyboard === undefined) return;
    // However the process ends, its user gets the terminal back.
    process.on("exit", this.#restore);
    this.#keyboard.setRawMode(true);
    this.#keyboard.on("data", this.#typed);
    this.#keyboard.resume();
  }

  /** Gives the terminal back as it was. */
  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#interrupt);
    if (this.#keyboard === undefined) return;
    process.off("exit", this.#restore);
    this.#keyboard.off("data", this.#typed);
    this.#restore();
    this.#keyboard.pause();
  }

  /** Lets keys and signals that have come in take effect. */
  breathe(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Waits for a key or a signal, unless there was one since the last time. @param timeoutMs - waits no longer */
  async activity(timeoutMs?: number): Promise<void> {
    if (!this.#isActive) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (timeoutMs !== undefined) timer = setTimeout(resolve, timeoutMs);
      });
      clearTimeout(timer);
    }
    this.#isActive = false;
  }

  readonly #restore = (): void => {
    this.#keyboard?.setRawMode(false);
  };

  readonly #interrupt = (): void => {
    this.isInterrupted = true;
    this.#stir();
  };

  readonly #typed = (data: Uint8Array): void => {
    const toGuest: number[] = [];
    for (const key of data) {
      if (this.#isEscaped) this.#escape(key, toGuest);
      else if (key === CTRL_A) this.#isEscaped = true;
      else if (key === CTRL_RIGHT_BRACKET || (key === CTRL_C && !this.#end.takesKeys()))
        this.isInterrupted = true;
      else toGuest.push(key);
    }
    if (toGuest.length > 0) {
      this.hasTyped = true;
      this.#end.send(Uint8Array.from(toGuest));
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
    // As before Ctrl-C went to the guest by itself.
    else toGuest.push(letter === "c" ? CTRL_C : key);
  }
}
