/** One timed run of a compute kernel, here or on a peer. */
import type { MachineOptions } from "../index.js";
import { runHere } from "./here.js";
import type { Kernel } from "./kernels.js";
import type { Peer } from "./peers/peer.js";
import type { TimedLine } from "./stopwatch.js";

export interface Sample {
  /** Wall time of the kernel, ns. */
  readonly wallNs: number;
  /** Of that, the time in which the machine's process had a CPU; undefined where the system does not tell. */
  readonly cpuNs: number | undefined;
  /** What the guest computed, as it printed it: equal on every machine. */
  readonly result: string;
}

export interface CountedSample extends Sample {
  readonly cpuNs: number;
  readonly instructions: number;
}

/** @param words - more words for the guest's command line */
export async function computeHere(
  image: Uint8Array,
  kernel: Kernel,
  options: MachineOptions = {},
  words = "",
): Promise<CountedSample> {
  const lines = await runHere(image, `${commandLine(kernel)}${words}`, options);
  const { start, end } = section(lines);
  return {
    wallNs: (end.atMs - start.atMs) * 1e6,
    cpuNs: (end.cpuMs - start.cpuMs) * 1e6,
    instructions: end.instructions - start.instructions,
    result: resultOf(end),
  };
}

export async function computeOnPeer(
  peer: Peer,
  imagePath: string,
  kernel: Kernel,
): Promise<Sample> {
  const { start, end } = section(await peer.run({ imagePath, commandLine: commandLine(kernel) }));
  return {
    wallNs: peer.wallNs(start, end),
    cpuNs:
      start.cpuMs === undefined || end.cpuMs === undefined
        ? undefined
        : (end.cpuMs - start.cpuMs) * 1e6,
    result: resultOf(end),
  };
}

function commandLine({ name, count }: Kernel): string {
  return `${name} count=${count}`;
}

/** The two lines between which the kernel ran. */
function section<Line extends TimedLine>(lines: readonly Line[]): { start: Line; end: Line } {
  const start = lines.find(({ text }) => text === "START");
  const end = lines.find(({ text }) => text.startsWith("ticks "));
  if (start === undefined || end === undefined) {
    throw new Error(`No kernel ran: ${lines.map(({ text }) => text).join(" | ")}`);
  }
  return { start, end };
}

function resultOf({ text }: TimedLine): string {
  return /result (\w+)/.exec(text)?.[1] ?? "";
}
