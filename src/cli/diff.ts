/**
 * One guest under several policies, side by side: the first message that other CPUs take, and how each run ends.
 *
 * The machines run in turn, a slice each, so that only messages of which one run is ahead have to be kept.
 */
import type { RunResult, RunState } from "../index.js";
import { firstDifference, linesMissingIn, type Difference } from "./compare.js";
import { observe, type ObservedRun, type Refusal } from "./observed-run.js";
import type { SentMessage } from "./messages.js";
import type { SessionPlan } from "./session.js";

/** How a run under one policy ended. */
export interface Ending {
  readonly policy: string;
  readonly result: RunResult;
  readonly serial: string;
  readonly cpus: readonly { readonly apicId: number; readonly runState: RunState }[];
  /** CPUs that a careful host would not have added, and why; each was added by force. */
  readonly refusals: readonly Refusal[];
}

/** A run beside the one that it is compared with. */
export interface Comparison {
  readonly ending: Ending;
  /** Undefined: the same messages, taken by the same CPUs. */
  readonly difference: Difference | undefined;
  /** Lines of the guest that the other run does not have, and the other way round. */
  readonly addedLines: readonly string[];
  readonly missingLines: readonly string[];
}

export interface DiffReport {
  readonly base: Ending;
  readonly others: readonly Comparison[];
}

/** Instructions that a machine runs before it is the next one's turn. */
const SLICE_INSTRUCTIONS = 2e6;

/** A run that is still compared with the base. */
interface Pair {
  readonly run: ObservedRun;
  /** Messages of the base that `run` has not come to. */
  readonly pending: SentMessage[];
  /** Pairs of messages that were alike. */
  alike: number;
  difference: Difference | undefined;
}

/** @param policies - at least two; the first is what the others are compared with @throws X2vmError */
export async function diffPolicies(
  plan: SessionPlan,
  policies: readonly string[],
): Promise<DiffReport> {
  const runs = [];
  for (const policy of policies) runs.push(await observe(plan, policy));
  const [base, ...rest] = runs as [ObservedRun, ...ObservedRun[]];
  const pairs = rest.map((run): Pair => ({ run, pending: [], alike: 0, difference: undefined }));
  const results = runTogether(plan, runs, () => compare(base, pairs));
  for (const pair of pairs) finish(pair);
  const endings = runs.map((run, i) => endingOf(run, results[i]!));
  for (const { machine } of runs) machine.dispose();
  const [first, ...others] = endings as [Ending, ...Ending[]];
  return {
    base: first,
    others: others.map((ending, i) => ({
      ending,
      difference: pairs[i]!.difference,
      addedLines: linesMissingIn(first.serial, ending.serial),
      missingLines: linesMissingIn(ending.serial, first.serial),
    })),
  };
}

/** Whether anything differs that a guest or its user can see. */
export function isDifferent({ base, others }: DiffReport): boolean {
  const outcome = ({ result, serial, cpus }: Ending) =>
    JSON.stringify([result.reason, result.exitCode, serial, cpus]);
  return others.some(
    ({ ending, difference }) => difference !== undefined || outcome(ending) !== outcome(base),
  );
}

/** @param afterSlices - called when every machine has run a slice @returns results by run */
function runTogether(
  plan: SessionPlan,
  runs: readonly ObservedRun[],
  afterSlices: () => void,
): RunResult[] {
  const results: (RunResult | undefined)[] = runs.map(() => undefined);
  let budget = plan.maxInstructions;
  while (results.includes(undefined)) {
    const maxInstructions = Math.min(SLICE_INSTRUCTIONS, budget);
    budget -= maxInstructions;
    for (const [i, { machine }] of runs.entries()) {
      if (results[i] !== undefined) continue;
      const result = machine.run({ maxInstructions, untilNs: plan.untilNs });
      if (result.reason !== "budget" || budget <= 0) {
        results[i] = { ...result, instructions: machine.instructions };
      }
    }
    afterSlices();
  }
  return results as RunResult[];
}

/** Takes in what the slices brought. */
function compare(base: ObservedRun, pairs: readonly Pair[]): void {
  const open = pairs.filter(({ difference }) => difference === undefined);
  const news = base.log.messages.splice(0);
  for (const pair of open) {
    for (const message of news) pair.pending.push(message);
    const { messages } = pair.run.log;
    const difference = firstDifference(messages, pair.pending);
    if (difference !== undefined) {
      decide(pair, difference);
    } else {
      const common = Math.min(messages.length, pair.pending.length);
      messages.splice(0, common);
      pair.pending.splice(0, common);
      pair.alike += common;
    }
  }
  if (pairs.every(({ difference }) => difference !== undefined)) base.log.end();
}

function decide(pair: Pair, difference: Difference): void {
  pair.difference = { ...difference, alike: pair.alike + difference.alike };
  pair.pending.length = 0;
  pair.run.log.end();
}

/** What is left over when both runs have ended is one run's alone. */
function finish(pair: Pair): void {
  const [message, base] = [pair.run.log.messages[0], pair.pending[0]];
  if (pair.difference === undefined && (message ?? base) !== undefined) {
    decide(pair, { alike: 0, message, base });
  }
}

function endingOf({ policy, machine, serial, refusals }: ObservedRun, result: RunResult): Ending {
  const cpus = machine.vcpus.map(({ apicId, runState }) => ({ apicId, runState }));
  return { policy, result, serial: serial(), cpus, refusals };
}
