/** The guests' manifest: what it says, and how a run's output is held to it. */
import { readFileSync } from "node:fs";
import type { LoadOptions } from "../../src/loaders/image.js";
import type { MachineOptions } from "../../src/options.js";

export const GUESTS = new URL("../../guests/", import.meta.url);

/** Lines that QEMU prints in place of `count` lines that begin with `from`. */
export interface Difference {
  readonly from: string;
  readonly count: number;
  readonly instead: readonly string[];
  readonly why: string;
}

export interface QemuRun {
  readonly args: readonly string[];
  /** Command line of the guest. */
  readonly append: string;
  /** Where other lines are expected altogether, and why. */
  readonly lines?: readonly string[];
  readonly why?: string;
  readonly differs?: readonly Difference[];
  /** A CPU to add once the guest has printed a line: arguments of QMP `device_add`. */
  readonly deviceAdd?: {
    readonly afterLine: string;
    readonly arguments: Readonly<Record<string, unknown>>;
  };
}

export interface GuestRun {
  readonly name: string;
  /** Hexadecimal, in order of creation. */
  readonly apicIds: readonly string[];
  readonly hotplug?: readonly {
    readonly apicId: string;
    readonly atNs: number;
    readonly force?: boolean;
  }[];
  readonly policy: string;
  readonly memoryMiB: number;
  readonly append: string;
  /** Every line of the serial port; `{n}` stands for a decimal number. */
  readonly lines: readonly string[];
  readonly exitCode: number;
  readonly qemu: QemuRun | { readonly skip: string };
}

export interface Guest {
  readonly name: string;
  readonly title: string;
  readonly format: "boot-sector" | "multiboot" | "linux-init" | "rom";
  readonly sources: readonly string[];
  readonly binary: { readonly file: string; readonly bytes: number; readonly sha256: string };
  readonly runs: readonly GuestRun[];
}

export interface Manifest {
  /** Version of NASM that built the binaries. */
  readonly nasm: string;
  /** SHA-256 by file. */
  readonly sources: Readonly<Record<string, string>>;
  readonly guests: readonly Guest[];
}

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(new URL("manifest.json", GUESTS), "utf8")) as Manifest;
}

/** What the machine must be made with and given for a run: the one place that knows both sides. */
export function machineRun(guest: Guest, run: GuestRun) {
  const options: MachineOptions = {
    apicIds: run.apicIds.map(Number),
    memoryBytes: run.memoryMiB * 2 ** 20,
    policy: run.policy,
  };
  const hotplug = (run.hotplug ?? []).map(({ apicId, atNs, force = false }) => ({
    atNs,
    request: { apicId: Number(apicId), force },
  }));
  const load: LoadOptions = {
    name: guest.binary.file,
    ...(run.append === "" ? {} : { commandLine: run.append }),
  };
  return { options, hotplug, load };
}

/** Lines of a serial output; what stands behind the last line feed counts as a line too, unless it is empty. */
export function linesOf(output: string): string[] {
  const lines = output.replaceAll("\r", "").split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/**
 * Holds lines to what is expected.
 *
 * @param differs - places where other lines will do as well
 * @returns the lines that were expected, in the wording of `actual` where it agrees: comparing the two arrays then
 *   shows exactly what is wrong
 */
export function expectedLines(
  actual: readonly string[],
  expected: readonly string[],
  differs: readonly Difference[] = [],
): string[] {
  const wanted: string[] = [];
  const say = (line: string) => {
    const found = actual[wanted.length];
    wanted.push(found !== undefined && matches(found, line) ? found : line);
  };
  for (let i = 0; i < expected.length;) {
    const other = differs.find(({ from }) => from === expected[i]);
    const first = actual[wanted.length];
    if (other !== undefined && first !== undefined && matches(first, other.instead[0]!)) {
      other.instead.forEach(say);
      i += other.count;
    } else {
      say(expected[i]!);
      i++;
    }
  }
  return wanted;
}

function matches(line: string, template: string): boolean {
  const pattern = template
    .split("{n}")
    .map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    .join("\\d+");
  return new RegExp(`^${pattern}$`).test(line);
}
