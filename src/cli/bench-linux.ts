/** `x2vm bench linux`: boots a kernel here and on QEMU in turns, and shows what it took. */
import { readFileSync } from "node:fs";
import { stderr, stdout } from "node:process";
import {
  COMMAND_LINE,
  initrdOf,
  linuxHere,
  READY,
  type CountedLinuxSample,
  type LinuxGuest,
  type LinuxSample,
} from "../bench/linux.js";
import { linuxOnQemu, qemuVersion, type QemuThreads } from "../bench/linux-qemu.js";
import { linuxRecord, linuxTable, stageLines, type LinuxResult } from "../bench/linux-report.js";
import { X2vmError } from "../errors.js";
import { parseNumber } from "./args.js";
import type { LinuxFlags } from "./bench-options.js";
import { readUserFile } from "./files.js";

/** From dist/src/cli, where this runs. */
const INIT = new URL("../../../guests/linux-init.bin", import.meta.url);
/** Our user space knows CPUs by one digit. */
const MOST_FOR_HOT_ADD = 9;
const RUN_FAILED = 1;
const NO_KERNEL =
  "--kernel: a Linux kernel is needed, for example /boot/vmlinuz-$(uname -r) or that of Debian's package linux-image-cloud-amd64.";

/** @throws X2vmError USAGE, and whatever reading and loading raise */
export async function benchLinux(flags: LinuxFlags): Promise<void> {
  if (flags.kernel === undefined) throw new X2vmError("USAGE", NO_KERNEL);
  if (flags.initrd !== undefined && flags.until === undefined) {
    throw new X2vmError("USAGE", "--initrd: --until must tell the line that ends the boot.");
  }
  const cpuCounts = flags.cpus.split(",").map((text) => parseNumber(text.trim(), "--cpus"));
  const repetitions = Math.max(1, flags.repetitions);
  const own = flags.initrd === undefined;
  const kernel = readUserFile(flags.kernel);
  const initrd = own ? initrdOf(readFileSync(INIT)) : readUserFile(flags.initrd!);
  const version = flags.peers === "none" ? undefined : qemuVersion();
  const results: LinuxResult[] = [];
  for (const cpus of cpuCounts) {
    const guest: LinuxGuest = {
      kernel,
      initrd,
      commandLine: flags.append ?? COMMAND_LINE,
      cpus,
      ready: own ? READY : parseLine(flags.until!),
      hotAdds: own && cpus <= MOST_FOR_HOT_ADD,
    };
    try {
      results.push(await measure(guest, repetitions, version));
    } catch (error) {
      if (error instanceof X2vmError) throw error;
      stderr.write(`x2vm: ${(error as Error).message}\n`);
      process.exitCode = RUN_FAILED;
      return;
    }
  }
  progress("");
  if (flags.json) {
    const figures = { qemu: version ?? null, repetitions, boots: results.map(linuxRecord) };
    stdout.write(`${JSON.stringify(figures, undefined, 2)}\n`);
    return;
  }
  const peer = version === undefined ? "no peer" : `QEMU ${version} (TCG, q35) in turns`;
  stdout.write(
    `${linuxTable(results)}\n` +
      `Median of ${repetitions} runs by the wall clock, from the start of the machine; ${peer}.\n` +
      results.flatMap(stageLines).join("\n") +
      "\n",
  );
}

async function measure(
  guest: LinuxGuest,
  repetitions: number,
  version: string | undefined,
): Promise<LinuxResult> {
  const threads: QemuThreads[] =
    version === undefined ? [] : guest.cpus === 1 ? ["multi"] : ["multi", "single"];
  const titleOf = (each: QemuThreads) => `QEMU${each === "single" ? ", one thread" : ""}`;
  const here: CountedLinuxSample[] = [];
  const there = new Map<string, LinuxSample[]>(threads.map((each) => [titleOf(each), []]));
  for (let i = 0; i < repetitions; i++) {
    progress(`${guest.cpus} CPUs, ${i + 1} of ${repetitions}: x2vm`);
    here.push(await linuxHere(guest));
    for (const each of threads) {
      progress(`${guest.cpus} CPUs, ${i + 1} of ${repetitions}: ${titleOf(each)}`);
      try {
        there.get(titleOf(each))!.push(await linuxOnQemu(guest, each));
      } catch (error) {
        stderr.write(`x2vm: ${(error as Error).message}\n`);
      }
    }
  }
  const answered = [...there].filter(([, samples]) => samples.length > 0);
  return { cpus: guest.cpus, here, there: new Map(answered) };
}

function parseLine(text: string): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    throw new X2vmError("USAGE", `--until: ${(error as Error).message}.`);
  }
}

function progress(text: string): void {
  if (stderr.isTTY) stderr.write(`\r\x1b[K${text}`);
}
