/** Which peers there are on this computer. */
import { findBochs } from "./bochs.js";
import type { Peer } from "./peer.js";
import { findQemu } from "./qemu.js";

/**
 * All that are installed and can run a guest without a screen. Takes about a second.
 *
 * @param computePath - compute.bin, to try them with
 */
export async function findPeers(computePath: string): Promise<Peer[]> {
  const found = [await findQemu(computePath), await findBochs(computePath)];
  return found.filter((peer) => peer !== undefined);
}
