/** `x2vm bench`. What measures is loaded when it is asked for: other commands start without it. */
import type { Command } from "commander";
import { DEFAULT_POLICY } from "../policies.js";
import { IPI_ROWS } from "../bench/ipi-rows.js";
import { parseNumber } from "./args.js";

/** The command line's options, as they were given. */
export interface IpiFlags {
  readonly cpus: string;
  readonly apic: string;
  readonly repetitions: number;
  readonly policy: string;
  readonly peers: string;
  readonly json?: boolean;
  readonly csv?: boolean;
  readonly html?: string;
}

/** Not a pattern of messages like the others: a CPU is added again and again. */
export const HOT_ADD = "hot-add";

const EXAMPLES = `
Patterns: ${[...IPI_ROWS.map(({ name }) => name), HOT_ADD].join(", ")}

Instructions and latencies are those of the guest, in virtual nanoseconds, and the same in every run. What goes by the
wall clock is the median of the repetitions, with the range of all of them.

Examples:
  x2vm bench ipi                                  every pattern, 2, 16 and 255 CPUs, both APIC modes
  x2vm bench ipi pingpong-halt --cpus 2,4096      one pattern, idle CPUs beside it
  x2vm bench ipi --html ipi.html                  and a page with charts
  x2vm bench ipi --apic x2apic --csv > ipi.csv    for a spreadsheet`;

/** Adds `bench ipi [PATTERN ...]`. */
export function addBenchCommand(program: Command): void {
  program
    .command("bench")
    .description("measure what things cost")
    .command("ipi")
    .description("interrupts between CPUs, in guest code, by pattern")
    .argument("[pattern...]", "some patterns; all without")
    .option("--cpus <list>", "numbers of CPUs", "2,16,255")
    .option("--apic <modes>", "xapic, x2apic or both with a comma", "x2apic,xapic")
    .option(
      "--repetitions <n>",
      "runs of each case",
      (text) => parseNumber(text, "--repetitions"),
      3,
    )
    .option("--policy <policy>", "destination policy of the machine", DEFAULT_POLICY)
    .option("--peers <auto|none>", "QEMU and Bochs beside it, where they are installed", "auto")
    .option("--json", "as JSON")
    .option("--csv", "as CSV")
    .option("--html <file>", "also a page with charts, which needs nothing else")
    .addHelpText("after", EXAMPLES)
    .action(async (patterns: readonly string[], flags: IpiFlags) => {
      const { benchIpi } = await import("./bench.js");
      await benchIpi(patterns, flags);
    });
}
