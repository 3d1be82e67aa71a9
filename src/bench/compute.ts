/** One timed run of a compute kernel, here or on QEMU. */
import type { MachineOptions } from "../index.js";
import { runHere } from "./here.js";
import type { Kernel } from "./kernels.js";
import { runOnQemu, ticksOf } from "./qemu.js";
import type { TimedLine } from "./stopwatch.js";

export interface Sample {
  /** Wall time of the kernel. */
  readonly ns: number;
  /** What the guest computed, as it printed it: equal on every machine. */
  readonly result: string;
}

export interface CountedSample extends Sample {
  readonly instructions: number;
  /** Of that, the time in which this process had a CPU, and its compiler threads. */
  readonly cpuNs: number;
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
    ...sample(start, end),
    instructions: end.instructions - start.instructions,
    cpuNs: (end.cpuMs - start.cpuMs) * 1e6,
  };
}

/** @param ticksPerNs - of its TSC */
export async function computeOnQemu(
  imagePath: string,
  kernel: Kernel,
  ticksPerNs: number,
): Promise<Sample> {
  const { start, end } = section(await runOnQemu(imagePath, commandLine(kernel)));
  return { ...sample(start, end), ns: ticksOf(end.text)! / ticksPerNs };
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

function sample(start: TimedLine, end: TimedLine): Sample {
  const result = /result (\w+)/.exec(end.text)?.[1] ?? "";
  return { ns: (end.atMs - start.atMs) * 1e6, result };
}
