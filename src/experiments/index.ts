/** The experiments, and running them: a matrix of outcomes beside the expected ones. */
import type { ApicCore } from "../apic-exports.js";
import { applyPolicy, parsePolicy, PRESETS } from "../policies.js";
import { EVENT_EXPERIMENTS } from "./events.js";
import type { Experiment } from "./experiment.js";
import { IDENTITY_EXPERIMENTS } from "./identity.js";
import { Lab } from "./lab.js";
import { WAKE_EXPERIMENTS } from "./wake.js";

export type { Experiment } from "./experiment.js";

/** All experiments by number. */
export const EXPERIMENTS: readonly Experiment[] = [
  ...WAKE_EXPERIMENTS,
  ...IDENTITY_EXPERIMENTS,
  ...EVENT_EXPERIMENTS,
].sort((one, other) => one.number - other.number);

export interface ExperimentResult {
  /** As `parsePolicy` reads it. */
  readonly policy: string;
  readonly outcome: string;
  /** Undefined where nothing is on record for this policy. */
  readonly expected: string | undefined;
}

/**
 * Runs an experiment under one policy.
 *
 * @param policy - a preset, or one with knobs changed
 * @returns null when the experiment needs more than local APICs
 * @throws X2vmError BAD_OPTION for an unknown policy
 */
export function runExperiment(
  core: ApicCore,
  experiment: Experiment,
  policy: string,
): ExperimentResult | null {
  const parsed = parsePolicy(policy);
  if (experiment.play === null) return null;
  const obstacle = experiment.without?.[policy.split(",")[0]!.trim()];
  if (obstacle !== undefined) {
    const outcome = `does not apply: ${obstacle}`;
    return { policy, outcome, expected: outcome };
  }
  const lab = new Lab(core, (setKnob) => applyPolicy(parsed, setKnob));
  return { policy, outcome: experiment.play(lab), expected: experiment.expected[policy] };
}

/** Runs an experiment under every preset, and under those with knobs changed for which an outcome is on record. */
export function runMatrix(core: ApicCore, experiment: Experiment): ExperimentResult[] {
  const presets = PRESETS.map(({ name }) => name);
  const known = [...Object.keys(experiment.expected), ...Object.keys(experiment.without ?? {})];
  // Variants stand behind their preset.
  const policies = presets.flatMap((preset) =>
    known.filter((policy) => policy.split(",")[0] === preset),
  );
  return policies
    .map((policy) => runExperiment(core, experiment, policy))
    .filter((result) => result !== null);
}

/** Policies whose outcome differs from the first one's. */
export function differing(results: readonly ExperimentResult[]): ExperimentResult[] {
  return results.filter((result) => result.outcome !== results[0]?.outcome);
}
