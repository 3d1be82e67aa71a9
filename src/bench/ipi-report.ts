/** Results of the IPI benchmark as a table, as CSV and as JSON. */
import Table from "cli-table3";
import type { IpiResult } from "./ipi.js";

/** A table for the terminal. */
export function ipiTable(results: readonly IpiResult[]): string {
  const hasPeer = results.some(({ peer }) => peer !== undefined);
  const table = new Table({
    head: [
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
      ...(hasPeer ? ["QEMU ns/IPI", "speed to QEMU"] : []),
    ],
    colAligns: ["left", "left", ...Array.from({ length: 10 }, () => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const result of results) {
    const { row, mode, cpus, nsEach, cpuNsEach, instructionsEach, latency } = result;
    table.push([
      row.title,
      mode,
      String(cpus),
      rate(1e9 / nsEach.median),
      number(nsEach.median),
      `${number(nsEach.least)} - ${number(nsEach.most)}`,
      number(cpuNsEach.median),
      number(instructionsEach),
      ...(latency === undefined ? ["", ""] : [latency.p50, latency.p99].map(String)),
      ...(hasPeer ? peerCells(result) : []),
    ]);
  }
  return table.toString();
}

function peerCells({ peer, nsEach }: IpiResult): string[] {
  if (peer === undefined) return ["", ""];
  if ("reason" in peer) return [peer.reason, ""];
  return [number(peer.nsEach.median), number(peer.nsEach.median / nsEach.median)];
}

/** A plain object for each case: numbers in nanoseconds, latencies in virtual ones. */
export function ipiRecords(results: readonly IpiResult[]) {
  return results.map((result) => {
    const { row, mode, cpus, interrupts, nsEach, cpuNsEach, instructionsEach, latency, peer } =
      result;
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
      latencySamples: latency?.samples ?? null,
      latencyLeast: latency?.least ?? null,
      latencyP50: latency?.p50 ?? null,
      latencyP90: latency?.p90 ?? null,
      latencyP99: latency?.p99 ?? null,
      latencyMost: latency?.most ?? null,
      qemuNsPerIpi: peer !== undefined && "nsEach" in peer ? round(peer.nsEach.median) : null,
      qemuNote: peer !== undefined && "reason" in peer ? peer.reason : null,
    };
  });
}

/** The records as CSV with a line of names. No value holds a comma or a quote. */
export function ipiCsv(results: readonly IpiResult[]): string {
  const records = ipiRecords(results);
  const names = Object.keys(records[0] ?? {});
  const lines = records.map((record) => Object.values(record).map((value) => value ?? ""));
  return [names, ...lines].map((cells) => `${cells.join(",")}\n`).join("");
}

function rate(perSecond: number): string {
  if (perSecond >= 1e6) return `${number(perSecond / 1e6)} M`;
  return perSecond >= 1e3 ? `${number(perSecond / 1e3)} k` : number(perSecond);
}

/** Three significant digits or so. */
function number(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
