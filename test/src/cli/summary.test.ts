import { describe, expect, it } from "vitest";
import { formatApicId, formatCount, formatNs } from "../../../src/cli/format.js";
import { exitStatus, summaryLine, type RunReport } from "../../../src/cli/summary.js";

const BASE = { instructions: 1234567, virtualNs: 2_130_000, isInterrupted: false, wallMs: 12.5 };

// report, words, exit status
const ROWS: [Partial<RunReport> & Pick<RunReport, "reason">, string, number][] = [
  [{ reason: "exit", exitCode: 1 }, "guest exit code 1", 1],
  [{ reason: "exit", exitCode: 0 }, "guest exit code 0", 0],
  [{ reason: "exit", exitCode: 0x1ff }, "guest exit code 511", 255],
  [{ reason: "budget" }, "instruction limit reached", 0],
  [{ reason: "time" }, "time limit reached", 0],
  [{ reason: "idle" }, "idle: every CPU waits", 0],
  [{ reason: "reset" }, "guest asked for a reset", 0],
  [{ reason: "shutdown", apicId: 0x23 }, "triple fault on CPU 0x23", 1],
  [{ reason: "budget", isInterrupted: true }, "interrupted", 130],
];

describe("summary", () => {
  it.each(ROWS)("of %j says '%s' and exits with %i", (report, words, status) => {
    const whole = { ...BASE, ...report };
    expect(summaryLine(whole)).toContain(words);
    expect(summaryLine(whole)).toContain(
      "1,234,567 instructions · 2.13 ms virtual · 12.50 ms wall · 98.8 MIPS",
    );
    expect(exitStatus(whole)).toBe(status);
  });
});

describe("numbers", () => {
  it.each([
    [0, "0 ns"],
    [999, "999 ns"],
    [1500, "1.50 µs"],
    [2e6, "2.00 ms"],
    [1.5e9, "1.50 s"],
    [65e9, "65.00 s"],
  ])("%d ns is %s", (ns, text) => {
    expect(formatNs(ns)).toBe(text);
  });

  it.each([
    [0, "0"],
    [999, "999"],
    [1000, "1,000"],
    [1234567, "1,234,567"],
  ])("%i is %s", (count, text) => {
    expect(formatCount(count)).toBe(text);
  });

  it.each([
    [0, "0x00"],
    [0x123, "0x123"],
    [0xfffffffe, "0xfffffffe"],
  ])("APIC ID %i is %s", (apicId, text) => {
    expect(formatApicId(apicId)).toBe(text);
  });
});
