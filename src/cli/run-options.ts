/** The options of `x2vm run`. */
import type { Command } from "commander";
import { addGuestOptions, FAULT_HELP, planOf, type GuestFlags } from "./guest-options.js";
import { runImage } from "./run-command.js";

/** As commander gives them. */
interface RunFlags extends GuestFlags {
  readonly forceHotplug?: boolean;
  readonly policy?: string;
  readonly trace?: string;
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  x2vm run kernel.elf --cpus 4 --append "console=ttyS0"
  x2vm run kernel.elf --initrd "disk.img,module.bin first argument"
  x2vm run vmlinuz --initrd initrd.img --append "console=ttyS0" --hotplug 0x123@2s
  x2vm run guests/hotplug.bin --apic-ids 0,0x23 --hotplug 0x123@2ms
  x2vm run test.bin --load-address 0x10000 --max-instructions 200M --json

An image is a Linux kernel (ELF vmlinux, or bzImage packed with gzip or LZ4), a Multiboot kernel
(ELF32, ELF64, or with addresses in its header), a boot sector, or with --load-address any bytes:
below 1 MiB they start in real mode, above in 32-bit protected mode.

The serial port (COM1) is the terminal. Ctrl-C ends the run; Ctrl-A c sends a Ctrl-C to the guest.
A guest ends the run by a write of v to port 0xf4, with exit code (v << 1) | 1, as on QEMU; or by
writing "Shutdown" to port 0x8900, with exit code 0. A reset ends the run too.`;

export function addRunCommand(program: Command): void {
  addGuestOptions(program.command("run").description("boot an image and run it to its end"))
    .option("--force-hotplug", "add CPUs even where the policy cannot wake them")
    .option(
      "--policy <policy>",
      "who is addressed by an interrupt: kvm (default), kvm-legacy, knl ..., then knobs: kvm,ids32=off",
    )
    .option("--trace <file>", "write every event of the APICs to a file, a JSON document a line")
    .option("--json", "print one JSON document with the result and the serial output")
    .option("--no-reboot", "end at a reset instead of rebooting: always so, known for QEMU's sake")
    .addHelpText("after", EXAMPLES)
    .addHelpText("after", FAULT_HELP)
    .action(async (imagePath: string, flags: RunFlags) => {
      const plan = planOf(imagePath, flags);
      const { policy } = flags;
      const output = { json: flags.json ?? false, tracePath: flags.trace };
      process.exitCode = await runImage(
        {
          ...plan,
          machine: { ...plan.machine, ...(policy === undefined ? {} : { policy }) },
          forceHotplug: flags.forceHotplug ?? false,
        },
        output,
      );
    });
}
