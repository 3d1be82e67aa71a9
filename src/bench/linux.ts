/**
 * A Linux kernel from its load to user space, and a CPU that is added then, on x2vm.
 *
 * The user space is guests/linux-init.asm unless the caller brings an initrd: then the run ends at user space.
 */
import {
  cpioArchive,
  HotplugStory,
  linuxMachineOptions,
  Machine,
  unpackLinux,
  type StoryKind,
} from "../index.js";
import { Stopwatch } from "./stopwatch.js";

export const COMMAND_LINE = "console=ttyS0 cryptomgr.notests pci=off panic=-1";

export interface LinuxGuest {
  readonly kernel: Uint8Array;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
  readonly cpus: number;
  /** A line of the console that matches ends the boot. */
  readonly ready: RegExp;
  /** Whether a CPU is to be added then: only our own user space can bring it online. */
  readonly hotAdds: boolean;
}

/** Times of one run, ms, from the start of the machine or from the request of the CPU. */
export interface LinuxSample {
  readonly bootWallMs: number;
  readonly bootCpuMs: number | undefined;
  /** Until the new CPU is online; undefined: none was added. */
  readonly addWallMs: number | undefined;
  readonly addCpuMs: number | undefined;
}

export interface Stage {
  readonly kind: StoryKind;
  readonly wallMs: number;
  readonly virtualMs: number;
}

export interface CountedLinuxSample extends LinuxSample {
  readonly instructions: number;
  /** Of the hot-add, in their order. */
  readonly stages: readonly Stage[];
}

/** An ID beyond 8 bits: INIT and STARTUP must reach a LAPIC in xAPIC mode by it. */
const NEW_ID = 0x123;
const MOST_INSTRUCTIONS = 8e9;
/** What the console says once the kernel knows a new CPU. */
export const ADDED = /CPU\d+ has been hot-added/;
export const READY = /^init: ready/;

/** What our user space is told: to put a CPU online, to turn the machine off. */
export const putOnline = (cpu: number) => `${cpu}o\n`;
export const onlineLine = (cpu: number) => new RegExp(`^init: online ${cpu} -> 0`);
export const POWER_OFF = "q\n";

/** An initrd with our user space. @param init - linux-init.bin */
export function initrdOf(init: Uint8Array): Uint8Array {
  return cpioArchive([
    { path: "dev", kind: "folder" },
    { path: "dev/console", kind: "character-device", major: 5, minor: 1 },
    { path: "init", kind: "file", bytes: init },
  ]);
}

/** @throws Error when the guest does not come to user space, or its new CPU not online */
export async function linuxHere(guest: LinuxGuest): Promise<CountedLinuxSample> {
  const startMs = performance.now();
  const startCpuMs = cpuMs();
  const kernel = await unpackLinux(guest.kernel);
  const machine = await Machine.create(linuxMachineOptions({ cpus: guest.cpus }, [NEW_ID]));
  machine.load(kernel, {
    commandLine: guest.commandLine,
    modules: [{ name: "initrd", bytes: guest.initrd }],
  });
  let boot: { wallMs: number; cpuMs: number; instructions: number } | undefined;
  let request: { wallMs: number; cpuMs: number; virtualNs: number } | undefined;
  let added: { wallMs: number; cpuMs: number } | undefined;
  const stages: Stage[] = [];
  const soon = (action: () => void) => machine.at(machine.virtualNs, action);
  const stopwatch = new Stopwatch(({ text, atMs }) => {
    if (boot === undefined && guest.ready.test(text)) {
      const { instructions } = machine;
      boot = { wallMs: atMs - startMs, cpuMs: cpuMs() - startCpuMs, instructions };
      soon(() => {
        if (!guest.hotAdds) return machine.stop();
        request = { wallMs: performance.now(), cpuMs: cpuMs(), virtualNs: machine.virtualNs };
        machine.hotplug({ apicId: NEW_ID });
      });
    } else if (request !== undefined && ADDED.test(text)) {
      soon(() => machine.sendSerial(putOnline(guest.cpus)));
    } else if (request !== undefined && onlineLine(guest.cpus).test(text)) {
      added = { wallMs: atMs - request.wallMs, cpuMs: cpuMs() - request.cpuMs };
      soon(() => machine.sendSerial(POWER_OFF));
    }
  });
  machine.onSerial((byte) => stopwatch.take(byte));
  if (guest.hotAdds) {
    new HotplugStory(machine, ({ kind, virtualNs }) => {
      if (request === undefined || stages.some((stage) => stage.kind === kind)) return;
      const wallMs = performance.now() - request.wallMs;
      stages.push({ kind, wallMs, virtualMs: (virtualNs - request.virtualNs) / 1e6 });
    });
  }
  const { reason } = machine.run({ maxInstructions: MOST_INSTRUCTIONS });
  machine.dispose();
  if (boot === undefined || (guest.hotAdds && added === undefined)) {
    const last = stopwatch.lines.slice(-3).map(({ text }) => text);
    throw new Error(`Linux on x2vm ended by ${reason} after: ${last.join(" | ")}`);
  }
  return {
    bootWallMs: boot.wallMs,
    bootCpuMs: boot.cpuMs,
    addWallMs: added?.wallMs,
    addCpuMs: added?.cpuMs,
    instructions: boot.instructions,
    stages,
  };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}
