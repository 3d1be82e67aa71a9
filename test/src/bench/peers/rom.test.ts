import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { romOf } from "../../../../src/bench/peers/rom.js";

const image = readFileSync(new URL("../../../../guests/compute.bin", import.meta.url));

describe("romOf", () => {
  it("begins with the image and ends with a jump at the reset vector", () => {
    const rom = romOf(image, "alu");
    expect(rom).toHaveLength(0x20000);
    expect(rom.subarray(0, image.length)).toEqual(new Uint8Array(image));
    expect(rom[0x1fff0]).toBe(0xe9);
  });

  it("holds the command line", () => {
    expect(new TextDecoder("latin1").decode(romOf(image, "alu count=5"))).toContain(
      "alu count=5\0",
    );
  });

  it("refuses an image that does not fit", () => {
    const large = new Uint8Array(0x20000);
    large.set(image);
    expect(() => romOf(large, "")).toThrow("131072 bytes is too large");
  });
});
