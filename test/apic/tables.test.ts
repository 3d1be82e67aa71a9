/** The decision tables, every cell, run through the model. */
import { describe, expect, it } from "vitest";
import { deliver } from "./model.js";
import { FIXED, INIT, NMI, STARTUP } from "./model-types.js";
import { MODEL_POLICIES } from "./presets.js";
import { CASE_ROWS } from "./rows-cases.js";
import { MIXED_ROWS } from "./rows-mixed.js";
import { expectations, machineOf, messageIn, type Expectation } from "./rows.js";

const cells = expectations([...MIXED_ROWS, ...CASE_ROWS]).map(
  (cell) => [`${cell.row.name} under ${cell.policy}`, cell] as [string, Expectation],
);

const sorted = (ids: readonly number[]): number[] => [...ids].sort((a, b) => a - b);

describe("decision tables, by the model", () => {
  it.each(cells)("%s", (_, { row, policy, ids, path }) => {
    for (const mode of [NMI, INIT, STARTUP, FIXED]) {
      const cpus = machineOf(row, policy);
      const got = deliver(cpus, messageIn(row, cpus, mode), MODEL_POLICIES[policy]);
      const takes = (id: number): boolean =>
        mode !== FIXED || cpus.find((cpu) => cpu.x2id === id)!.sw;
      expect(sorted(got.accepted.map((p) => cpus[p]!.x2id))).toEqual(sorted(ids.filter(takes)));
      if (path !== null) expect(got.path).toBe(path);
    }
  });
});
