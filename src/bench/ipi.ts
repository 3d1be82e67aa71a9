/**
 * The IPI benchmark: one case is a pattern, a number of CPUs and an APIC mode.
 *
 * What the guest sees (instructions, virtual latency) is the same in every run. Wall time is not: a case is repeated,
 * and the repetitions of a case on x2vm and on its peers take turns.
 */
import { readFileSync } from "node:fs";
import type { MachineOptions } from "../index.js";
import { runHere } from "./here.js";
import { PeerRuns, type PeerFigure } from "./ipi-peers.js";
import { countOf } from "./ipi-rows.js";
import { commandLineOf, sectionOf, type IpiCase } from "./ipi-run.js";
import { distributionOf, latencyOf, type Latency, type Share } from "./latency.js";
import type { Peer } from "./peers/peer.js";
import { summarize, type Summary } from "./statistics.js";

export interface IpiResult extends IpiCase {
  /** Interrupts that arrived in one run. */
  readonly interrupts: number;
  /** Wall time of each interrupt. */
  readonly nsEach: Summary;
  /** CPU time of this process for each: what other programs on the host do not stretch. */
  readonly cpuNsEach: Summary;
  /** Guest instructions of all CPUs for each interrupt. */
  readonly instructionsEach: number;
  /** Undefined: the row has none. */
  readonly latency: Latency | undefined;
  /** How the latencies are distributed, ascending; empty for a row that has none. */
  readonly distribution: readonly Share[];
  /** By name of the peer. */
  readonly peers: ReadonlyMap<string, PeerFigure>;
}

export interface IpiOptions {
  /** File of the guest: ipi-bench.bin. */
  readonly imagePath: string;
  readonly repetitions: number;
  readonly policy: string;
  /** Other machines to compare with. */
  readonly peers: readonly Peer[];
}

/** Most CPUs that xAPIC mode can address one by one: IDs 0 to 254. */
const XAPIC_CPUS = 255;

/** Why a case makes no sense, or undefined. */
export function obstacle({ row, cpus, mode }: IpiCase): string | undefined {
  if (cpus < row.leastCpus) return `needs ${row.leastCpus} CPUs`;
  if (mode === "xapic" && cpus > XAPIC_CPUS) return `xAPIC mode ends at ${XAPIC_CPUS} CPUs`;
  if (row.onlyMode !== undefined && mode !== row.onlyMode) return `is for ${row.onlyMode} mode`;
  return undefined;
}

/**
 * Measures one case.
 *
 * @param machine - what to run it on, with as many CPUs; default: IDs from 0
 * @throws Error when a guest fails
 */
export async function measureIpi(
  each: IpiCase,
  options: IpiOptions,
  machine: MachineOptions = machineOf(each, options.policy),
): Promise<IpiResult> {
  const image = readFileSync(options.imagePath);
  const words = commandLineOf(each, countOf(each.row, each.cpus));
  const first = await runHere(image, `${words} latency distribution`, machine); // warms the engine up, too
  const nsHere: number[] = [];
  const cpuHere: number[] = [];
  const peers = options.peers.map((peer) => new PeerRuns(peer, each, options.imagePath));
  for (const peer of peers) await peer.try();
  let interrupts = 0;
  let instructionsEach = 0;
  for (let i = 0; i < options.repetitions; i++) {
    const { start, end, count } = sectionOf(await runHere(image, words, machine));
    interrupts = count;
    nsHere.push(((end.atMs - start.atMs) * 1e6) / count);
    cpuHere.push(((end.cpuMs - start.cpuMs) * 1e6) / count);
    instructionsEach = (end.instructions - start.instructions) / count;
    for (const peer of peers) await peer.repeat(i === 0);
  }
  return {
    ...each,
    interrupts,
    nsEach: summarize(nsHere),
    cpuNsEach: summarize(cpuHere),
    instructionsEach,
    latency: latencyOf(first),
    distribution: distributionOf(first),
    peers: new Map(peers.map((peer) => [peer.name, peer.figure])),
  };
}

/** The machine of a case. */
function machineOf({ row, cpus }: IpiCase, policy: string): MachineOptions {
  return {
    cpus,
    policy,
    ...(row.kvmFeatures === undefined ? {} : { kvmFeatures: row.kvmFeatures }),
  };
}
