/** `x2vm experiment`: lists and runs the scripted experiments. */
import { stdout } from "node:process";
import type { Command } from "commander";
import { createApicCore } from "../apic-machine.js";
import { X2vmError } from "../errors.js";
import {
  EXPERIMENTS,
  runExperiment,
  runMatrix,
  type Experiment,
  type ExperimentResult,
} from "../experiments/index.js";
import { DEFAULT_POLICY } from "../policies.js";
import { parseNumber } from "./args.js";
import { LINUX_HOTPLUG, linuxHotplug } from "./linux-hotplug.js";
import { EXIT_FAILED_RUN } from "./summary.js";

interface ExperimentFlags {
  readonly policy: string;
  readonly json?: boolean;
  readonly kernel?: string;
}

interface ExperimentReport {
  readonly number: number;
  readonly title: string;
  readonly setup: string;
  readonly action: string;
  readonly note: string;
  /** Why the experiment is not run here; null when it is. */
  readonly instead: string | null;
  /** Empty when it is not run. */
  readonly results: readonly ExperimentResult[];
}

const EXAMPLES = `
Examples:
  x2vm experiment                             the list
  x2vm experiment 1                           one experiment under kvm
  x2vm experiment 2 --policy all              ... under every preset, and where they differ
  x2vm experiment all --policy knl --json     all of them under one policy, as JSON
  x2vm experiment linux-hotplug --kernel /boot/vmlinuz --policy all
                                              Linux, and CPU 0x123 added to it

A policy is a preset, or a preset with knobs changed: kvm,quirk=off.
An outcome is held to the expected one where one is on record: for every preset, and for some with knobs changed.
Exit status: 0 when every outcome is the expected one; 1 when one is not; 2 for a usage error.`;

/** Adds `experiment [WHICH]`. */
export function addExperimentCommand(program: Command): void {
  program
    .command("experiment")
    .description("scripted experiments with interrupts between CPUs, under any policy")
    .argument("[which]", "number of an experiment, all, or linux-hotplug; the list without it")
    .option("--policy <policy>", "policy to run under, or all", DEFAULT_POLICY)
    .option("--kernel <file>", "Linux kernel for linux-hotplug: vmlinuz or vmlinux")
    .option("--json", "as JSON")
    .addHelpText("after", EXAMPLES)
    .action(async (which: string | undefined, flags: ExperimentFlags) => {
      if (which === undefined) process.exitCode = list(flags);
      else if (which === LINUX_HOTPLUG) process.exitCode = await linuxHotplug(flags);
      else process.exitCode = await run(which, flags);
    });
}

function list(flags: ExperimentFlags): number {
  const rows = EXPERIMENTS.map(({ number, title, setup, action, instead = null }) => ({
    number,
    title,
    setup,
    action,
    instead,
  }));
  const lines = rows.map(({ number, title, instead }) => {
    const remark = instead === null ? "" : ` (${instead})`;
    return `${String(number).padStart(3)}  ${title}${remark}`;
  });
  stdout.write(flags.json ? `${JSON.stringify(rows, undefined, 2)}\n` : `${lines.join("\n")}\n`);
  return 0;
}

async function run(which: string, flags: ExperimentFlags): Promise<number> {
  const chosen = choose(which);
  const core = await createApicCore({ vcpuCapacity: 64 });
  const reports = chosen.map((experiment): ExperimentReport => {
    const { number, title, setup, action, note, instead = null } = experiment;
    const one = flags.policy === "all" ? null : runExperiment(core, experiment, flags.policy);
    const results =
      flags.policy === "all" ? runMatrix(core, experiment) : one === null ? [] : [one];
    return { number, title, setup, action, note, instead, results };
  });
  const text = flags.json
    ? JSON.stringify(reports, undefined, 2)
    : reports.flatMap(experimentLines).join("\n");
  stdout.write(`${text}\n`);
  return reports.every(({ results }) => results.every(isAsExpected)) ? 0 : EXIT_FAILED_RUN;
}

function choose(which: string): readonly Experiment[] {
  if (which === "all") return EXPERIMENTS;
  const number = parseNumber(which, "experiment");
  const experiment = EXPERIMENTS.find((each) => each.number === number);
  if (experiment === undefined) {
    throw new X2vmError("USAGE", `There is no experiment ${number}: they are 1 to 36.`);
  }
  return [experiment];
}

function isAsExpected({ outcome, expected }: ExperimentResult): boolean {
  return expected === undefined || outcome === expected;
}

/** One experiment as lines: what is done, and a row for each policy. */
export function experimentLines(report: ExperimentReport): string[] {
  const { number, title, setup, action, note, instead, results } = report;
  const width = Math.max(0, ...results.map(({ policy }) => policy.length));
  const reference = results[0]?.outcome;
  const rows = results.map((result) => {
    const mark = result.outcome === reference ? " " : "*";
    const { expected } = result;
    const verdict =
      expected === undefined
        ? "  (nothing on record)"
        : isAsExpected(result)
          ? ""
          : `  (expected ${expected})`;
    return `  ${mark} ${result.policy.padEnd(width)}  ${result.outcome}${verdict}`;
  });
  const differing = rows.some((row) => row.startsWith("  *"));
  const known = results.filter(({ expected }) => expected !== undefined);
  if (instead !== null) rows.push(`  not run: ${instead}`);
  else rows.push(`  as expected: ${known.filter(isAsExpected).length} of ${known.length}`);
  return [
    `${number}. ${title}`,
    `  setup:  ${setup}`,
    `  action: ${action}`,
    ...rows,
    `  ${differing ? "* differs" : "why"}: ${note}`,
    "",
  ];
}
