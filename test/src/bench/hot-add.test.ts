/** Hot-add by stage: all stages come, in their order, and in the same virtual time in every run. */
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { HOT_ADD_STAGES, hotAddObstacle, measureHotAdd } from "../../../src/bench/hot-add.js";
import { hotAddRecords } from "../../../src/bench/ipi-report.js";

const imagePath = fileURLToPath(new URL("../../../guests/ipi-bench.bin", import.meta.url));
const OPTIONS = { imagePath, policy: "kvm" };

describe("hot-add", () => {
  it.each([
    { mode: "x2apic", cpus: 3, apicId: 0x123 },
    { mode: "x2apic", cpus: 1, apicId: 0x123 },
    { mode: "xapic", cpus: 3, apicId: 3 },
  ] as const)("goes through every stage, $mode, beside $cpus CPUs", async ({ apicId, ...each }) => {
    const result = await measureHotAdd(each, OPTIONS);
    expect(result.apicId).toBe(apicId);
    let sum = 0;
    for (const stage of HOT_ADD_STAGES) {
      const latency = result.stages.get(stage)!;
      expect(latency.least, stage).toBeGreaterThan(0);
      expect(latency.samples).toBe(result.all.samples);
      sum += latency.least;
    }
    expect(result.all.least).toBeGreaterThanOrEqual(sum);
  });

  it("takes the same virtual time in every run", async () => {
    const each = { mode: "x2apic", cpus: 2 } as const;
    const [first, second] = [
      await measureHotAdd(each, OPTIONS),
      await measureHotAdd(each, OPTIONS),
    ];
    expect(second.stages).toEqual(first.stages);
    expect(second.all).toEqual(first.all);
  });

  it("comes as a plain object with a list of stages", async () => {
    const [record] = hotAddRecords([await measureHotAdd({ mode: "xapic", cpus: 1 }, OPTIONS)]);
    expect(record).toMatchObject({ apic: "xapic", cpus: 1, apicId: 1 });
    expect(record!.stages.map(({ stage }) => stage)).toEqual([...HOT_ADD_STAGES]);
  });

  it("has no ID left in xAPIC mode beside 255 CPUs", () => {
    expect(hotAddObstacle({ mode: "xapic", cpus: 255 })).toBe("xAPIC mode has no ID left");
    expect(hotAddObstacle({ mode: "x2apic", cpus: 255 })).toBeUndefined();
  });
});
