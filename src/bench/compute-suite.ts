/**
 * The kernels of one guest on x2vm and on every peer that can run it.
 *
 * Runs of the machines take turns, kernel by kernel, so that all of them see the same moods of the host. What a kernel
 * computes is compared each time.
 */
import { readFileSync } from "node:fs";
import { computeHere, computeOnPeer } from "./compute.js";
import { withShare, type Kernel } from "./kernels.js";
import type { Peer } from "./peers/peer.js";
import { summarize } from "./statistics.js";

export const HERE = "x2vm";

/** A guest image of the benchmark. */
export interface ComputeGuest {
  readonly bits: 64 | 32;
  readonly imagePath: string;
}

export interface Row {
  readonly kernel: Kernel;
  /** Of one repetition. */
  instructionsEach: number;
  /** Nanoseconds of one repetition, by name of the machine: x2vm first. */
  readonly nsEach: ReadonlyMap<string, number[]>;
}

export interface Suite {
  readonly guest: ComputeGuest;
  /** Those that can run it. */
  readonly peers: readonly Peer[];
  /** Why others cannot, by name. */
  readonly obstacles: ReadonlyMap<string, string>;
  readonly rows: readonly Row[];
}

export interface SuiteOptions {
  readonly kernels: readonly Kernel[];
  readonly repetitions: number;
  /** Told what is about to be measured. */
  readonly onProgress: (text: string) => void;
}

export async function measureSuite(
  guest: ComputeGuest,
  candidates: readonly Peer[],
  { kernels, repetitions, onProgress }: SuiteOptions,
): Promise<Suite> {
  const image = readFileSync(guest.imagePath);
  const needs = { cpus: 1, isLong: guest.bits === 64 };
  const obstacleOf = (peer: Peer) => peer.obstacle(needs);
  const peers = candidates.filter((peer) => obstacleOf(peer) === undefined);
  const rows: Row[] = kernels.map((kernel) => ({
    kernel,
    instructionsEach: 0,
    nsEach: new Map([HERE, ...peers.map(({ name }) => name)].map((name) => [name, []])),
  }));
  const expected = new Map<string, string>();
  for (let i = 0; i < repetitions; i++) {
    for (const row of rows) {
      const { kernel } = row;
      onProgress(`${guest.bits}-bit code, ${i + 1} of ${repetitions}: ${kernel.title}`);
      const here = await computeHere(image, kernel);
      row.nsEach.get(HERE)!.push(here.nsEach);
      row.instructionsEach = here.instructionsEach;
      for (const peer of peers) {
        const work = withShare(kernel, peer.share);
        const key = `${work.name} ${work.count}`;
        if (!expected.has(key)) expected.set(key, (await computeHere(image, work)).result);
        const there = await computeOnPeer(peer, guest.imagePath, work);
        if (there.result !== expected.get(key)) {
          throw new Error(
            `${key}: x2vm computed ${expected.get(key)}, ${peer.name} ${there.result}`,
          );
        }
        row.nsEach.get(peer.name)!.push(there.nsEach);
      }
    }
  }
  const others = candidates.filter((peer) => obstacleOf(peer) !== undefined);
  return {
    guest,
    peers,
    obstacles: new Map(others.map((peer) => [peer.name, obstacleOf(peer)!])),
    rows,
  };
}

/** How many times as fast as the peer x2vm is, by medians. */
export function speedRatio({ nsEach }: Row, peer: string): number {
  return summarize(nsEach.get(peer)!).median / summarize(nsEach.get(HERE)!).median;
}
