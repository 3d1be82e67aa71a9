/**
 * A case of the IPI benchmark on a peer.
 *
 * Nobody knows beforehand how long a peer takes, so a trial of few interrupts comes first. It also says which of the
 * peer's ways is the faster, and that one counts.
 */
import { countOf } from "./ipi-rows.js";
import { commandLineOf, NoRowError, sectionOf, type IpiCase } from "./ipi-run.js";
import { PeerTimeoutError, type Peer } from "./peers/peer.js";
import { summarize, type Summary } from "./statistics.js";

export interface PeerTimes {
  /** Nanoseconds of wall time for each interrupt. */
  readonly nsEach: Summary;
  /** CPU time of all its threads, where the system tells. */
  readonly cpuNsEach?: Summary;
  /** Which of its ways that was, if not the usual one. */
  readonly way?: string;
}

export type PeerFigure =
  | PeerTimes
  /** It did not end in time: each takes longer than so many nanoseconds. */
  | { readonly overNs: number }
  /** Why there is nothing to compare. */
  | { readonly reason: string };

/** Hundreds of CPUs that spin take QEMU seconds to wake. */
const START_MS = 30_000;
const TIMEOUT_MS = 10_000;
/** Part of the interrupts that a trial has. */
const TRIAL_PART = 1 / 200;
/** What a repetition should take, with no more interrupts than x2vm has. */
const RUN_MS = 200;
/** A trial that takes longer is not repeated. */
const SLOW_MS = 2_000;

interface Sample {
  readonly ns: number;
  readonly cpuNs: number | undefined;
  readonly interrupts: number;
}

export class PeerRuns {
  readonly #peer: Peer;
  readonly #each: IpiCase;
  readonly #imagePath: string;
  #samples: Sample[] = [];
  #way: string | undefined;
  /** Of each repetition; 0: none is worth it. */
  #count = 0;
  /** Where it took too long. */
  #overNs: number | undefined;
  #reason: string | undefined;

  constructor(peer: Peer, each: IpiCase, imagePath: string) {
    this.#peer = peer;
    this.#each = each;
    this.#imagePath = imagePath;
    this.#reason = obstacleOf(peer, each);
  }

  get name(): string {
    return this.#peer.name;
  }

  get figure(): PeerFigure {
    if (this.#samples.length > 0) return this.#times();
    if (this.#overNs !== undefined) return { overNs: this.#overNs };
    return { reason: this.#reason ?? `${this.name}: not run` };
  }

  #times(): PeerTimes {
    const nsEach = summarize(this.#samples.map(({ ns, interrupts }) => ns / interrupts));
    const cpu = this.#samples.flatMap(({ cpuNs, interrupts }) =>
      cpuNs === undefined ? [] : [cpuNs / interrupts],
    );
    const isUsual = this.#way === this.#peer.ways?.[0];
    return {
      nsEach,
      ...(cpu.length === 0 ? {} : { cpuNsEach: summarize(cpu) }),
      ...(isUsual || this.#way === undefined ? {} : { way: this.#way }),
    };
  }

  /** Finds out how to measure it. */
  async try(): Promise<void> {
    if (this.#reason !== undefined) return;
    const { row, cpus } = this.#each;
    const count = countOf(row, cpus, TRIAL_PART);
    const ways = cpus > 1 ? (this.#peer.ways ?? [undefined]) : [undefined];
    let best: Sample | undefined;
    for (const way of ways) {
      const sample = await this.#run(count, way);
      if (sample === undefined || (best !== undefined && best.ns <= sample.ns)) continue;
      best = sample;
      this.#way = way;
    }
    if (best === undefined) return;
    this.#samples = [best];
    const trialMs = best.ns / 1e6;
    if (trialMs > SLOW_MS) return;
    const enough = Math.ceil((count * RUN_MS) / Math.max(trialMs, 1e-3));
    this.#count = Math.max(count, Math.min(enough, countOf(row, cpus)));
  }

  /** A repetition, if it is worth one. */
  async repeat(isFirst: boolean): Promise<void> {
    if (this.#count === 0) return;
    const sample = await this.#run(this.#count, this.#way);
    if (sample === undefined) return;
    if (isFirst) this.#samples = []; // the trial's is less exact
    this.#samples.push(sample);
  }

  async #run(count: number, way: string | undefined): Promise<Sample | undefined> {
    const { row, cpus } = this.#each;
    const commandLine = `${commandLineOf(this.#each, count)} wall`;
    const guest = { imagePath: this.#imagePath, commandLine, cpus, way };
    const times = { startMs: START_MS, timeoutMs: TIMEOUT_MS };
    try {
      const {
        start,
        end,
        count: interrupts,
      } = sectionOf(await this.#peer.run({ ...guest, ...times }));
      const cpuNs =
        start.cpuMs === undefined || end.cpuMs === undefined
          ? undefined
          : (end.cpuMs - start.cpuMs) * 1e6;
      return { ns: this.#peer.wallNs(start, end), cpuNs, interrupts };
    } catch (error) {
      if (error instanceof PeerTimeoutError && error.hasStarted) {
        this.#overNs = (TIMEOUT_MS * 1e6) / (count * row.each(cpus));
      } else {
        this.#reason = `${this.name} ${whyOf(error)}`;
      }
      return undefined;
    }
  }
}

function obstacleOf(peer: Peer, { row, cpus, mode }: IpiCase): string | undefined {
  if (row.kvmFeatures !== undefined) return `no KVM hypercalls in ${peer.name}`;
  return peer.obstacle({
    cpus,
    isLong: true,
    isX2apic: mode === "x2apic",
    hasClusters: row.hasClusters === true,
  });
}

function whyOf(error: unknown): string {
  if (error instanceof NoRowError) return `ran no row: ${error.why}`;
  if (error instanceof PeerTimeoutError) return `did not start in ${START_MS / 1000} s`;
  return `failed: ${String(error).split("\n", 1)[0]!}`;
}
