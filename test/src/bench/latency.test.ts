import { describe, expect, it } from "vitest";
import { distributionOf, latencyOf, latencyOfSamples } from "../../../src/bench/latency.js";

const lines = (...texts: string[]) => texts.map((text) => ({ text, atMs: 0 }));

describe("latencyOf", () => {
  it("reads the guest's line", () => {
    const line = "latency samples 9, least 1, p50 2, p90 3, p99 4, most 5";
    const latency = { samples: 9, least: 1, p50: 2, p90: 3, p99: 4, most: 5 };
    expect(latencyOf(lines("START", line, "DONE"))).toEqual(latency);
  });

  it("knows rows without latencies", () => {
    expect(latencyOf(lines("START", "latency samples 0", "DONE"))).toBeUndefined();
  });
});

describe("distributionOf", () => {
  it("reads counts as parts of the whole", () => {
    expect(distributionOf(lines("distribution 7:1 9:3 20:4"))).toEqual([
      { ns: 7, part: 0.25 },
      { ns: 9, part: 0.75 },
      { ns: 20, part: 1 },
    ]);
  });

  it("is empty without the line", () => {
    expect(distributionOf(lines("START", "DONE"))).toEqual([]);
  });
});

describe("latencyOfSamples", () => {
  it("takes the smallest sample that so many do not exceed", () => {
    const samples = Array.from({ length: 100 }, (_, i) => 100 - i);
    const latency = { samples: 100, least: 1, p50: 50, p90: 90, p99: 99, most: 100 };
    expect(latencyOfSamples(samples)).toEqual(latency);
  });

  it("takes the one there is", () => {
    expect(latencyOfSamples([3])).toMatchObject({ least: 3, p50: 3, p99: 3, most: 3 });
  });
});
