/** Results of `x2vm bench dispatch` as a table and as plain objects. */
import type { DispatchResult } from "./dispatch.js";
import { number, rate, round, tableOf } from "./text.js";

/** The first target is what the others are compared with. */
export function dispatchTable(results: readonly DispatchResult[]): string {
  const [first, ...others] = [...(results[0]?.nsEach.keys() ?? [])];
  const head = [
    "pattern",
    "CPUs",
    "interrupts/s",
    `${first} ns each`,
    "from - to",
    ...others.flatMap((name) => [`${name} ns each`, `${first} is`]),
  ];
  const rows = results.map(({ row, cpus, nsEach }) => {
    const own = nsEach.get(first!)!;
    return [
      row.title,
      String(cpus),
      rate(1e9 / own.median),
      number(own.median),
      `${number(own.least)} - ${number(own.most)}`,
      ...others.flatMap((name) => {
        const { median } = nsEach.get(name)!;
        return [number(median), `${number(median / own.median)} x`];
      }),
    ];
  });
  return tableOf(head, 1, rows);
}

export function dispatchRecords(results: readonly DispatchResult[]) {
  return results.map(({ row, cpus, nsEach }) => ({
    pattern: row.name,
    cpus,
    nsEach: Object.fromEntries([...nsEach].map(([name, { median }]) => [name, round(median)])),
  }));
}
