/** `--cpu`, and `--cpu help`: the models and features, from the tables that the machine itself uses. */
import { stdout } from "node:process";
import { CommanderError } from "commander";
import { CPU_FEATURES, FEATURE_WORDS } from "../cpu-features.js";
import { CPU_MODELS, parseCpu } from "../cpu-models.js";
import { wrap } from "./format.js";

const LINE = 100;
const NAME_COLUMN = 14;

/**
 * Checks the text and gives it back. For "help" it prints the list and ends the command.
 *
 * @throws X2vmError BAD_OPTION; CommanderError with exit code 0 for "help"
 */
export function parseCpuOption(text: string): string {
  if (text === "help" || text === "?") {
    stdout.write(`${cpuHelp()}\n`);
    throw new CommanderError(0, "x2vm.cpuHelp", "(the list of CPUs)");
  }
  return parseCpu(text).text;
}

function cpuHelp(): string {
  return [
    "CPU models",
    "",
    ...CPU_MODELS.flatMap((each) => {
      const { name, vendor, family, model, stepping, brand, description } = each;
      const identity = `${vendor}, family ${family} model ${model} stepping ${stepping}, "${brand}".`;
      return [...entry(name, description), ...entry("", identity), ...entry("", lacking(each))];
    }),
    "",
    "Features, by the names of Linux' /proc/cpuinfo, with the register of CPUID that has them",
    "",
    ...FEATURE_WORDS.flatMap(({ word, register }) => {
      const names = CPU_FEATURES.filter((each) => each.word === word).map(({ name }) => name);
      return entry(register, names.join(" "));
    }),
    "",
    "A CPU is a model, or a model with features added and taken away: --cpu kvm64,+popcnt,-x2apic",
    `No CPU can be without ${CPU_FEATURES.filter(({ isFixed }) => isFixed)
      .map(({ name }) => name)
      .join(", ")}.`,
  ].join("\n");
}

function lacking({ features }: { readonly features: readonly string[] }): string {
  const names = CPU_FEATURES.map(({ name }) => name).filter((name) => !features.includes(name));
  return names.length === 0 ? "Has every feature." : `Without ${names.join(" ")}.`;
}

/** A name and a text beside it. */
function entry(name: string, text: string): string[] {
  return wrap(text, LINE - NAME_COLUMN).map(
    (line, i) => `${(i === 0 ? name : "").padEnd(NAME_COLUMN)}${line}`,
  );
}
