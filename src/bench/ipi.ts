/**
 * The IPI benchmark: one case is a pattern, a number of CPUs and an APIC mode.
 *
 * What the guest sees (instructions, virtual latency) is the same in every run. Wall time is not: a case is repeated,
 * and the repetitions of a case on x2vm and on its peers take turns.
 */
import { readFileSync } from "node:fs";
import type { MachineOptions } from "../index.js";
import { runHere } from "./here.js";
import { countOf, type ApicMode, type IpiRow } from "./ipi-rows.js";
import { distributionOf, latencyOf, type Latency, type Share } from "./latency.js";
import type { Peer } from "./peers/peer.js";
import { summarize, type Summary } from "./statistics.js";
import type { TimedLine } from "./stopwatch.js";

export interface IpiCase {
  readonly row: IpiRow;
  readonly cpus: number;
  readonly mode: ApicMode;
}

/** What a peer made of the same case: nanoseconds of wall time for each interrupt, or why there is nothing to compare. */
export type PeerFigure = { readonly nsEach: Summary } | { readonly reason: string };

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
/** More than a few CPUs to each of the host's take a peer seconds for one turn. */
const PEER_CPUS = 16;
const PEER_TIMEOUT_MS = 20_000;
/** Part of the interrupts that a peer is given. */
const PEER_PART = 1 / 50;

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
  const words = commandLine(each, countOf(each.row, each.cpus));
  const first = await runHere(image, `${words} latency distribution`, machine); // warms the engine up, too
  const nsHere: number[] = [];
  const cpuHere: number[] = [];
  const peers = options.peers.map((peer) => new PeerRuns(peer, each));
  let interrupts = 0;
  let instructionsEach = 0;
  for (let i = 0; i < options.repetitions; i++) {
    const { start, end, count } = section(await runHere(image, words, machine));
    interrupts = count;
    nsHere.push(((end.atMs - start.atMs) * 1e6) / count);
    cpuHere.push(((end.cpuMs - start.cpuMs) * 1e6) / count);
    instructionsEach = (end.instructions - start.instructions) / count;
    for (const peer of peers) await peer.run(options.imagePath);
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

/** The runs of one case on one peer. */
class PeerRuns {
  readonly #peer: Peer;
  readonly #each: IpiCase;
  readonly #ns: number[] = [];
  #reason: string | undefined;

  constructor(peer: Peer, each: IpiCase) {
    this.#peer = peer;
    this.#each = each;
    this.#reason = peerObstacle(peer, each);
  }

  get name(): string {
    return this.#peer.name;
  }

  get figure(): PeerFigure {
    return this.#reason === undefined ? { nsEach: summarize(this.#ns) } : { reason: this.#reason };
  }

  /** One run, unless the peer cannot, or failed before. */
  async run(imagePath: string): Promise<void> {
    if (this.#reason !== undefined) return;
    const { row, cpus } = this.#each;
    const words = `${commandLine(this.#each, countOf(row, cpus, PEER_PART))} wall`;
    try {
      const lines = await this.#peer.run({
        imagePath,
        commandLine: words,
        cpus,
        timeoutMs: PEER_TIMEOUT_MS,
      });
      const { start, end, count } = section(lines);
      this.#ns.push(this.#peer.wallNs(start, end) / count);
    } catch (error) {
      this.#reason =
        error instanceof NoRowError
          ? `${this.name}: ${error.why}`
          : `${this.name} gave no answer in ${PEER_TIMEOUT_MS / 1000} s`;
    }
  }
}

function peerObstacle(peer: Peer, { row, cpus, mode }: IpiCase): string | undefined {
  if (row.kvmFeatures !== undefined) return `no KVM hypercalls in ${peer.name}`;
  const needs = { cpus, isLong: true, isX2apic: mode === "x2apic" };
  return peer.obstacle(needs) ?? (cpus > PEER_CPUS ? `not run: over ${PEER_CPUS} CPUs` : undefined);
}

/** The machine of a case. */
function machineOf({ row, cpus }: IpiCase, policy: string): MachineOptions {
  return {
    cpus,
    policy,
    ...(row.kvmFeatures === undefined ? {} : { kvmFeatures: row.kvmFeatures }),
  };
}

function commandLine({ row, mode }: IpiCase, count: number): string {
  return `${row.name} count=${count} ${mode}-only`;
}

/** The guest said why it could not run a row. */
class NoRowError extends Error {
  readonly why: string;

  constructor(lines: readonly TimedLine[]) {
    const texts = lines.map(({ text }) => text);
    super(`No row ran: ${texts.join(" | ")}`);
    this.why =
      texts.find((text) => text.startsWith("FAIL "))?.replace(/^FAIL \w+: /, "") ?? "no row";
  }
}

/** The lines at both ends of what is measured, and how many interrupts came in between. */
function section<Line extends TimedLine>(lines: readonly Line[]) {
  const start = lines.find(({ text }) => text === "START");
  const end = lines.find(({ text }) => text.startsWith("interrupts "));
  if (start === undefined || end === undefined) {
    throw new NoRowError(lines);
  }
  return { start, end, count: Number(/^interrupts (\d+)/.exec(end.text)![1]) };
}
