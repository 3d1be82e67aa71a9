import { describe, expect, it } from "vitest";
import { mpTables } from "../../../src/acpi/mp-table.js";

const ADDRESS = 0xf0000;
const POINTER = 16;
const ENTRY_BYTES = [20, 8, 8, 8, 8];

const sum = (bytes: Uint8Array) => bytes.reduce((a, b) => a + b, 0) & 0xff;

/** Entries by type, read as a kernel does. */
function parse(bytes: Uint8Array): { table: DataView; entries: Uint8Array[] } {
  const table = new DataView(bytes.buffer, POINTER, bytes.length - POINTER);
  const entries: Uint8Array[] = [];
  let at = 44;
  for (let i = 0; i < table.getUint16(34, true); i++) {
    const length = ENTRY_BYTES[table.getUint8(at)]!;
    entries.push(bytes.slice(POINTER + at, POINTER + at + length));
    at += length;
  }
  expect(at).toBe(table.getUint16(4, true));
  return { table, entries };
}

const CPUS = [
  { apicId: 0x23, isEnabled: true },
  { apicId: 0, isEnabled: true },
  { apicId: 0x42, isEnabled: false },
  { apicId: 0x123, isEnabled: true },
];

describe("the MP tables", () => {
  const bytes = mpTables(CPUS, "pc", ADDRESS);
  const { table, entries } = parse(bytes);

  it("begin with a pointer to the table, both with sums of zero", () => {
    const pointer = new DataView(bytes.buffer, 0, POINTER);
    expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe("_MP_");
    expect(pointer.getUint32(4, true)).toBe(ADDRESS + POINTER);
    expect(sum(bytes.subarray(0, POINTER))).toBe(0);
    expect(sum(bytes.subarray(POINTER))).toBe(0);
    expect(table.getUint32(36, true)).toBe(0xfee00000);
  });

  it("name the CPUs with 8-bit IDs that are there, the first as the one that boots", () => {
    const cpus = entries.filter(([type]) => type === 0);
    expect(cpus.map((each) => [each[1], each[3]])).toEqual([
      [0x23, 3],
      [0, 1],
    ]);
  });

  it("give the I/O APIC an ID that no CPU has", () => {
    expect(entries.find(([type]) => type === 2)![1]).toBe(1);
  });

  // platform, pin of IRQ 0
  it.each([
    ["pc", 2],
    ["minimal", 0],
  ] as const)("wire the ISA interrupts of %s", (platform, pin) => {
    const wires = parse(mpTables(CPUS, platform, ADDRESS)).entries.filter(([type]) => type === 3);
    expect(wires).toHaveLength(15);
    expect(wires.map((each) => [each[5], each[7]]).slice(0, 2)).toEqual([
      [0, pin],
      [1, 1],
    ]);
  });

  it("have ExtINT on LINT0 and NMI on LINT1 of all", () => {
    const wires = entries.filter(([type]) => type === 4);
    expect(wires.map((each) => [each[1], each[6], each[7]])).toEqual([
      [3, 0xff, 0],
      [1, 0xff, 1],
    ]);
  });
});
