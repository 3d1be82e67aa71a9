import { describe, expect, it } from "vitest";
import { Pace } from "../../../src/cli/pace.js";

describe("Pace", () => {
  // wall milliseconds since the last call, virtual nanoseconds that may pass
  it.each([
    [0, 1e6],
    [0.5, 1e6],
    [10, 10e6],
    [100, 100e6],
    [5000, 100e6],
  ])("after %d ms lets %d ns pass", (wallMs, expected) => {
    let now = 1000;
    const pace = new Pace(() => now);
    now += wallMs;
    expect(pace.allowance()).toBe(expected);
    expect(pace.allowance()).toBe(1e6);
  });
});
