import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { scalePage } from "../../../src/bench/html/scale-page.js";
import { scaleRecords, scaleTable, sparseRecords } from "../../../src/bench/scale-report.js";
import { measureScale, measureSparse, sparseIds } from "../../../src/bench/scale.js";

const guest = (name: string) => fileURLToPath(new URL(`../../../guests/${name}`, import.meta.url));
const OPTIONS = {
  millionPath: guest("million.bin"),
  ipiBenchPath: guest("ipi-bench.bin"),
  repetitions: 1,
};

describe("measureScale", () => {
  it("has a figure for every part, and shows it", async () => {
    const result = await measureScale(20, OPTIONS);
    const { cpus, residentBytes, ...summaries } = result;
    expect(cpus).toBe(20);
    expect(residentBytes).toBeGreaterThan(0);
    for (const [name, { median }] of Object.entries(summaries)) {
      expect(median, name).toBeGreaterThan(0);
      expect(median, name).toBeLessThan(1e6);
    }
    expect(scaleTable([result])).toMatch(/│ +20 │/);
    expect(scaleRecords([result])[0]).toMatchObject({
      cpus: 20,
      createMs: { median: expect.any(Number) },
    });
    const page = scalePage({ results: [result], sparse: [], about: [] });
    expect(page).toContain('<div id="in-all"></div>');
    expect(page).toContain('"unicast, each to another CPU"');
  });
});

describe("sparse IDs", () => {
  it("begin with the strangest and come once each", () => {
    expect(sparseIds(2)).toEqual([0, 0xfffffffe]);
    const ids = sparseIds(4096);
    expect(ids.slice(0, 3)).toEqual([0, 0xfffffffe, 0x12345678]);
    expect(new Set(ids).size).toBe(4096);
    expect(ids).not.toContain(0xffffffff);
    expect(ids.filter((id) => id > 4096).length).toBeGreaterThan(4000);
  });

  it("are found as dense ones are: every interrupt arrives", async () => {
    const [record] = sparseRecords([await measureSparse(20, OPTIONS)]);
    expect(record!.cpus).toBe(20);
    expect(record!.denseNs.median).toBeGreaterThan(0);
    expect(record!.sparseNs.median).toBeGreaterThan(0);
  });
});
