/** The page of `x2vm bench ipi --html`. */
import { HOT_ADD_STAGES, type HotAddResult } from "../hot-add.js";
import { dryRunOf } from "../ipi-report.js";
import { IPI_GROUPS, type IpiGroup } from "../ipi-rows.js";
import type { IpiResult } from "../ipi.js";
import { peerNames } from "../peer-report.js";
import { number, rate } from "../text.js";
import type { ChartData } from "./data.js";
import { bar, escape, htmlTable, pageOf, section, type Column } from "./page.js";
import { PEERS, peerTable } from "./peer-table.js";
import { PUBLISHED, PUBLISHED_CAVEAT } from "./published.js";

export interface IpiPageInput {
  readonly results: readonly IpiResult[];
  readonly hotAdds: readonly HotAddResult[];
  /** Lines about the run: policy, host, peers. */
  readonly about: readonly string[];
}

const STAGE_COLORS = ["#5b8fc9", "#d08a4f", "#63a67f", "#b073a0", "#a59a4a"];

/** @returns a whole document */
export function ipiPage({ results, hotAdds, about }: IpiPageInput): string {
  const charts = [throughputChart(results), latencyChart(results)].filter(
    ({ pictures }) => pictures.length > 0,
  );
  const has = (id: string) => charts.some((chart) => chart.id === id);
  return pageOf({
    title: "x2vm: interrupts between CPUs",
    about: about.map((line) => `<p class="dim">${escape(line)}</p>`).join("\n"),
    charts,
    sections: [
      tiles(results),
      has("throughput")
        ? section("Throughput over the number of CPUs", THROUGHPUT, chartBox("throughput"))
        : "",
      has("latency") ? section("Latency", LATENCY, chartBox("latency")) : "",
      results.length > 0
        ? section("Normalised to the dry run", NORMALISED, normalised(results))
        : "",
      peerNames(results).length > 0
        ? section("Beside other machines", PEERS, peerTable(results))
        : "",
      hotAdds.length > 0 ? section("Hot-add, by stage", HOT_ADD, hotAddBody(hotAdds)) : "",
      section("KVM on bare metal, as published", escape(PUBLISHED_CAVEAT), published()),
      results.length > 0 ? section("All figures", ALL, allFigures(results)) : "",
    ],
  });
}

const THROUGHPUT =
  "Interrupts that arrive in a second of wall time, all CPUs together: the guest's own ICR writes, handlers, EOIs and IRETs. " +
  "Median of the runs.";
const LATENCY =
  "Part of the interrupts whose handler began so many virtual nanoseconds after the send or earlier. Virtual time counts " +
  "instructions of CPUs that run side by side; it is the same in every run.";
const NORMALISED =
  "Wall time of an interrupt as a multiple of one turn of the empty loop (dry run) on the same machine, as kernel people print it.";
const HOT_ADD =
  "A CPU is added to the running machine, found, woken by INIT and STARTUP, seen at work, ejected. Virtual nanoseconds, median.";
const ALL =
  "Instructions and latencies are the guest's, the same in every run. Times are medians, with the range of all runs.";

function chartBox(id: string): string {
  return `<div id="${id}"></div>`;
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

function throughputChart(results: readonly IpiResult[]): ChartData {
  const modes = distinct(results.map(({ mode }) => mode));
  const groups = groupsOf(results);
  return {
    id: "throughput",
    x: "CPUs",
    y: "interrupts a second",
    isLogX: true,
    isLogY: true,
    isStepped: false,
    choices: [
      { name: "pattern", values: groups },
      { name: "APIC", values: modes },
    ],
    pictures: groups.flatMap((group) =>
      modes.map((mode) => {
        const chosen = results.filter((each) => each.row.group === group && each.mode === mode);
        return {
          chosen: [group, mode],
          lines: distinct(chosen.map(({ row }) => row)).map((row) => ({
            label: row.title,
            points: chosen
              .filter((each) => each.row === row)
              .map(({ cpus, nsEach }) => [cpus, 1e9 / nsEach.median] as const)
              .toSorted(([a], [b]) => a - b),
          })),
        };
      }),
    ),
  };
}

function latencyChart(results: readonly IpiResult[]): ChartData {
  const measured = results.filter(({ distribution }) => distribution.length > 0);
  const modes = distinct(measured.map(({ mode }) => mode));
  const counts = distinct(measured.map(({ cpus }) => cpus)).toSorted((a, b) => a - b);
  const groups = groupsOf(measured);
  return {
    id: "latency",
    x: "virtual ns from send to handler",
    y: "part of the interrupts, %",
    isLogX: true,
    isLogY: false,
    isStepped: true,
    choices: [
      { name: "pattern", values: groups },
      { name: "CPUs", values: counts.map(String) },
      { name: "APIC", values: modes },
    ],
    pictures: groups.flatMap((group) =>
      counts.flatMap((cpus) =>
        modes.map((mode) => ({
          chosen: [group, String(cpus), mode],
          lines: measured
            .filter((each) => each.row.group === group && each.cpus === cpus && each.mode === mode)
            .map(({ row, distribution }) => ({
              label: row.title,
              points: [
                [Math.max(distribution[0]!.ns - 1, 1), 0] as const,
                ...distribution.map(({ ns, part }) => [Math.max(ns, 1), part * 100] as const),
              ],
            })),
        })),
      ),
    ),
  };
}

/** Without the dry run, which sends nothing. */
function groupsOf(results: readonly IpiResult[]): IpiGroup[] {
  return IPI_GROUPS.filter(
    (group) => group !== "base" && results.some(({ row }) => row.group === group),
  );
}

/** The best figures that people ask for first. */
function tiles(results: readonly IpiResult[]): string {
  const best = (name: string) =>
    results
      .filter(({ row }) => row.name === name)
      .toSorted((a, b) => a.nsEach.median - b.nsEach.median)[0];
  const found = ["pingpong-halt", "broadcast-halt", "self", "wake-broadcast"].flatMap((name) => {
    const result = best(name);
    return result === undefined ? [] : [result];
  });
  const tile = ({ row, cpus, mode, nsEach }: IpiResult) =>
    `<div class="tile"><b>${rate(1e9 / nsEach.median)}/s</b><span>${escape(row.title)}<br>${cpus} CPUs, ${mode}</span></div>`;
  return found.length === 0 ? "" : `<div class="tiles">${found.map(tile).join("")}</div>`;
}

function normalised(results: readonly IpiResult[]): string {
  const rows = results.flatMap((result) => {
    const dry = dryRunOf(results, result);
    if (dry === undefined || result.row.group === "base") return [];
    return [{ result, times: result.nsEach.median / dry.nsEach.median }];
  });
  if (rows.length === 0) return "<p>The dry run was not among the patterns.</p>";
  const machines = distinct(rows.map(({ result }) => machineName(result)));
  const titles = distinct(rows.map(({ result }) => result.row.title));
  const most = Math.max(...rows.map(({ times }) => times));
  const columns: Column[] = [
    { head: "pattern", isWord: true },
    ...machines.flatMap((head): Column[] => [{ head }, { head: "", isWord: true }]),
  ];
  return htmlTable(
    columns,
    titles.map((title) => [
      escape(title),
      ...machines.flatMap((machine) => {
        const row = rows.find(
          ({ result }) => result.row.title === title && machineName(result) === machine,
        );
        if (row === undefined) return ["", ""];
        const part = Math.log(Math.max(row.times, 1)) / Math.log(most);
        return [number(row.times), `<div style="width:70px">${bar(part)}</div>`];
      }),
    ]),
  );
}

function machineName({ cpus, mode }: IpiResult): string {
  return `${mode}, ${cpus}`;
}

function hotAddBody(hotAdds: readonly HotAddResult[]): string {
  const keys = HOT_ADD_STAGES.map(
    (stage, i) =>
      `<span class="named"><span class="key" style="background:${STAGE_COLORS[i]!}"></span>${stage}</span>`,
  );
  const rows = hotAdds.map(({ cpus, mode, apicId, stages, all }) => {
    const parts = HOT_ADD_STAGES.map((stage, i) => {
      const { p50 } = stages.get(stage)!;
      const style = `flex:${p50};background:${STAGE_COLORS[i]!}`;
      return `<div title="${stage}: ${p50} ns" style="${style}">${p50}</div>`;
    });
    return [
      mode,
      String(cpus),
      `0x${apicId.toString(16)}`,
      `<div class="stages">${parts.join("")}</div>`,
      `${all.p50} ns`,
    ];
  });
  const columns: Column[] = [
    { head: "APIC", isWord: true },
    { head: "CPUs before" },
    { head: "new ID" },
    { head: "stages", isWord: true },
    { head: "in all" },
  ];
  return `<p class="note">${keys.join(" ")}</p>${htmlTable(columns, rows)}`;
}

function published(): string {
  const columns: Column[] = [
    { head: "figure", isWord: true },
    { head: "µs" },
    { head: "machine", isWord: true },
    { head: "source", isWord: true },
  ];
  return htmlTable(
    columns,
    PUBLISHED.map(({ what, us, text, machine, source, url }) => [
      escape(what),
      us ?? text ?? "",
      escape(machine),
      `<a href="${escape(url)}">${escape(source)}</a>`,
    ]),
  ).replaceAll('<td class="word">', '<td class="word wrap">');
}

function allFigures(results: readonly IpiResult[]): string {
  const columns: Column[] = [
    { head: "pattern", isWord: true },
    { head: "APIC", isWord: true },
    ...["CPUs", "interrupts/s", "ns each", "from – to", "CPU ns", "instructions"].map((head) => ({
      head,
    })),
    ...["p50", "p90", "p99", "most"].map((head) => ({ head })),
  ];
  return htmlTable(
    columns,
    results.map(({ row, mode, cpus, nsEach, cpuNsEach, instructionsEach, latency }) => [
      escape(row.title),
      mode,
      String(cpus),
      rate(1e9 / nsEach.median),
      number(nsEach.median),
      `${number(nsEach.least)} – ${number(nsEach.most)}`,
      number(cpuNsEach.median),
      number(instructionsEach),
      ...(latency === undefined
        ? ["", "", "", ""]
        : [latency.p50, latency.p90, latency.p99, latency.most].map(String)),
    ]),
  );
}
