/** The result of the compute benchmark as a table. */
import Table from "cli-table3";
import type { Kernel } from "./kernels.js";
import { summarize, type Summary } from "./statistics.js";

export interface Row {
  readonly kernel: Kernel;
  /** Wall time of each run on x2vm, ns. */
  readonly here: number[];
  /** The same by the CPU time of this process, which other programs on the host do not stretch. */
  readonly cpu: number[];
  /** The same on the peer; empty without one. */
  readonly there: number[];
  /** Guest instructions of one run. */
  instructions: number;
}

/** @param hasPeer - whether to show the peer's columns */
export function computeTable(rows: readonly Row[], hasPeer: boolean): string {
  const peerHead = hasPeer ? ["QEMU", "from - to", "speed of x2vm to QEMU"] : [];
  const table = new Table({
    head: ["kernel", "unit", "x2vm", "from - to", "by CPU time", ...peerHead],
    colAligns: ["left", "left", "right", "right", "right", "right", "right", "right"],
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) {
    const here = summarize(row.here.map((ns) => inUnit(row, ns)));
    const cpu = summarize(row.cpu.map((ns) => inUnit(row, ns)));
    const there = hasPeer ? summarize(row.there.map((ns) => inUnit(row, ns))) : undefined;
    table.push([
      row.kernel.title,
      unit(row.kernel),
      ...cells(here),
      number(cpu.median),
      ...peerCells(row, there),
    ]);
  }
  return table.toString();
}

/** A median and its range, as text. */
export function figure(summary: Summary, unit: string): string {
  const [median, range] = cells(summary);
  return `${median} ${unit}  (${range})`;
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

function peerCells({ here, there }: Row, summary: Summary | undefined): string[] {
  if (summary === undefined) return [];
  return [...cells(summary), number(summarize(there).median / summarize(here).median)];
}

/** Three significant digits or so. */
function number(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
