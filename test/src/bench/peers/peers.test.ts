/** The peers that are installed run the guests of the benchmarks, and compute what x2vm computes. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { computeHere, computeOnPeer } from "../../../../src/bench/compute.js";
import { KERNELS } from "../../../../src/bench/kernels.js";
import { findPeers } from "../../../../src/bench/peers/find.js";
import type { Peer, PeerNeeds } from "../../../../src/bench/peers/peer.js";

const guest = (name: string) =>
  fileURLToPath(new URL(`../../../../guests/${name}`, import.meta.url));
const COMPUTE = guest("compute.bin");
const IPI_BENCH = guest("ipi-bench.bin");
const kernel = { ...KERNELS.find(({ name }) => name === "modify")!, count: 50 };
const COMPUTE_32 = guest("compute32.bin");
/** Without v86: what runs it is a compiled program. */
const NOWHERE = "no/such/folder";
const peers = await findPeers(COMPUTE, NOWHERE);
const rows = peers.map((peer): [string, Peer] => [peer.name, peer]);
const has = (needs: Omit<PeerNeeds, "isLong">) =>
  rows.filter(([, peer]) => peer.obstacle({ ...needs, isLong: true }) === undefined);
const waysOf = (needs: Omit<PeerNeeds, "isLong">) =>
  has(needs).flatMap(([name, peer]) =>
    (peer.ways ?? []).map((way): [string, string, Peer] => [name, way, peer]),
  );

describe.skipIf(peers.length === 0)("peers", () => {
  it.each(rows)("%s computes the same", async (_, peer) => {
    const here = await computeHere(readFileSync(COMPUTE_32), kernel);
    const there = await computeOnPeer(peer, COMPUTE_32, kernel);
    expect(there.result).toBe(here.result);
    expect(there.nsEach).toBeGreaterThan(0);
  });

  it.each(has({ cpus: 17 }))("%s starts as many CPUs as it is asked for", async (_, peer) => {
    const commandLine = "broadcast-halt count=5 wall xapic-only";
    const lines = await peer.run({ imagePath: IPI_BENCH, commandLine, cpus: 17 });
    expect(lines[1]!.text).toMatch(/^interrupts 80, /);
  });

  it.each(has({ cpus: 2, isX2apic: true }))("%s has x2APIC mode", async (_, peer) => {
    const commandLine = "self count=5 wall x2apic-only";
    const lines = await peer.run({ imagePath: IPI_BENCH, commandLine, cpus: 2 });
    expect(lines[1]!.text).toMatch(/^interrupts 5, /);
  });

  it.each(waysOf({ cpus: 2 }))("%s runs with %s", async (_, way, peer) => {
    const commandLine = "pingpong-halt count=5 wall";
    const lines = await peer.run({ imagePath: IPI_BENCH, commandLine, cpus: 2, way });
    expect(lines[1]!.text).toMatch(/^interrupts 10, /);
  });

  it.each(has({ cpus: 1 }))(
    "%s tells what the guest printed when that is no result",
    async (_, peer) => {
      const commandLine = "no-such-kernel";
      await expect(computeOnPeer(peer, COMPUTE, { ...kernel, name: commandLine })).rejects.toThrow(
        "names no kernel",
      );
    },
  );
});
