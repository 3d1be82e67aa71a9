/** Latencies as guests/ipi-bench reports them: from the instruction before a send to the first of the handler. */
import type { TimedLine } from "./stopwatch.js";

/** In virtual nanoseconds. */
export interface Latency {
  readonly samples: number;
  readonly least: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly most: number;
}

/** A point of a distribution: this part of the samples, 0 to 1, took so many virtual ns or less. */
export interface Share {
  readonly ns: number;
  readonly part: number;
}

const LATENCY_LINE =
  /^latency samples (\d+), least (\d+), p50 (\d+), p90 (\d+), p99 (\d+), most (\d+)$/;
const DISTRIBUTION_WORD = "distribution ";

/** @returns undefined for a row without latencies */
export function latencyOf(lines: readonly TimedLine[]): Latency | undefined {
  for (const { text } of lines) {
    const match = LATENCY_LINE.exec(text);
    if (match === null) continue;
    const [samples, least, p50, p90, p99, most] = match.slice(1).map(Number);
    return { samples: samples!, least: least!, p50: p50!, p90: p90!, p99: p99!, most: most! };
  }
  return undefined;
}

/** Ascending; the last point is the whole. @returns nothing for a row without latencies */
export function distributionOf(lines: readonly TimedLine[]): Share[] {
  const line = lines.find(({ text }) => text.startsWith(DISTRIBUTION_WORD));
  if (line === undefined) return [];
  const pairs = line.text.slice(DISTRIBUTION_WORD.length).split(" ");
  const counts = pairs.map((pair) => pair.split(":").map(Number) as [ns: number, count: number]);
  const [, all] = counts.at(-1)!;
  return counts.map(([ns, count]) => ({ ns, part: count / all }));
}

/**
 * The same figures of samples that are all here.
 *
 * @param samples - at least one, ns
 */
export function latencyOfSamples(samples: readonly number[]): Latency {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)]!;
  return {
    samples: sorted.length,
    least: sorted[0]!,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    most: sorted.at(-1)!,
  };
}
