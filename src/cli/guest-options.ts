/** The options that decide a run of a guest, for every command that runs one, and the plan that they make. */
import type { Command } from "commander";
import {
  X2vmError,
  parseFault,
  type Fault,
  type ImageFormat,
  type LoadOptions,
  type MachineOptions,
} from "../index.js";
import {
  parseApicIds,
  parseCount,
  parseHotplug,
  parseInput,
  parseNumber,
  parseSize,
  parseTime,
  type PlannedHotplug,
  type PlannedInput,
} from "./args.js";
import { parseCpuOption } from "./cpu-help.js";
import { hex } from "../errors.js";
import { checkPlatform } from "../platform.js";
import { readModules, readUserFile } from "./files.js";
import type { SessionPlan } from "./session.js";

/** As commander gives them. */
export interface GuestFlags {
  readonly cpus?: number;
  readonly apicIds?: number[];
  readonly machine?: string;
  readonly memory?: number;
  readonly cpu?: string;
  readonly append?: string;
  readonly initrd?: string;
  readonly loadAddress?: number;
  readonly format?: string;
  readonly shadowRom?: boolean;
  readonly possibleApicIds?: number[];
  readonly maxCpus?: number;
  readonly hotplug: PlannedHotplug[];
  readonly unplug: PlannedHotplug[];
  readonly type: PlannedInput[];
  readonly fault: Fault[];
  readonly input?: string;
  readonly maxInstructions?: number;
  readonly maxTime?: number;
  readonly seed?: number;
  readonly unpackInGuest?: boolean;
  readonly debugCore?: boolean;
  /** False: --no-translate. */
  readonly translate?: boolean;
}

/** More CPUs than this cannot be named in ACPI tables. */
const MOST_CPUS = 46656;

/** How faults are written, for the end of a help text. */
export const FAULT_HELP = `
A fault (--fault, can be repeated, at most 16) tampers with messages between the APICs; the trace shows it:
  drop:3                        the third message is lost
  drop:INIT,dest=0x123          every INIT to 0x123 is lost
  delay:INIT@10us               every INIT comes 10 us of virtual time later
  duplicate:NMI@2               every NMI comes twice more
  misroute:SIPI@0x23,nth=2      the second STARTUP goes to 0x23
Written out: drop, delay=10us, duplicate=2 or misroute=0x23, then what it applies to: mode=INIT+SIPI, vector=0x40,
dest=0x123, sender=0x23 (or device), nth=3, every=10, chance=0.1 (by --seed). The first fault that applies counts.`;

/** Adds them, with the argument that names the image. */
export function addGuestOptions(command: Command): Command {
  return command
    .argument("<image>", "Linux or Multiboot kernel, boot sector, ROM, or flat binary")
    .option("--cpus <n>", "CPUs, with APIC IDs from 0 (default 1)", (text) =>
      parseNumber(text, "--cpus"),
    )
    .option(
      "--apic-ids <list>",
      "CPUs by their 32-bit APIC IDs, the first boots: 0,0x23,0x123",
      (text) => parseApicIds(text, "--apic-ids"),
    )
    .option("--machine <name>", "minimal (default), or pc: with timer, clock and ACPI of a PC")
    .option("--memory <size>", "guest memory, at most 2G (default 64M; Linux 256M)", (text) =>
      parseSize(text, "--memory"),
    )
    .option(
      "--cpu <model>",
      "CPU model, then features: x2vm (default), kvm64,+popcnt,-pcid; help lists all",
      parseCpuOption,
    )
    .option("--append <text>", "command line of a Linux or Multiboot kernel")
    .option(
      "--initrd <files>",
      "initrd of a Linux kernel, or Multiboot modules: FILE [ARGUMENTS],FILE ...",
    )
    .option("--load-address <address>", "load the image as a flat binary at this address", (text) =>
      parseNumber(text, "--load-address"),
    )
    .option(
      "--format <name>",
      "boot-sector, multiboot, linux, rom or flat, instead of what the content says",
    )
    .option("--shadow-rom", "a ROM below 1 MiB can be written, as firmware such as SeaBIOS expects")
    .option(
      "--possible-apic-ids <list>",
      "CPUs that may come: 0x23,0x123 (default: those of --hotplug)",
      (text) => parseApicIds(text, "--possible-apic-ids"),
    )
    .option("--max-cpus <n>", "CPUs with APIC IDs below this may come", (text) =>
      parseNumber(text, "--max-cpus"),
    )
    .option(
      "--hotplug <id@moment>",
      "add a CPU: at a virtual time, 0x123@2ms, or when a console line matches, 0x123@/login:/",
      (text, all: PlannedHotplug[]) => [...all, parseHotplug(text, "--hotplug")],
      [] as PlannedHotplug[],
    )
    .option(
      "--unplug <id@moment>",
      "ask the guest to give a CPU back, as --hotplug",
      (text, all: PlannedHotplug[]) => [...all, parseHotplug(text, "--unplug")],
      [] as PlannedHotplug[],
    )
    .option(
      "--type <text@moment>",
      "type on the serial port: 'date\\n@/guest# /', 'root\\n@2s'",
      (text, all: PlannedInput[]) => [...all, parseInput(text, "--type")],
      [] as PlannedInput[],
    )
    .option(
      "--fault <fault>",
      "tamper with messages between the APICs: drop:3, delay:INIT@10us; see below",
      (text, all: Fault[]) => [...all, parseFault(text)],
      [] as Fault[],
    )
    .option("--input <file>", "input of the serial port from the start; - for standard input")
    .option("--max-instructions <n>", "stop after so many: 5000000, 200M", (text) =>
      parseCount(text, "--max-instructions"),
    )
    .option("--max-time <time>", "stop at this virtual time: 500us, 2ms, 1.5s", (text) =>
      parseTime(text, "--max-time"),
    )
    .option("--seed <n>", "seed of what may vary between runs (default 0)", (text) =>
      parseNumber(text, "--seed"),
    )
    .option("--unpack-in-guest", "let a packed Linux kernel unpack itself: slow, but its own way")
    .option("--debug-core", "use the core with its assertions on")
    .option("--no-translate", "interpret everything: slower, the same run");
}

/** The plan of a run under the default policy. @throws X2vmError USAGE, FILE */
export function planOf(imagePath: string, flags: GuestFlags): SessionPlan {
  if (flags.cpus !== undefined && flags.apicIds !== undefined) {
    throw new X2vmError("USAGE", "Give either --cpus or --apic-ids, not both.");
  }
  const present =
    flags.apicIds ?? Array.from({ length: Math.min(flags.cpus ?? 1, MOST_CPUS) }, (_, i) => i);
  const possible = possibleIds(flags, present);
  checkHotplugs(flags, present, possible);
  const machine: MachineOptions = {
    ...(flags.apicIds === undefined ? { cpus: flags.cpus ?? 1 } : { apicIds: flags.apicIds }),
    ...(possible === undefined ? {} : { possibleApicIds: possible }),
    ...(flags.machine === undefined ? {} : { machine: checkPlatform(flags.machine) }),
    ...(flags.memory === undefined ? {} : { memoryBytes: flags.memory }),
    ...(flags.cpu === undefined ? {} : { cpu: flags.cpu }),
    seed: flags.seed ?? 0,
    build: flags.debugCore === true ? "debug" : "release",
    translate: flags.translate !== false,
  };
  const load: LoadOptions = {
    ...(flags.format === undefined ? {} : { format: flags.format as ImageFormat }),
    ...(flags.shadowRom === undefined ? {} : { isShadowed: flags.shadowRom }),
    ...(flags.loadAddress === undefined ? {} : { address: flags.loadAddress }),
    ...(flags.append === undefined ? {} : { commandLine: flags.append }),
    ...(flags.initrd === undefined ? {} : { modules: readModules(flags.initrd) }),
  };
  return {
    imagePath,
    image: readUserFile(imagePath),
    machine,
    load,
    hotplugs: flags.hotplug,
    unplugs: flags.unplug,
    inputs: flags.type,
    saves: [],
    forceHotplug: false,
    unpacksInGuest: flags.unpackInGuest ?? false,
    faults: flags.fault,
    input: flags.input === undefined ? undefined : readUserFile(flags.input),
    maxInstructions: flags.maxInstructions ?? Infinity,
    untilNs: flags.maxTime ?? Infinity,
  };
}

/** APIC IDs of the CPUs that may come, in slot order; undefined: nothing is said about it. */
function possibleIds(flags: GuestFlags, present: readonly number[]): number[] | undefined {
  const { possibleApicIds, maxCpus } = flags;
  if (possibleApicIds === undefined && maxCpus === undefined) return undefined;
  if (maxCpus !== undefined && (maxCpus < present.length || maxCpus > MOST_CPUS)) {
    throw new X2vmError(
      "USAGE",
      `--max-cpus: ${maxCpus} is not a number from ${present.length}, the CPUs of the start, to ${MOST_CPUS}.`,
    );
  }
  const below = Array.from({ length: maxCpus ?? 0 }, (_, i) => i);
  const all = new Set([...(possibleApicIds ?? []), ...below]);
  for (const apicId of present) all.delete(apicId);
  return [...all];
}

/** Refuses what could only fail when its moment comes. @throws X2vmError USAGE */
function checkHotplugs(
  flags: GuestFlags,
  present: readonly number[],
  possible: readonly number[] | undefined,
): void {
  for (const { apicId } of flags.hotplug) {
    if (possible === undefined || possible.includes(apicId) || present.includes(apicId)) continue;
    const list = possible.length === 0 ? "none" : possible.map((each) => hex(each)).join(", ");
    throw new X2vmError(
      "USAGE",
      `--hotplug: ${hex(apicId)} is not among the CPUs that may come: ${list}.`,
    );
  }
  for (const { apicId } of flags.unplug) {
    if (apicId === present[0]) {
      throw new X2vmError(
        "USAGE",
        `--unplug: CPU ${hex(apicId)} boots the machine and cannot be unplugged.`,
      );
    }
    if (present.includes(apicId) || flags.hotplug.some((each) => each.apicId === apicId)) continue;
    throw new X2vmError(
      "USAGE",
      `--unplug: CPU ${hex(apicId)} is neither there from the start nor added by --hotplug.`,
    );
  }
}
