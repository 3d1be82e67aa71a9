/** v86, which translates to WebAssembly and runs in Node: where the user has installed it from npm. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { arrivalNs, type Peer, type PeerGuest, type PeerLine } from "./peer.js";
import { runProcess } from "./process.js";
import { romOf } from "./rom.js";

/** The program that runs it. */
const RUNNER = fileURLToPath(new URL("v86-runner.js", import.meta.url));

/**
 * @param folder - where `npm install v86` was run, or the package itself
 * @returns undefined: it is not there
 */
export function findV86(folder: string): Peer | undefined {
  const found = [join(folder, "node_modules", "v86"), folder].find((each) =>
    existsSync(join(each, "build", "libv86.mjs")),
  );
  if (found === undefined) return undefined;
  const { version } = JSON.parse(readFileSync(join(found, "package.json"), "utf8")) as {
    version: string;
  };
  return {
    name: "v86",
    version,
    title: `v86 ${version} (translator, in Node)`,
    share: 2,
    obstacle({ cpus, isLong }) {
      if (isLong) return "v86 has no 64-bit mode";
      return cpus > 1 ? "v86 has one CPU" : undefined;
    },
    run: (guest) => run(found, guest),
    wallNs: arrivalNs,
  };
}

/** The runner tells the times itself: it hears each byte as the guest writes it. */
async function run(folder: string, guest: PeerGuest): Promise<PeerLine[]> {
  const scratch = mkdtempSync(join(tmpdir(), "x2vm-v86-"));
  try {
    const rom = join(scratch, "rom");
    writeFileSync(rom, romOf(readFileSync(guest.imagePath), guest.commandLine));
    return await runProcess({
      program: process.execPath,
      args: [RUNNER, folder, rom],
      timeoutMs: guest.timeoutMs,
      isTimed: true,
    });
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
