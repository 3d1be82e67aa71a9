/** `x2vm diff`: the options, and the list of policies. */
import { stdout } from "node:process";
import type { Command } from "commander";
import { X2vmError, PRESETS } from "../index.js";
import { addGuestOptions, FAULT_HELP, planOf, type GuestFlags } from "./guest-options.js";
import { EXIT_FAILED_RUN } from "./summary.js";

interface DiffFlags extends GuestFlags {
  readonly policies: string[];
  readonly json?: boolean;
}

/** A guest that never ends under one policy must not keep the others waiting. */
const MAX_INSTRUCTIONS = 200e6;

const EXAMPLES = `
Examples:
  x2vm diff guests/hotplug.bin --policies kvm,knl --apic-ids 0,0x23 --hotplug 0x123@2ms
  x2vm diff guests/hotplug.bin --policies kvm,kvm,ids32=off,kvm-legacy --apic-ids 0,0x23 --hotplug 0x123@2ms
  x2vm diff guests/smp.bin --policies all --cpus 4 --json

The first policy is what the others are compared with; "all" is every preset. A part of the list
with a "=" is a knob of the policy before it. Shown for each: the first message between the CPUs
that others take than under the first policy, and why; CPUs that end in another state; lines that
the guest prints (+) or does not print (-). A CPU that a policy cannot wake is added by force.

Every run ends after 200M instructions unless --max-instructions says otherwise.
Exit status: 0 when nothing differs; 1 when something does; 2 when the command cannot be understood.`;

/** Adds `diff IMAGE`. */
export function addDiffCommand(program: Command): void {
  const command = program
    .command("diff")
    .description("run one guest under several policies and show where they part");
  addGuestOptions(command)
    .requiredOption("--policies <list>", "policies with commas: kvm,knl", parsePolicies)
    .option("--json", "print one JSON document")
    .addHelpText("after", EXAMPLES)
    .addHelpText("after", FAULT_HELP)
    .action(async (imagePath: string, flags: DiffFlags) => {
      const { maxInstructions = MAX_INSTRUCTIONS } = flags;
      const plan = planOf(imagePath, { ...flags, maxInstructions });
      const { diffPolicies, isDifferent } = await import("./diff.js");
      const { diffJson, diffLines } = await import("./diff-text.js");
      const report = await diffPolicies(plan, flags.policies);
      const text = flags.json
        ? JSON.stringify(diffJson(imagePath, report), undefined, 2)
        : diffLines(report).join("\n");
      stdout.write(`${text}\n`);
      process.exitCode = isDifferent(report) ? EXIT_FAILED_RUN : 0;
    });
}

/** kvm,ids32=off,knl: two policies. @throws X2vmError USAGE */
export function parsePolicies(text: string): string[] {
  if (text.trim() === "all") return PRESETS.map(({ name }) => name);
  const policies: string[] = [];
  for (const part of text.split(",").map((each) => each.trim())) {
    if (part.includes("=") && policies.length > 0) policies.push(`${policies.pop()},${part}`);
    else policies.push(part);
  }
  if (policies.length >= 2) return policies;
  throw new X2vmError("USAGE", `--policies: "${text}" is not a list of policies such as kvm,knl.`);
}
