/**
 * Linux from entry to power-off, with a CPU that comes and goes. Needs a kernel:
 *
 *     X2VM_KERNEL=/boot/vmlinuz-... npm run test:linux
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  Machine,
  cpioArchive,
  linuxMachineOptions,
  unpackLinux,
  type ApicEvent,
  type MachineOptions,
} from "../../src/index.js";

const kernelPath = process.env["X2VM_KERNEL"];
if (kernelPath === undefined || kernelPath === "")
  console.warn("Linux is not tested: X2VM_KERNEL names no kernel.");

const NEW_ID = 0x123;
const COMMAND_LINE = "console=ttyS0 cryptomgr.notests pci=off panic=-1";
const MOST_INSTRUCTIONS = 3e9;
const read = (file: string) => readFileSync(new URL(file, import.meta.url));

const INITRD = cpioArchive([
  { path: "dev", kind: "folder" },
  { path: "dev/console", kind: "character-device", major: 5, minor: 1 },
  { path: "init", kind: "file", bytes: read("../../guests/linux-init.bin") },
]);

/** What is done when a line of the console matches, one after the other. */
type Step = readonly [line: RegExp, action: (machine: Machine) => void];

const type = (text: string) => (machine: Machine) => machine.sendSerial(`${text}\n`);

/** Boots, carries out the steps, and runs to the end. */
async function boot(options: MachineOptions, steps: readonly Step[], slice = Infinity) {
  const kernel = await unpackLinux(readFileSync(kernelPath!));
  const machine = await Machine.create(linuxMachineOptions(options, [NEW_ID]));
  machine.load(kernel, {
    commandLine: COMMAND_LINE,
    modules: [{ name: "initrd", bytes: INITRD }],
  });
  const left = [...steps];
  const lines: string[] = [];
  let line = "";
  machine.onSerial((byte) => {
    if (byte !== 10) {
      if (byte !== 13) line += String.fromCharCode(byte);
      return;
    }
    lines.push(line);
    const step = left[0];
    if (step !== undefined && step[0].test(line)) {
      left.shift();
      machine.at(machine.virtualNs, () => step[1](machine));
    }
    line = "";
  });
  const reports: { event: number; status: number }[] = [];
  machine.onOst(({ event, status }) => reports.push({ event, status }));
  const events: ApicEvent[] = [];
  machine.trace((event) => events.push(event));
  let result = machine.run({ maxInstructions: Math.min(slice, MOST_INSTRUCTIONS) });
  while (result.reason === "budget" && machine.instructions < MOST_INSTRUCTIONS)
    result = machine.run({ maxInstructions: slice });
  return { machine, result, lines, reports, events, undone: left.length };
}

/** Adds CPU 0x123, puts it online, works there, takes it offline and online again, gives it back. */
const HOTPLUG: readonly Step[] = [
  [/init: ready/, type("c")],
  [/init: cpus 0$/, (machine) => machine.hotplug({ apicId: NEW_ID })],
  [/CPU1 has been hot-added/, type("1o")],
  [/init: online 1 -> 0/, type("c")],
  [/init: cpus 0-1/, type("p")],
  [/init: pin 1 -> 0/, type("f")],
  [/init: offline 1 -> 0/, type("o")],
  [/init: online 1 -> 0/, type("c")],
  [/init: cpus 0-1/, (machine) => machine.unplug({ apicId: NEW_ID })],
  [/smpboot: CPU 1 is now offline/, type("c")],
  [/init: cpus 0$/, type("q")],
];

describe.skipIf(!kernelPath)("Linux", { timeout: 300_000 }, () => {
  it.each([1, 4])("comes to its user space with %i CPUs and turns itself off", async (cpus) => {
    const { result, lines, undone } = await boot({ cpus }, [
      [/init: ready/, type("c")],
      [/init: cpus/, type("q")],
    ]);
    expect(lines).toContain(`init: cpus ${cpus === 1 ? "0" : `0-${cpus - 1}`}`);
    expect(undone).toBe(0);
    expect(result).toMatchObject({ reason: "exit", exitCode: 0 });
  });

  it("brings a CPU with APIC ID 0x123 online, works on it, and gives it back", async () => {
    const one = await boot({}, HOTPLUG);
    expect(one.undone).toBe(0);
    expect(one.result).toMatchObject({ reason: "exit", exitCode: 0 });
    expect(one.reports[0]).toEqual({ event: 1, status: 0 });
    expect(one.lines.join("\n")).toMatch(/Booting Node 0 Processor 1 APIC 0x123/);
    // INIT and STARTUP go to the 32-bit ID while the new LAPIC is still in xAPIC mode.
    const startup = one.events.find((event) => event.kind === "target" && event.apicId === NEW_ID);
    expect(startup).toMatchObject({ mode: "xAPIC" });
    expect(one.machine.vcpus[1]!.retired).toBeGreaterThan(1_000_000n);
  });

  it("does the same in any slices", async () => {
    const whole = await boot({}, HOTPLUG);
    const cut = await boot({}, HOTPLUG, 7_777_777);
    expect(cut.machine.stateHash()).toBe(whole.machine.stateHash());
  });

  it("refuses the CPU where 15-bit destinations are not offered", async () => {
    const { lines } = await boot({ policy: "kvm,msiExtDest=off" }, [
      [/init: ready/, (machine) => machine.hotplug({ apicId: NEW_ID, force: true })],
      [/CPU1 has been hot-added/, type("1o")],
      [/init: online 1/, type("q")],
    ]);
    expect(lines.join("\n")).toMatch(/bad cpu 1/);
    expect(lines.join("\n")).toMatch(/init: online 1 -> -\d+/);
  });
});
