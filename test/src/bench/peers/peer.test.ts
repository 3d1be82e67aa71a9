import { describe, expect, it } from "vitest";
import { cpuMsOf } from "../../../../src/bench/peers/cpu-time.js";
import { parseTimedLine, timedLine } from "../../../../src/bench/peers/timed-line.js";
import { findV86 } from "../../../../src/bench/peers/v86.js";
import { ticksOf } from "../../../../src/bench/peers/peer.js";

describe("ticksOf", () => {
  it.each([
    { line: "ticks 123, result 0x45", ticks: 123 },
    { line: "interrupts 7, ticks 8900", ticks: 8900 },
    { line: "DONE", ticks: undefined },
  ])("finds $ticks in $line", ({ line, ticks }) => {
    expect(ticksOf(line)).toBe(ticks);
  });
});

describe("cpuMsOf", () => {
  it.runIf(process.platform === "linux")("grows while a process computes", () => {
    const before = cpuMsOf(process.pid)!;
    const end = performance.now() + 20;
    while (performance.now() < end);
    expect(cpuMsOf(process.pid)!).toBeGreaterThan(before);
  });

  it("knows nothing of a process that is not there", () => {
    expect(cpuMsOf(2 ** 30)).toBeUndefined();
  });
});

describe("timedLine", () => {
  it("is read as it was written", () => {
    const line = { text: "ticks 1, result\t0x2", atMs: 12.5, cpuMs: 3 };
    expect(parseTimedLine(timedLine(line).trimEnd())).toEqual(line);
  });

  it("is not made of other output", () => {
    expect(parseTimedLine("a message\tof\tv86")).toBeUndefined();
  });
});

describe("findV86", () => {
  it("finds nothing in a folder without the package", () => {
    expect(findV86("no/such/folder")).toBeUndefined();
  });
});
