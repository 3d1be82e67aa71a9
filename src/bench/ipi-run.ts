/** One run of a case of the IPI benchmark: what the guest is told, and what it says. */
import type { ApicMode, IpiRow } from "./ipi-rows.js";
import type { TimedLine } from "./stopwatch.js";

/** A pattern, a number of CPUs and an APIC mode. */
export interface IpiCase {
  readonly row: IpiRow;
  readonly cpus: number;
  readonly mode: ApicMode;
}

export function commandLineOf({ row, mode }: IpiCase, count: number): string {
  return `${row.name} count=${count} ${mode}-only`;
}

/** The guest said why it could not run a row. */
export class NoRowError extends Error {
  readonly why: string;

  constructor(lines: readonly TimedLine[]) {
    const texts = lines.map(({ text }) => text);
    super(`No row ran: ${texts.join(" | ")}`);
    this.why =
      texts.find((text) => text.startsWith("FAIL "))?.replace(/^FAIL \w+: /, "") ?? "no row";
  }
}

/** The lines at both ends of what is measured, and how many interrupts came in between. @throws NoRowError */
export function sectionOf<Line extends TimedLine>(lines: readonly Line[]) {
  const start = lines.find(({ text }) => text === "START");
  const end = lines.find(({ text }) => text.startsWith("interrupts "));
  if (start === undefined || end === undefined) {
    throw new NoRowError(lines);
  }
  return { start, end, count: Number(/^interrupts (\d+)/.exec(end.text)![1]) };
}
