/**
 * Linux from entry to power-off, with CPUs that come and go. Needs a kernel:
 *
 *     npm run test:linux                                       gets one where apt can
 *     X2VM_KERNEL=/boot/vmlinuz-... npm run test:linux
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, inject, it } from "vitest";
import {
  ConsoleLines,
  HotplugStory,
  Machine,
  cpioArchive,
  linuxMachineOptions,
  unpackLinux,
  type ApicEvent,
  type ApicMessageEvent,
  type MachineOptions,
  type StoryEvent,
} from "../../src/index.js";

/** Nothing is provided where these tests run among all others. */
const kernels: readonly string[] =
  inject("kernels") ?? [process.env["X2VM_KERNEL"] ?? ""].filter((path) => path !== "");
if (kernels.length === 0)
  console.warn("Linux is not tested: npm run test:linux does, with a kernel.");

const NEW_ID = 0x123;
const COMMAND_LINE = "console=ttyS0 cryptomgr.notests pci=off panic=-1";
const MOST_INSTRUCTIONS = 4e9;
const DELIVERY_INIT = 5;
const DELIVERY_STARTUP = 6;
const read = (file: string) => readFileSync(new URL(file, import.meta.url));

const INITRD = cpioArchive([
  { path: "dev", kind: "folder" },
  { path: "dev/console", kind: "character-device", major: 5, minor: 1 },
  { path: "init", kind: "file", bytes: read("../../guests/linux-init.bin") },
]);

/** What is done when a line of the console matches, one after the other. */
type Step = readonly [line: RegExp, action: (machine: Machine) => void];

const type = (text: string) => (machine: Machine) => machine.sendSerial(`${text}\n`);

interface Boot extends MachineOptions {
  readonly kernel?: string;
  readonly later?: readonly number[];
  /** The kernel unpacks itself. */
  readonly isPacked?: boolean;
  /** Instructions of one call of `run`. */
  readonly slice?: number;
}

/** Boots, carries out the steps, and runs to the end. */
async function boot(options: Boot, steps: readonly Step[]) {
  const { kernel = kernels[0]!, later = [NEW_ID], isPacked, slice = Infinity, ...rest } = options;
  const image = readFileSync(kernel);
  const machine = await Machine.create(linuxMachineOptions(rest, later));
  machine.load(isPacked ? image : await unpackLinux(image), {
    commandLine: COMMAND_LINE,
    modules: [{ name: "initrd", bytes: INITRD }],
  });
  const left = [...steps];
  const lines: string[] = [];
  const text = new ConsoleLines((line) => {
    lines.push(line);
    const step = left[0];
    if (step === undefined || !step[0].test(line)) return;
    left.shift();
    machine.at(machine.virtualNs, () => step[1](machine));
  });
  machine.onSerial((byte) => text.put(byte));
  const reports: { event: number; status: number }[] = [];
  machine.onOst(({ event, status }) => reports.push({ event, status }));
  const story: StoryEvent[] = [];
  new HotplugStory(machine, (event) => story.push(event));
  const events: ApicEvent[] = [];
  machine.trace((event) => events.push(event));
  let result = machine.run({ maxInstructions: Math.min(slice, MOST_INSTRUCTIONS) });
  while (result.reason === "budget" && machine.instructions < MOST_INSTRUCTIONS)
    result = machine.run({ maxInstructions: slice });
  return { machine, result, lines, reports, events, story, undone: left.length };
}

/** Adds CPU 0x123, puts it online, works there, takes it offline and online again, gives it back. */
function hotplug(apicId = NEW_ID): Step[] {
  return [
    [/init: ready/, type("c")],
    [/init: cpus 0$/, (machine) => machine.hotplug({ apicId })],
    [/CPU1 has been hot-added/, type("1o")],
    [/init: online 1 -> 0/, type("c")],
    [/init: cpus 0-1/, type("p")],
    [/init: pin 1 -> 0/, type("i")],
    [/PIW:|^MIS:/, type("f")],
    [/init: offline 1 -> 0/, type("o")],
    [/init: online 1 -> 0/, type("c")],
    [/init: cpus 0-1/, (machine) => machine.unplug({ apicId })],
    [/smpboot: CPU 1 is now offline/, type("c")],
    [/init: cpus 0$/, type("q")],
  ];
}

/** The counts of a row of /proc/interrupts, by CPU; of a device, the row that ends in its name. */
function interruptRow(lines: readonly string[], name: string): number[] {
  const row = lines.findLast((line) => line.trim().startsWith(`${name}:`) || line.endsWith(name));
  return [...row!.slice(row!.indexOf(":") + 1).matchAll(/\s(\d+)(?=\s)/g)].map((match) =>
    Number(match[1]),
  );
}

const POWER_OFF = { reason: "exit", exitCode: 0 };

describe.skipIf(kernels.length === 0)("Linux", { timeout: 600_000 }, () => {
  it.each([1, 4, 16])("comes to its user space with %i CPUs and turns itself off", async (cpus) => {
    const { result, lines, undone } = await boot({ cpus, later: [] }, [
      [/init: ready/, type("c")],
      [/init: cpus/, type("q")],
    ]);
    expect(lines).toContain(`init: cpus ${cpus === 1 ? "0" : `0-${cpus - 1}`}`);
    expect(undone).toBe(0);
    expect(result).toMatchObject(POWER_OFF);
  });

  it.each(kernels.map((kernel) => [basename(kernel), kernel]))(
    "%s brings a CPU with APIC ID 0x123 online, works on it, and gives it back",
    async (_, kernel) => {
      const one = await boot({ kernel }, hotplug());
      expect(one.undone).toBe(0);
      expect(one.result).toMatchObject(POWER_OFF);
      const text = one.lines.join("\n");
      expect(text).toMatch(/Booting Node 0 Processor 1 APIC 0x123/);
      expect(one.reports).toEqual([
        { event: 1, status: 0 }, // device check: success
        { event: 3, status: 0x84 }, // eject request: in progress
        { event: 3, status: 0 },
      ]);

      // The ICR: INIT, its de-assert and two STARTUPs to the 32-bit ID, twice; the first time while the new LAPIC is in xAPIC mode.
      const sent = one.events.filter(
        (event): event is ApicMessageEvent => event.kind === "message",
      );
      const wakes = sent.filter(
        ({ deliveryMode }) => deliveryMode === DELIVERY_INIT || deliveryMode === DELIVERY_STARTUP,
      );
      const form = ({
        deliveryMode,
        levelTriggered,
        assert,
        dest,
        shorthand,
        logical,
      }: ApicMessageEvent) =>
        [deliveryMode, levelTriggered, assert, dest, shorthand, logical] as const;
      const sequence = [
        [DELIVERY_INIT, true, true, NEW_ID, 0, false],
        [DELIVERY_INIT, true, false, NEW_ID, 0, false],
        [DELIVERY_STARTUP, false, false, NEW_ID, 0, false],
        [DELIVERY_STARTUP, false, false, NEW_ID, 0, false],
      ];
      expect(wakes.map(form)).toEqual([...sequence, ...sequence]);
      expect(new Set(wakes.slice(2, 4).map(({ vector }) => vector)).size).toBe(1);
      const first = one.events.find((event) => event.kind === "target" && event.apicId === NEW_ID);
      expect(first).toMatchObject({ mode: "xAPIC" });

      const wake = "init init startup start";
      const order = wakeOrder(one.story, 8);
      expect(one.story.map(({ kind }) => kind).join(" ")).toBe(
        `added interrupt acknowledged answer ${wake} ${order} online park ` +
          // INIT has left the LAPIC in x2APIC mode.
          `${wake} startup online removal interrupt acknowledged answer park ejected answer`,
      );

      // Columns CPU0 and CPU1, while both were online.
      const [timer0, timer1] = interruptRow(one.lines, "LOC");
      expect(timer0).toBeGreaterThan(0);
      expect(timer1).toBeGreaterThan(0);
      expect(interruptRow(one.lines, "ACPI:Ged")[0]).toBe(1);
      expect(interruptRow(one.lines, "ttyS0")[0]).toBeGreaterThan(0);
      expect(
        interruptRow(one.lines, "CAL")[1]! + interruptRow(one.lines, "RES")[1]!,
      ).toBeGreaterThan(0);
      expect(one.machine.vcpus[1]!.retired).toBeGreaterThan(1_000_000n);
    },
  );

  it("does the same with the highest ID that a device can address, one of many possible CPUs", async () => {
    const { result, lines, undone } = await boot({ later: [0x10, 0x20, 0x7fff] }, hotplug(0x7fff));
    expect(undone).toBe(0);
    expect(lines.join("\n")).toMatch(/Booting Node 0 Processor 1 APIC 0x7fff/);
    expect(result).toMatchObject(POWER_OFF);
  });

  it("does the same in any slices, to the last bit", async () => {
    const whole = await boot({}, hotplug());
    const cut = await boot({ slice: 7_777_777 }, hotplug());
    expect(cut.machine.stateHash()).toBe(whole.machine.stateHash());
  });

  it("unpacks itself where the host does not", async ({ skip }) => {
    if (!isLz4(kernels[0]!)) skip("the kernel is packed with something that takes long");
    const { result, lines } = await boot({ isPacked: true }, [[/init: ready/, type("cq")]]);
    expect(lines).toContain("init: cpus 0");
    expect(result).toMatchObject(POWER_OFF);
  });

  // the command to init, why the machine resets
  it.each([
    ["r", /reboot: Restarting system/],
    ["k", /Kernel panic - not syncing: Attempted to kill init/],
  ])("resets the machine after %s", async (command, line) => {
    const { result, lines } = await boot({}, [[/init: ready/, type(command)]]);
    expect(lines.some((each) => line.test(each))).toBe(true);
    expect(result).toMatchObject({ reason: "reset" });
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

/** The CPU goes to x2APIC mode before or after the second STARTUP: that is the kernel's affair. */
function wakeOrder(story: readonly StoryEvent[], at: number): string {
  return story[at]?.kind === "mode" ? "mode startup" : "startup mode";
}

/** Whether the payload of a bzImage starts as LZ4 does. */
function isLz4(path: string): boolean {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (
    view.getUint32((bytes[0x1f1]! + 1) * 512 + view.getUint32(0x248, true), true) === 0x184c2102
  );
}
