/** The page of `x2vm bench scale --html`. */
import type { ScaleResult, SparseResult } from "../scale.js";
import { number } from "../text.js";
import type { ChartData, ChartLine } from "./data.js";
import { escape, htmlTable, pageOf, section } from "./page.js";

export interface ScalePageInput {
  readonly results: readonly ScaleResult[];
  readonly sparse: readonly SparseResult[];
  /** Lines about the run. */
  readonly about: readonly string[];
}

/** @returns a whole document */
export function scalePage({ results, sparse, about }: ScalePageInput): string {
  const line = (label: string, y: (result: ScaleResult) => number): ChartLine => ({
    label,
    points: results.map((result) => [result.cpus, y(result)] as const),
  });
  const chart = (id: string, y: string, lines: readonly ChartLine[]): ChartData => ({
    id,
    x: "CPUs",
    y,
    isLogX: true,
    isLogY: true,
    isStepped: false,
    choices: [],
    pictures: [{ chosen: [], lines }],
  });
  const most = results.at(-1);
  return pageOf({
    title: "x2vm: from two CPUs to a million",
    about: about.map((text) => `<p class="dim">${escape(text)}</p>`).join("\n"),
    charts: [
      chart("in-all", "CPU time, ms", [
        line("create", ({ createMs }) => createMs.median),
        line("wake all by one broadcast", ({ wakeAllMs }) => wakeAllMs.median),
        line("wake one by one", ({ wakeEachMs }) => wakeEachMs.median),
        line("one interrupt to all", ({ broadcastMs }) => broadcastMs.median),
      ]),
      chart("each", "ns", [
        line("unicast, each to another CPU", ({ unicastNs }) => unicastNs.median),
        line("instruction while all others are idle", ({ loopMips }) => 1e3 / loopMips.median),
      ]),
    ],
    sections: [
      most === undefined ? "" : tiles(most),
      section("What grows with the machine", GROWS, '<div id="in-all"></div>'),
      section("What does not", FLAT, '<div id="each"></div>'),
      sparse.length > 0 ? section("Sparse APIC IDs", SPARSE, sparseBody(sparse)) : "",
      section("All figures", "CPU time, median of the runs.", allFigures(results)),
    ],
  });
}

const GROWS =
  "CPU time of the whole, both axes logarithmic: a line that rises one step for each step to the right is linear in CPUs.";
const FLAT =
  "A unicast costs the same however many CPUs sleep, until their records fall out of the host's caches; " +
  "CPUs that sleep cost a running one nothing.";
const SPARSE =
  "One message to each CPU, with IDs 0, 1, 2 … and with IDs 0, 0xfffffffe, 0x12345678 … all over the 32 bits.";

function tiles({ cpus, createMs, wakeAllMs, startMs, residentBytes }: ScaleResult): string {
  const tile = (figure: string, what: string) =>
    `<div class="tile"><b>${figure}</b><span>${what}</span></div>`;
  return `<div class="tiles">${[
    tile(cpus.toLocaleString("en"), "CPUs in one machine"),
    tile(`${number(createMs.median / 1e3)} s`, "CPU time to create it"),
    tile(`${number(wakeAllMs.median / 1e3)} s`, "CPU time to wake all"),
    tile(`${number(startMs.median / 1e3)} s`, "wall time from start to the last halt"),
    tile(`${number(residentBytes / 1e9)} GB`, "memory of the process"),
  ].join("")}</div>`;
}

function sparseBody(sparse: readonly SparseResult[]): string {
  return htmlTable(
    ["CPUs", "dense, ns", "sparse, ns", "sparse to dense"].map((head) => ({ head })),
    sparse.map(({ cpus, denseNs, sparseNs }) => [
      String(cpus),
      number(denseNs.median),
      number(sparseNs.median),
      number(sparseNs.median / denseNs.median),
    ]),
  );
}

function allFigures(results: readonly ScaleResult[]): string {
  const head = [
    "CPUs",
    "create, ms",
    "wake all, ms",
    "wake each, ms",
    "IPI to all, ms",
    "unicast, ns",
    "loop, MIPS",
    "start to halt, ms",
    "memory, MB",
  ];
  return htmlTable(
    head.map((text) => ({ head: text })),
    results.map((result) => [
      result.cpus.toLocaleString("en"),
      ...[result.createMs, result.wakeAllMs, result.wakeEachMs, result.broadcastMs].map(
        ({ median }) => number(median),
      ),
      number(result.unicastNs.median),
      number(result.loopMips.median),
      number(result.startMs.median),
      number(result.residentBytes / 1e6),
    ]),
  );
}
