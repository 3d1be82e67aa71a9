/** Tables, records and sentences about peers. */
import { describe, expect, it } from "vitest";
import type { PeerFigure } from "../../../src/bench/ipi-peers.js";
import { peerCells, peerFields, peerNotes, standing } from "../../../src/bench/peer-report.js";
import { ipiResult, summary } from "../../support/ipi-result.js";

const result = (figure: PeerFigure) => ipiResult("self", 2, "xapic", figure);
const faster = result({ nsEach: summary(50) });
const slower = result({ nsEach: summary(250), cpuNsEach: summary(230), way: "thread=single" });
const over = result({ overNs: 5000 });
const missing = result({ reason: "no x2APIC" });

describe("a peer's figure", () => {
  it.each([
    ["that is a time", faster, ["50.0", "0.50 x"]],
    ["of an unusual way", slower, ["250*", "2.50 x"]],
    ["that is a bound", over, ["> 5000", "> 50.0 x"]],
    ["that is missing", missing, ["-", ""]],
  ])("%s has its cells", (_, each, cells) => {
    expect(peerCells(each, "QEMU")).toEqual(cells);
  });

  it.each([
    ["that is a time", slower, [250, 230, null, 2.5, "thread=single", null]],
    ["that is a bound", over, [null, null, 5000, 50, null, null]],
    ["that is missing", missing, [null, null, null, null, null, "no x2APIC"]],
  ])("%s has its fields", (_, each, values) => {
    const fields = peerFields(each, "QEMU");
    expect(fields.map(([, value]) => value)).toEqual(values);
    expect(fields.map(([name]) => name)).toEqual([
      "qemuNsPerIpi",
      "qemuCpuNsPerIpi",
      "qemuNsPerIpiOver",
      "qemuTimesX2vm",
      "qemuWay",
      "qemuNote",
    ]);
  });
});

describe("peerNotes", () => {
  it("explains the marks, and names every reason once", () => {
    expect(peerNotes([faster, slower, slower, over, missing, missing])).toEqual([
      "* QEMU with thread=single, which was faster there.",
      "> means that the peer had not ended when it was stopped.",
      "Not compared: no x2APIC (2 rows).",
    ]);
  });

  it("says nothing where there is nothing to say", () => {
    expect(peerNotes([faster])).toEqual([]);
  });
});

describe("standing", () => {
  it("names the rows in which a peer is faster", () => {
    expect(standing([faster, slower, over, missing])).toBe(
      "x2vm is ahead in 2 of 3 comparisons, not in: self-IPI, 2 CPUs, xapic (QEMU: 0.50 x).",
    );
  });

  it("is short when there are none", () => {
    expect(standing([slower])).toBe("x2vm is ahead in 1 of 1 comparisons.");
  });

  it("needs a figure", () => {
    expect(standing([missing])).toBeUndefined();
  });
});
