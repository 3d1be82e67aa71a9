/**
 * The IPI benchmark: one case is a pattern, a number of CPUs and an APIC mode.
 *
 * What the guest sees (instructions, virtual latency) is the same in every run. Wall time is not: a case is repeated,
 * and the repetitions of a case on x2vm and on a peer take turns.
 */
import { readFileSync } from "node:fs";
import { runHere } from "./here.js";
import { countOf, type IpiRow } from "./ipi-rows.js";
import { runOnQemu, ticksOf } from "./qemu.js";
import { summarize, type Summary } from "./statistics.js";
import type { TimedLine } from "./stopwatch.js";

export type ApicMode = "xapic" | "x2apic";

export interface IpiCase {
  readonly row: IpiRow;
  readonly cpus: number;
  readonly mode: ApicMode;
}

/** Time from the instruction before a send to the first of the handler, in virtual nanoseconds. */
export interface Latency {
  readonly samples: number;
  readonly least: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly most: number;
}

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
  /** The same on the peer, or why there is nothing to compare. */
  readonly peer: { readonly nsEach: Summary } | { readonly reason: string } | undefined;
}

export interface IpiOptions {
  /** File of the guest: ipi-bench.bin. */
  readonly imagePath: string;
  readonly repetitions: number;
  readonly policy: string;
  /** QEMU to compare with: its version, and the ticks of its TSC in a nanosecond. Undefined: no peer. */
  readonly qemu: { readonly version: string; readonly ticksPerNs: number } | undefined;
}

/** Most CPUs that xAPIC mode can address one by one: IDs 0 to 254. */
const XAPIC_CPUS = 255;
/** More than a few CPUs to each of the host's take QEMU seconds for one turn. */
const PEER_CPUS = 16;
const PEER_TIMEOUT_MS = 20_000;
/** QEMU's local APIC has x2APIC mode under TCG from this version on. */
const QEMU_X2APIC_VERSION = 9;
/** Part of the interrupts that the peer is given. */
const PEER_PART = 1 / 50;

/** Why a case makes no sense, or undefined. */
export function obstacle({ row, cpus, mode }: IpiCase): string | undefined {
  if (cpus < row.leastCpus) return `needs ${row.leastCpus} CPUs`;
  if (mode === "xapic" && cpus > XAPIC_CPUS) return `xAPIC mode ends at ${XAPIC_CPUS} CPUs`;
  return undefined;
}

/** Measures one case. @throws Error when a guest fails */
export async function measureIpi(each: IpiCase, options: IpiOptions): Promise<IpiResult> {
  const image = readFileSync(options.imagePath);
  const here = (words: string) =>
    runHere(image, words, { cpus: each.cpus, policy: options.policy });
  const words = commandLine(each, countOf(each.row, each.cpus));
  const latency = latencyOf(await here(`${words} latency`)); // warms the engine up, too
  const nsHere: number[] = [];
  const cpuHere: number[] = [];
  const nsThere: number[] = [];
  let reason = peerObstacle(each, options.qemu?.version);
  let interrupts = 0;
  let instructionsEach = 0;
  for (let i = 0; i < options.repetitions; i++) {
    const { start, end, count } = section(await here(words));
    interrupts = count;
    nsHere.push(((end.atMs - start.atMs) * 1e6) / count);
    cpuHere.push(((end.cpuMs - start.cpuMs) * 1e6) / count);
    instructionsEach = (end.instructions - start.instructions) / count;
    if (options.qemu === undefined || reason !== undefined) continue;
    try {
      nsThere.push(await nsOnQemu(each, options.imagePath, options.qemu.ticksPerNs));
    } catch {
      reason = `QEMU gave no answer in ${PEER_TIMEOUT_MS / 1000} s`;
    }
  }
  const peer =
    options.qemu === undefined
      ? undefined
      : reason === undefined
        ? { nsEach: summarize(nsThere) }
        : { reason };
  return {
    ...each,
    interrupts,
    nsEach: summarize(nsHere),
    cpuNsEach: summarize(cpuHere),
    instructionsEach,
    latency,
    peer,
  };
}

async function nsOnQemu(each: IpiCase, imagePath: string, ticksPerNs: number): Promise<number> {
  const words = `${commandLine(each, countOf(each.row, each.cpus, PEER_PART))} wall`;
  const limits = { cpus: each.cpus, timeoutMs: PEER_TIMEOUT_MS };
  const { end, count } = section(await runOnQemu(imagePath, words, limits));
  return ticksOf(end.text)! / ticksPerNs / count;
}

function peerObstacle({ cpus, mode }: IpiCase, qemu: string | undefined): string | undefined {
  if (qemu === undefined) return undefined;
  if (cpus > PEER_CPUS) return `not run: over ${PEER_CPUS} CPUs`;
  if (mode === "x2apic" && Number.parseInt(qemu, 10) < QEMU_X2APIC_VERSION) {
    return `no x2APIC in QEMU ${qemu}`;
  }
  return undefined;
}

function commandLine({ row, mode }: IpiCase, count: number): string {
  return `${row.name} count=${count}${mode === "xapic" ? " xapic-only" : ""}`;
}

/** The lines at both ends of what is measured, and how many interrupts came in between. */
function section<Line extends TimedLine>(lines: readonly Line[]) {
  const start = lines.find(({ text }) => text === "START");
  const end = lines.find(({ text }) => text.startsWith("interrupts "));
  if (start === undefined || end === undefined) {
    throw new Error(`No row ran: ${lines.map(({ text }) => text).join(" | ")}`);
  }
  return { start, end, count: Number(/^interrupts (\d+)/.exec(end.text)![1]) };
}

const LATENCY_LINE =
  /^latency samples (\d+), least (\d+), p50 (\d+), p90 (\d+), p99 (\d+), most (\d+)$/;

function latencyOf(lines: readonly TimedLine[]): Latency | undefined {
  for (const { text } of lines) {
    const match = LATENCY_LINE.exec(text);
    if (match === null) continue;
    const [samples, least, p50, p90, p99, most] = match.slice(1).map(Number);
    return { samples: samples!, least: least!, p50: p50!, p90: p90!, p99: p99!, most: most! };
  }
  return undefined;
}
