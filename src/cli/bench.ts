/** `x2vm bench ipi`: chooses the cases, measures them in turn, shows them. */
import { stderr, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { ipiCsv, ipiRecords, ipiTable } from "../bench/ipi-report.js";
import { IPI_ROWS, type IpiRow } from "../bench/ipi-rows.js";
import { measureIpi, obstacle, type ApicMode, type IpiResult } from "../bench/ipi.js";
import { qemuTicksPerNs, qemuVersion } from "../bench/qemu.js";
import { X2vmError } from "../errors.js";
import { parsePolicy } from "../policies.js";
import { parseNumber } from "./args.js";
import type { IpiFlags } from "./bench-options.js";

/** From dist/src/cli, where this runs. */
const IMAGE = fileURLToPath(new URL("../../../guests/ipi-bench.bin", import.meta.url));
const COMPUTE = fileURLToPath(new URL("../../../guests/compute.bin", import.meta.url));
/** The guest has records for so many. */
const MAX_CPUS = 4096;

/** @throws X2vmError USAGE */
export async function benchIpi(patterns: readonly string[], flags: IpiFlags): Promise<void> {
  const rows = chooseRows(patterns);
  const modes = chooseModes(flags.apic);
  const cpuCounts = flags.cpus.split(",").map(parseCpus);
  if (flags.repetitions < 1) throw new X2vmError("USAGE", "--repetitions: at least 1.");
  if (flags.peers !== "auto" && flags.peers !== "none") {
    throw new X2vmError("USAGE", `--peers: "${flags.peers}" is neither auto nor none.`);
  }
  parsePolicy(flags.policy);
  const version = flags.peers === "none" ? undefined : qemuVersion();
  const qemu =
    version === undefined ? undefined : { version, ticksPerNs: await qemuTicksPerNs(COMPUTE) };
  const cases = modes.flatMap((mode) =>
    cpuCounts.flatMap((cpus) => rows.map((row) => ({ row, cpus, mode }))),
  );
  const results: IpiResult[] = [];
  for (const [i, each] of cases.entries()) {
    if (obstacle(each) !== undefined) continue;
    progress(`${i + 1} of ${cases.length}: ${each.row.title}, ${each.cpus} CPUs, ${each.mode}`);
    results.push(await measureIpi(each, { ...flags, qemu, imagePath: IMAGE }));
  }
  progress("");
  const skipped = cases.filter((each) => obstacle(each) !== undefined);
  for (const each of skipped) {
    stderr.write(`x2vm: ${each.row.name}, ${each.cpus} CPUs, ${each.mode}: ${obstacle(each)}\n`);
  }
  if (flags.json) stdout.write(`${JSON.stringify(ipiRecords(results), undefined, 2)}\n`);
  else if (flags.csv) stdout.write(ipiCsv(results));
  else stdout.write(`${ipiTable(results)}\n${legend(flags, version)}\n`);
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
