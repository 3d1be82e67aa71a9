/**
 * The inner loop against the limits of the engine that compiles it.
 *
 * V8 allocates registers for a function of more than 8,192 virtual registers by a quicker, worse method, and the loop
 * then runs at half its speed: no test fails, nothing else tells. Its size in bytes is a good measure: at 37,035 all was
 * well, at 37,231 it was not.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const CODE_SECTION = 10;
const MOST_BYTES = 36_000;

/** Sizes of the functions of a module, in bytes. */
function functionSizes(module: Uint8Array): number[] {
  let at = 8; // magic number and version
  const number = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < module.length) {
    const section = module[at++];
    const bytes = number();
    if (section === CODE_SECTION) {
      return Array.from({ length: number() }, () => {
        const size = number();
        at += size;
        return size;
      });
    }
    at += bytes;
  }
  throw new Error("a module without code");
}

describe("the inner loop", () => {
  it("is small enough to be compiled well", () => {
    const release = readFileSync(new URL("../../../build/release.wasm", import.meta.url));
    expect(Math.max(...functionSizes(release))).toBeLessThan(MOST_BYTES);
  });
});
