/**
 * Times what a guest does between two lines of its serial output.
 *
 * A line counts from the moment its line feed arrives. On x2vm that is the port write itself; from another program it
 * comes through a pipe, which adds some microseconds at both ends.
 */

/** A line of output and when it was complete. */
export interface TimedLine {
  readonly text: string;
  /** Milliseconds of the wall clock. */
  readonly atMs: number;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export class Stopwatch {
  readonly lines: TimedLine[] = [];
  #text = "";
  readonly #onLine: (line: TimedLine) => void;

  /** @param onLine - told of each line at once */
  constructor(onLine: (line: TimedLine) => void = () => {}) {
    this.#onLine = onLine;
  }

  /** Takes a byte of output. */
  take(byte: number): void {
    if (byte === CARRIAGE_RETURN) return;
    if (byte !== LINE_FEED) {
      this.#text += String.fromCharCode(byte);
      return;
    }
    const line = { text: this.#text, atMs: performance.now() };
    this.#text = "";
    this.lines.push(line);
    this.#onLine(line);
  }
}
