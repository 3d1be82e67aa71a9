/** What Bochs is not asked to run. */
import { describe, expect, it } from "vitest";
import { obstacleOf } from "../../../../src/bench/peers/bochs.js";

describe("Bochs", () => {
  it.each([
    ["17 CPUs", "2.7", { cpus: 17, isLong: true }, undefined],
    ["18 CPUs", "2.7", { cpus: 18, isLong: true }, "Bochs 2.7 ends at 17 CPUs"],
    ["x2APIC mode", "2.7", { cpus: 2, isLong: true, isX2apic: true }, undefined],
    [
      "clusters of x2APIC mode, whose LDR it leaves 0",
      "2.7",
      { cpus: 2, isLong: true, isX2apic: true, hasClusters: true },
      "no logical IDs in x2APIC mode in Bochs 2.7",
    ],
    ["the same in another version", "3.0", { cpus: 2, isLong: true, hasClusters: true }, undefined],
  ])("%s", (_, version, needs, obstacle) => {
    expect(obstacleOf(version, needs)).toBe(obstacle);
  });
});
