#!/usr/bin/env node
/** The command line: what there is to say, and what each mistake leads to. */
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { X2vmError } from "../index.js";
import { addBenchCommand } from "./bench-options.js";
import { addConformCommand } from "./conform.js";
import { addDiffCommand } from "./diff-options.js";
import { addExperimentCommand } from "./experiment.js";
import { addPoliciesCommand } from "./policies-command.js";
import { addResumeCommand } from "./resume-options.js";
import { addRunCommand } from "./run-options.js";
import { addStartCommand } from "./start-options.js";
import { EXIT_FAILED_RUN, EXIT_USAGE } from "./summary.js";

const program = new Command("x2vm")
  .description(
    "A deterministic multiprocessor x86 machine, made for experiments with interrupts between CPUs:\n" +
      "boot multi-CPU guests, see every IPI, hot-add a CPU with a 32-bit APIC ID and wake it.",
  )
  .version("0.1.0")
  .configureHelp({ showGlobalOptions: true })
  .showHelpAfterError("(x2vm --help shows what there is)")
  .exitOverride();

addStartCommand(program);
addRunCommand(program);
addResumeCommand(program);
addDiffCommand(program);
addExperimentCommand(program);
addPoliciesCommand(program);
addConformCommand(program);
addBenchCommand(program);

program.addHelpText(
  "after",
  `
Examples:
  x2vm start                                  hot-add CPU 0x123, wake it, compare the policies
  x2vm run guests/hello.bin                   a boot sector says hello
  x2vm run guests/smp.bin --cpus 4            four CPUs
  x2vm run --help                             all that a run can be told
  x2vm experiment 2 --policy all              wake 0x123 under every policy
  x2vm diff guests/hotplug.bin --policies kvm,knl --apic-ids 0,0x23 --hotplug 0x123@2ms
  x2vm policies                               what a policy is made of
  x2vm conform apic recorded.jsonl            the APICs against recorded answers of KVM

A run is deterministic: the same command gives the same run, instruction by instruction.
Exit status: the guest's exit code; 1 when a run fails; 2 when the command cannot be understood.`,
);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** @returns exit status */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof InvalidArgumentError || error instanceof X2vmError) {
    process.stderr.write(`x2vm: ${error.message}\n`);
    return error instanceof X2vmError && error.code === "CORE_UNAVAILABLE"
      ? EXIT_FAILED_RUN
      : EXIT_USAGE;
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return EXIT_FAILED_RUN;
}
