/** The options of `x2vm run`, and the plan that they make. */
import type { Command } from "commander";
import { X2vmError, type ImageFormat, type LoadOptions, type MachineOptions } from "../index.js";
import {
  parseApicIds,
  parseCount,
  parseHotplug,
  parseNumber,
  parseSize,
  parseTime,
  type PlannedHotplug,
} from "./args.js";
import { readModules, readUserFile } from "./files.js";
import { runImage } from "./run-command.js";
import type { SessionPlan } from "./session.js";

/** As commander gives them. */
interface RunFlags {
  cpus?: number;
  apicIds?: number[];
  memory?: number;
  append?: string;
  initrd?: string;
  loadAddress?: number;
  format?: string;
  hotplug: PlannedHotplug[];
  forceHotplug?: boolean;
  input?: string;
  maxInstructions?: number;
  maxTime?: number;
  policy?: string;
  seed?: number;
  trace?: string;
  json?: boolean;
  debugCore?: boolean;
}

const EXAMPLES = `
Examples:
  x2vm run kernel.elf --cpus 4 --append "console=ttyS0"
  x2vm run kernel.elf --initrd "disk.img,module.bin first argument"
  x2vm run guests/hotplug.bin --apic-ids 0,0x23 --hotplug 0x123@2ms
  x2vm run test.bin --load-address 0x10000 --max-instructions 200M --json

An image is a Multiboot kernel (ELF32, ELF64, or with addresses in its header), a boot sector, or
with --load-address any bytes: below 1 MiB they start in real mode, above in 32-bit protected mode.

The serial port (COM1) is the terminal. Ctrl-C ends the run; Ctrl-A c sends a Ctrl-C to the guest.
A guest ends the run by a write of v to port 0xf4, with exit code (v << 1) | 1, as on QEMU; or by
writing "Shutdown" to port 0x8900, with exit code 0. A reset ends the run too.`;

export function addRunCommand(program: Command): void {
  program
    .command("run")
    .description("boot an image and run it to its end")
    .argument("<image>", "Multiboot kernel, boot sector, or flat binary")
    .option("--cpus <n>", "CPUs, with APIC IDs from 0 (default 1)", (text) =>
      parseNumber(text, "--cpus"),
    )
    .option(
      "--apic-ids <list>",
      "CPUs by their 32-bit APIC IDs, the first boots: 0,0x23,0x123",
      (text) => parseApicIds(text, "--apic-ids"),
    )
    .option("--memory <size>", "guest memory, at most 2G (default 64M)", (text) =>
      parseSize(text, "--memory"),
    )
    .option("--append <text>", "command line of a Multiboot kernel")
    .option("--initrd <files>", "Multiboot modules: FILE [ARGUMENTS],FILE ...")
    .option("--load-address <address>", "load the image as a flat binary at this address", (text) =>
      parseNumber(text, "--load-address"),
    )
    .option("--format <name>", "boot-sector, multiboot or flat, instead of what the content says")
    .option(
      "--hotplug <id@time>",
      "add a CPU at a virtual time: 0x123@2ms; can be repeated",
      (text, all: PlannedHotplug[]) => [...all, parseHotplug(text, "--hotplug")],
      [] as PlannedHotplug[],
    )
    .option("--force-hotplug", "add CPUs even where the policy cannot wake them")
    .option("--input <file>", "input of the serial port from the start; - for standard input")
    .option("--max-instructions <n>", "stop after so many: 5000000, 200M", (text) =>
      parseCount(text, "--max-instructions"),
    )
    .option("--max-time <time>", "stop at this virtual time: 500us, 2ms, 1.5s", (text) =>
      parseTime(text, "--max-time"),
    )
    .option(
      "--policy <policy>",
      "who is addressed by an interrupt: kvm (default), kvm-legacy, knl ..., then knobs: kvm,ids32=off",
    )
    .option("--seed <n>", "seed of what may vary between runs (default 0)", (text) =>
      parseNumber(text, "--seed"),
    )
    .option("--trace <file>", "write every event of the APICs to a file, a JSON document a line")
    .option("--json", "print one JSON document with the result and the serial output")
    .option("--no-reboot", "end at a reset instead of rebooting: always so, known for QEMU's sake")
    .option("--debug-core", "use the core with its assertions on")
    .addHelpText("after", EXAMPLES)
    .action(async (imagePath: string, flags: RunFlags) => {
      const plan = planOf(imagePath, flags);
      const output = { json: flags.json ?? false, tracePath: flags.trace };
      process.exitCode = await runImage(plan, output);
    });
}

/** @throws X2vmError USAGE, FILE */
function planOf(imagePath: string, flags: RunFlags): SessionPlan {
  if (flags.cpus !== undefined && flags.apicIds !== undefined) {
    throw new X2vmError("USAGE", "Give either --cpus or --apic-ids, not both.");
  }
  const machine: MachineOptions = {
    ...(flags.apicIds === undefined ? { cpus: flags.cpus ?? 1 } : { apicIds: flags.apicIds }),
    ...(flags.memory === undefined ? {} : { memoryBytes: flags.memory }),
    ...(flags.policy === undefined ? {} : { policy: flags.policy }),
    seed: flags.seed ?? 0,
    build: flags.debugCore === true ? "debug" : "release",
  };
  const load: LoadOptions = {
    ...(flags.format === undefined ? {} : { format: flags.format as ImageFormat }),
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
    forceHotplug: flags.forceHotplug ?? false,
    input: flags.input === undefined ? undefined : readUserFile(flags.input),
    maxInstructions: flags.maxInstructions ?? Infinity,
    untilNs: flags.maxTime ?? Infinity,
  };
}
