/**
 * A 128-bit hash of a machine's state: equal states give equal hashes, on every engine.
 *
 * It is for comparing runs, not against forgery. Four 32-bit lanes of multiply and xor-shift, with the page number
 * mixed in, so that pages of zeros cost one look at each and nothing else.
 */

const PAGE_BYTES = 4096;
const PAGE_WORDS = PAGE_BYTES / 4;
const MULTIPLIER = 0x9e3779b1;

export class StateHash {
  readonly #lanes = new Int32Array([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]);

  /** Adds numbers. Their count is part of the hash. */
  words(words: ArrayLike<number>): void {
    this.#mix(words.length);
    for (let i = 0; i < words.length; i++) this.#mix(words[i]!);
  }

  text(text: string): void {
    this.words(new TextEncoder().encode(text));
  }

  /** Adds memory, if there is any. @param bytes - 4-byte aligned, a multiple of 4096 long */
  memory(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    for (let page = 0; page < words.length; page += PAGE_WORDS) {
      if (!isZeroPage(words, page)) this.#page(words, page);
    }
    this.#mix(words.length);
  }

  /** The hash as 32 hexadecimal digits. */
  digest(): string {
    const lanes = this.#lanes.slice();
    for (let round = 0; round < 8; round++) {
      const lane = round & 3;
      lanes[lane] = scramble(lanes[lane]! ^ lanes[(lane + 1) & 3]!);
    }
    return Array.from(lanes, (lane) => (lane >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #page(words: Int32Array, start: number): void {
    const lanes = this.#lanes;
    let a = lanes[0]! ^ scramble(start / PAGE_WORDS + 1);
    let b = lanes[1]!;
    let c = lanes[2]!;
    let d = lanes[3]!;
    for (let i = start; i < start + PAGE_WORDS; i += 4) {
      a = Math.imul(a ^ words[i]!, MULTIPLIER);
      b = Math.imul(b ^ words[i + 1]!, MULTIPLIER);
      c = Math.imul(c ^ words[i + 2]!, MULTIPLIER);
      d = Math.imul(d ^ words[i + 3]!, MULTIPLIER);
      // High bits only travel up in a product: bring them down, and across the lanes.
      a ^= b >>> 15;
      b ^= c >>> 13;
      c ^= d >>> 16;
      d ^= a >>> 14;
    }
    lanes[0] = a;
    lanes[1] = b;
    lanes[2] = c;
    lanes[3] = d;
  }

  #mix(word: number): void {
    const lanes = this.#lanes;
    const mixed = scramble(lanes[0]! ^ word);
    lanes[0] = lanes[1]!;
    lanes[1] = lanes[2]!;
    lanes[2] = lanes[3]! ^ mixed;
    lanes[3] = mixed;
  }
}

/** @param start - word at which the page begins */
export function isZeroPage(words: Int32Array, start: number): boolean {
  for (let i = start; i < start + PAGE_WORDS; i += 8) {
    const any =
      words[i]! |
      words[i + 1]! |
      words[i + 2]! |
      words[i + 3]! |
      words[i + 4]! |
      words[i + 5]! |
      words[i + 6]! |
      words[i + 7]!;
    if (any !== 0) return false;
  }
  return true;
}

/** Spreads every bit of a word over all bits. */
function scramble(word: number): number {
  let x = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}
