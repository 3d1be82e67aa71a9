import { describe, expect, it } from "vitest";
import { Machine } from "../../src/index.js";
import { StateHash } from "../../src/state-hash.js";

const PAGE = 4096;

/** Hash of `pages` pages that are zero except for the given bytes. */
function hashOf(pages: number, ...bytes: readonly [offset: number, value: number][]): string {
  const memory = new Uint8Array(pages * PAGE);
  for (const [offset, value] of bytes) memory[offset] = value;
  const hash = new StateHash();
  hash.memory(memory);
  return hash.digest();
}

describe("StateHash", () => {
  it("is 32 hexadecimal digits, the same for the same memory", () => {
    expect(hashOf(4, [5, 1])).toMatch(/^[0-9a-f]{32}$/);
    expect(hashOf(4, [5, 1])).toBe(hashOf(4, [5, 1]));
  });

  it("tells apart every single bit, every place of it, and every size", () => {
    const hashes = new Set<string>();
    let count = 0;
    const add = (hash: string) => {
      hashes.add(hash);
      count++;
    };
    for (let bit = 0; bit < 8; bit++) add(hashOf(4, [0, 1 << bit]));
    for (let offset = 1; offset < 64; offset++) add(hashOf(4, [offset, 1]));
    for (let page = 1; page < 4; page++) add(hashOf(4, [page * PAGE, 1]));
    for (let pages = 1; pages < 8; pages++) add(hashOf(pages));
    add(hashOf(4, [PAGE - 1, 0x80]));
    add(hashOf(4, [0, 1], [PAGE, 1]));
    add(hashOf(4, [0, 1], [4, 1]));
    expect(hashes.size).toBe(count);
  });

  it("tells apart memory with two pages exchanged", () => {
    expect(hashOf(2, [0, 1], [PAGE, 2])).not.toBe(hashOf(2, [0, 2], [PAGE, 1]));
  });

  it("tells apart numbers by value, order and count", () => {
    const of = (...words: number[]) => {
      const hash = new StateHash();
      hash.words(words);
      return hash.digest();
    };
    const all = [of(), of(0), of(0, 0), of(1), of(1, 0), of(0, 1), of(1, 2), of(2, 1)];
    expect(new Set(all).size).toBe(all.length);
  });

  it("covers the last byte of 2 GiB", async () => {
    const machine = await Machine.create({ memoryBytes: 2 ** 31 });
    const before = machine.stateHash();
    machine.writeMemory(2 ** 31 - 1, Uint8Array.of(1));
    expect(machine.stateHash()).not.toBe(before);
  });
});
