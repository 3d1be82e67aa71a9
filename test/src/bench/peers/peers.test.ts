/** The peers that are installed run the guests of the benchmarks, and compute what x2vm computes. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { computeHere, computeOnPeer } from "../../../../src/bench/compute.js";
import { KERNELS } from "../../../../src/bench/kernels.js";
import { findPeers } from "../../../../src/bench/peers/find.js";
import type { Peer } from "../../../../src/bench/peers/peer.js";

const guest = (name: string) =>
  fileURLToPath(new URL(`../../../../guests/${name}`, import.meta.url));
const COMPUTE = guest("compute.bin");
const IPI_BENCH = guest("ipi-bench.bin");
const image = readFileSync(COMPUTE);
const kernel = { ...KERNELS.find(({ name }) => name === "modify")!, count: 50 };
const peers = await findPeers(COMPUTE);
const rows = peers.map((peer): [string, Peer] => [peer.name, peer]);

describe.skipIf(peers.length === 0)("peers", () => {
  it.each(rows)("%s computes the same", async (_, peer) => {
    const here = await computeHere(image, kernel);
    const there = await computeOnPeer(peer, COMPUTE, kernel);
    expect(there.result).toBe(here.result);
    expect(there.wallNs).toBeGreaterThan(0);
  });

  it.each(rows)("%s starts as many CPUs as it is asked for", async (_, peer) => {
    const commandLine = "broadcast-halt count=5 wall xapic-only";
    const lines = await peer.run({ imagePath: IPI_BENCH, commandLine, cpus: 4 });
    expect(lines[1]!.text).toMatch(/^interrupts 15, /);
  });

  it.each(rows)("%s tells what the guest printed when that is no result", async (_, peer) => {
    const commandLine = "no-such-kernel";
    await expect(computeOnPeer(peer, COMPUTE, { ...kernel, name: commandLine })).rejects.toThrow(
      "names no kernel",
    );
  });
});
