/** The options of `x2vm run`. */
import type { Command } from "commander";
import { addGuestOptions, FAULT_HELP, planOf, type GuestFlags } from "./guest-options.js";
import { parseSave, type PlannedSave } from "./args.js";
import { runImage } from "./run-command.js";

/** As commander gives them. */
interface RunFlags extends GuestFlags {
  readonly forceHotplug?: boolean;
  readonly policy?: string;
  readonly save: PlannedSave[];
  readonly trace?: string;
  readonly debugConsole?: string;
  readonly screen?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** --no-events and --no-reboot make these false. */
  readonly events: boolean;
  readonly reboot: boolean;
}

const EXAMPLES = `
Examples:
  x2vm run kernel.elf --cpus 4 --append "console=ttyS0"
  x2vm run kernel.elf --initrd "disk.img,module.bin first argument"
  x2vm run vmlinuz --initrd initrd.img --append "console=ttyS0" --hotplug '0x123@/login:/'
  x2vm run guests/hotplug.bin --apic-ids 0,0x23 --hotplug 0x123@2ms
  x2vm run bios.bin --machine pc --shadow-rom
  x2vm run test.bin --load-address 0x10000 --max-instructions 200M --json

An image is a Linux kernel (bzImage, however packed, or ELF vmlinux), a Multiboot kernel
(ELF32, ELF64, or with addresses in its header), a boot sector, a ROM (firmware of whole 64 KiB that
ends at 4 GiB, started at the reset vector; shown below 1 MiB as well, read-only or with --shadow-rom),
or with --load-address any bytes: below 1 MiB they start in real mode, above in 32-bit protected mode.

The serial port (COM1) is the terminal: its virtual time then passes no faster than ours. Ctrl-] ends
the run, and so does Ctrl-C while the guest does not listen to the port. With --input or --type the
keyboard is not read, nothing waits for anyone, and a run can be repeated to the instruction.

What happens to CPUs that come and go is told on stderr, between the guest's lines: the request, the
interrupt, the guest's answer, INIT, STARTUP, the first instruction, the change to x2APIC mode, the
first interrupt from another CPU. A pattern as in --hotplug '0x123@/login:/' is tried as the guest
prints; one that ends in $, on complete lines.

Of a guest that prints nothing there, the text screen at 0xb8000 is shown at the end, as --screen does
for all. There is no keyboard but the serial port.

A guest ends the run by a write of v to port 0xf4, with exit code (v << 1) | 1, as on QEMU; by
writing "Shutdown" to port 0x8900, or by ACPI power-off, with exit code 0. A reset boots it again.`;

export function addRunCommand(program: Command): void {
  addGuestOptions(program.command("run").description("boot an image and run it to its end"))
    .option("--force-hotplug", "add CPUs even where the policy cannot wake them")
    .option(
      "--policy <policy>",
      "who is addressed by an interrupt: kvm (default), kvm-legacy, knl ..., then knobs: kvm,ids32=off",
    )
    .option(
      "--save <file@moment>",
      "write a snapshot for x2vm resume: boot.snap@2s, boot.snap@/login:/; the run goes on",
      (text, all: PlannedSave[]) => [...all, parseSave(text, "--save")],
      [] as PlannedSave[],
    )
    .option("--trace <file>", "write every event of the APICs to a file, a JSON document a line")
    .option(
      "--debug-console <file>",
      "what the guest writes to ports 0xe9 and 0x402 goes to a file, - for standard output",
    )
    .option(
      "--screen",
      "print the text screen (0xb8000) at the end, even of a guest with a serial port",
    )
    .option("--json", "print one JSON document with the result and the serial output")
    .option("--no-events", "do not tell what happens to CPUs that come and go")
    .option("--quiet", "neither events nor the summary line")
    .option("--no-reboot", "end when the guest resets the machine, instead of booting again")
    .addHelpText("after", EXAMPLES)
    .addHelpText("after", FAULT_HELP)
    .action(async (imagePath: string, flags: RunFlags) => {
      const plan = planOf(imagePath, flags);
      const { policy } = flags;
      const isQuiet = flags.quiet ?? false;
      const output = {
        json: flags.json ?? false,
        showsEvents: flags.events && !isQuiet,
        isQuiet,
        tracePath: flags.trace,
        debugPath: flags.debugConsole,
        showsScreen: flags.screen ?? false,
        reboots: flags.reboot,
      };
      process.exitCode = await runImage(
        {
          ...plan,
          saves: flags.save,
          machine: { ...plan.machine, ...(policy === undefined ? {} : { policy }) },
          forceHotplug: flags.forceHotplug ?? false,
        },
        output,
      );
    });
}
