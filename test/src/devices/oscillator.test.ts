import { describe, expect, it } from "vitest";
import { Oscillator } from "../../../src/devices/oscillator.js";

describe("Oscillator", () => {
  it.each([
    [1193182, 0, 0],
    [1193182, 838, 0], // a tick takes 838.095 ns
    [1193182, 839, 1],
    [1193182, 1e9, 1193182],
    [1193182, 3600e9, 3600 * 1193182],
    [3579545, 279, 0],
    [3579545, 280, 1],
    [32768, 1e9 + 30517, 32768],
    [32768, 1e9 + 30518, 32769],
  ])("of %i Hz has at %i ns made %i ticks", (hertz, ns, ticks) => {
    expect(new Oscillator(hertz).ticks(ns)).toBe(ticks);
  });

  it.each([1193182, 3579545, 32768])("of %i Hz gives the first nanosecond of a tick", (hertz) => {
    const oscillator = new Oscillator(hertz);
    for (const tick of [1, 2, 17, hertz - 1, hertz, hertz + 1, 86400 * hertz + 12345]) {
      const ns = oscillator.ns(tick);
      expect([oscillator.ticks(ns - 1), oscillator.ticks(ns)]).toEqual([tick - 1, tick]);
    }
  });
});
