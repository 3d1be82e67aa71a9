/** The page of the IPI benchmark: complete, self-contained, and with every figure in it. */
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { measureHotAdd } from "../../../src/bench/hot-add.js";
import { ipiPage } from "../../../src/bench/html/ipi-page.js";
import { PUBLISHED } from "../../../src/bench/html/published.js";
import { IPI_ROWS } from "../../../src/bench/ipi-rows.js";
import { measureIpi, type IpiResult } from "../../../src/bench/ipi.js";

const imagePath = fileURLToPath(new URL("../../../guests/ipi-bench.bin", import.meta.url));
const OPTIONS = { imagePath, repetitions: 1, policy: "kvm", peers: [] };
const NAMES = ["dry", "self", "mesh"];

describe("the page", () => {
  let page = "";

  beforeAll(async () => {
    const results: IpiResult[] = [];
    for (const row of IPI_ROWS.filter(({ name }) => NAMES.includes(name))) {
      const measured = await measureIpi(
        { row: { ...row, inAll: 20 }, cpus: 2, mode: "x2apic" },
        OPTIONS,
      );
      results.push({ ...measured, peers: new Map([["QEMU", { reason: "no <x2APIC>" }]]) });
    }
    const hotAdds = [await measureHotAdd({ cpus: 2, mode: "x2apic" }, OPTIONS)];
    page = ipiPage({ results, hotAdds, about: ["Policy kvm & more."] });
  });

  it("refers to nothing outside but sources", () => {
    const addresses = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address);
    const sources: readonly string[] = PUBLISHED.map(({ url }) => url);
    expect(addresses.filter((address) => !sources.includes(address!))).toEqual([]);
    expect(page).not.toContain("@import");
  });

  it("holds the charting library and its style", () => {
    expect(page).toContain("var uPlot=");
    expect(page).toContain(".u-legend");
  });

  it("ends its scripts only where they end", () => {
    expect(page.match(/<script>/g)).toHaveLength(2);
    expect(page.match(/<\/script>/g)).toHaveLength(2);
  });

  it("draws distributions and throughput of each row that sends something", () => {
    const [, json] = /\}\)\((\[.*\]), uPlot\);<\/script>/s.exec(page)!;
    const charts = JSON.parse(json!) as {
      id: string;
      pictures: { chosen: string[]; lines: { label: string; points: number[][] }[] }[];
    }[];
    expect(charts.map(({ id }) => id)).toEqual(["throughput", "latency"]);
    for (const { pictures } of charts) {
      expect(pictures.map(({ lines }) => lines.map(({ label }) => label))).toEqual([
        ["self-IPI"],
        ["all to all, spinning"],
      ]);
    }
    expect(charts[1]!.pictures[0]!.lines[0]!.points.at(-1)![1]).toBe(100);
  });

  it("quotes published figures with their sources, and says what they are not", () => {
    for (const { what, source, url } of PUBLISHED) {
      expect(page).toContain(what);
      expect(page).toContain(source);
      expect(page).toContain(url);
    }
    expect(page).toContain("real traffic between cores and a real kernel's handler");
  });

  it("shows text as text", () => {
    expect(page).toContain("Policy kvm &amp; more.");
    expect(page).toContain("no &lt;x2APIC>");
  });
});
