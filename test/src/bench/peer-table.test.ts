/** The table of peers on the page: grouped by kind, the numbers of CPUs side by side. */
import { describe, expect, it } from "vitest";
import { peerTable } from "../../../src/bench/html/peer-table.js";
import { ipiResult, summary } from "../../support/ipi-result.js";

const RESULTS = [
  ipiResult("mesh", 16, "xapic", { nsEach: summary(300) }),
  ipiResult("self", 16, "xapic", { overNs: 5000 }),
  ipiResult("self", 2, "xapic", { nsEach: summary(250), cpuNsEach: summary(230) }),
  ipiResult("self", 2, "x2apic", { reason: "no <x2APIC>" }),
];

/** The texts of the cells, by line. */
function linesOf(html: string): string[][] {
  return [...html.matchAll(/<tr>(.*?)<\/tr>/gs)].map(([, line]) =>
    [...line!.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/gs)].map(([, cell]) =>
      cell!.replaceAll(/<(?:[^>"]|"[^"]*")*>/g, ""),
    ),
  );
}

describe("the table of peers", () => {
  const html = peerTable(RESULTS);

  it("has a line for each pattern and mode that a peer ran, under the name of its kind", () => {
    expect(linesOf(html)).toEqual([
      ["", "2 CPUs", "16 CPUs"],
      ["pattern", "APIC", "x2vm ns", "QEMU", "x2vm ns", "QEMU"],
      ["one to one"],
      ["self-IPI", "xapic", "100", "2.50 x", "100", "> 50.0 x"],
      ["one to many"],
      ["all to all, spinning", "xapic", "", "", "100", "3.00 x"],
    ]);
  });

  it("spans each number of CPUs over its columns", () => {
    expect([...html.matchAll(/colspan="(\d)"/g)].map(([, span]) => span)).toEqual(
      ["2", "2", "2"].concat(["6", "6"]),
    );
  });

  it("tells the peer's own times", () => {
    expect(html).toContain('title="250 ns, CPU time 230 ns"');
    expect(html).toContain('title="> 5000 ns"');
  });

  it("says what was not compared, as text", () => {
    expect(html).toContain("Not compared: no &lt;x2APIC> (1 row).");
  });
});
