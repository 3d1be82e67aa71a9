/** `x2vm start`. What shows the experiment is loaded when it is asked for: other commands start without it. */
import type { Command } from "commander";

export function addStartCommand(program: Command): void {
  program
    .command("start")
    .description("the headline experiment: hot-add CPU 0x123, wake it, and compare the policies")
    .addHelpText(
      "after",
      `
A machine with CPUs 0x00 and 0x23 in x2APIC mode works; at 2 ms CPU 0x123 is added. The guest finds
it in the hotplug registers and sends INIT and two STARTUPs to x2APIC ID 0x123. Shown: the guest's
serial output, who took each of these messages and why, and what differs under other policies.

The same by hand:
  x2vm run guests/hotplug.bin --apic-ids 0,0x23 --hotplug 0x123@2ms --trace trace.jsonl`,
    )
    .action(async () => {
      const { start } = await import("./start.js");
      process.exitCode = await start();
    });
}
