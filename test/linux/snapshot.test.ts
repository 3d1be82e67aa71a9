/**
 * A Linux that is saved, restored and forked in the middle: of its boot, of a slice, of a hotplug. And the matrix of
 * `x2vm experiment linux-hotplug`. Needs a kernel, as linux.test.ts.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { bootLinux, linuxRows, playLinuxRow } from "../../src/experiments/linux-hotplug.js";
import {
  Machine,
  cpioArchive,
  linuxMachineOptions,
  unpackLinux,
  type ApicEvent,
} from "../../src/index.js";

const kernels: readonly string[] =
  inject("kernels") ?? [process.env["X2VM_KERNEL"] ?? ""].filter((path) => path !== "");
const COMMAND_LINE = "console=ttyS0 cryptomgr.notests pci=off panic=-1";
const INIT = readFileSync(new URL("../../guests/linux-init.bin", import.meta.url));
const NEW_ID = 0x123;
/** From entry to user space and a little more. */
const BOOT = 600e6;
/** Instructions between two snapshots while a CPU comes: the guest's handler takes the most. */
const STEPS = [
  1, 50_000, 20_000, 70_000, 100_000, 300_000, 300_000, 600_000, 1_500_000, 3_000_000, 2_000_000,
  1_000_000, 1_000_000, 5_000_000, 1000,
];

/** What is compared: everything that a run shows. */
class Recorder {
  text = "";
  readonly events: string[] = [];

  attach(machine: Machine): void {
    machine.onSerial((byte) => (this.text += String.fromCharCode(byte)));
    machine.trace((event: ApicEvent) => {
      if (event.kind === "message") this.events.push(`${event.now} ${event.sender} ${event.dest}`);
      else if (event.kind === "target") this.events.push(`${event.apicId} ${event.outcome}`);
    });
  }
}

function shown(machine: Machine, { text, events }: Recorder) {
  return {
    text,
    events,
    instructions: machine.instructions,
    virtualNs: machine.virtualNs,
    retired: machine.vcpus.map(({ retired }) => retired),
    stateHash: machine.stateHash(),
  };
}

/** Runs on by this many instructions, exactly. */
function runBy(machine: Machine, count: number): void {
  const end = machine.instructions + count;
  while (machine.instructions < end) machine.run({ maxInstructions: end - machine.instructions });
}

describe.skipIf(kernels.length === 0)("a snapshot of Linux", { timeout: 600_000 }, () => {
  let kernel: Uint8Array;
  beforeAll(async () => {
    kernel = await unpackLinux(readFileSync(kernels[0]!));
  });

  async function loaded(cpus: number): Promise<Machine> {
    const machine = await Machine.create(linuxMachineOptions({ cpus }, [NEW_ID]));
    const initrd = cpioArchive([
      { path: "dev", kind: "folder" },
      { path: "dev/console", kind: "character-device", major: 5, minor: 1 },
      { path: "init", kind: "file", bytes: INIT },
    ]);
    machine.load(kernel, {
      commandLine: COMMAND_LINE,
      modules: [{ name: "initrd", bytes: initrd }],
    });
    return machine;
  }

  it.each([1, 4])("goes on equal from anywhere in the boot of %i CPUs", async (cpus) => {
    const machine = await loaded(cpus);
    for (const stop of [3_333_333, 60_000_001, 131_071_999, 200_000_007, 111_111_111]) {
      runBy(machine, stop);
      const [one, two, three] = [new Recorder(), new Recorder(), new Recorder()];
      const restored = await Machine.restore(machine.snapshot());
      const fork = await machine.fork();
      one.attach(machine);
      two.attach(restored);
      three.attach(fork);
      expect(restored.stateHash()).toBe(machine.stateHash());
      runBy(machine, 20_000_000);
      for (let i = 0; i < 10; i++) runBy(restored, 2_000_000);
      runBy(fork, 20_000_000);
      const wanted = shown(machine, one);
      expect(shown(restored, two)).toEqual(wanted);
      expect(shown(fork, three)).toEqual(wanted);
      restored.dispose();
      fork.dispose();
    }
  });

  it("goes on equal while a CPU comes: before, between and after its interrupt, INIT and STARTUP", async () => {
    let machine = await loaded(1);
    let text = "";
    const listen = (target: Machine) =>
      target.onSerial((byte) => (text += String.fromCharCode(byte)));
    listen(machine);
    while (!/init: ready/.test(text) && machine.instructions < BOOT) runBy(machine, 5_000_000);
    const whole = await machine.fork();
    const one = new Recorder();
    one.attach(whole);
    const plan = (target: Machine) => {
      const start = target.virtualNs;
      target.at(start + 1e6, () => target.hotplug({ apicId: NEW_ID }));
      target.at(start + 1e9, () => target.sendSerial("1o\n"));
    };
    plan(whole);
    runBy(whole, 120_000_000);
    const two = new Recorder();
    two.attach(machine);
    const start = machine.virtualNs;
    const wanted = shown(whole, one);
    // What the driver plans is not in a snapshot: it is planned anew.
    const actions: [number, (target: Machine) => void][] = [
      [start + 1e6, (target) => target.hotplug({ apicId: NEW_ID })],
      [start + 1e9, (target) => target.sendSerial("1o\n")],
    ];
    const replan = () => {
      for (const [ns, act] of actions)
        if (ns > machine.virtualNs) machine.at(ns, () => act(machine));
    };
    replan();
    for (const step of STEPS) {
      runBy(machine, Math.min(step, wanted.instructions - machine.instructions));
      const next = await Machine.restore(machine.snapshot());
      machine.dispose();
      machine = next;
      two.attach(machine);
      replan();
    }
    runBy(machine, wanted.instructions - machine.instructions);
    expect(shown(machine, two)).toEqual(wanted);
    expect(two.text).toMatch(/init: online 1 -> 0/);
  });
});

describe.skipIf(kernels.length === 0)("x2vm experiment linux-hotplug", { timeout: 600_000 }, () => {
  const booted = new Map<boolean, Machine>();
  beforeAll(async () => {
    const guest = { kernel: await unpackLinux(readFileSync(kernels[0]!)), init: INIT };
    for (const kind of [true, false]) booted.set(kind, await bootLinux(guest, kind, () => {}));
  }, 600_000);

  it.each(
    linuxRows("all").map((row) => {
      const conditions = [row.hasLongIds ? "" : "no long IDs", row.neighbour ?? ""];
      return [[row.policy, ...conditions].join(" ").trim(), row] as const;
    }),
  )("%s: as expected", async (_, row) => {
    const result = await playLinuxRow(booted.get(row.hasLongIds)!, row);
    expect(row.expected).toContain(result.outcome);
    const takers = result.wakes.map((wake) => wake.takers);
    if (result.outcome === "online") {
      expect(result.lines.join("\n")).toMatch(/Will online and init/);
      for (const each of takers) expect(each).toEqual([NEW_ID]);
    }
    if (!row.hasLongIds) {
      expect(result.lines.join("\n")).toMatch(/native_cpu_up: bad cpu 1/);
      expect(takers).toEqual([]);
    } else if (result.outcome.startsWith("refused")) {
      // Linux waits ten seconds.
      expect(result.lines.join("\n")).toMatch(/do_boot_cpu failed\(-1\) to wakeup CPU#1/);
      expect(result.virtualNs).toBeGreaterThan(9.9e9);
      expect(result.virtualNs).toBeLessThan(11e9);
      expect(takers).toEqual([[], [], []]);
    }
    if (row.neighbour === "xAPIC") for (const each of takers) expect(each).toEqual([0x23, NEW_ID]);
  });
});
