/** `x2vm bench`: what things cost, by the wall clock and in virtual time. */
import { stderr, stdout } from "node:process";
import type { Command } from "commander";
import { ipiCsv, ipiRecords, ipiTable } from "../bench/ipi-report.js";
import { IPI_ROWS, type IpiRow } from "../bench/ipi-rows.js";
import { measureIpi, obstacle, type ApicMode, type IpiResult } from "../bench/ipi.js";
import { qemuVersion } from "../bench/qemu.js";
import { X2vmError } from "../errors.js";
import { DEFAULT_POLICY, parsePolicy } from "../policies.js";
import { parseNumber } from "./args.js";

/** The guest has records for so many. */
const MAX_CPUS = 4096;

interface IpiFlags {
  readonly cpus: string;
  readonly apic: string;
  readonly repetitions: number;
  readonly policy: string;
  readonly peers: string;
  readonly json?: boolean;
  readonly csv?: boolean;
}

const EXAMPLES = `
Patterns: ${IPI_ROWS.map(({ name }) => name).join(", ")}

Instructions and latencies are those of the guest, in virtual nanoseconds, and the same in every run. What goes by the
wall clock is the median of the repetitions, with the range of all of them.

Examples:
  x2vm bench ipi                                  every pattern, 2, 16 and 255 CPUs, both APIC modes
  x2vm bench ipi pingpong-halt --cpus 2,4096      one pattern, idle CPUs beside it
  x2vm bench ipi --apic x2apic --csv > ipi.csv    for a spreadsheet`;

/** Adds `bench ipi [PATTERN ...]`. */
export function addBenchCommand(program: Command): void {
  program
    .command("bench")
    .description("measure what things cost")
    .command("ipi")
    .description("interrupts between CPUs, in guest code, by pattern")
    .argument("[pattern...]", "some patterns; all without")
    .option("--cpus <list>", "numbers of CPUs", "2,16,255")
    .option("--apic <modes>", "xapic, x2apic or both with a comma", "x2apic,xapic")
    .option(
      "--repetitions <n>",
      "runs of each case",
      (text) => parseNumber(text, "--repetitions"),
      3,
    )
    .option("--policy <policy>", "destination policy of the machine", DEFAULT_POLICY)
    .option("--peers <auto|none>", "QEMU beside it, where it is installed", "auto")
    .option("--json", "as JSON")
    .option("--csv", "as CSV")
    .addHelpText("after", EXAMPLES)
    .action(benchIpi);
}

async function benchIpi(patterns: readonly string[], flags: IpiFlags): Promise<void> {
  const rows = chooseRows(patterns);
  const modes = chooseModes(flags.apic);
  const cpuCounts = flags.cpus.split(",").map(parseCpus);
  if (flags.repetitions < 1) throw new X2vmError("USAGE", "--repetitions: at least 1.");
  if (flags.peers !== "auto" && flags.peers !== "none") {
    throw new X2vmError("USAGE", `--peers: "${flags.peers}" is neither auto nor none.`);
  }
  parsePolicy(flags.policy);
  const qemu = flags.peers === "none" ? undefined : qemuVersion();
  const cases = modes.flatMap((mode) =>
    cpuCounts.flatMap((cpus) => rows.map((row) => ({ row, cpus, mode }))),
  );
  const results: IpiResult[] = [];
  for (const [i, each] of cases.entries()) {
    if (obstacle(each) !== undefined) continue;
    progress(`${i + 1} of ${cases.length}: ${each.row.title}, ${each.cpus} CPUs, ${each.mode}`);
    results.push(await measureIpi(each, { ...flags, qemu }));
  }
  progress("");
  const skipped = cases.filter((each) => obstacle(each) !== undefined);
  for (const each of skipped) {
    stderr.write(`x2vm: ${each.row.name}, ${each.cpus} CPUs, ${each.mode}: ${obstacle(each)}\n`);
  }
  if (flags.json) stdout.write(`${JSON.stringify(ipiRecords(results), undefined, 2)}\n`);
  else if (flags.csv) stdout.write(ipiCsv(results));
  else stdout.write(`${ipiTable(results)}\n${legend(flags, qemu)}\n`);
}

function legend({ repetitions, policy, peers }: IpiFlags, qemu: string | undefined): string {
  const peer =
    qemu === undefined
      ? peers === "none"
        ? ""
        : " QEMU is not installed: no peer."
      : ` QEMU ${qemu} (TCG) in turns with x2vm.`;
  return (
    `Policy ${policy}. Wall time: median of ${repetitions} runs and their range. ` +
    `Latency: virtual ns from send to handler.${peer}`
  );
}

function chooseRows(patterns: readonly string[]): readonly IpiRow[] {
  if (patterns.length === 0) return IPI_ROWS;
  return patterns.map((name) => {
    const row = IPI_ROWS.find((each) => each.name === name);
    if (row !== undefined) return row;
    const names = IPI_ROWS.map((each) => each.name).join(", ");
    throw new X2vmError("USAGE", `There is no pattern "${name}": they are ${names}.`);
  });
}

function chooseModes(text: string): ApicMode[] {
  return text.split(",").map((mode) => {
    if (mode === "xapic" || mode === "x2apic") return mode;
    throw new X2vmError("USAGE", `--apic: "${mode}" is neither xapic nor x2apic.`);
  });
}

function parseCpus(text: string): number {
  const cpus = parseNumber(text.trim(), "--cpus");
  if (cpus < 1 || cpus > MAX_CPUS) {
    throw new X2vmError("USAGE", `--cpus: ${cpus} is not from 1 to ${MAX_CPUS}.`);
  }
  return cpus;
}

function progress(text: string): void {
  if (stderr.isTTY) stderr.write(`\r\x1b[K${text}`);
}
