/** What many samples of one quantity say. */

export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** @param samples - at least one */
export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, least: sorted[0]!, most: sorted.at(-1)! };
}

/** @param samples - at least one, all above 0 */
export function geometricMean(samples: readonly number[]): number {
  return Math.exp(samples.reduce((sum, each) => sum + Math.log(each), 0) / samples.length);
}
