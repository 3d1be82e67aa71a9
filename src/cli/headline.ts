/**
 * The headline experiment: CPU 0x123 is added to a machine at work and woken by INIT and STARTUP to its x2APIC ID.
 *
 * One run of it, with all that is needed to show it and to compare it with another.
 */
import { readUserFile } from "./files.js";
import {
  Machine,
  X2vmError,
  type ApicMessageEvent,
  type ApicTargetEvent,
  type RunResult,
} from "../index.js";

export const BOOT_IDS = [0x00, 0x23] as const;
export const NEW_ID = 0x123;
export const HOTPLUG_NS = 2e6;
const GUEST = new URL("../../../guests/hotplug.bin", import.meta.url);
/** A guest that does not end by itself is broken. */
const MAX_INSTRUCTIONS = 200e6;

const DELIVERY_INIT = 5;
const DELIVERY_STARTUP = 6;

/** An INIT or STARTUP, and what every CPU made of it. */
export interface WakeMessage {
  readonly sent: ApicMessageEvent;
  readonly senderId: number;
  readonly cpus: ApicTargetEvent[];
}

export interface HeadlineRun {
  readonly result: RunResult;
  readonly serial: string;
  readonly wakes: readonly WakeMessage[];
  /** Why a careful host would not have added the CPU; it was added by force then. */
  readonly refusal: string | undefined;
}

/** @param show - gets serial output as it comes */
export async function runHeadline(
  policy: string,
  show: (text: string) => void = () => {},
): Promise<HeadlineRun> {
  const machine = await Machine.create({ apicIds: BOOT_IDS, policy });
  machine.load(readUserFile(GUEST), { name: "hotplug.bin" });
  let serial = "";
  machine.onSerial((byte) => {
    const character = String.fromCharCode(byte);
    serial += character;
    show(character);
  });
  const wakes = collectWakes(machine);
  let refusal: string | undefined;
  machine.at(HOTPLUG_NS, () => {
    refusal = addCpu(machine);
  });
  const result = machine.run({ maxInstructions: MAX_INSTRUCTIONS });
  machine.dispose();
  return { result, serial, wakes, refusal };
}

/** @returns why it took force, if it did */
function addCpu(machine: Machine): string | undefined {
  try {
    machine.hotplug({ apicId: NEW_ID });
    return undefined;
  } catch (error) {
    if (!(error instanceof X2vmError) || error.code !== "APIC_ID_UNREACHABLE") throw error;
    machine.hotplug({ apicId: NEW_ID, force: true });
    return error.message;
  }
}

function collectWakes(machine: Machine): WakeMessage[] {
  const wakes: WakeMessage[] = [];
  let present: WakeMessage | undefined;
  const listener = (event: ApicMessageEvent | ApicTargetEvent): void => {
    if (event.kind === "message") {
      const isWake =
        event.deliveryMode === DELIVERY_INIT || event.deliveryMode === DELIVERY_STARTUP;
      const senderId = machine.vcpus[event.sender]?.apicId ?? -1;
      present = isWake ? { sent: event, senderId, cpus: [] } : undefined;
      if (present !== undefined) wakes.push(present);
    } else if (event.kind === "target" || event.kind === "other") {
      if (present?.sent.number === event.number) present.cpus.push(event);
    }
  };
  machine.trace(listener, { others: true });
  return wakes;
}

/** INIT, or STARTUP with its vector. */
export function wakeName({ sent }: WakeMessage): string {
  if (sent.deliveryMode === DELIVERY_INIT) return "INIT";
  return `STARTUP 0x${sent.vector.toString(16).padStart(2, "0")}`;
}

/** APIC IDs of the CPUs that a message reached. */
export function takers(wake: WakeMessage): number[] {
  return wake.cpus
    .filter(({ kind }) => kind === "target")
    .map(({ apicId }) => apicId)
    .sort((a, b) => a - b);
}
