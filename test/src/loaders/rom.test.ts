import { describe, expect, it } from "vitest";
import * as abi from "../../../assembly/abi.js";
import { planLoad } from "../../../src/loaders/load.js";
import { ROM_LOW_BYTES, ROM_MAX_BYTES } from "../../../src/loaders/rom.js";
import { bootSector, elf, file, multibootHeader } from "./images.js";

const KiB = 1024;
const MiB = 2 ** 20;
const VECTOR = 16;
const KERNEL = elf({
  bits: 32,
  entry: 0x100010n,
  segments: [{ offset: 0x1000, virtual: 0x100000n, physical: 0x100000n, fileBytes: 0x1000 }],
});

/** @param code - at the reset vector */
function rom(length: number, code: readonly number[] = [0xea]): Uint8Array {
  return file(length, [length - VECTOR, Uint8Array.from(code)]);
}

describe("ROM", () => {
  it("has the sizes that the core has room for", () => {
    expect([ROM_MAX_BYTES, ROM_LOW_BYTES]).toEqual([abi.ROM_MAX_BYTES, abi.ROM_LOW_BYTES]);
  });

  it.each([
    ["64 KiB with a far jump", rom(64 * KiB)],
    ["16 MiB with NOP, NOP, near jump", rom(16 * MiB, [0x90, 0x90, 0xe9])],
    ["128 KiB with WBINVD, short jump", rom(128 * KiB, [0x0f, 0x09, 0xeb])],
    [
      "one whose code carries a Multiboot header",
      file(
        64 * KiB,
        [0x100, multibootHeader(0x10000, [0xffff0100, 0xffff0000, 0, 0, 0xffff0120])],
        [0xfff0, Uint8Array.of(0xe9)],
      ),
    ],
  ])("is %s", (_, image) => {
    expect(planLoad(image, 2 * MiB).format).toBe("rom");
  });

  it.each([
    [
      "a boot sector of that size",
      file(64 * KiB, [510, Uint8Array.of(0x55, 0xaa)], [0xfff0, Uint8Array.of(0xea)]),
      "boot-sector",
    ],
    [
      "a Multiboot kernel in ELF",
      file(64 * KiB, [0, KERNEL], [0xfff0, Uint8Array.of(0xea)]),
      "multiboot",
    ],
  ])("is not %s", (_, image, format) => {
    expect(planLoad(image, 2 * MiB).format).toBe(format);
  });

  it("shows its last 128 KiB below 1 MiB, read-only", () => {
    const image = rom(256 * KiB);
    const plan = planLoad(image, MiB);
    expect(plan.start).toEqual({ mode: "reset" });
    expect(plan.pieces).toHaveLength(1);
    expect(plan.pieces[0]).toMatchObject({ address: 0xe0000, length: 128 * KiB });
    expect(plan.rom!.bytes).toBe(image);
    expect(plan.rom!.readOnlyLowBytes).toBe(128 * KiB);
  });

  it("that is small shows whole", () => {
    const plan = planLoad(rom(4 * KiB), MiB, { format: "rom" });
    expect(plan.pieces[0]).toMatchObject({ address: 0xff000, length: 4 * KiB });
    expect(plan.rom!.readOnlyLowBytes).toBe(4 * KiB);
  });

  it("can be shadowed: below 1 MiB is RAM then", () => {
    const plan = planLoad(rom(64 * KiB), MiB, { isShadowed: true });
    expect(plan.format).toBe("rom");
    expect(plan.pieces[0]).toMatchObject({ address: 0xf0000, length: 64 * KiB });
    expect(plan.rom!.readOnlyLowBytes).toBe(0);
  });

  // what is wrong, image, RAM, options, code, words of the sentence
  it.each([
    ["empty", new Uint8Array(0), MiB, {}, "IMAGE_MALFORMED", "the file is empty"],
    ["of part of a page", rom(5000), MiB, {}, "IMAGE_MALFORMED", "a multiple of 4096 bytes long"],
    ["too long", rom(16 * MiB + 4096), MiB, {}, "IMAGE_DOES_NOT_FIT", "at most 16 MiB"],
    ["without RAM below it", rom(4096), MiB - 4096, {}, "IMAGE_DOES_NOT_FIT", "lies outside"],
    [
      "given a command line",
      rom(4096),
      MiB,
      { commandLine: "x" },
      "BAD_OPTION",
      "this is loaded as rom",
    ],
    [
      "given an address",
      rom(4096),
      MiB,
      { address: 0xf0000 },
      "BAD_OPTION",
      "this is loaded as rom",
    ],
  ])("is refused when it is %s", (_, image, ramBytes, options, code, words) => {
    expect(() => planLoad(image, ramBytes, { format: "rom", ...options })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(words) }),
    );
  });

  it("is all that can be shadowed", () => {
    expect(() => planLoad(bootSector(), MiB, { format: "boot-sector", isShadowed: true })).toThrow(
      expect.objectContaining({ code: "BAD_OPTION" }),
    );
  });
});
