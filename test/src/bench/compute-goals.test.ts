/** Means and goals of the compute benchmark, from made-up times. */
import { describe, expect, it } from "vitest";
import { goalLines, verdictsOf } from "../../../src/bench/compute-goals.js";
import { computeTable } from "../../../src/bench/compute-report.js";
import type { Suite } from "../../../src/bench/compute-suite.js";
import { KERNELS } from "../../../src/bench/kernels.js";
import type { Peer } from "../../../src/bench/peers/peer.js";

/** Times of x2vm are 100 ns; those of the peer so many times that. */
function suite(peer: string, ratios: Readonly<Record<string, number>>): Suite {
  const rows = Object.entries(ratios).map(([name, ratio]) => ({
    kernel: KERNELS.find((kernel) => kernel.name === name)!,
    instructionsEach: 8,
    nsEach: new Map([
      ["x2vm", [100, 90, 200]],
      [peer, [100 * ratio]],
    ]),
  }));
  const peers = [{ name: peer } as Peer];
  return { guest: { bits: 64, imagePath: "" }, peers, obstacles: new Map(), rows };
}

describe("verdictsOf", () => {
  it.each([
    { ratios: { alu: 6, crc: 5 }, isMet: true, why: "crc 5.00 x" },
    { ratios: { alu: 6, crc: 4.9, sieve: 2 }, isMet: false, why: "crc 4.90 x, sieve 2.00 x" },
  ])("holds each integer kernel to 5 x Bochs: $why", ({ ratios, isMet, why }) => {
    expect(verdictsOf(suite("Bochs", ratios))).toEqual([
      { goal: "5 x Bochs on each of the integer kernels", isMet, why },
    ]);
  });

  it("holds the mean of the integer kernels to v86, whatever one of them does", () => {
    expect(verdictsOf(suite("v86", { alu: 8, crc: 0.5 }))).toEqual([
      { goal: "1 x v86, mean of the integer kernels", isMet: true, why: "2.00 x" },
    ]);
  });

  it("says nothing of a peer without goals", () => {
    expect(verdictsOf(suite("QEMU", { alu: 1 }))).toEqual([]);
  });
});

describe("goalLines", () => {
  it("gives the geometric mean of each kind of kernel", () => {
    expect(goalLines(suite("QEMU", { alu: 8, crc: 0.5, x87: 3 }))).toEqual([
      "geometric mean of the integer kernels: 2.00 x QEMU",
      "geometric mean of the floating-point kernels: 3.00 x QEMU",
    ]);
  });
});

describe("computeTable", () => {
  it("shows speeds of both machines and the ratio of their medians", () => {
    const line = computeTable(suite("QEMU", { alu: 4 }))
      .split("\n")
      .find((each) => each.includes("loop on registers"))!;
    const cells = line.split("│").map((cell) => cell.trim());
    expect(cells.slice(2, 8)).toEqual([
      "MIPS",
      "80.0",
      "40.0 - 88.9",
      "20.0",
      "20.0 - 20.0",
      "4.00 x",
    ]);
  });
});
