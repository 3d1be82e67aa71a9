/** `x2vm bench dispatch`: the APICs of the core, driven by hand. */
import { stdout } from "node:process";
import { coreTarget, DISPATCH_ROWS, measureDispatch } from "../bench/dispatch.js";
import { dispatchRecords, dispatchTable } from "../bench/dispatch-report.js";
import { X2vmError } from "../errors.js";
import { parseNumber } from "./args.js";
import type { DispatchFlags } from "./bench-options.js";
import { Progress } from "./progress.js";

const MAX_CPUS = 2 ** 20;
const TURN_MS = 100;

/** @throws X2vmError USAGE */
export async function benchDispatch(flags: DispatchFlags): Promise<void> {
  const counts = flags.cpus.split(",").map(parseCpus);
  if (flags.repetitions < 1) throw new X2vmError("USAGE", "--repetitions: at least 1.");
  const targets = [await coreTarget(Math.max(...counts))];
  const cases = counts.flatMap((cpus) => DISPATCH_ROWS.map((row) => ({ row, cpus })));
  const progress = new Progress(cases.length);
  const results = cases.map(({ row, cpus }, i) => {
    progress.show(i, `${row.title}, ${cpus} CPUs`);
    return measureDispatch(row, cpus, targets, { ms: TURN_MS, turns: flags.repetitions });
  });
  progress.end();
  if (flags.json) stdout.write(`${JSON.stringify(dispatchRecords(results), undefined, 2)}\n`);
  else {
    stdout.write(
      `${dispatchTable(results)}\nCPU time from the write of the ICR to the EOI, median of ${flags.repetitions} turns.\n`,
    );
  }
}

function parseCpus(text: string): number {
  const cpus = parseNumber(text.trim(), "--cpus");
  if (cpus < 2 || cpus > MAX_CPUS) {
    throw new X2vmError("USAGE", `--cpus: ${cpus} is not from 2 to ${MAX_CPUS}.`);
  }
  return cpus;
}
