/** The messages between the CPUs of a run, each with what every CPU made of it. */
import {
  describeMessage,
  isRefusal,
  type ApicEvent,
  type ApicMessageEvent,
  type ApicTargetEvent,
  type Machine,
} from "../index.js";
import { formatApicId } from "./format.js";

export interface SentMessage {
  readonly sent: ApicMessageEvent;
  /** x2APIC ID of the sender; -1: a device. */
  readonly senderId: number;
  readonly cpus: ApicTargetEvent[];
}

const SHORTHANDS = ["", "itself", "all", "all but itself"] as const;

/** Collects messages while the machine runs. */
export class MessageLog {
  /** In the order of delivery; whoever is done with some may take them out. */
  readonly messages: SentMessage[] = [];
  readonly #unsubscribe: () => void;

  /** @param isWanted - others are left out */
  constructor(machine: Machine, isWanted: (sent: ApicMessageEvent) => boolean = () => true) {
    let present: SentMessage | undefined;
    const listener = (event: ApicEvent): void => {
      if (event.kind === "message") {
        const senderId = machine.vcpus[event.sender]?.apicId ?? -1;
        present = isWanted(event) ? { sent: event, senderId, cpus: [] } : undefined;
        if (present !== undefined) this.messages.push(present);
      } else if (event.kind === "target" || event.kind === "other") {
        if (present?.sent.number === event.number) present.cpus.push(event);
      }
    };
    this.#unsubscribe = machine.trace(listener, { others: true });
  }

  /** Collects no more, and forgets. */
  end(): void {
    this.#unsubscribe();
    this.messages.length = 0;
  }
}

/** APIC IDs of the CPUs that took a message, in order. */
export function takers({ cpus }: SentMessage): number[] {
  return cpus
    .filter(({ kind, outcome }) => kind === "target" && !isRefusal(outcome))
    .map(({ apicId }) => apicId)
    .sort((a, b) => a - b);
}

/** INIT to 0x123, Fixed 0x40 to all but itself. */
export function messageName({ sent }: SentMessage): string {
  const dest = `${sent.logical ? "logical " : ""}${formatApicId(sent.dest)}`;
  return `${describeMessage(sent)} to ${SHORTHANDS[sent.shorthand] || dest}`;
}

/** 0x00, or a device. */
export function senderName({ senderId }: SentMessage): string {
  return senderId < 0 ? "a device" : formatApicId(senderId);
}
