/**
 * The headline experiment with an unmodified Linux: it boots to user space once, the machine is forked for each policy,
 * CPU 0x123 is added to the fork, and the guest is told to put it online.
 *
 * What the guest decides at boot cannot be changed in a fork: without the 15-bit destination feature it boots once more.
 */
import { ConsoleLines } from "../console-lines.js";
import { X2vmError } from "../errors.js";
import { linuxMachineOptions } from "../linux-machine.js";
import { cpioArchive } from "../loaders/cpio.js";
import { Machine } from "../machine.js";
import { PRESETS } from "../policies.js";
import { isRefusal, type ApicEvent } from "../trace/apic.js";
import { describeMessage } from "../trace/apic-text.js";
import {
  CRASH,
  LINUX_ROWS,
  NEIGHBOUR_ID,
  NEW_ID,
  ONLINE,
  TWO_AS_ONE,
  type LinuxRow,
} from "./linux-rows.js";

const COMMAND_LINE = "console=ttyS0 cryptomgr.notests pci=off panic=-1";
/** Linux waits ten seconds in a loop for a CPU that does not come: with slower instructions these are fewer. */
const INSTRUCTION_NS = 20;
const BOOT_LIMIT = 3e9;
/** ns of virtual time. */
const ANSWER_LIMIT = 30e9;
/** Instructions between two reports of progress. */
const SLICE = 1e7;
const INIT = 5;
const STARTUP = 6;

/** A kernel to boot, unpacked, and the program of its user space (guests/linux-init.asm). */
export interface LinuxGuest {
  readonly kernel: Uint8Array;
  readonly init: Uint8Array;
}

/** An INIT or STARTUP. */
export interface Wake {
  /** "INIT to 0x123". */
  readonly message: string;
  /** APIC IDs of those that took it. */
  readonly takers: readonly number[];
}

export interface LinuxResult extends LinuxRow {
  /** "online", or what became of it. */
  readonly outcome: string;
  readonly isAsExpected: boolean;
  /** What the kernel said from the request on, without time stamps. */
  readonly lines: readonly string[];
  readonly wakes: readonly Wake[];
  /** From the request to the answer of the guest, ns of virtual time. */
  readonly virtualNs: number;
  readonly instructions: number;
  /** Fork included. */
  readonly wallMs: number;
}

/** What an experiment tells while it goes on. */
export type TellProgress = (instructions: number, what: string) => void;

/**
 * @param policy - "all", a preset, or a preset with knobs changed
 * @returns the rows to play @throws X2vmError BAD_OPTION when the policy does not exist
 */
export function linuxRows(policy: string): readonly LinuxRow[] {
  if (policy === "all") return LINUX_ROWS;
  const rows = LINUX_ROWS.filter((row) => row.policy === policy);
  if (rows.length > 0) return rows;
  const name = policy.split(",")[0]!.trim();
  if (PRESETS.some((preset) => preset.name === name)) {
    const row = { policy, hasLongIds: true, neighbour: undefined, expected: undefined };
    return [{ ...row, why: "nothing is on record" }];
  }
  throw new X2vmError("BAD_OPTION", `There is no policy "${name}".`);
}

/** Boots to user space. @throws X2vmError BAD_OPTION when the guest does not get there */
export async function bootLinux(
  guest: LinuxGuest,
  hasLongIds: boolean,
  tell: TellProgress,
): Promise<Machine> {
  const policy = `kvm,msiExtDest=${hasLongIds ? "on" : "off"}`;
  const machine = await Machine.create(
    linuxMachineOptions({ policy, instructionNs: INSTRUCTION_NS }, [NEIGHBOUR_ID, NEW_ID]),
  );
  const initrd = cpioArchive([
    { path: "dev", kind: "folder" },
    { path: "dev/console", kind: "character-device", major: 5, minor: 1 },
    { path: "init", kind: "file", bytes: guest.init },
  ]);
  machine.load(guest.kernel, {
    commandLine: COMMAND_LINE,
    modules: [{ name: "initrd", bytes: initrd }],
  });
  const console_ = new Console(machine);
  const what = hasLongIds ? "booting Linux" : "booting Linux without 15-bit destinations";
  const isUp = console_.runTo(/^init: ready/, () => {
    tell(machine.instructions, what);
    return machine.instructions < BOOT_LIMIT;
  });
  if (isUp === undefined) {
    const last = console_.lines.at(-1) ?? "nothing";
    throw new X2vmError(
      "BAD_OPTION",
      `The kernel did not come to its user space; it said last: ${last.trim()}.`,
    );
  }
  return machine;
}

/** Plays a row on a fork. @param booted - as the row wants it; it stays as it is */
export async function playLinuxRow(booted: Machine, row: LinuxRow): Promise<LinuxResult> {
  const startMs = performance.now();
  // As at boot: the knob says what the devices do with the feature that the guest knows.
  const policy = `${row.policy},msiExtDest=${row.hasLongIds ? "on" : "off"}`;
  const machine = await booted.fork({ policy });
  const guest = new Console(machine);
  const wakes: Wake[] = [];
  const cpu = row.neighbour === undefined ? 1 : 2;
  if (row.neighbour !== undefined) {
    machine.hotplug({ apicId: NEIGHBOUR_ID });
    guest.answer(/CPU1 has been hot-added/);
    if (row.neighbour === "x2APIC") {
      machine.sendSerial("1o\n");
      guest.answer(/^init: online 1 -> /);
    }
  }
  machine.trace(collector(wakes));
  const firstLine = guest.lines.length;
  const startNs = machine.virtualNs;
  const startInstructions = machine.instructions;
  machine.hotplug({ apicId: NEW_ID, force: true });
  const isAdded = guest.answer(new RegExp(`CPU${cpu} has been hot-added`)) !== undefined;
  machine.sendSerial(`${cpu}o\n`);
  const answer = guest.answer(new RegExp(`^init: online ${cpu} -> (-?\\d+)`));
  const virtualNs = machine.virtualNs - startNs;
  const instructions = machine.instructions - startInstructions;
  const works = answer?.[1] === "0" && isAtWork(machine, guest, cpu);
  const isAlone = row.neighbour !== "xAPIC" || isWaiting(machine, NEIGHBOUR_ID);
  const outcome = outcomeOf(isAdded, answer?.[1], works, isAlone, guest.end);
  const lines = guest.lines.slice(firstLine).map((line) => line.replace(/^\[[ \d.]+\] /, ""));
  machine.dispose();
  return {
    ...row,
    outcome,
    isAsExpected: row.expected === undefined || row.expected.includes(outcome),
    lines: lines.filter((line) => /CPU|smpboot|x2apic|panic|x2vm/.test(line)),
    wakes,
    virtualNs,
    instructions,
    wallMs: performance.now() - startMs,
  };
}

/** The guest moves to the new CPU and comes back with an answer. */
function isAtWork(machine: Machine, guest: Console, cpu: number): boolean {
  machine.sendSerial(`${cpu}p\n`);
  return guest.answer(new RegExp(`^init: pin ${cpu} -> (-?\\d+)`))?.[1] === "0";
}

/** A CPU is as it came: nobody has started it. */
function isWaiting(machine: Machine, apicId: number): boolean {
  const state = machine.vcpus.find((vcpu) => vcpu.apicId === apicId)?.runState;
  return state === "uninitialized" || state === "wait-for-sipi";
}

/** @param isAlone - no CPU runs that was not told to */
function outcomeOf(
  isAdded: boolean,
  result: string | undefined,
  works: boolean,
  isAlone: boolean,
  end: string | undefined,
): string {
  if (end !== undefined) return end;
  if (!isAdded) return "not added";
  if (result === undefined) return "no answer";
  if (result !== "0") return `refused, ${ERRORS[result] ?? result}`;
  if (!isAlone) return TWO_AS_ONE;
  return works ? ONLINE : "online, does not work";
}

/** What Linux answers a write to sysfs with. */
const ERRORS: Readonly<Record<string, string>> = { "-5": "EIO", "-22": "EINVAL" };

/** Collects INIT and STARTUP; the INIT that only takes the level back is left out. */
function collector(wakes: Wake[]): (event: ApicEvent) => void {
  let takers: number[] | undefined;
  return (event) => {
    if (event.kind === "message") {
      const isWake =
        event.deliveryMode === STARTUP || (event.deliveryMode === INIT && event.assert);
      takers = isWake ? [] : undefined;
      const message = `${describeMessage(event)} to 0x${event.dest.toString(16)}`;
      if (takers !== undefined) wakes.push({ message, takers });
    } else if (event.kind === "target" && !isRefusal(event.outcome)) takers?.push(event.apicId);
  };
}

/** The guest's console: lines, and running until one comes. */
class Console {
  readonly lines: string[] = [];
  /** Why the machine cannot go on, if so. */
  end: string | undefined;
  readonly #machine: Machine;
  #wanted: RegExp | undefined;
  #found: RegExpExecArray | undefined;

  constructor(machine: Machine) {
    this.#machine = machine;
    const lines = new ConsoleLines((line) => this.#take(line));
    machine.onSerial((byte) => lines.put(byte));
  }

  /** Runs to a line. @param goesOn - asked now and then @returns the match, or undefined without one */
  runTo(line: RegExp, goesOn: () => boolean): RegExpExecArray | undefined {
    this.#wanted = line;
    this.#found = undefined;
    while (this.#found === undefined && this.end === undefined && goesOn()) {
      const { reason, vcpuIndex } = this.#machine.run({ maxInstructions: SLICE });
      if (reason === "budget" || reason === "stopped") continue;
      const culprit = vcpuIndex === undefined ? undefined : this.#machine.vcpus[vcpuIndex];
      const where = culprit === undefined ? "" : ` on CPU 0x${culprit.apicId.toString(16)}`;
      this.end = CRASH;
      this.lines.push(`x2vm: ${reason === "shutdown" ? "triple fault" : reason}${where}`);
    }
    return this.#found;
  }

  /** Runs to a line that is due. */
  answer(line: RegExp): RegExpExecArray | undefined {
    const end = this.#machine.virtualNs + ANSWER_LIMIT;
    return this.runTo(line, () => this.#machine.virtualNs < end);
  }

  #take(line: string): void {
    this.lines.push(line);
    const match = this.#wanted?.exec(line);
    if (match === null || match === undefined) return;
    this.#found = match;
    this.#wanted = undefined;
    this.#machine.stop();
  }
}
