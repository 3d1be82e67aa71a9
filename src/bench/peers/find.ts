/** Which peers there are on this computer. */
import { env } from "node:process";
import { findBochs } from "./bochs.js";
import type { Peer } from "./peer.js";
import { findQemu } from "./qemu.js";
import { findV86 } from "./v86.js";

/**
 * All that are installed and can run a guest without a screen. Takes about a second.
 *
 * @param computePath - compute.bin, to try them with
 * @param v86 - folder of the package v86, or where it was installed. Default: the environment's X2VM_V86, else the
 *   working directory
 */
export async function findPeers(
  computePath: string,
  v86: string = env["X2VM_V86"] ?? ".",
): Promise<Peer[]> {
  const found = [await findQemu(computePath), await findBochs(computePath), findV86(v86)];
  return found.filter((peer) => peer !== undefined);
}
