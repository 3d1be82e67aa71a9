/** How benchmarks write figures and tables. */
import Table from "cli-table3";
import type { Summary } from "./statistics.js";

/** Three significant digits or so. */
export function number(value: number): string {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** A range. */
export function range({ least, most }: Summary): string {
  return `${number(least)} - ${number(most)}`;
}

/** A median and its range. */
export function figure(summary: Summary, unit: string): string {
  return `${number(summary.median)} ${unit}  (${range(summary)})`;
}

/** A rate, as in "5.31 M". */
export function rate(perSecond: number): string {
  if (perSecond >= 1e6) return `${number(perSecond / 1e6)} M`;
  return perSecond >= 1e3 ? `${number(perSecond / 1e3)} k` : number(perSecond);
}

/** For JSON and CSV: hundredths are enough. */
export function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** @param words - columns from the left that hold words; the rest holds figures */
export function tableOf(
  head: readonly string[],
  words: number,
  rows: readonly (readonly string[])[],
): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, i) => (i < words ? "left" : "right")),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}
