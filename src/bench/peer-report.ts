/** What the peers of an IPI benchmark come to: cells of a table, and what must be said beside them. */
import type { PeerFigure } from "./ipi-peers.js";
import type { IpiResult } from "./ipi.js";
import { number, round } from "./text.js";

/** After a figure that another way of the peer has than its usual one. */
const OTHER_WAY = "*";

/** Peers of a run, in the order of the table. */
export function peerNames(results: readonly IpiResult[]): string[] {
  return [...(results[0]?.peers.keys() ?? [])];
}

/** Nanoseconds of an interrupt on the peer, at least; undefined where there is no figure. */
function peerNs(figure: PeerFigure): number | undefined {
  if ("overNs" in figure) return figure.overNs;
  return "nsEach" in figure ? figure.nsEach.median : undefined;
}

/** CPU time of the peer for an interrupt, where it is known. */
export function peerCpuNs(figure: PeerFigure): number | undefined {
  return "cpuNsEach" in figure ? figure.cpuNsEach?.median : undefined;
}

/** The peer's nanoseconds, and how many times as fast x2vm is. */
export function peerCells({ nsEach, peers }: IpiResult, name: string): [ns: string, times: string] {
  const figure = peers.get(name)!;
  const ns = peerNs(figure);
  if (ns === undefined) return ["-", ""];
  const over = "overNs" in figure ? "> " : "";
  const way = "way" in figure ? OTHER_WAY : "";
  return [`${over}${number(ns)}${way}`, `${over}${number(ns / nsEach.median)} x`];
}

/** The same for records. */
export function peerFields(
  { nsEach, peers }: IpiResult,
  peer: string,
): [field: string, value: number | string | null][] {
  const figure = peers.get(peer)!;
  const name = peer.toLowerCase();
  const ns = peerNs(figure);
  const cpuNs = peerCpuNs(figure);
  const isOver = "overNs" in figure;
  return [
    [`${name}NsPerIpi`, ns === undefined || isOver ? null : round(ns)],
    [`${name}CpuNsPerIpi`, cpuNs === undefined ? null : round(cpuNs)],
    [`${name}NsPerIpiOver`, ns !== undefined && isOver ? round(ns) : null],
    [`${name}TimesX2vm`, ns === undefined ? null : round(ns / nsEach.median)],
    [`${name}Way`, "way" in figure ? figure.way! : null],
    [`${name}Note`, "reason" in figure ? figure.reason : null],
  ];
}

/** Sentences below a table. */
export function peerNotes(results: readonly IpiResult[]): string[] {
  return [...waySentences(results), ...overSentences(results), ...missingSentences(results)];
}

/** In how many rows x2vm is ahead, and in which it is not; undefined without a figure of a peer. */
export function standing(results: readonly IpiResult[]): string | undefined {
  const pairs = results.flatMap((result) =>
    [...result.peers].flatMap(([name, figure]) => {
      const ns = peerNs(figure);
      return ns === undefined ? [] : [{ result, name, times: ns / result.nsEach.median }];
    }),
  );
  if (pairs.length === 0) return undefined;
  const behind = pairs.filter(({ times }) => times <= 1);
  const rows = behind.map(
    ({ result: { row, cpus, mode }, name, times }) =>
      `${row.title}, ${cpus} CPUs, ${mode} (${name}: ${number(times)} x)`,
  );
  const ahead = `x2vm is ahead in ${pairs.length - behind.length} of ${pairs.length} comparisons`;
  return rows.length === 0 ? `${ahead}.` : `${ahead}, not in: ${rows.join("; ")}.`;
}

function waySentences(results: readonly IpiResult[]): string[] {
  const ways = results.flatMap(({ peers }) =>
    [...peers].flatMap(([name, figure]) =>
      "way" in figure ? [`${name} with ${figure.way!}`] : [],
    ),
  );
  return [...new Set(ways)].map((way) => `${OTHER_WAY} ${way}, which was faster there.`);
}

function overSentences(results: readonly IpiResult[]): string[] {
  const has = results.some(({ peers }) => [...peers.values()].some((each) => "overNs" in each));
  return has ? ["> means that the peer had not ended when it was stopped."] : [];
}

function missingSentences(results: readonly IpiResult[]): string[] {
  const rows = new Map<string, number>();
  for (const { peers } of results) {
    for (const figure of peers.values()) {
      if (!("reason" in figure)) continue;
      rows.set(figure.reason, (rows.get(figure.reason) ?? 0) + 1);
    }
  }
  if (rows.size === 0) return [];
  const reasons = [...rows].map(([reason, n]) => `${reason} (${n} ${n === 1 ? "row" : "rows"})`);
  return [`Not compared: ${reasons.join("; ")}.`];
}
