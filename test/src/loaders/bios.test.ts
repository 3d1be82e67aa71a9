import { describe, expect, it } from "vitest";
import { biosPieces } from "../../../src/loaders/bios.js";
import { piece, type LoadPiece } from "../../../src/loaders/image.js";
import { ONE_CPU, type LoadTarget } from "../../../src/loaders/load-target.js";
import { machineWith, serialOf, exit } from "../guest-code.js";

const MiB = 2 ** 20;
const VECTORS = "the interrupt vectors";
const ACPI = "the ACPI tables";
const MP = "the MP tables";

function named(pieces: readonly LoadPiece[], what: string): LoadPiece | undefined {
  return pieces.find((each) => each.what === what);
}

function cpus(count: number): LoadTarget {
  const all = Array.from({ length: count }, (_, apicId) => ({ apicId, isEnabled: true }));
  return { cpuCount: count, cpus: () => all, platform: "pc" };
}

describe("what a BIOS leaves", () => {
  const pieces = biosPieces([], MiB, ONE_CPU);

  it("is a data area that tells of the memory, the serial port and the screen", () => {
    const { bytes, address } = named(pieces, "the BIOS data area")!;
    const word = (at: number) => bytes[at - address]! | (bytes[at + 1 - address]! << 8);
    expect(word(0x400)).toBe(0x3f8);
    expect(word(0x40e)).toBe(0x9fc0);
    expect(word(0x413)).toBe(639);
    expect(bytes[0x449 - address]).toBe(3);
    expect(word(0x44a)).toBe(80);
    expect(word(0x463)).toBe(0x3d4);
  });

  it("is tables where they are looked for", () => {
    const text = ({ bytes }: LoadPiece) => new TextDecoder().decode(bytes.subarray(0, 8));
    const acpi = named(pieces, ACPI)!;
    expect([acpi.address, text(acpi)]).toEqual([0xe0000, "RSD PTR "]);
    const mp = named(pieces, MP)!;
    expect(text(mp)).toMatch(/^_MP_/);
    expect(mp.address % 16).toBe(0);
    expect(mp.address).toBeGreaterThanOrEqual(0xf0000);
    expect(mp.address + mp.length).toBeLessThanOrEqual(MiB);
  });

  it("is nothing where there is no memory of a PC", () => {
    expect(biosPieces([], MiB - 4096, ONE_CPU)).toEqual([]);
  });

  it("gives way to the image", () => {
    const image = [
      piece("the image", 0x3ff, new Uint8Array(1)),
      piece("more", 0xe0000, new Uint8Array(1)),
    ];
    const left = biosPieces(image, MiB, ONE_CPU).map(({ what }) => what);
    expect(left).not.toContain(VECTORS);
    expect(left).not.toContain(ACPI);
    expect(left).toContain("the BIOS data area");
    expect(left).toContain(MP);
  });

  it("has tables as long as they fit", () => {
    const tables = (count: number) =>
      [ACPI, MP].filter((what) => named(biosPieces([], MiB, cpus(count)), what) !== undefined);
    expect(tables(255)).toEqual([ACPI, MP]);
    expect(tables(512)).toEqual([ACPI, MP]);
    const asked = { ...cpus(513), cpus: () => expect.fail("they are not written") };
    expect(biosPieces([], MiB, asked).map(({ what }) => what)).not.toContain(ACPI);
  });
});

describe("software interrupts of a BIOS", () => {
  /** xor ax, ax; mov ds, ax */
  const DS_0 = [0x31, 0xc0, 0x8e, 0xd8];

  async function run(...code: readonly number[]) {
    const machine = await machineWith([...DS_0, ...code, ...exit(0)], { memoryBytes: MiB });
    const output = serialOf(machine);
    const result = machine.run({ maxInstructions: 1000 });
    return { result, output, cpu: machine.vcpus[0]! };
  }

  it("write characters to the serial port", async () => {
    // mov ax, 0e48h; int 10h; mov al, 'i'; int 10h
    const { result, output } = await run(0xb8, 0x48, 0x0e, 0xcd, 0x10, 0xb0, 0x69, 0xcd, 0x10);
    expect(result.reason).toBe("exit");
    expect(output.text).toBe("Hi");
  });

  it("do nothing for other video services", async () => {
    const { result, output } = await run(0xb8, 0x03, 0x00, 0xcd, 0x10); // mov ax, 3; int 10h
    expect([result.reason, output.text]).toEqual(["exit", ""]);
  });

  it.each([
    ["the memory", 0x12, 639],
    ["the equipment", 0x11, 0x0222],
  ])("tell %s", async (_, vector, value) => {
    const { cpu } = await run(0xcd, vector, 0x89, 0xc3); // mov bx, ax
    expect(cpu.gpr.rbx).toBe(BigInt(value));
  });

  it.each([0x13, 0x15, 0x16, 0x1a, 0xff])("say that there is no INT %#x", async (vector) => {
    // mov ah, 2; clc; int vector; mov bx, ax; sbb cx, cx
    const { cpu } = await run(0xb4, 2, 0xf8, 0xcd, vector, 0x89, 0xc3, 0x19, 0xc9);
    expect(cpu.gpr.rbx >> 8n).toBe(0x86n);
    expect(cpu.gpr.rcx).toBe(0xffffn);
  });

  it("are not those of hardware, which are ignored", async () => {
    // stc; int 8; int 70h; sbb cx, cx
    const { cpu } = await run(0xf9, 0xcd, 0x08, 0xcd, 0x70, 0x19, 0xc9);
    expect(cpu.gpr.rcx).toBe(0xffffn);
  });
});
