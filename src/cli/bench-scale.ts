/** `x2vm bench scale`: machines of growing size, one after the other. */
import { stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { hostLine } from "../bench/host.js";
import { scalePage } from "../bench/html/scale-page.js";
import { scaleRecords, scaleTable, sparseRecords, sparseTable } from "../bench/scale-report.js";
import {
  measureScale,
  measureSparse,
  type ScaleResult,
  type SparseResult,
} from "../bench/scale.js";
import { X2vmError } from "../errors.js";
import { parseNumber } from "./args.js";
import type { ScaleFlags } from "./bench-options.js";
import { LineFile } from "./files.js";
import { Progress } from "./progress.js";

/** From dist/src/cli, where this runs. */
const GUESTS = new URL("../../../guests/", import.meta.url);
const MILLION = fileURLToPath(new URL("million.bin", GUESTS));
const IPI_BENCH = fileURLToPath(new URL("ipi-bench.bin", GUESTS));
/** The bitmap of guests/million ends there, and so do x2APIC clusters. */
const MAX_CPUS = 2 ** 20;
/** guests/ipi-bench has records for so many. */
const MAX_SPARSE = 4096;

/** @throws X2vmError USAGE */
export async function benchScale(flags: ScaleFlags): Promise<void> {
  const counts = flags.cpus.split(",").map(parseCpus);
  const sparseCounts = counts.filter((cpus) => cpus <= MAX_SPARSE);
  if (flags.repetitions < 1) throw new X2vmError("USAGE", "--repetitions: at least 1.");
  const page = flags.html === undefined ? undefined : new LineFile(flags.html);
  const options = { ...flags, millionPath: MILLION, ipiBenchPath: IPI_BENCH };
  const progress = new Progress(counts.length + sparseCounts.length);
  const results: ScaleResult[] = [];
  const sparse: SparseResult[] = [];
  try {
    for (const [i, cpus] of counts.entries()) {
      progress.show(i, `${cpus} CPUs`);
      results.push(await measureScale(cpus, options));
    }
    for (const [i, cpus] of sparseCounts.entries()) {
      progress.show(counts.length + i, `${cpus} CPUs, sparse IDs`);
      sparse.push(await measureSparse(cpus, options));
    }
  } finally {
    progress.end();
  }
  const legend = `CPU time of this process, median of ${flags.repetitions} runs; from start to halt: wall time.`;
  if (page !== undefined) {
    page.write(scalePage({ results, sparse, about: [legend, hostLine()] }));
    page.close();
  }
  if (flags.json) {
    const report = { rows: scaleRecords(results), sparse: sparseRecords(sparse) };
    stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
    return;
  }
  stdout.write(`${scaleTable(results)}\n`);
  if (sparse.length > 0) stdout.write(`${sparseTable(sparse)}\n`);
  stdout.write(`${legend}\n`);
}

function parseCpus(text: string): number {
  const cpus = parseNumber(text.trim(), "--cpus");
  if (cpus < 2 || cpus > MAX_CPUS) {
    throw new X2vmError("USAGE", `--cpus: ${cpus} is not from 2 to ${MAX_CPUS}.`);
  }
  return cpus;
}
