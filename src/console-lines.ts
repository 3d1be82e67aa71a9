/** The guest's serial output, line by line. */

const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

export class ConsoleLines {
  readonly #tell: (line: string) => void;
  #bytes: number[] = [];

  /** @param tell - gets each line when it is complete, without its end */
  constructor(tell: (line: string) => void) {
    this.#tell = tell;
  }

  /** What stands in the line that is not complete yet. */
  get begun(): string {
    return decode(this.#bytes);
  }

  put(byte: number): void {
    if (byte === LINE_FEED) {
      const line = decode(this.#bytes);
      this.#bytes = [];
      this.#tell(line);
    } else if (byte !== CARRIAGE_RETURN) {
      this.#bytes.push(byte);
    }
  }
}

function decode(bytes: readonly number[]): string {
  return new TextDecoder().decode(Uint8Array.from(bytes));
}
