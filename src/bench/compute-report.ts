/** The result of the compute benchmark as a table and as records. */
import { meansOf, verdictsOf } from "./compute-goals.js";
import { HERE, speedRatio, type Row, type Suite } from "./compute-suite.js";
import { summarize, type Summary } from "./statistics.js";
import { number, range, tableOf } from "./text.js";

/** For the terminal. */
export function computeTable({ rows, peers }: Suite): string {
  const names = peers.map(({ name }) => name);
  const heads = names.flatMap((name) => [name, "from - to", "x2vm is"]);
  const lines = rows.map((row) => {
    const cells = (name: string) => {
      const summary = speedOf(row, name);
      return [number(summary.median), range(summary)];
    };
    const there = names.flatMap((name) => [...cells(name), `${number(speedRatio(row, name))} x`]);
    return [row.kernel.title, unitOf(row), ...cells(HERE), ...there];
  });
  return tableOf(["kernel", "unit", HERE, "from - to", ...heads], 2, lines);
}

/** A plain object: speeds in each row's unit. */
export function computeRecord(suite: Suite) {
  const { guest, peers, obstacles, rows } = suite;
  return {
    bits: guest.bits,
    peers: peers.map(({ name, version }) => ({ name, version })),
    notCompared: Object.fromEntries(obstacles),
    kernels: rows.map((row) => ({
      name: row.kernel.name,
      kind: row.kernel.kind,
      unit: unitOf(row),
      instructionsEach: row.instructionsEach,
      speeds: Object.fromEntries(
        [...row.nsEach.keys()].map((name) => [name, speedOf(row, name)] as const),
      ),
      ratios: Object.fromEntries(peers.map(({ name }) => [name, speedRatio(row, name)])),
    })),
    means: meansOf(suite),
    goals: verdictsOf(suite),
  };
}

function unitOf({ kernel: { per } }: Row): string {
  return per === undefined ? "MIPS" : `ns per ${per.what}`;
}

function speedOf({ kernel: { per }, instructionsEach, nsEach }: Row, name: string): Summary {
  return summarize(
    nsEach
      .get(name)!
      .map((ns) => (per === undefined ? (instructionsEach / ns) * 1e3 : ns / per.eachCount)),
  );
}
