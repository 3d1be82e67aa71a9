/** The headline experiment, shown. */
import { stdout } from "node:process";
import Table from "cli-table3";
import colors from "picocolors";
import {
  DEFAULT_POLICY,
  PRESETS,
  describeMessage,
  describeOutcome,
  describeReason,
  type ApicTargetEvent,
} from "../index.js";
import { formatApicId, formatCount, formatNs, wrap } from "./format.js";
import {
  BOOT_IDS,
  HOTPLUG_NS,
  NEW_ID,
  headlineDifference,
  runHeadline,
  type HeadlineRun,
} from "./headline.js";
import { EXIT_FAILED_RUN } from "./summary.js";

/** Widths of the columns; the last two wrap. */
const COLUMNS = [16, 11, 7, 10, 52];
/** Goes without saying. */
const PLAIN_OUTCOME = "accepts it";
const LINE = 100;

/** @returns exit status of the process */
export async function start(): Promise<number> {
  const boot = BOOT_IDS.map(formatApicId).join(" and ");
  title(`CPUs ${boot} at work, CPU ${formatApicId(NEW_ID)} added at ${formatNs(HOTPLUG_NS)}`);
  const base = await runHeadline(DEFAULT_POLICY, (text) => stdout.write(text));
  const { instructions, virtualNs } = base.result;
  stdout.write(`${formatCount(instructions)} instructions, ${formatNs(virtualNs)} virtual time\n`);

  title(`Every INIT and STARTUP, policy ${DEFAULT_POLICY}`);
  stdout.write(`${wakeTable(base)}\n`);

  title("The same under the other policies");
  for (const { name } of PRESETS) {
    if (name !== DEFAULT_POLICY) await showOther(name, base);
  }
  return isComplete(base) ? 0 : EXIT_FAILED_RUN;
}

async function showOther(policy: string, base: HeadlineRun): Promise<void> {
  const run = await runHeadline(policy);
  const force = run.isForced ? " A careful host refuses the CPU; it was forced." : "";
  const text = `${headlineDifference(run, base)}.${force}`;
  const indent = 14;
  const lines = wrap(text, LINE - indent).join(`\n${" ".repeat(indent)}`);
  stdout.write(`${colors.bold(policy.padEnd(indent))}${lines}\n`);
}

/** The guest ended by itself, and nothing failed. */
function isComplete({ result, serial }: HeadlineRun): boolean {
  return result.reason === "exit" && /^DONE$/m.test(serial) && !/^FAIL/m.test(serial);
}

function wakeTable(run: HeadlineRun): string {
  const table = new Table({
    head: ["message", "at", "CPU", "takes it", "why"].map((text) => colors.bold(text)),
    colWidths: COLUMNS,
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const wake of run.wakes) {
    const rowSpan = wake.cpus.length;
    const route = `${formatApicId(wake.senderId)} to ${formatApicId(wake.sent.dest)}`;
    const message = { content: `${describeMessage(wake.sent)}\n${route}`, rowSpan };
    const time = { content: formatNs(Number(wake.sent.now)), rowSpan };
    wake.cpus.forEach((cpu, i) => {
      const cells = [formatApicId(cpu.apicId), ...verdict(cpu)];
      table.push(i === 0 ? [message, time, ...cells] : cells);
    });
  }
  return table.toString();
}

/** Whether a CPU takes a message, and why. */
function verdict(cpu: ApicTargetEvent): [string, string] {
  const why = describeReason(cpu);
  if (cpu.kind === "other") return ["no", why];
  const outcome = describeOutcome(cpu);
  return [colors.green("yes"), outcome === PLAIN_OUTCOME ? why : `${why}; ${outcome}`];
}

function title(text: string): void {
  stdout.write(`\n${colors.bold(text)}\n\n`);
}
