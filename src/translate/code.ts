/** Writes the body of a WebAssembly function: numbers in LEB128, labels by name instead of depth. */
import { V, W } from "./wasm.js";

/** A block or loop that a branch can name. */
export interface Label {
  readonly depth: number;
}

const VOID = 0x40;
const VECTOR_PREFIX = 0xfd;

export class Code {
  readonly bytes: number[] = [];
  #depth = 0;

  /** How many blocks are open. */
  get depth(): number {
    return this.#depth;
  }

  /** Instructions without operands in the code. */
  op(...opcodes: number[]): this {
    for (const opcode of opcodes) this.bytes.push(opcode);
    return this;
  }

  get(local: number): this {
    this.bytes.push(0x20);
    return this.unsigned(local);
  }
  set(local: number): this {
    this.bytes.push(0x21);
    return this.unsigned(local);
  }
  tee(local: number): this {
    this.bytes.push(0x22);
    return this.unsigned(local);
  }

  /** @param value - 32 bits, signed or not */
  i32(value: number): this {
    this.bytes.push(0x41);
    return this.signed(value | 0);
  }

  /** @param value - a whole number that a double holds exactly */
  i64(value: number): this {
    this.bytes.push(0x42);
    return this.signed(value);
  }

  /** @param low - bits 31:0; @param high - bits 63:32 */
  i64Halves(low: number, high: number): this {
    if (high === low >> 31) return this.i64(low | 0);
    if (high === 0) return this.i64(low >>> 0);
    this.bytes.push(0x42);
    // Ten groups of seven bits; the last has one.
    let [a, b] = [low >>> 0, high | 0];
    for (let i = 0; i < 9; i++) {
      this.bytes.push((a & 0x7f) | 0x80);
      a = ((a >>> 7) | (b << 25)) >>> 0;
      b >>= 7;
    }
    this.bytes.push(a & 0x7f);
    return this;
  }

  /** A constant. @param isWide - f64, else f32 */
  float(value: number, isWide: boolean): this {
    this.bytes.push(isWide ? 0x44 : 0x43);
    const view = new DataView(new ArrayBuffer(8));
    if (isWide) view.setFloat64(0, value, true);
    else view.setFloat32(0, value, true);
    for (let i = 0; i < (isWide ? 8 : 4); i++) this.bytes.push(view.getUint8(i));
    return this;
  }

  /** @param opcode - of M; @param offset - constant part of the address */
  memory(opcode: number, offset = 0): this {
    this.bytes.push(opcode, 0);
    return this.unsigned(offset);
  }

  /** @param opcode - of V, without an operand */
  vector(opcode: number): this {
    this.bytes.push(VECTOR_PREFIX);
    return this.unsigned(opcode);
  }
  /** @param opcode - load or store of V */
  vectorMemory(opcode: number, offset = 0): this {
    this.vector(opcode).bytes.push(0);
    return this.unsigned(offset);
  }

  /** @param lanes - bytes of two vectors, those of the second from 16 */
  shuffle(lanes: readonly number[]): this {
    return this.vector(V.shuffle).op(...lanes);
  }

  /** @param opcode - of V, with the number of a lane */
  lane(opcode: number, number: number): this {
    return this.vector(opcode).op(number);
  }

  /** A vector constant whose lanes, of 8 bytes or 4, are all alike. @param high - upper half of 8 bytes */
  splat(low: number, high = low): this {
    this.vector(V.const);
    for (const word of [low, high, low, high]) {
      for (let shift = 0; shift < 32; shift += 8) this.bytes.push((word >>> shift) & 0xff);
    }
    return this;
  }

  call(importIndex: number): this {
    this.bytes.push(0x10);
    return this.unsigned(importIndex);
  }

  block(): Label {
    this.bytes.push(0x02, VOID);
    return this.#open();
  }
  loop(): Label {
    this.bytes.push(0x03, VOID);
    return this.#open();
  }
  if(): Label {
    this.bytes.push(0x04, VOID);
    return this.#open();
  }
  else(): this {
    this.bytes.push(0x05);
    return this;
  }
  end(): this {
    this.#depth--;
    this.bytes.push(0x0b);
    return this;
  }
  br(label: Label): this {
    this.bytes.push(0x0c);
    return this.unsigned(this.#depth - label.depth);
  }
  brIf(label: Label): this {
    this.bytes.push(0x0d);
    return this.unsigned(this.#depth - label.depth);
  }
  return(): this {
    return this.op(W.return);
  }

  /** Branches to a block around all of this code. @param number - of the block, from the innermost */
  brOut(number: number): this {
    this.bytes.push(0x0c);
    return this.unsigned(this.#depth + number);
  }

  /** What another writer wrote, with all of its blocks ended. */
  append({ bytes }: Code): this {
    return this.op(...bytes);
  }

  /** LEB128. @param value - 0 .. 2^32-1 */
  unsigned(value: number): this {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.bytes.push((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.bytes.push(rest);
    return this;
  }

  /** LEB128. @param value - a whole number that a double holds exactly */
  signed(value: number): this {
    let rest = value;
    for (;;) {
      const group = ((rest % 128) + 128) % 128;
      rest = (rest - group) / 128;
      const isLast = (rest === 0 && group < 64) || (rest === -1 && group >= 64);
      this.bytes.push(isLast ? group : group | 0x80);
      if (isLast) return this;
    }
  }

  #open(): Label {
    this.#depth++;
    return { depth: this.#depth };
  }
}
