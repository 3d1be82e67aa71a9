/** `x2vm experiment linux-hotplug`: CPU 0x123 comes to a running Linux, under each policy. */
import { basename } from "node:path";
import { stdout } from "node:process";
import Table from "cli-table3";
import colors from "picocolors";
import { X2vmError } from "../errors.js";
import {
  bootLinux,
  linuxRows,
  playLinuxRow,
  type LinuxResult,
  type Wake,
} from "../experiments/linux-hotplug.js";
import type { LinuxRow } from "../experiments/linux-rows.js";
import { isLinux, unpackLinux, type Machine } from "../index.js";
import { readUserFile } from "./files.js";
import { formatApicId, formatNs } from "./format.js";
import { Progress } from "./progress.js";
import { EXIT_FAILED_RUN } from "./summary.js";

/** Name of the experiment. */
export const LINUX_HOTPLUG = "linux-hotplug";

export interface LinuxHotplugFlags {
  readonly policy: string;
  readonly kernel?: string;
  readonly json?: boolean;
}

const INIT = new URL("../../../guests/linux-init.bin", import.meta.url);
/** What a boot takes, in steps of the progress bar; a fork is one step. */
const BOOT_STEPS = 36;
const STEP_INSTRUCTIONS = 1e7;
/** Widths of the columns; all wrap. */
const COLUMNS = [18, 13, 42, 33, 10, 10];

/** @returns exit status @throws X2vmError USAGE, FILE, IMAGE_*, BAD_OPTION */
export async function linuxHotplug(flags: LinuxHotplugFlags): Promise<number> {
  const rows = linuxRows(flags.policy);
  if (flags.kernel === undefined) {
    throw new X2vmError(
      "USAGE",
      "experiment linux-hotplug needs a Linux kernel for x86-64: --kernel FILE, as any distribution has it in /boot " +
        "(vmlinuz-...), or from Debian's package linux-image-cloud-amd64.",
    );
  }
  const name = basename(flags.kernel);
  const image = readUserFile(flags.kernel);
  if (!isLinux(image)) {
    throw new X2vmError(
      "IMAGE_UNKNOWN_FORMAT",
      `${name} is no Linux kernel: neither a bzImage nor an ELF vmlinux.`,
    );
  }
  const kernel = await unpackLinux(image, name);
  const results = await play({ kernel, init: readUserFile(INIT) }, rows);
  if (flags.json) stdout.write(`${JSON.stringify(results, undefined, 2)}\n`);
  else stdout.write(`${tableOf(results)}\n${verdict(results)}\n`);
  return results.every(({ isAsExpected }) => isAsExpected) ? 0 : EXIT_FAILED_RUN;
}

/** Boots as often as rows differ in what Linux asks at boot, and forks for each row. */
async function play(
  guest: { readonly kernel: Uint8Array; readonly init: Uint8Array },
  rows: readonly LinuxRow[],
): Promise<LinuxResult[]> {
  const kinds = [...new Set(rows.map(({ hasLongIds }) => hasLongIds))];
  const progress = new Progress(kinds.length * BOOT_STEPS + rows.length);
  const booted = new Map<boolean, Machine>();
  const results: LinuxResult[] = [];
  try {
    for (const kind of kinds) {
      const before = booted.size * BOOT_STEPS;
      const tell = (instructions: number, what: string) => {
        const steps = Math.min(BOOT_STEPS, Math.floor(instructions / STEP_INSTRUCTIONS));
        progress.show(before + steps, what);
      };
      booted.set(kind, await bootLinux(guest, kind, tell));
    }
    for (const row of rows) {
      progress.show(booted.size * BOOT_STEPS + results.length, nameOf(row));
      results.push(await playLinuxRow(booted.get(row.hasLongIds)!, row));
    }
  } finally {
    progress.end();
    for (const machine of booted.values()) machine.dispose();
  }
  return results;
}

function nameOf({ policy, hasLongIds, neighbour }: LinuxRow): string {
  if (!hasLongIds) return `${policy}, no 15-bit destinations`;
  return neighbour === undefined ? policy : `${policy}, 0x23 in ${neighbour} mode`;
}

function tableOf(results: readonly LinuxResult[]): string {
  const head = ["policy", "outcome", "Linux says", "who takes INIT, STARTUP", "virtual", "wall"];
  const table = new Table({
    head: head.map((text) => colors.bold(text)),
    colWidths: COLUMNS,
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const result of results) {
    const { outcome, isAsExpected, expected, why, lines, wakes, virtualNs, wallMs } = result;
    const wanted = expected?.join(", or ") ?? "";
    const seen = isAsExpected ? outcome : colors.red(`${outcome} (expected: ${wanted})`);
    table.push([
      nameOf(result),
      seen,
      lines.at(-1) ?? "nothing",
      `${wakes.length === 0 ? "nothing is sent" : wakes.map(wakeText).join("; ")} (${why})`,
      formatNs(virtualNs),
      formatNs(wallMs * 1e6),
    ]);
  }
  return table.toString();
}

function wakeText({ message, takers }: Wake): string {
  const what = message.replace(/ to .*/, "");
  return `${what}: ${takers.length === 0 ? "nobody" : takers.map(formatApicId).join(", ")}`;
}

function verdict(results: readonly LinuxResult[]): string {
  const known = results.filter(({ expected }) => expected !== undefined);
  const met = known.filter(({ isAsExpected }) => isAsExpected);
  return `as expected: ${met.length} of ${known.length}`;
}
