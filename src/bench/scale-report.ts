/** Results of `x2vm bench scale` as tables and as plain objects. */
import type { ScaleResult, SparseResult } from "./scale.js";
import type { Summary } from "./statistics.js";
import { number, round, tableOf } from "./text.js";

export function scaleTable(results: readonly ScaleResult[]): string {
  const head = [
    "CPUs",
    "create, ms",
    "ns/CPU",
    "wake all, ms",
    "ns/CPU",
    "wake each, ms",
    "ns/CPU",
    "IPI to all, ms",
    "ns/CPU",
    "unicast, ns",
    "loop, MIPS",
    "start to halt, s",
    "memory, MB",
  ];
  const rows = results.map(({ cpus, createMs, wakeAllMs, wakeEachMs, broadcastMs, ...rest }) => [
    String(cpus),
    ...[createMs, wakeAllMs, wakeEachMs, broadcastMs].flatMap(({ median }) => [
      number(median),
      number((median * 1e6) / cpus),
    ]),
    number(rest.unicastNs.median),
    number(rest.loopMips.median),
    number(rest.startMs.median / 1e3),
    number(rest.residentBytes / 1e6),
  ]);
  return tableOf(head, 0, rows);
}

export function sparseTable(results: readonly SparseResult[]): string {
  const head = ["CPUs", "dense IDs, ns/IPI", "sparse IDs, ns/IPI", "sparse to dense"];
  const rows = results.map(({ cpus, denseNs, sparseNs }) => [
    String(cpus),
    number(denseNs.median),
    number(sparseNs.median),
    number(sparseNs.median / denseNs.median),
  ]);
  return tableOf(head, 0, rows);
}

/** Medians with the least and most of all runs. */
export function scaleRecords(results: readonly ScaleResult[]) {
  return results.map(({ cpus, residentBytes, ...summaries }) => ({
    cpus,
    residentBytes,
    ...Object.fromEntries(Object.entries(summaries).map(([name, each]) => [name, rounded(each)])),
  }));
}

export function sparseRecords(results: readonly SparseResult[]) {
  return results.map(({ cpus, denseNs, sparseNs }) => ({
    cpus,
    denseNs: rounded(denseNs),
    sparseNs: rounded(sparseNs),
  }));
}

function rounded({ median, least, most }: Summary): Summary {
  return { median: round(median), least: round(least), most: round(most) };
}
