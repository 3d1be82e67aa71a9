/** `x2vm policies`: presets and knobs, from the tables that the machine itself uses. */
import { stdout } from "node:process";
import type { Command } from "commander";
import { KNOBS, knobText, type Knob } from "../knobs.js";
import { DEFAULT_POLICY, PRESETS, parsePolicy, presetsThatDiffer } from "../policies.js";
import { wrap } from "./format.js";

const LINE = 100;

const EXAMPLES = `
A policy is a preset, or a preset with knobs changed:
  x2vm run guests/hotplug.bin --policy kvm,ids32=off,quirk=on
  x2vm policies --json`;

/** Adds `policies`. */
export function addPoliciesCommand(program: Command): void {
  program
    .command("policies")
    .description("interrupt policies: the presets, and the knobs that they are made of")
    .option("--json", "as one JSON document")
    .addHelpText("after", EXAMPLES)
    .action((flags: { json?: boolean }) => {
      const text = flags.json
        ? JSON.stringify({ presets: presetRows(), knobs: knobRows() }, undefined, 2)
        : policiesText();
      stdout.write(`${text}\n`);
    });
}

/** Presets with the value of every knob, as people write it. */
function presetRows() {
  return PRESETS.map(({ name, description }) => {
    const values = parsePolicy(name).knobs;
    const knobs = KNOBS.map((knob) => [knob.name, knobText(knob, values.get(knob.name)!)]);
    return { name, description, knobs: Object.fromEntries(knobs) as Record<string, string> };
  });
}

function knobRows() {
  return KNOBS.map((knob) => ({
    name: knob.name,
    values: knob.values ?? { least: knob.range![0], largest: knob.range![1] },
    default: defaultText(knob),
    meaning: knob.meaning,
    differs: Object.fromEntries(presetsThatDiffer(knob).map(({ name, value }) => [name, value])),
  }));
}

function defaultText(knob: Knob): string {
  return knobText(knob, parsePolicy(DEFAULT_POLICY).knobs.get(knob.name)!);
}

function policiesText(): string {
  return [
    "Presets",
    "",
    ...PRESETS.flatMap(({ name, description }) => entry(name, 14, description)),
    "",
    `Knobs, with the value of ${DEFAULT_POLICY}, and the presets that have another`,
    "",
    ...KNOBS.flatMap(knobLines),
  ].join("\n");
}

function knobLines(knob: Knob): string[] {
  const values = knob.values?.join(", ") ?? `${knob.range![0]} to ${knob.range![1]}`;
  const differs = presetsThatDiffer(knob).map(({ name, value }) => `${name} ${value}`);
  const facts = [`${defaultText(knob)} (of ${values})`, ...differs].join("; ");
  return [...entry(knob.name, 20, facts), ...entry("", 20, knob.meaning)];
}

/** A name and a text beside it. @param indent - column of the text */
function entry(name: string, indent: number, text: string): string[] {
  const lines = wrap(text, LINE - indent);
  return lines.map((line, i) => `${(i === 0 ? name : "").padEnd(indent)}${line}`);
}
