/** A run whose messages, hotplugs and serial output are kept, to be compared with another. */
import { X2vmError, type ApicMessageEvent, type Machine } from "../index.js";
import { MessageLog } from "./messages.js";
import { prepare, type SessionPlan } from "./session.js";

export interface Refusal {
  readonly apicId: number;
  readonly why: string;
}

export interface ObservedRun {
  readonly policy: string;
  readonly machine: Machine;
  readonly log: MessageLog;
  /** So far. */
  readonly serial: () => string;
  /** CPUs that a careful host would not have added, and why; each was added by force. */
  readonly refusals: readonly Refusal[];
}

export interface ObserveOptions {
  /** Messages to keep; default: all. */
  readonly isWanted?: (sent: ApicMessageEvent) => boolean;
  /** Gets serial output as it comes. */
  readonly show?: (text: string) => void;
}

/** Makes the machine of a plan under a policy, ready to run. @throws X2vmError */
export async function observe(
  plan: SessionPlan,
  policy: string,
  { isWanted, show }: ObserveOptions = {},
): Promise<ObservedRun> {
  const refusals: Refusal[] = [];
  const machine = await prepare(
    { ...plan, machine: { ...plan.machine, policy } },
    (target, apicId) => {
      const why = addCpu(target, apicId);
      if (why !== undefined) refusals.push({ apicId, why });
    },
  );
  let serial = "";
  machine.onSerial((byte) => {
    const character = String.fromCharCode(byte);
    serial += character;
    show?.(character);
  });
  return {
    policy,
    machine,
    log: new MessageLog(machine, isWanted),
    serial: () => serial,
    refusals,
  };
}

/** @returns why it took force, if it did */
function addCpu(machine: Machine, apicId: number): string | undefined {
  try {
    machine.hotplug({ apicId });
    return undefined;
  } catch (error) {
    if (!(error instanceof X2vmError) || error.code !== "APIC_ID_UNREACHABLE") throw error;
    machine.hotplug({ apicId, force: true });
    return machine.interrupts.longIdObstacle;
  }
}
