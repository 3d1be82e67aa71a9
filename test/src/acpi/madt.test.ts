/** Entries of the MADT: ACPI Specification, "Multiple APIC Description Table (MADT)". */
import { describe, expect, it } from "vitest";
import { madtBody } from "../../../src/acpi/madt.js";
import { AcpiTables } from "../../../src/acpi/tables.js";

const HEADER_BYTES = 8; // of the body: address and flags

interface Entry {
  readonly type: number;
  readonly bytes: readonly number[];
}

/** The entries of a MADT for CPUs with these IDs, as many of them enabled as are said to be. */
function entries(apicIds: readonly number[], enabled = apicIds.length): Entry[] {
  const body = [...madtBody(apicIds.map((apicId, n) => ({ apicId, isEnabled: n < enabled })))];
  const found: Entry[] = [];
  for (let at = HEADER_BYTES; at < body.length; at += body[at + 1]!) {
    found.push({ type: body[at]!, bytes: body.slice(at, at + body[at + 1]!) });
  }
  return found;
}

const types = (apicIds: readonly number[]): number[] => entries(apicIds).map(({ type }) => type);

describe("the MADT", () => {
  it.each([
    [0, 0],
    [1, 0],
    [254, 0],
    [255, 9],
    [256, 9],
    [0x123, 9],
    [0xfffffffe, 9],
  ])("has CPU %i as type %i", (apicId, type) => {
    expect(types(apicId === 0 ? [0] : [0, apicId])[apicId === 0 ? 0 : 1]).toBe(type);
  });

  it("has a CPU as type 9 when its UID needs more than 8 bits", () => {
    const many = Array.from({ length: 254 }, (_, n) => n);
    const found = types([...many, ...Array.from({ length: 3 }, (_, n) => 0x200 + n), 254]);
    expect(found[253]).toBe(0);
    expect(found[257]).toBe(9);
  });

  it("has the boot CPU first, whatever its ID", () => {
    expect(entries([0x123, 0])[0]!.bytes.slice(4, 8)).toEqual([0x23, 1, 0, 0]);
    expect(entries([5, 0])[0]!.bytes[3]).toBe(5);
  });

  it.each([
    [0, 4],
    [0x123, 8],
  ])("has CPU %i, which may come, not enabled", (second, flagsAt) => {
    const [, cpu] = entries([7, second], 1);
    expect(cpu!.bytes.slice(flagsAt, flagsAt + 4)).toEqual([0, 0, 0, 0]);
  });

  // Linux asks for "online capable" (flag bit 1) from FADT 6.3 on.
  it("needs no flag of ACPI 6.3, since the FADT is older", () => {
    const block = new AcpiTables([{ apicId: 0, isEnabled: true }]).blockAt(0x1000);
    const text = String.fromCharCode(...block);
    const fadt = text.indexOf("FACP");
    expect([block[fadt + 8], block[fadt + 131]]).toEqual([6, 1]);
  });

  it.each([
    ["short IDs", [0, 1, 254], [4, 6, 0xff, 0, 0, 1]],
    ["one CPU", [0], [4, 6, 0xff, 0, 0, 1]],
    ["an ID of 255", [0, 255], [10, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]],
    ["a long ID", [0, 0x123], [10, 12, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]],
  ])("says once that LINT1 of all CPUs is NMI: %s", (_, apicIds, bytes) => {
    const nmi = entries(apicIds).filter(({ type }) => type === 4 || type === 10);
    expect(nmi.map((entry) => entry.bytes)).toEqual([bytes]);
  });

  it("says it in 32 bits when a UID needs them", () => {
    const many = Array.from({ length: 256 }, (_, n) => (n < 255 ? n : 0x300));
    expect(types(many).filter((type) => type === 4 || type === 10)).toEqual([10]);
  });

  it("ends with the I/O APIC", () => {
    expect(entries([0]).at(-1)!.bytes).toEqual([1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
  });
});
