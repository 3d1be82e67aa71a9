/** Results of the IPI benchmark as tables, as CSV and as plain objects. */
import { HOT_ADD_STAGES, type HotAddResult } from "./hot-add.js";
import type { IpiResult } from "./ipi.js";
import type { Latency } from "./latency.js";
import { peerCells, peerFields, peerNames } from "./peer-report.js";
import { number, rate, round, tableOf } from "./text.js";

/** A table for the terminal. */
export function ipiTable(results: readonly IpiResult[]): string {
  const peers = peerNames(results);
  const head = [
    "pattern",
    "APIC",
    "CPUs",
    "IPIs/s",
    "ns/IPI",
    "from - to",
    "CPU ns/IPI",
    "instr/IPI",
    "latency p50",
    "p99",
    ...peers.flatMap((name) => [`${name} ns/IPI`, "x2vm is"]),
  ];
  const rows = results.map((result) => {
    const { row, mode, cpus, nsEach, cpuNsEach, instructionsEach, latency } = result;
    return [
      row.title,
      mode,
      String(cpus),
      rate(1e9 / nsEach.median),
      number(nsEach.median),
      `${number(nsEach.least)} - ${number(nsEach.most)}`,
      number(cpuNsEach.median),
      number(instructionsEach),
      ...(latency === undefined ? ["", ""] : [latency.p50, latency.p99].map(String)),
      ...peers.flatMap((name) => peerCells(result, name)),
    ];
  });
  return tableOf(head, 2, rows);
}

/** A table of the stages of hot-add: virtual nanoseconds, each stage from the end of the one before. */
export function hotAddTable(results: readonly HotAddResult[]): string {
  const head = ["hot-add, by stage", "APIC", "CPUs", "p50", "p99", "least", "most"];
  const rows = results.flatMap(({ mode, cpus, stages, all }) =>
    [
      ...HOT_ADD_STAGES.map((stage) => [stage, stages.get(stage)!] as const),
      ["all", all] as const,
    ].map(([stage, latency]) => [stage, mode, String(cpus), ...latencyCells(latency)]),
  );
  return tableOf(head, 2, rows);
}

function latencyCells({ p50, p99, least, most }: Latency): string[] {
  return [p50, p99, least, most].map(String);
}

/** A plain object for each case: numbers in nanoseconds, latencies in virtual ones. */
export function ipiRecords(results: readonly IpiResult[]) {
  return results.map((result) => {
    const { row, mode, cpus, interrupts, nsEach, cpuNsEach, instructionsEach, latency } = result;
    const dry = dryRunOf(results, result);
    return {
      pattern: row.name,
      apic: mode,
      cpus,
      interrupts,
      ipisPerSecond: Math.round(1e9 / nsEach.median),
      nsPerIpi: round(nsEach.median),
      nsPerIpiLeast: round(nsEach.least),
      nsPerIpiMost: round(nsEach.most),
      cpuNsPerIpi: round(cpuNsEach.median),
      instructionsPerIpi: round(instructionsEach),
      timesDryRun: dry === undefined ? null : round(nsEach.median / dry.nsEach.median),
      latencySamples: latency?.samples ?? null,
      latencyLeast: latency?.least ?? null,
      latencyP50: latency?.p50 ?? null,
      latencyP90: latency?.p90 ?? null,
      latencyP99: latency?.p99 ?? null,
      latencyMost: latency?.most ?? null,
      ...Object.fromEntries([...result.peers.keys()].flatMap((name) => peerFields(result, name))),
    };
  });
}

/** The dry run of the same machine: what the other rows are normalised to. */
export function dryRunOf(
  results: readonly IpiResult[],
  { mode, cpus }: IpiResult,
): IpiResult | undefined {
  return results.find(
    (each) => each.row.name === "dry" && each.mode === mode && each.cpus === cpus,
  );
}

/** Hot-adds as plain objects: virtual nanoseconds by stage, each from the end of the one before. */
export function hotAddRecords(results: readonly HotAddResult[]) {
  return results.map(({ cpus, mode, apicId, stages, all, wallNs, cpuNs }) => ({
    apic: mode,
    cpus,
    apicId,
    stages: HOT_ADD_STAGES.map((stage) => ({ stage, ...stages.get(stage)! })),
    all,
    wallNs: round(wallNs),
    cpuNs: round(cpuNs),
  }));
}

/** The records as CSV with a line of names. No value holds a comma or a quote. */
export function ipiCsv(results: readonly IpiResult[]): string {
  const records = ipiRecords(results);
  const names = Object.keys(records[0] ?? {});
  const lines = records.map((record) => Object.values(record).map((value) => value ?? ""));
  return [names, ...lines].map((cells) => `${cells.join(",")}\n`).join("");
}
