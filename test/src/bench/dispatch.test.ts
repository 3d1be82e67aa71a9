import { describe, expect, it } from "vitest";
import {
  coreTarget,
  DISPATCH_ROWS,
  measureDispatch,
  type DispatchTarget,
} from "../../../src/bench/dispatch.js";
import { dispatchRecords, dispatchTable } from "../../../src/bench/dispatch-report.js";

const SHORT = { ms: 1, turns: 2 };

describe("the dispatch loop", () => {
  // CPUs: fewer than a cluster has, more than it has
  it.each([2, 5, 40])("has every interrupt taken and ended, %i CPUs", async (cpus) => {
    const target = await coreTarget(64);
    for (const row of DISPATCH_ROWS) {
      const { nsEach } = measureDispatch(row, cpus, [target], SHORT);
      expect(nsEach.get("x2vm")!.least, row.name).toBeGreaterThan(0);
    }
  });

  it("ends with the CPU whose interrupt did not come", async () => {
    const deaf = { ...(await coreTarget(64)), name: "deaf" };
    const lossy = {
      ...deaf,
      create: (cpus: number) => ({ ...deaf.create(cpus), acknowledge: () => -1 }),
    };
    expect(() => measureDispatch(DISPATCH_ROWS[0]!, 2, [lossy], SHORT)).toThrow(
      "CPU 1 acknowledged -1, not 80",
    );
  });

  it("goes to all other CPUs in turn", () => {
    const dests: number[] = [];
    const plain: DispatchTarget = {
      name: "plain",
      create: () => ({
        send: (_, dest) => dests.push(dest),
        acknowledge: () => 0x50,
        endOfInterrupt: () => {},
      }),
    };
    measureDispatch(DISPATCH_ROWS[0]!, 5, [plain], { ms: 0, turns: 1 });
    expect(dests.slice(0, 9)).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1]);
  });

  it("is shown with the ratio of each target to the first", async () => {
    const summary = (median: number) => ({ median, least: median, most: median });
    const nsEach = new Map([
      ["x2vm", summary(20)],
      ["model", summary(500)],
    ]);
    const results = [{ row: DISPATCH_ROWS[0]!, cpus: 16, nsEach }];
    expect(dispatchTable(results)).toMatch(
      /16 │ +50\.0 M │ +20\.0 │ 20\.0 - 20\.0 │ +500 │ +25\.0 x/,
    );
    expect(dispatchRecords(results)).toEqual([
      { pattern: "unicast", cpus: 16, nsEach: { x2vm: 20, model: 500 } },
    ]);
  });
});
