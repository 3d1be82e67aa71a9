import { describe, expect, it } from "vitest";
import { ticksOf } from "../../../src/bench/qemu.js";

describe("ticksOf", () => {
  it.each([
    { line: "ticks 123, result 0x45", ticks: 123 },
    { line: "interrupts 7, ticks 8900", ticks: 8900 },
    { line: "DONE", ticks: undefined },
  ])("finds $ticks in $line", ({ line, ticks }) => {
    expect(ticksOf(line)).toBe(ticks);
  });
});
