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

export interface ScaleFlags {
  readonly cpus: string;
  readonly repetitions: number;
  readonly json?: boolean;
  readonly html?: string;
}

export interface DispatchFlags {
  readonly cpus: string;
  readonly repetitions: number;
  readonly json?: boolean;
}

export interface LinuxFlags {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly until?: string;
  readonly append?: string;
  readonly cpus: string;
  readonly repetitions: number;
  readonly peers: string;
  readonly json?: boolean;
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

const SCALE_EXAMPLES = `
Each machine is created, all its CPUs are woken by one broadcast and, in another run, one by one; then interrupts to all,
to one after the other, and a loop while all others are idle.

Examples:
  x2vm bench scale --html scale.html              2 to 65,536 CPUs, and a page with charts
  x2vm bench scale --cpus 1048576 --repetitions 1 a million: about 2.2 GB of memory`;

const DISPATCH_EXAMPLES = `
No guest code runs: the host writes the ICR of one APIC; those that take the message acknowledge and write EOI. Beside the
plain model of the project's tests it is measured by npm run bench:dispatch, in the project's folder.`;

const LINUX_EXAMPLES = `
The user space is a program of ours, which also puts a CPU online that is added then; with --initrd the run ends at user
space. QEMU runs the same kernel, user space and command line on its q35 machine; its new CPU has the next ID, x2vm's 0x123.

Examples:
  x2vm bench linux --kernel /boot/vmlinuz-6.1.0-56-cloud-amd64
  x2vm bench linux --kernel vmlinuz --initrd rootfs.cpio.gz --until "login:" --cpus 4`;

/** Adds `bench ipi`, `bench scale`, `bench dispatch` and `bench linux`. */
export function addBenchCommand(program: Command): void {
  const bench = program.command("bench").description("measure what things cost");
  addIpi(bench);
  addScale(bench);
  addDispatch(bench);
  addLinux(bench);
}

function addLinux(bench: Command): void {
  withRepetitions(
    bench
      .command("linux")
      .description("a Linux kernel to user space, and a CPU added then")
      .option("--kernel <file>", "bzImage or vmlinux; a distribution's is in /boot")
      .option("--initrd <file>", "instead of our own user space")
      .option("--until <regex>", "the line of the console that ends the boot, with --initrd")
      .option("--append <text>", "command line of the kernel")
      .option("--cpus <list>", "numbers of CPUs", "1,4")
      .option("--peers <auto|none>", "QEMU beside it, where it is installed", "auto"),
  )
    .option("--json", "as JSON")
    .addHelpText("after", LINUX_EXAMPLES)
    .action(async (flags: LinuxFlags) => {
      const { benchLinux } = await import("./bench-linux.js");
      await benchLinux(flags);
    });
}

function addIpi(bench: Command): void {
  withRepetitions(
    bench
      .command("ipi")
      .description("interrupts between CPUs, in guest code, by pattern")
      .argument("[pattern...]", "some patterns; all without")
      .option("--cpus <list>", "numbers of CPUs", "2,16,255")
      .option("--apic <modes>", "xapic, x2apic or both with a comma", "x2apic,xapic"),
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

function addScale(bench: Command): void {
  withRepetitions(
    bench
      .command("scale")
      .description("what grows with the number of CPUs, up to 1,048,576, and what does not")
      .option("--cpus <list>", "numbers of CPUs", "2,16,256,4096,65536"),
  )
    .option("--json", "as JSON")
    .option("--html <file>", "also a page with charts, which needs nothing else")
    .addHelpText("after", SCALE_EXAMPLES)
    .action(async (flags: ScaleFlags) => {
      const { benchScale } = await import("./bench-scale.js");
      await benchScale(flags);
    });
}

function addDispatch(bench: Command): void {
  withRepetitions(
    bench
      .command("dispatch")
      .description("the delivery of interrupts alone, without guest code")
      .option("--cpus <list>", "numbers of CPUs", "2,16,255,4096"),
  )
    .option("--json", "as JSON")
    .addHelpText("after", DISPATCH_EXAMPLES)
    .action(async (flags: DispatchFlags) => {
      const { benchDispatch } = await import("./bench-dispatch.js");
      await benchDispatch(flags);
    });
}

function withRepetitions(command: Command): Command {
  return command.option(
    "--repetitions <n>",
    "runs of each case",
    (text) => parseNumber(text, "--repetitions"),
    3,
  );
}
