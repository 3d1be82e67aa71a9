import { describe, expect, it } from "vitest";
import { Stopwatch } from "../../../src/bench/stopwatch.js";

function take(stopwatch: Stopwatch, text: string): void {
  for (const byte of new TextEncoder().encode(text)) stopwatch.take(byte);
}

describe("Stopwatch", () => {
  it("tells of a line when its line feed arrives, and not before", () => {
    const told: string[] = [];
    const stopwatch = new Stopwatch(({ text }) => told.push(text));
    take(stopwatch, "START");
    expect(told).toEqual([]);
    take(stopwatch, "\r\nticks 1\nDO");
    expect(told).toEqual(["START", "ticks 1"]);
    expect(stopwatch.lines.map(({ text }) => text)).toEqual(told);
  });

  it("gives later lines no earlier time", () => {
    const stopwatch = new Stopwatch();
    take(stopwatch, "a\nb\n");
    expect(stopwatch.lines[1]!.atMs).toBeGreaterThanOrEqual(stopwatch.lines[0]!.atMs);
  });
});
