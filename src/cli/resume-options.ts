/** The options of `x2vm resume`: a run that goes on from a snapshot. */
import type { Command } from "commander";
import { parseFault, type Fault } from "../index.js";
import {
  parseCount,
  parseHotplug,
  parseInput,
  parseSave,
  parseTime,
  type PlannedHotplug,
  type PlannedInput,
  type PlannedSave,
} from "./args.js";
import { readUserFile } from "./files.js";
import { runImage } from "./run-command.js";

/** As commander gives them. */
interface ResumeFlags {
  readonly policy?: string;
  readonly hotplug: PlannedHotplug[];
  readonly unplug: PlannedHotplug[];
  readonly type: PlannedInput[];
  readonly save: PlannedSave[];
  readonly fault: Fault[];
  readonly forceHotplug?: boolean;
  readonly maxInstructions?: number;
  readonly maxTime?: number;
  readonly trace?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly debugCore?: boolean;
  /** --no-events makes it false. */
  readonly events: boolean;
}

const EXAMPLES = `
Examples:
  x2vm run vmlinuz --initrd initrd.img --append "console=ttyS0" --possible-apic-ids 0x123 --save up.snap@/login:/
  x2vm resume up.snap                                    go on where the snapshot was taken
  x2vm resume up.snap --policy knl --hotplug 0x123@90s   ... under another policy, with another CPU

A snapshot holds the whole machine: memory, CPUs, time, messages on their way, devices, policy. The run
goes on as the first one did, to the instruction. What the first command still had to do is not in it:
hotplugs, input and snapshots are given anew. Times count from the start of the first run; a moment
that has passed counts as now. A reset ends the run. The format is told in src/snapshot/format.ts; a
snapshot is for the build of x2vm that made it.`;

/** An option that can be repeated. */
function collect<T>(parse: (text: string, what: string) => T, what: string) {
  return (text: string, all: T[]): T[] => [...all, parse(text, what)];
}

export function addResumeCommand(program: Command): void {
  program
    .command("resume")
    .description("go on from a snapshot that run --save wrote")
    .argument("<snapshot>", "the file")
    .option("--policy <policy>", "go on under another interrupt policy")
    .option(
      "--hotplug <id@moment>",
      "add a CPU, as in run",
      collect(parseHotplug, "--hotplug"),
      [] as PlannedHotplug[],
    )
    .option(
      "--unplug <id@moment>",
      "ask the guest to give a CPU back",
      collect(parseHotplug, "--unplug"),
      [] as PlannedHotplug[],
    )
    .option(
      "--type <text@moment>",
      "type on the serial port",
      collect(parseInput, "--type"),
      [] as PlannedInput[],
    )
    .option(
      "--save <file@moment>",
      "write another snapshot",
      collect(parseSave, "--save"),
      [] as PlannedSave[],
    )
    .option(
      "--fault <fault>",
      "tamper with messages between the APICs, as in run",
      collect(parseFault, "--fault"),
      [] as Fault[],
    )
    .option("--force-hotplug", "add CPUs even where the policy cannot wake them")
    .option("--max-instructions <n>", "stop after so many more: 5000000, 200M", (text) =>
      parseCount(text, "--max-instructions"),
    )
    .option("--max-time <time>", "stop at this virtual time: 2ms, 1.5s", (text) =>
      parseTime(text, "--max-time"),
    )
    .option("--trace <file>", "write every event of the APICs to a file, a JSON document a line")
    .option("--json", "print one JSON document with the result and the serial output")
    .option("--no-events", "do not tell what happens to CPUs that come and go")
    .option("--quiet", "neither events nor the summary line")
    .option("--debug-core", "use the core with its assertions on")
    .addHelpText("after", EXAMPLES)
    .action(async (path: string, flags: ResumeFlags) => {
      const isQuiet = flags.quiet ?? false;
      process.exitCode = await runImage(
        {
          imagePath: path,
          image: new Uint8Array(),
          snapshot: readUserFile(path),
          machine: {
            build: flags.debugCore === true ? "debug" : "release",
            ...(flags.policy === undefined ? {} : { policy: flags.policy }),
          },
          load: {},
          hotplugs: flags.hotplug,
          unplugs: flags.unplug,
          inputs: flags.type,
          saves: flags.save,
          forceHotplug: flags.forceHotplug ?? false,
          faults: flags.fault,
          input: undefined,
          maxInstructions: flags.maxInstructions ?? Infinity,
          untilNs: flags.maxTime ?? Infinity,
        },
        {
          json: flags.json ?? false,
          showsEvents: flags.events && !isQuiet,
          isQuiet,
          tracePath: flags.trace,
          debugPath: undefined,
          showsScreen: false,
          reboots: false,
        },
      );
    });
}
