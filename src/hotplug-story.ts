/**
 * The story of a CPU's coming or going, step by step, as it can be seen from outside the guest: the request, the event
 * device's interrupt, the guest's answer, INIT and STARTUP and who takes them, the first instruction, the first change
 * of the APIC mode, the first interrupt from another CPU or the first idling, the end.
 */
import * as abi from "../assembly/abi.js";
import { hex } from "./errors.js";
import type { HotplugEvent, OstReport } from "./hotplug.js";
import type { Machine } from "./machine.js";
import {
  isRefusal,
  type ApicEvent,
  type ApicMessageEvent,
  type ApicTargetEvent,
} from "./trace/apic.js";
import { describeMessage, describeOutcome, describeReason } from "./trace/apic-text.js";
import type { CpuEvent } from "./trace/cpu.js";

export type StoryKind =
  | HotplugEvent["kind"]
  | "answer" // _OST
  | "init"
  | "startup"
  | "start" // the first instruction after STARTUP
  | "mode" // the guest changes the mode of the CPU's LAPIC
  | "online" // the CPU takes an interrupt from another, or idles: the guest has taken it into use
  | "park"; // the CPU waits with interrupts off

export interface StoryEvent {
  readonly kind: StoryKind;
  /** The CPU that comes or goes. */
  readonly apicId: number;
  readonly virtualNs: number;
  /** What happened, without the CPU and the time. */
  readonly text: string;
}

const DELIVERY_LOWEST = 1;
const DELIVERY_INIT = 5;
const DELIVERY_STARTUP = 6;

/** ACPI Specification, "_OST (OSPM Status Indication)": source events, and status codes where they are not 0. */
const OST_EVENTS: Readonly<Record<number, string>> = {
  1: "device check",
  3: "eject request",
  0x103: "ejection",
  0x200: "insertion",
};
const OST_STATUS: Readonly<Record<number, string>> = {
  0: "success",
  1: "failure",
  2: "unknown event",
};
const OST_EJECTION_STATUS: Readonly<Record<number, string>> = {
  0x80: "not supported",
  0x81: "the CPU is in use",
  0x82: "the CPU is busy",
  0x83: "something depends on the CPU",
  0x84: "in progress",
};
const OST_INSERTION_STATUS: Readonly<Record<number, string>> = {
  0x80: "in progress",
  0x81: "the driver failed",
  0x82: "not supported",
};

/** How far a CPU has come since it was added. */
interface Progress {
  isOnline: boolean;
}

/** Tells a machine's hotplugs from now on. It listens to the APICs only once there is a CPU to tell of. */
export class HotplugStory {
  readonly #machine: Machine;
  readonly #tell: (event: StoryEvent) => void;
  readonly #followed = new Map<number, Progress>();
  /** The message under way, with the CPUs that it selects. */
  #message: ApicMessageEvent | undefined;
  #targets: ApicTargetEvent[] = [];
  #isListening = false;

  constructor(machine: Machine, tell: (event: StoryEvent) => void) {
    this.#machine = machine;
    this.#tell = tell;
    machine.onHotplug((event) => this.#takeHotplug(event));
    machine.onOst((report) => this.#takeReport(report));
  }

  #takeHotplug(event: HotplugEvent): void {
    const { kind, apicId } = event;
    if (!this.#followed.has(apicId)) this.#followed.set(apicId, { isOnline: kind === "removal" });
    if (kind === "added") this.#followed.get(apicId)!.isOnline = false;
    this.#listen();
    this.#say(kind, apicId, hotplugText(event));
  }

  #listen(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    this.#machine.trace((event) => this.#takeApic(event));
    this.#machine.traceCpus((event) => this.#takeCpu(event));
  }

  #takeReport({ apicId, event, status }: OstReport): void {
    const special = event === 3 || event === 0x103 ? OST_EJECTION_STATUS : OST_INSERTION_STATUS;
    const what = OST_EVENTS[event] ?? `event ${hex(event)}`;
    const how = OST_STATUS[status] ?? special[status] ?? "status";
    this.#say("answer", apicId, `the guest answers (_OST): ${what}, ${how} (${hex(status)})`);
  }

  #takeApic(event: ApicEvent): void {
    if (event.kind === "message") {
      this.#message = event;
      this.#targets = [];
    } else if (event.kind === "target") {
      this.#targets.push(event);
    } else if (event.kind === "result" && this.#message?.number === event.number) {
      const { deliveryMode } = event;
      if (deliveryMode === DELIVERY_INIT || deliveryMode === DELIVERY_STARTUP) this.#tellWake();
      else if (deliveryMode <= DELIVERY_LOWEST && event.sender >= 0) this.#tellInterrupt();
    }
  }

  /** INIT or STARTUP: to a CPU of the story, or taken by one. */
  #tellWake(): void {
    const message = this.#message!;
    const kind = message.deliveryMode === DELIVERY_INIT ? "init" : "startup";
    const targets = this.#targets;
    const ids = new Set(targets.map((each) => each.apicId));
    if (!message.logical && message.shorthand === 0) ids.add(message.dest);
    const about = [...ids].filter((apicId) => this.#followed.has(apicId));
    if (about.length === 0) return;
    const what = `${describeMessage(message)} from ${this.#senderName(message)}`;
    const ns = Number(message.now);
    for (const apicId of about) {
      const own = targets.find((each) => each.apicId === apicId);
      const fate = own === undefined ? " does not reach it" : `: ${verdict(own)}`;
      this.#say(kind, apicId, `${what}${fate}`, ns);
      for (const other of targets) {
        if (other.apicId === apicId || isRefusal(other.outcome)) continue;
        this.#say(
          kind,
          apicId,
          `${what}: ${hex(other.apicId)} takes it too: ${describeReason(other)}`,
          ns,
        );
      }
    }
  }

  /** The first interrupt that another CPU sends: only CPUs that the guest counts on get any. */
  #tellInterrupt(): void {
    const message = this.#message!;
    for (const target of this.#targets) {
      const progress = this.#followed.get(target.apicId);
      if (progress === undefined || progress.isOnline || isRefusal(target.outcome)) continue;
      if (target.vcpuIndex === message.sender) continue;
      progress.isOnline = true;
      const vector = hex(message.vector, 2);
      const from = this.#senderName(message);
      const text = `online: takes its first interrupt, ${vector} from ${from}`;
      this.#say("online", target.apicId, text, Number(message.now));
    }
  }

  #takeCpu(event: CpuEvent): void {
    const progress = this.#followed.get(event.apicId);
    if (progress === undefined) return;
    if (event.kind === "start") {
      progress.isOnline = false;
      const text = `runs its first instruction, at ${hex(event.address!)} in real mode`;
      this.#say("start", event.apicId, text, event.now);
    } else if (event.kind === "mode") {
      this.#say("mode", event.apicId, modeText(event.mode!), event.now);
    } else if (event.kind === "idle") {
      if (progress.isOnline) return;
      progress.isOnline = true;
      this.#say("online", event.apicId, "online: idle, and waits for interrupts", event.now);
    } else {
      this.#say("park", event.apicId, "parked: it waits with interrupts off", event.now);
    }
  }

  #senderName(message: ApicMessageEvent): string {
    return message.sender < 0 ? "a device" : hex(this.#machine.vcpus[message.sender]!.apicId);
  }

  #say(kind: StoryKind, apicId: number, text: string, ns = this.#machine.virtualNs): void {
    this.#tell({ kind, apicId, virtualNs: ns, text });
  }
}

function hotplugText({ kind, vector, dest }: HotplugEvent): string {
  switch (kind) {
    case "added":
      return "added by the host";
    case "removal":
      return "the host asks for it back";
    case "interrupt":
      return `the event device interrupts (GSI 9: vector ${hex(vector!, 2)} to ${hex(dest!)})`;
    case "acknowledged":
      return "the guest takes note";
    case "ejected":
      return "ejected: the CPU is gone";
  }
}

function modeText(mode: NonNullable<CpuEvent["mode"]>): string {
  return mode === "off" ? "turns its local APIC off" : `its local APIC goes to ${mode} mode`;
}

/** What a selected CPU does with a message. */
function verdict(target: ApicTargetEvent): string {
  switch (target.outcome) {
    case abi.OUTCOME_ACCEPTED:
      return `taken, in ${target.mode} mode`;
    case abi.OUTCOME_DEASSERT:
      return "ignored, as on every processor with x2APIC";
    case abi.OUTCOME_SIPI_LATE:
      return "discarded: it runs already";
    default:
      return describeOutcome(target);
  }
}
