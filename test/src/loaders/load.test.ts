import { describe, expect, it } from "vitest";
import type { LoadOptions } from "../../../src/loaders/image.js";
import { planLoad } from "../../../src/loaders/load.js";
import { bootSector, elf, file, multibootHeader, words } from "./images.js";

const MiB = 2 ** 20;
const CODE32 = { offset: 0x1000, virtual: 0x100000n, physical: 0x100000n, fileBytes: 0x1000 };
const KERNEL32 = elf({ bits: 32, entry: 0x100010n, segments: [CODE32] });
const NAME = "disk.img";

describe("planLoad", () => {
  it.each([
    ["a Multiboot kernel", KERNEL32, "multiboot"],
    ["a boot sector", bootSector(), "boot-sector"],
    [
      "a boot sector with a Multiboot header",
      file(
        1024,
        [0, multibootHeader(0x10000, [0x100000, 0x100000, 0, 0, 0x100020])],
        [510, Uint8Array.of(0x55, 0xaa)],
      ),
      "multiboot",
    ],
  ])("recognises %s", (_, image, format) => {
    expect(planLoad(image, 4 * MiB, { name: NAME }).format).toBe(format);
  });

  it("takes an image with a load address as a flat binary, whatever it looks like", () => {
    expect(planLoad(bootSector(), MiB, { address: 0x8000 }).format).toBe("flat");
  });

  const elfWithoutHeader = elf({
    bits: 32,
    entry: 0x100000n,
    segments: [CODE32],
    multibootOffset: -1,
  });
  // what is wrong, image, options, code, words of the sentence
  it.each([
    ["an empty file", new Uint8Array(0), {}, "IMAGE_UNKNOWN_FORMAT", "the file is empty"],
    [
      "text",
      new TextEncoder().encode("hello"),
      {},
      "IMAGE_UNKNOWN_FORMAT",
      "neither a Linux or Multiboot kernel nor a boot sector",
    ],
    [
      "a Multiboot 2 kernel",
      file(64, [24, words([0xe85250d6, 0, 16, -(0xe85250d6 + 16)])]),
      {},
      "IMAGE_UNKNOWN_FORMAT",
      "a Multiboot 2 kernel, and only Multiboot 1",
    ],
    [
      "ELF without a Multiboot header",
      elfWithoutHeader,
      {},
      "IMAGE_UNKNOWN_FORMAT",
      "ELF file without a Multiboot header",
    ],
    [
      "an unknown format",
      bootSector(),
      { format: "qcow2" },
      "BAD_OPTION",
      '"qcow2" is not an image format',
    ],
    [
      "an address for a kernel",
      KERNEL32,
      { format: "multiboot", address: 0 },
      "BAD_OPTION",
      "a load address is for flat binaries",
    ],
    [
      "a command line for a boot sector",
      bootSector(),
      { commandLine: "x" },
      "BAD_OPTION",
      "a command line is for Multiboot and Linux kernels",
    ],
    [
      "modules for a flat binary",
      bootSector(),
      { address: 0, modules: [{ name: "m", bytes: new Uint8Array(1) }] },
      "BAD_OPTION",
      "modules are for Multiboot and Linux kernels",
    ],
    [
      "flat without an address",
      bootSector(),
      { format: "flat" },
      "BAD_OPTION",
      "needs a load address",
    ],
    [
      "a kernel asked for, text given",
      bootSector(),
      { format: "multiboot" },
      "IMAGE_MALFORMED",
      "no Multiboot header",
    ],
  ])("refuses %s, naming the file", (_, image, options, code, words) => {
    const load = () => planLoad(image, 4 * MiB, { ...options, name: NAME } as LoadOptions);
    expect(load).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(words) }),
    );
    expect(load).toThrow(/^disk\.img: .*\.$/s);
  });
});

describe("boot sector", () => {
  it("goes to 0x7c00 and starts there in real mode with DL = 0x80", () => {
    const { pieces, start } = planLoad(bootSector(), MiB);
    expect(pieces[0]).toMatchObject({ what: "the boot sector", address: 0x7c00, length: 512 });
    expect(start).toEqual({ mode: "real", cs: 0, ip: 0x7c00, dl: 0x80, sp: 0x7c00 });
  });

  it("brings the sectors that follow it, up to 640 KiB", () => {
    const room = 0xa0000 - 0x7c00;
    expect(planLoad(bootSector(room), MiB).pieces[0]!.length).toBe(room);
    expect(() => planLoad(bootSector(room + 1), MiB)).toThrow(
      expect.objectContaining({ code: "IMAGE_DOES_NOT_FIT" }),
    );
  });

  it.each([
    ["too short", bootSector().subarray(0, 511), MiB, "IMAGE_MALFORMED", "at least 512 bytes"],
    ["not signed", new Uint8Array(512), MiB, "IMAGE_MALFORMED", "signature 55 AA is missing"],
    [
      "too far up for the memory",
      bootSector(),
      0x7000,
      "IMAGE_DOES_NOT_FIT",
      "outside the 0x7000 bytes",
    ],
  ])("is refused when it is %s", (_, image, ramBytes, code, words) => {
    expect(() => planLoad(image, ramBytes, { format: "boot-sector" })).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(words) }),
    );
  });
});

describe("flat binary", () => {
  // load address, start
  it.each([
    [0x0000, { mode: "real", cs: 0, ip: 0, dl: 0, sp: 0 }],
    [0x7c01, { mode: "real", cs: 0, ip: 0x7c01, dl: 0, sp: 0 }],
    [0x10000, { mode: "real", cs: 0x1000, ip: 0, dl: 0, sp: 0 }],
    [0xf0000, { mode: "real", cs: 0xf000, ip: 0, dl: 0, sp: 0 }],
    [0x100000, { mode: "protected", eip: 0x100000, eax: 0, ebx: 0 }],
  ])("at %#x starts there", (address, start) => {
    const plan = planLoad(Uint8Array.of(0xf4), 2 * MiB, { address });
    expect(plan.start).toEqual(start);
    expect(plan.pieces).toEqual([
      { what: "the binary", address, bytes: Uint8Array.of(0xf4), length: 1 },
    ]);
  });

  it.each([
    [0x10008, "BAD_OPTION"],
    [-1, "BAD_OPTION"],
    [0.5, "BAD_OPTION"],
    [2 * MiB, "IMAGE_DOES_NOT_FIT"],
    [2 ** 40, "IMAGE_DOES_NOT_FIT"],
  ])("is refused at %d", (address, code) => {
    expect(() => planLoad(Uint8Array.of(0xf4), 2 * MiB, { address })).toThrow(
      expect.objectContaining({ code }),
    );
  });

  it("is refused when it is empty", () => {
    expect(() => planLoad(new Uint8Array(0), MiB, { address: 0 })).toThrow(
      expect.objectContaining({ code: "IMAGE_MALFORMED" }),
    );
  });
});
