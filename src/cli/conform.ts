/** `x2vm conform`: the machine against recorded answers of others. */
import { stdout } from "node:process";
import type { Command } from "commander";
import { createApicCore } from "../apic-machine.js";
import { conform, type ConformReport, type Disagreement } from "../conform/conform.js";
import { coreTarget } from "../conform/core-target.js";
import { parseVectors, type Outcome, type Scenario, type Vector } from "../conform/scenario.js";
import { X2vmError } from "../errors.js";
import { parseNumber } from "./args.js";
import { readUserFile } from "./files.js";
import { formatApicId, formatCount } from "./format.js";
import { EXIT_FAILED_RUN } from "./summary.js";

interface ConformFlags {
  readonly show: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Each line of FILE is a machine, one message, and what KVM made of it.
Exit status: 0 when all agree; 1 when one does not; 2 when FILE cannot be read or breaks the format.`;

/** Adds `conform apic FILE`. */
export function addConformCommand(program: Command): void {
  program
    .command("conform")
    .description("compare the machine with recorded answers of another one")
    .command("apic")
    .description("interrupt delivery: recorded scenarios of KVM, a JSON document a line")
    .argument("<file>", "recorded scenarios")
    .option("--show <n>", "disagreements to show", (text: string) => parseNumber(text, "--show"), 5)
    .option("--json", "the report as one JSON document")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: ConformFlags) => {
      process.exitCode = await conformApic(path, flags);
    });
}

async function conformApic(path: string, flags: ConformFlags): Promise<number> {
  const vectors = parseVectors(new TextDecoder().decode(readUserFile(path)), path);
  if (vectors.length === 0) throw new X2vmError("BAD_SCENARIO", `${path} holds no scenario.`);
  const core = await createApicCore({ vcpuCapacity: mostCpus(vectors) });
  const report = conform(vectors, coreTarget(core), flags.show);
  stdout.write(
    flags.json
      ? `${JSON.stringify(report, undefined, 2)}\n`
      : `${reportLines(report).join("\n")}\n`,
  );
  return report.agreed === report.total ? 0 : EXIT_FAILED_RUN;
}

function mostCpus(vectors: readonly Vector[]): number {
  return vectors.reduce((most, { scenario }) => Math.max(most, scenario.cpus.length), 1);
}

/** The report as lines of text. */
export function reportLines(report: ConformReport): string[] {
  const { total, agreed, disagreements } = report;
  const lines = disagreements.flatMap((each) => [...disagreementLines(each), ""]);
  const differ = total - agreed;
  if (differ > disagreements.length) {
    lines.push(`(${formatCount(differ - disagreements.length)} more that differ)`, "");
  }
  lines.push(
    differ === 0
      ? `all ${formatCount(total)} scenarios agree`
      : `${formatCount(agreed)} of ${formatCount(total)} scenarios agree, ${formatCount(differ)} differ`,
  );
  return lines;
}

function disagreementLines(disagreement: Disagreement): string[] {
  const { line, scenario, expected, got, fields, explanation } = disagreement;
  return [
    `line ${line}: ${fields.join(", ")} ${fields.length === 1 ? "differs" : "differ"}`,
    ...scenarioLines(scenario).map((text) => `  ${text}`),
    `  expected ${outcomeText(expected)}`,
    `  got      ${outcomeText(got)}`,
    ...explanation.map((text) => `    ${text}`),
  ];
}

function scenarioLines(scenario: Scenario): string[] {
  const flags = `ids32 ${scenario.ids32 ? "on" : "off"}, quirk ${scenario.noquirk ? "off" : "on"}`;
  const cpus = scenario.cpus.map((cpu) => {
    const sw = cpu.sw ? "" : ", software-disabled";
    if (cpu.mode !== "x") return `${formatApicId(cpu.id)} ${cpu.mode}${sw}, state ${cpu.mp}`;
    const ids = `xid ${formatApicId(cpu.xid)}, LDR ${hex8(cpu.ldr)}, DFR ${hex8(cpu.dfr)}`;
    return `${formatApicId(cpu.id)} x, ${ids}${sw}, state ${cpu.mp}`;
  });
  const { dest, dm, sh, dlv, vec, trig, level, rh } = scenario;
  const sender =
    scenario.from === null ? "MSI" : `from ${formatApicId(scenario.cpus[scenario.from]!.id)}`;
  const fields = `mode ${dlv}, vector ${vec}, trigger ${trig}, level ${level}, hint ${rh}`;
  const target = `${dm === 1 ? "logical" : "physical"} ${formatApicId(dest)}, shorthand ${sh}`;
  return [flags, ...cpus, `${sender}: ${target}, ${fields}`];
}

function outcomeText({ acc, ret, mpAfter, cs }: Outcome): string {
  const taken = acc.length === 0 ? "nobody" : acc.map(formatApicId).join(" ");
  const started = cs?.map(([id, selector]) => `${formatApicId(id)}:${selector.toString(16)}`) ?? [];
  const starts = started.length === 0 ? "" : `, started ${started.join(" ")}`;
  const returned = ret === null ? "" : `, returned ${ret}`;
  return `accepted ${taken}${returned}, states ${mpAfter.join(" ")}${starts}`;
}

function hex8(value: number): string {
  return value.toString(16).padStart(8, "0");
}
