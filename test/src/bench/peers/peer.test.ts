import { describe, expect, it } from "vitest";
import { cpuMsOf } from "../../../../src/bench/peers/cpu-time.js";
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
