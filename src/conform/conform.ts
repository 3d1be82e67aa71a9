/**
 * Conformance: runs recorded scenarios on an APIC fabric and compares what happened with what was recorded.
 *
 * The fabric is anything that implements `ApicTarget`: the core (core-target.ts), or a model under test.
 */
import type { Outcome, Scenario, Vector } from "./scenario.js";

export interface ApicTarget {
  readonly name: string;
  /** Builds a fresh machine, sends the message and tells what happened. */
  run(scenario: Scenario): Outcome;
  /** Why each vCPU was or was not selected, and what it did: sentences. */
  explain(scenario: Scenario): string[];
}

/** A scenario whose outcome differs from the recorded one. */
export interface Disagreement {
  readonly line: number;
  readonly scenario: Scenario;
  readonly expected: Outcome;
  readonly got: Outcome;
  /** Which of the compared fields differ. */
  readonly fields: readonly string[];
  readonly explanation: readonly string[];
}

export interface ConformReport {
  readonly target: string;
  readonly total: number;
  readonly agreed: number;
  /** The first ones, at most as many as asked for. */
  readonly disagreements: readonly Disagreement[];
}

/**
 * Runs every vector on the target.
 *
 * @param limit - disagreements to keep with their explanation; all are counted
 */
export function conform(vectors: readonly Vector[], target: ApicTarget, limit = 10): ConformReport {
  const disagreements: Disagreement[] = [];
  let agreed = 0;
  for (const { line, scenario, expected } of vectors) {
    const got = target.run(scenario);
    const fields = differingFields(expected, got);
    if (fields.length === 0) {
      agreed++;
    } else if (disagreements.length < limit) {
      const explanation = target.explain(scenario);
      disagreements.push({ line, scenario, expected, got, fields, explanation });
    }
  }
  return { target: target.name, total: vectors.length, agreed, disagreements };
}

/** Names of the fields in which two outcomes differ. CS selectors count only where they were recorded. */
export function differingFields(expected: Outcome, got: Outcome): string[] {
  const names: (keyof Outcome)[] = ["acc", "ret", "mpAfter"];
  if (expected.cs !== null) names.push("cs");
  return names.filter((name) => JSON.stringify(expected[name]) !== JSON.stringify(got[name]));
}
