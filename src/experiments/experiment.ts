/** What an experiment is: a setup, an action, and what each policy makes of it. */
import { PRESETS } from "../policies.js";
import type { Lab } from "./lab.js";

export interface Experiment {
  readonly number: number;
  readonly title: string;
  /** The machine. */
  readonly setup: string;
  /** What is done to it. */
  readonly action: string;
  /** Outcome by policy, as `parsePolicy` reads them: a preset, or a preset with knobs changed. */
  readonly expected: Readonly<Record<string, string>>;
  /** Presets on which it makes no sense, and why. */
  readonly without?: Readonly<Record<string, string>>;
  /** Why policies differ, or what to look at. */
  readonly note: string;
  /** Carries it out and tells the outcome; null when it needs more than local APICs, and `instead` says what. */
  readonly play: ((lab: Lab) => string) | null;
  /** Why `play` is null, in a few words: what is not modelled, or where the experiment is to be found. */
  readonly instead?: string;
}

/** What INIT-SIPI and others do to the usual cast. */
export const USUAL = "0x00 and 0x23 run in x2APIC mode; 0x123 is hot-added";

/** The outcome of `kvm`, and of the other presets where it differs. */
export function outcomes(
  kvm: string,
  others: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return { ...Object.fromEntries(PRESETS.map(({ name }) => [name, kvm])), ...others };
}
