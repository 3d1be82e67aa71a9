/** The patterns beside the peers: a line for each pattern and APIC mode, side by side the numbers of CPUs. */
import { IPI_GROUPS, type IpiRow } from "../ipi-rows.js";
import type { IpiResult } from "../ipi.js";
import { peerCells, peerCpuNs, peerNames, peerNotes, standing } from "../peer-report.js";
import { number } from "../text.js";
import { escape, htmlTable, type Column, type Line } from "./page.js";

export const PEERS =
  "The same guest image on each machine, in turns: nanoseconds of an interrupt here, and how many times as long a peer takes " +
  "by the wall clock; above 1 means that x2vm is faster. Pointed at, a ratio tells the peer's own time, and its CPU time, " +
  "which says more on a host that is busy with other things.";

/** @param results - those without a figure of any peer are left out */
export function peerTable(results: readonly IpiResult[]): string {
  const peers = peerNames(results);
  const known = results.filter(({ peers: figures }) =>
    [...figures.values()].some((figure) => !("reason" in figure)),
  );
  const counts = [...new Set(known.map(({ cpus }) => cpus))].toSorted((a, b) => a - b);
  const columns: Column[] = [
    { head: "pattern", isWord: true },
    { head: "APIC", isWord: true },
    ...counts.flatMap((cpus): Column[] => [
      { above: `${cpus} CPUs`, head: "x2vm ns" },
      ...peers.map((head) => ({ head })),
    ]),
  ];
  const lines = IPI_GROUPS.flatMap((group): Line[] => {
    const inGroup = known.filter(({ row }) => row.group === group);
    const kinds = new Map(inGroup.map(({ row, mode }) => [`${row.name} ${mode}`, { row, mode }]));
    if (kinds.size === 0) return [];
    return [{ title: group }, ...[...kinds.values()].map((kind) => lineOf(kind))];
  });

  function lineOf({ row, mode }: { row: IpiRow; mode: string }): string[] {
    const cells = counts.flatMap((cpus) => {
      const result = known.find(
        (each) => each.row === row && each.mode === mode && each.cpus === cpus,
      );
      if (result === undefined) return ["", ...peers.map(() => "")];
      return [number(result.nsEach.median), ...peers.map((name) => ratioCell(result, name))];
    });
    return [escape(row.title), mode, ...cells];
  }

  const notes = [standing(results) ?? [], peerNotes(results)].flat();
  return (
    htmlTable(columns, lines) + notes.map((note) => `<p class="note">${escape(note)}</p>`).join("")
  );
}

function ratioCell(result: IpiResult, name: string): string {
  const [ns, times] = peerCells(result, name);
  if (times === "") return "";
  const cpuNs = peerCpuNs(result.peers.get(name)!);
  const cpu = cpuNs === undefined ? "" : `, CPU time ${number(cpuNs)} ns`;
  return `<span title="${escape(`${ns} ns${cpu}`)}">${escape(times)}</span>`;
}
