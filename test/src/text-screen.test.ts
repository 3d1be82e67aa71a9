import { describe, expect, it } from "vitest";
import { Machine, textScreen } from "../../src/index.js";

const SCREEN = 0xb8000;
const ROW_BYTES = 160;

async function machineOf(memoryBytes = 2 ** 20): Promise<Machine> {
  return Machine.create({ memoryBytes });
}

/** Characters with the colour of a screen after a BIOS. */
function cells(...codes: readonly number[]): Uint8Array {
  return Uint8Array.from(codes.flatMap((code) => [code, 0x07]));
}

describe("the text screen", () => {
  it("has no rows where nothing was written, or only blanks", async () => {
    const machine = await machineOf();
    expect(textScreen(machine)).toEqual([]);
    machine.writeMemory(SCREEN, cells(...Array.from({ length: 2000 }, () => 0x20)));
    expect(textScreen(machine)).toEqual([]);
  });

  it("gives characters of code page 437 without their colours", async () => {
    const machine = await machineOf();
    machine.writeMemory(SCREEN + 2, cells(0x48, 0x69, 0x01, 0x7f, 0x81, 0xdb, 0xfe, 0xff));
    machine.writeMemory(SCREEN + 24 * ROW_BYTES + 158, cells(0x21));
    const rows = textScreen(machine);
    expect(rows).toHaveLength(25);
    expect(rows[0]).toBe(" Hi☺⌂ü█■");
    expect(rows[1]).toBe("");
    expect(rows[24]).toBe(`${" ".repeat(79)}!`);
  });

  it("is not there in a machine with less memory", async () => {
    expect(textScreen(await machineOf(0xb8000))).toEqual([]);
  });
});
