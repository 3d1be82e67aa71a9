/** Runs one machine in every way that must make no difference: translated or not, in one go or in pieces. */
import { expect } from "vitest";
import type { Machine, MachineOptions } from "../../../src/index.js";

const MOST = 1_000_000;
/** Translated at once, after a few entries, never. */
const HOW: readonly MachineOptions[] = [
  { translateAfter: 1 },
  { translateAfter: 5 },
  { translate: false },
];
const SLICES = [MOST, 1000, 7, 1];

export interface End {
  readonly reason: string;
  readonly instructions: number;
  readonly rip: bigint;
  readonly rax: bigint;
  readonly hash: string;
}

/** Runs to its end in budgets of `slice`. */
function finish(target: Machine, slice: number): End {
  let result = target.run({ maxInstructions: slice });
  while (result.reason === "budget" && target.instructions < MOST)
    result = target.run({ maxInstructions: slice });
  const { rip, gpr } = target.vcpus[0]!;
  const { reason } = result;
  const hash = target.stateHash();
  return { reason, instructions: target.instructions, rip, rax: gpr.rax, hash };
}

/** The end that all ways of running have in common. */
export async function commonEnd(make: (how: MachineOptions) => Promise<Machine>): Promise<End> {
  const ends: End[] = [];
  for (const how of HOW) {
    for (const slice of SLICES) {
      const target = await make(how);
      ends.push(finish(target, slice));
      target.dispose();
    }
  }
  for (const end of ends) expect(end).toEqual(ends[0]);
  return ends[0]!;
}
