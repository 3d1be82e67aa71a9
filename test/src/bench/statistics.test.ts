import { describe, expect, it } from "vitest";
import { summarize } from "../../../src/bench/statistics.js";

describe("summarize", () => {
  it.each([
    { samples: [5], median: 5, least: 5, most: 5 },
    { samples: [9, 1, 10], median: 9, least: 1, most: 10 },
    { samples: [10, 2, 4, 100], median: 7, least: 2, most: 100 },
  ])("finds the middle and the ends of $samples", ({ samples, ...expected }) => {
    expect(summarize(samples)).toEqual(expected);
  });

  it("leaves the samples in their order", () => {
    const samples = [3, 1, 2];
    summarize(samples);
    expect(samples).toEqual([3, 1, 2]);
  });
});
