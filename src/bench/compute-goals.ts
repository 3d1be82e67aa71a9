/** What the compute benchmark says in all: means by kind of kernel, and whether the goals are met. */
import { speedRatio, type Row, type Suite } from "./compute-suite.js";
import type { KernelKind } from "./kernels.js";
import { geometricMean } from "./statistics.js";
import { number } from "./text.js";

/** x2vm shall be so many times as fast as a peer. */
interface Goal {
  readonly peer: string;
  readonly kind: KernelKind;
  readonly least: number;
  /** On every kernel of the kind, or by their geometric mean. */
  readonly by: "every" | "mean";
}

const GOALS: readonly Goal[] = [
  { peer: "Bochs", kind: "integer", least: 5, by: "every" },
  { peer: "Bochs", kind: "float", least: 3, by: "every" },
  { peer: "v86", kind: "integer", least: 1, by: "mean" },
];

const KIND_TITLES: Readonly<Record<KernelKind, string>> = {
  integer: "integer kernels",
  float: "floating-point kernels",
  system: "system kernels",
};

export interface Mean {
  readonly kind: KernelKind;
  readonly peer: string;
  /** Geometric mean of x2vm's speed over the peer's. */
  readonly ratio: number;
}

/** One for each kind of kernel that was measured and each peer. */
export function meansOf({ rows, peers }: Suite): Mean[] {
  const kinds = [...new Set(rows.map(({ kernel }) => kernel.kind))];
  return kinds.flatMap((kind) =>
    peers.map(({ name }) => ({ kind, peer: name, ratio: meanOf(ofKind(rows, kind), name) })),
  );
}

export interface Verdict {
  readonly goal: string;
  readonly isMet: boolean;
  /** The figure, or the kernels that fall short. */
  readonly why: string;
}

/** One for each goal whose peer ran. */
export function verdictsOf({ rows, peers }: Suite): Verdict[] {
  return GOALS.flatMap((goal) => {
    const chosen = ofKind(rows, goal.kind);
    if (chosen.length === 0 || !peers.some(({ name }) => name === goal.peer)) return [];
    return [goal.by === "mean" ? byMean(goal, chosen) : byEach(goal, chosen)];
  });
}

/** The same as lines of text. */
export function goalLines(suite: Suite): string[] {
  const means = meansOf(suite);
  const kinds = [...new Set(means.map(({ kind }) => kind))];
  const lines = kinds.map((kind) => {
    const each = means.filter((mean) => mean.kind === kind);
    const texts = each.map(({ ratio, peer }) => `${number(ratio)} x ${peer}`);
    return `geometric mean of the ${KIND_TITLES[kind]}: ${texts.join(", ")}`;
  });
  const verdicts = verdictsOf(suite).map(
    ({ goal, isMet, why }) => `goal ${goal}: ${isMet ? "met" : "not met"}, ${why}`,
  );
  return [...lines, ...verdicts];
}

function byMean({ peer, kind, least }: Goal, rows: readonly Row[]): Verdict {
  const ratio = meanOf(rows, peer);
  return {
    goal: `${least} x ${peer}, mean of the ${KIND_TITLES[kind]}`,
    isMet: ratio >= least,
    why: `${number(ratio)} x`,
  };
}

function byEach({ peer, kind, least }: Goal, rows: readonly Row[]): Verdict {
  const ratios = rows.map((row) => ({ name: row.kernel.name, ratio: speedRatio(row, peer) }));
  const short = ratios.filter(({ ratio }) => ratio < least);
  const shown = short.length > 0 ? short : [ratios.reduce((a, b) => (b.ratio < a.ratio ? b : a))];
  return {
    goal: `${least} x ${peer} on each of the ${KIND_TITLES[kind]}`,
    isMet: short.length === 0,
    why: shown.map(({ name, ratio }) => `${name} ${number(ratio)} x`).join(", "),
  };
}

function meanOf(rows: readonly Row[], peer: string): number {
  return geometricMean(rows.map((row) => speedRatio(row, peer)));
}

function ofKind(rows: readonly Row[], kind: KernelKind): Row[] {
  return rows.filter(({ kernel }) => kernel.kind === kind);
}
