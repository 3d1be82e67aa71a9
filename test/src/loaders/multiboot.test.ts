import { describe, expect, it } from "vitest";
import type { LoadOptions, LoadPlan } from "../../../src/loaders/image.js";
import { memoryMap } from "../../../src/loaders/multiboot-info.js";
import { planMultiboot } from "../../../src/loaders/multiboot.js";
import { elf, file, multibootHeader, type ElfFields, type Segment } from "./images.js";

const MiB = 2 ** 20;
const CODE: Segment = {
  offset: 0x1000,
  virtual: 0x100000n,
  physical: 0x100000n,
  fileBytes: 0x1000,
};
const HIGH_HALF = 0xffffffff80000000n;

function kernel(fields: Partial<ElfFields> = {}): Uint8Array {
  return elf({ bits: 32, entry: 0x100010n, segments: [CODE], ...fields });
}

function plan(image: Uint8Array, options: LoadOptions = {}, ramBytes = 8 * MiB): LoadPlan {
  return planMultiboot(image, "kernel.elf", ramBytes, options);
}

/** Guest RAM after the plan was carried out. */
function memory({ pieces }: LoadPlan): DataView {
  const ram = new Uint8Array(8 * MiB).fill(0xee);
  for (const { address, bytes, length } of pieces) {
    ram.fill(0, address, address + length);
    ram.set(bytes, address);
  }
  return new DataView(ram.buffer);
}

function text(ram: DataView, address: number): string {
  let end = address;
  while (ram.getUint8(end) !== 0) end++;
  return new TextDecoder().decode(new Uint8Array(ram.buffer, address, end - address));
}

describe("Multiboot kernel, ELF", () => {
  it.each([32, 64] as const)("of %i bits goes to its physical addresses", (bits) => {
    const data = {
      offset: 0x2000,
      virtual: 0x200000n,
      physical: 0x300000n,
      fileBytes: 0x10,
      memoryBytes: 0x1000,
    };
    const { pieces, start } = plan(kernel({ bits, segments: [CODE, data] }));
    expect(
      pieces.slice(0, 2).map(({ address, length, bytes }) => [address, length, bytes.length]),
    ).toEqual([
      [0x100000, 0x1000, 0x1000],
      [0x300000, 0x1000, 0x10],
    ]);
    expect(start).toMatchObject({ mode: "protected", eip: 0x100010, eax: 0x2badb002 });
  });

  it.each([
    ["virtual", 64, HIGH_HALF + 0x100010n],
    ["physical", 64, 0x100010n],
  ] as const)("is entered at the physical address of a %s entry", (_, bits, entry) => {
    const segments = [{ ...CODE, virtual: HIGH_HALF + 0x100000n }];
    expect(plan(kernel({ bits, entry, segments })).start).toMatchObject({ eip: 0x100010 });
  });

  it("ignores segments that are not to be loaded", () => {
    const note = { ...CODE, type: 4, physical: 0xf0000000n };
    expect(plan(kernel({ segments: [note, CODE] })).pieces[0]!.address).toBe(0x100000);
  });

  // what is wrong, fields, code, words of the sentence
  it.each<[string, Partial<ElfFields>, string, string]>([
    ["big-endian", { dataEncoding: 2 }, "IMAGE_MALFORMED", "big-endian"],
    [
      "for another machine",
      { machine: 40 },
      "IMAGE_MALFORMED",
      "machine 40 in a 32-bit file is not x86",
    ],
    ["x86-64 code in a 32-bit file", { machine: 62 }, "IMAGE_MALFORMED", "is not x86"],
    ["without program headers", { segments: [] }, "IMAGE_MALFORMED", "no program headers"],
    [
      "without a loadable segment",
      { segments: [{ ...CODE, type: 4 }] },
      "IMAGE_MALFORMED",
      "no loadable segment",
    ],
    [
      "with small program headers",
      { programHeaderBytes: 16 },
      "IMAGE_MALFORMED",
      "16 bytes are too small",
    ],
    [
      "with program headers outside",
      { programHeaderOffset: 0x2ff0 },
      "IMAGE_MALFORMED",
      "behind the end of the file",
    ],
    [
      "with a segment outside the file",
      { segments: [{ ...CODE, offset: 0x2001 }] },
      "IMAGE_MALFORMED",
      "segment 0 lies behind the end",
    ],
    [
      "larger in the file than in memory",
      { segments: [{ ...CODE, memoryBytes: 1 }] },
      "IMAGE_MALFORMED",
      "more bytes in the file",
    ],
    [
      "with its entry elsewhere",
      { entry: 0x5000n },
      "IMAGE_MALFORMED",
      "entry 0x5000 lies in no loadable segment",
    ],
    [
      "above 4 GiB",
      { bits: 64, segments: [{ ...CODE, physical: 1n << 32n }] },
      "IMAGE_DOES_NOT_FIT",
      "above 4 GiB",
    ],
    [
      "above the memory",
      { segments: [{ ...CODE, physical: 0x7ff001n }] },
      "IMAGE_DOES_NOT_FIT",
      "outside the 0x800000 bytes",
    ],
    [
      "with overlapping segments",
      { segments: [CODE, { ...CODE, physical: 0x100fffn }] },
      "IMAGE_OVERLAP",
      "overlaps segment 1 at 0x100fff",
    ],
    [
      "with unknown required features",
      { multibootFlags: 0x8 },
      "IMAGE_MALFORMED",
      "requires features",
    ],
    [
      "with the header too far in",
      { multibootOffset: 8192 },
      "IMAGE_MALFORMED",
      "no Multiboot header in the first 8192",
    ],
    [
      "with the header not aligned",
      { multibootOffset: 0x402 },
      "IMAGE_MALFORMED",
      "no Multiboot header",
    ],
  ])("is refused when it is %s", (_, fields, code, words) => {
    expect(() => plan(kernel(fields))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(words) }),
    );
    expect(() => plan(kernel(fields))).toThrow(/^kernel\.elf: /);
  });

  it("is refused when the checksum of its header is wrong", () => {
    const image = kernel();
    image[0x408]! ^= 1;
    expect(() => plan(image)).toThrow(expect.objectContaining({ code: "IMAGE_MALFORMED" }));
  });

  it("is accepted with the optional features and the ones that every loader has", () => {
    expect(() => plan(kernel({ multibootFlags: 0x7ffe0007 & ~0x10000 }))).not.toThrow();
  });
});

describe("Multiboot kernel with addresses", () => {
  // header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; header at file offset 0x100 of 0x400 bytes
  const at = (...addresses: number[]) => file(0x400, [0x100, multibootHeader(0x10000, addresses)]);

  // fields, [load address, bytes in memory, file offset, bytes of the file], entry
  it.each([
    [[0x100100, 0x100000, 0, 0, 0x100200], [0x100000, 0x400, 0x000, 0x400], 0x100200],
    [[0x100100, 0x100080, 0, 0, 0x100200], [0x100080, 0x380, 0x080, 0x380], 0x100200],
    [[0x100100, 0x100100, 0x100300, 0, 0x100100], [0x100100, 0x200, 0x100, 0x200], 0x100100],
    [[0x100100, 0x100000, 0, 0x102000, 0x100000], [0x100000, 0x2000, 0x000, 0x400], 0x100000],
  ])("of %j is loaded as it says", (addresses, expected, entry) => {
    const image = at(...addresses);
    const { pieces, start } = plan(image);
    const { address, length, bytes } = pieces[0]!;
    expect([address, length, bytes.byteOffset, bytes.length]).toEqual(expected);
    expect(start).toMatchObject({ eip: entry });
  });

  it.each([
    [[0x100100, 0x100200, 0, 0, 0x100200], "contradicts"],
    [[0x100100, 0x0fff00, 0, 0, 0x100200], "contradicts"],
    [[0x100100, 0x100000, 0x100401, 0, 0x100000], "load_end_addr 0x100401"],
    [[0x100100, 0x100000, 0x0ff000, 0, 0x100000], "load_end_addr"],
    [[0x100100, 0x100000, 0, 0x100300, 0x100000], "bss_end_addr 0x100300"],
    [[0x100100, 0x100000, 0, 0, 0x100400], "entry_addr 0x100400"],
    [[0x100100, 0x100000, 0, 0, 0x0fffff], "entry_addr 0xfffff"],
  ])("of %j is refused: %s", (addresses, words) => {
    expect(() => plan(at(...addresses))).toThrow(
      expect.objectContaining({ code: "IMAGE_MALFORMED", message: expect.stringContaining(words) }),
    );
  });

  it("is refused when the header is cut off", () => {
    expect(() => plan(multibootHeader(0x10000, [0x100000]))).toThrow(
      expect.objectContaining({
        code: "IMAGE_MALFORMED",
        message: expect.stringContaining("cut off"),
      }),
    );
  });

  it("is refused without addresses when it is not ELF", () => {
    expect(() => plan(multibootHeader(0))).toThrow(
      expect.objectContaining({ message: expect.stringContaining("no load addresses") }),
    );
  });
});

describe("Multiboot information", () => {
  const modules = [
    { name: "initrd", bytes: Uint8Array.of(1, 2, 3), commandLine: "root=/dev/ram" },
    { name: "second", bytes: new Uint8Array(5000).fill(9) },
  ];
  const loaded = plan(kernel(), { commandLine: "console=ttyS0 smp", modules });
  const ram = memory(loaded);
  const info = (loaded.start as { ebx: number }).ebx;
  const field = (offset: number) => ram.getUint32(info + offset, true);

  it("lies on the first page behind the kernel", () => {
    expect(info).toBe(0x101000);
  });

  it("stays above 1 MiB for a kernel below it", () => {
    const low = plan(
      kernel({ entry: 0x10000n, segments: [{ ...CODE, virtual: 0x10000n, physical: 0x10000n }] }),
    );
    expect(low.start).toMatchObject({ ebx: 0x100000, eip: 0x10000 });
  });

  it("says which of its fields are valid", () => {
    expect(field(0)).toBe(0b10_0100_1101);
  });

  it("gives the memory in KiB", () => {
    expect([field(4), field(8)]).toEqual([639, 7 * 1024]);
  });

  it("gives the command line with the kernel's name first", () => {
    expect(text(ram, field(16))).toBe("kernel.elf console=ttyS0 smp");
  });

  it("gives the boot loader's name", () => {
    expect(text(ram, field(64))).toBe("x2vm");
  });

  it("lists modules on pages of their own", () => {
    expect(field(20)).toBe(2);
    const entries = [0, 1].map((i) =>
      [0, 4, 8, 12].map((offset) => ram.getUint32(field(24) + i * 16 + offset, true)),
    );
    expect(entries.map(([start, end]) => [start! % 4096, end! - start!])).toEqual([
      [0, 3],
      [0, 5000],
    ]);
    expect(entries.map(([, , line]) => text(ram, line!))).toEqual([
      "initrd root=/dev/ram",
      "second",
    ]);
    expect(entries.map((entry) => entry[3])).toEqual([0, 0]);
    expect([0, 1, 2].map((i) => ram.getUint8(entries[0]![0]! + i))).toEqual([1, 2, 3]);
    expect(ram.getUint8(entries[1]![1]! - 1)).toBe(9);
  });

  it("gives the memory map", () => {
    const entries: number[][] = [];
    for (let at = field(48); at < field(48) + field(44); at += ram.getUint32(at, true) + 4) {
      entries.push([4, 8, 12, 16, 20].map((offset) => ram.getUint32(at + offset, true)));
    }
    expect(entries).toEqual([
      [0, 0, 0x9fc00, 0, 1],
      [0x9fc00, 0, 0x400, 0, 2],
      [0xf0000, 0, 0x10000, 0, 2],
      [0x100000, 0, 7 * MiB, 0, 1],
    ]);
  });

  it.each([0x200000, 0x8000_0000])(
    "has a map of %#x bytes whose last entry ends there",
    (ramBytes) => {
      const last = memoryMap(ramBytes).at(-1)!;
      expect(last.address + last.length).toBe(ramBytes);
    },
  );

  it("is refused where modules do not fit", () => {
    const large = [{ name: "large.img", bytes: new Uint8Array(7 * MiB) }];
    expect(() => plan(kernel(), { modules: large })).toThrow(
      expect.objectContaining({
        code: "IMAGE_DOES_NOT_FIT",
        message: expect.stringContaining("module large.img"),
      }),
    );
  });
});
