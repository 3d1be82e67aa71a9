import { describe, expect, it } from "vitest";
import { createApicCore } from "../../../src/apic-machine.js";
import { reportLines } from "../../../src/cli/conform.js";
import { conform, type ApicTarget } from "../../../src/conform/conform.js";
import { coreTarget } from "../../../src/conform/core-target.js";
import { parseVectors, type Outcome } from "../../../src/conform/scenario.js";

/** NMI from 0x00 to 0x23, which 0x123 has as its 8-bit ID. */
const SCENARIO = {
  ids32: true,
  cpus: [
    { id: 0, mode: "x2" },
    { id: 0x23, mode: "x2" },
    { id: 0x123, mode: "x", sw: 0 },
  ],
  from: 0,
  dest: 0x23,
  dlv: 4,
};
const RIGHT = { acc: [0x23], ret: null, mpAfter: [0, 1, 1] };
const vector = (result: object) =>
  parseVectors(JSON.stringify({ ...SCENARIO, result: { ...RIGHT, ...result } }), "file");

const core = coreTarget(await createApicCore());

/** A target that always gives the same answer. */
const always = (outcome: Outcome): ApicTarget => ({
  name: "constant",
  run: () => outcome,
  explain: () => ["because"],
});

describe("conformance", () => {
  it("agrees where the outcome is the recorded one", () => {
    expect(conform(vector({}), core)).toEqual({
      target: "core",
      total: 1,
      agreed: 1,
      disagreements: [],
    });
  });

  it.each([
    [{ acc: [0x123] }, ["acc"]],
    [{ mpAfter: [0, 1, 2] }, ["mpAfter"]],
    [{ acc: [], ret: 0 }, ["acc", "ret"]],
  ])("tells the fields that differ from %j", (wrong, fields) => {
    expect(conform(vector(wrong), core).disagreements[0]?.fields).toEqual(fields);
  });

  it("compares CS selectors only where they were recorded", () => {
    const target = always({ ...RIGHT, cs: [[0x23, 0x9a00]] });
    expect(conform(vector({}), target).agreed).toBe(1);
    expect(conform(vector({ cs: [] }), target).disagreements[0]?.fields).toEqual(["cs"]);
  });

  it("counts all disagreements and keeps as many as asked for", () => {
    const wrong = Array.from({ length: 5 }, () => vector({ acc: [] })[0]!);
    const report = conform(wrong, core, 2);
    expect([report.agreed, report.total, report.disagreements.length]).toEqual([0, 5, 2]);
    expect(reportLines(report).at(-1)).toBe("0 of 5 scenarios agree, 5 differ");
    expect(reportLines(report)).toContain("(3 more that differ)");
  });

  it("shows scenario, expected, got and the core's reasons", () => {
    const text = reportLines(conform(vector({ acc: [0x23, 0x123] }), core)).join("\n");
    expect(text).toContain("line 1: acc differs");
    expect(text).toContain("0x123 x, xid 0x23, LDR 00000000, DFR ffffffff, software-disabled");
    expect(text).toContain("expected accepted 0x23 0x123, states 0 1 1");
    expect(text).toContain("got      accepted 0x23, states 0 1 1");
    expect(text).toContain("0x123 not selected: the map gives this ID to another CPU");
  });
});
