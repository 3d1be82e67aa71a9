/** The result of the compute benchmark as a table. */
import Table from "cli-table3";
import type { Sample } from "./compute.js";
import type { Kernel } from "./kernels.js";
import { summarize, type Summary } from "./statistics.js";

export interface Row {
  readonly kernel: Kernel;
  readonly here: Sample[];
  /** By name of the peer. */
  readonly there: ReadonlyMap<string, Sample[]>;
  /** Guest instructions of one run. */
  instructions: number;
}

/** By CPU time where every machine's is known, else by wall time. */
export function computeTable(rows: readonly Row[], peers: readonly string[]): string {
  const peerHeads = peers.flatMap((name) => [name, "from - to", "x2vm is"]);
  const table = new Table({
    head: ["kernel", "unit", "x2vm", "from - to", ...peerHeads],
    colAligns: ["left", "left", ...Array.from({ length: 20 }, () => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) {
    const here = summarize(row.here.map((sample) => inUnit(row, nsOf(sample))));
    const peerCells = peers.flatMap((name) => {
      const samples = row.there.get(name)!;
      const there = summarize(samples.map((sample) => inUnit(row, nsOf(sample))));
      return [...cells(there), `${number(ratio(row.here, samples))} x`];
    });
    table.push([row.kernel.title, unit(row.kernel), ...cells(here), ...peerCells]);
  }
  return table.toString();
}

/** A median and its range, as text. */
export function figure(summary: Summary, unit: string): string {
  const [median, range] = cells(summary);
  return `${median} ${unit}  (${range})`;
}

/** The time that a sample counts by, ns. */
export function nsOf({ cpuNs, wallNs }: Sample): number {
  return cpuNs ?? wallNs;
}

/** How many times as fast the first is. */
function ratio(here: readonly Sample[], there: readonly Sample[]): number {
  return summarize(there.map(nsOf)).median / summarize(here.map(nsOf)).median;
}

function unit({ per }: Kernel): string {
  return per === undefined ? "MIPS" : `ns per ${per.what}`;
}

function inUnit({ kernel, instructions }: Row, ns: number): number {
  const { per, count } = kernel;
  return per === undefined ? (instructions / ns) * 1e3 : ns / (count * per.eachCount);
}

function cells({ median, least, most }: Summary): string[] {
  return [number(median), `${number(least)} - ${number(most)}`];
}

/** Three significant digits or so. */
function number(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
