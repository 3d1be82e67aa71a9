/**
 * The headline experiment: CPU 0x123 is added to a machine at work and woken by INIT and STARTUP to its x2APIC ID.
 *
 * One run of it, with all that is needed to show it and to compare it with another.
 */
import { describeReason, type ApicMessageEvent, type RunResult } from "../index.js";
import { cpuOf, differenceSentence, firstDifferenceOfAll, linesMissingIn } from "./compare.js";
import { readUserFile } from "./files.js";
import { messageName, type SentMessage } from "./messages.js";
import { observe } from "./observed-run.js";
import type { SessionPlan } from "./session.js";

export const BOOT_IDS = [0x00, 0x23] as const;
export const NEW_ID = 0x123;
export const HOTPLUG_NS = 2e6;
const GUEST = new URL("../../../guests/hotplug.bin", import.meta.url);
/** A guest that does not end by itself is broken. */
const MAX_INSTRUCTIONS = 200e6;

const DELIVERY_INIT = 5;
const DELIVERY_STARTUP = 6;

export interface HeadlineRun {
  readonly result: RunResult;
  readonly serial: string;
  /** Every INIT and STARTUP. */
  readonly wakes: readonly SentMessage[];
  /** A careful host would not have added the CPU. */
  readonly isForced: boolean;
}

/** @param show - gets serial output as it comes */
export async function runHeadline(
  policy: string,
  show?: (text: string) => void,
): Promise<HeadlineRun> {
  const plan: SessionPlan = {
    imagePath: "hotplug.bin",
    image: readUserFile(GUEST),
    machine: { apicIds: BOOT_IDS },
    load: {},
    hotplugs: [{ apicId: NEW_ID, moment: { ns: HOTPLUG_NS } }],
    unplugs: [],
    inputs: [],
    saves: [],
    forceHotplug: false,
    faults: [],
    input: undefined,
    maxInstructions: MAX_INSTRUCTIONS,
    untilNs: Infinity,
  };
  const run = await observe(plan, policy, { isWanted: isWake, ...(show && { show }) });
  const result = run.machine.run({ maxInstructions: MAX_INSTRUCTIONS });
  run.machine.dispose();
  const { log, serial, refusals } = run;
  return { result, serial: serial(), wakes: log.messages, isForced: refusals.length > 0 };
}

function isWake({ deliveryMode }: ApicMessageEvent): boolean {
  return deliveryMode === DELIVERY_INIT || deliveryMode === DELIVERY_STARTUP;
}

/** What differs between two runs. @param base - what the other is compared with */
export function headlineDifference(run: HeadlineRun, base: HeadlineRun): string {
  const difference = firstDifferenceOfAll(run.wakes, base.wakes);
  const wakes =
    difference === undefined ? routeDifference(run, base) : differenceSentence(difference);
  // Counts of work differ anyway.
  const line = linesMissingIn(base.serial, run.serial).find((each) => !each.startsWith("work:"));
  return line === undefined ? wakes : `${wakes}. Guest: ${line.trim()}`;
}

/** The same receivers: was the new CPU selected for another reason? */
function routeDifference(run: HeadlineRun, base: HeadlineRun): string {
  for (const [i, wake] of run.wakes.entries()) {
    const [selected, other] = [cpuOf(wake, NEW_ID), cpuOf(base.wakes[i]!, NEW_ID)];
    if (selected === undefined || other === undefined) continue;
    const reason = describeReason(selected);
    if (reason !== describeReason(other))
      return `the same CPUs wake; ${messageName(wake)}: ${reason}`;
  }
  return "the same CPUs wake, for the same reasons";
}
