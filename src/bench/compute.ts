/** One timed run of a compute kernel, here or on a peer. */
import type { MachineOptions } from "../index.js";
import { runHere } from "./here.js";
import type { Kernel } from "./kernels.js";
import { arrivalNs, type Peer } from "./peers/peer.js";
import type { TimedLine } from "./stopwatch.js";

export interface Sample {
  /** Time of each repetition of the kernel: of the process's CPU time where the system tells it, else wall time. */
  readonly nsEach: number;
  /** What the guest computed, as it printed it: equal on every machine. */
  readonly result: string;
}

export interface CountedSample extends Sample {
  /** Of each repetition. */
  readonly instructionsEach: number;
}

/** Part of a kernel's work that is done before the stopwatch: translators and engines compile what is hot. */
const WARM_UP = 0.25;

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
    nsEach: ((end.cpuMs - start.cpuMs) * 1e6) / kernel.count,
    instructionsEach: (end.instructions - start.instructions) / kernel.count,
    result: resultOf(end),
  };
}

export async function computeOnPeer(
  peer: Peer,
  imagePath: string,
  kernel: Kernel,
): Promise<Sample> {
  const { start, end } = section(await peer.run({ imagePath, commandLine: commandLine(kernel) }));
  const ns =
    start.cpuMs === undefined || end.cpuMs === undefined
      ? arrivalNs(start, end)
      : (end.cpuMs - start.cpuMs) * 1e6;
  return { nsEach: ns / kernel.count, result: resultOf(end) };
}

function commandLine({ name, count }: Kernel): string {
  return `${name} count=${count} warm=${Math.ceil(count * WARM_UP)}`;
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
