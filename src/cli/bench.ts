/** `x2vm bench ipi`: chooses the cases, measures them in turn, shows them. */
import { stderr, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { hostLine } from "../bench/host.js";
import { ipiPage } from "../bench/html/ipi-page.js";
import { hotAddObstacle, measureHotAdd, type HotAddResult } from "../bench/hot-add.js";
import { hotAddRecords, hotAddTable, ipiCsv, ipiRecords, ipiTable } from "../bench/ipi-report.js";
import { IPI_ROWS, type ApicMode, type IpiRow } from "../bench/ipi-rows.js";
import type { IpiCase } from "../bench/ipi-run.js";
import { measureIpi, obstacle, type IpiResult } from "../bench/ipi.js";
import { peerNotes, standing } from "../bench/peer-report.js";
import { findPeers } from "../bench/peers/find.js";
import type { Peer } from "../bench/peers/peer.js";
import { X2vmError } from "../errors.js";
import { parsePolicy } from "../policies.js";
import { parseNumber } from "./args.js";
import { HOT_ADD, type IpiFlags } from "./bench-options.js";
import { LineFile } from "./files.js";
import { Progress } from "./progress.js";

/** From dist/src/cli, where this runs. */
const GUESTS = new URL("../../../guests/", import.meta.url);
const IMAGE = fileURLToPath(new URL("ipi-bench.bin", GUESTS));
const COMPUTE = fileURLToPath(new URL("compute.bin", GUESTS));
/** The guest has records for so many. */
const MAX_CPUS = 4096;

/** @throws X2vmError USAGE */
export async function benchIpi(patterns: readonly string[], flags: IpiFlags): Promise<void> {
  const names = patterns.filter((name) => name !== HOT_ADD);
  const rows = patterns.length === 0 ? IPI_ROWS : chooseRows(names);
  const hasHotAdd = patterns.length === 0 || patterns.includes(HOT_ADD);
  const modes = chooseModes(flags.apic);
  const cpuCounts = flags.cpus.split(",").map(parseCpus);
  if (flags.repetitions < 1) throw new X2vmError("USAGE", "--repetitions: at least 1.");
  if (flags.peers !== "auto" && flags.peers !== "none") {
    throw new X2vmError("USAGE", `--peers: "${flags.peers}" is neither auto nor none.`);
  }
  parsePolicy(flags.policy);
  const page = flags.html === undefined ? undefined : new LineFile(flags.html);
  const machines = modes.flatMap((mode) => cpuCounts.map((cpus) => ({ cpus, mode })));
  const cases = machines.flatMap((machine) => rows.map((row) => ({ row, ...machine })));
  const hotAdds = hasHotAdd ? machines : [];
  const peers = flags.peers === "none" ? [] : await findPeers(COMPUTE);
  const options = { ...flags, peers, imagePath: IMAGE };

  const progress = new Progress(cases.length + hotAdds.length);
  const results: IpiResult[] = [];
  const added: HotAddResult[] = [];
  try {
    for (const [i, each] of cases.entries()) {
      if (obstacle(each) !== undefined) continue;
      progress.show(i, nameOf(each));
      results.push(await measureIpi(each, options));
    }
    for (const [i, each] of hotAdds.entries()) {
      if (hotAddObstacle(each) !== undefined) continue;
      progress.show(cases.length + i, `${HOT_ADD}, ${each.cpus} CPUs, ${each.mode}`);
      added.push(await measureHotAdd(each, options));
    }
  } finally {
    progress.end();
  }

  for (const each of cases) tell(nameOf(each), obstacle(each));
  for (const each of hotAdds) {
    tell(`${HOT_ADD}, ${each.cpus} CPUs, ${each.mode}`, hotAddObstacle(each));
  }
  if (page !== undefined) {
    const about = [legend(flags, peers), hostLine()];
    page.write(ipiPage({ results, hotAdds: added, about }));
    page.close();
  }
  if (flags.json) {
    const report = { rows: ipiRecords(results), hotAdd: hotAddRecords(added) };
    stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  } else if (flags.csv) {
    stdout.write(ipiCsv(results));
  } else {
    if (results.length > 0) stdout.write(`${ipiTable(results)}\n`);
    if (added.length > 0) stdout.write(`${hotAddTable(added)}\n`);
    const lines = [legend(flags, peers), ...peerNotes(results), standing(results) ?? []].flat();
    stdout.write(`${lines.join("\n")}\n`);
  }
}

function nameOf({ row, cpus, mode }: IpiCase): string {
  return `${row.name}, ${cpus} CPUs, ${mode}`;
}

/** A case that is left out does not go unsaid. */
function tell(name: string, why: string | undefined): void {
  if (why !== undefined) stderr.write(`x2vm: ${name}: ${why}\n`);
}

function legend({ repetitions, policy, peers: wish }: IpiFlags, peers: readonly Peer[]): string {
  const beside =
    peers.length > 0
      ? ` In turns with ${peers.map(({ title }) => title).join(" and ")}.`
      : wish === "none"
        ? ""
        : " Neither QEMU nor Bochs is installed: no peer.";
  return (
    `Policy ${policy}. Wall time: median of ${repetitions} runs and their range. ` +
    `Latency: virtual ns from send to handler.${beside}`
  );
}

function chooseRows(patterns: readonly string[]): readonly IpiRow[] {
  return patterns.map((name) => {
    const row = IPI_ROWS.find((each) => each.name === name);
    if (row !== undefined) return row;
    const names = [...IPI_ROWS.map((each) => each.name), HOT_ADD].join(", ");
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
