/** What differs between two runs of the headline experiment, in a sentence. */
import { describeReason, type ApicTargetEvent } from "../index.js";
import { formatApicId } from "./format.js";
import { NEW_ID, takers, wakeName, type HeadlineRun, type WakeMessage } from "./headline.js";

/** @param run - under another policy; @param base - what it is compared with */
export function difference(run: HeadlineRun, base: HeadlineRun): string {
  const sentences = [receiversDiffer(run, base) ?? routeDiffers(run, base), linesDiffer(run, base)];
  return sentences.filter((each) => each !== undefined).join(". ") || "no difference";
}

/** The first message that other CPUs took. */
function receiversDiffer(run: HeadlineRun, base: HeadlineRun): string | undefined {
  for (const [i, wake] of run.wakes.entries()) {
    const other = base.wakes[i];
    if (other === undefined) return `the guest sends more: ${name(wake)}`;
    if (String(takers(wake)) === String(takers(other))) continue;
    const because = wake.cpus.find(({ apicId }) => apicId === NEW_ID);
    const reason = because === undefined ? "" : `: ${describeReason(because)}`;
    return `${name(wake)} reaches ${list(takers(wake))}, not ${list(takers(other))}${reason}`;
  }
  return undefined;
}

/** The same receivers, selected for another reason. */
function routeDiffers(run: HeadlineRun, base: HeadlineRun): string | undefined {
  for (const [i, wake] of run.wakes.entries()) {
    const [selected, other] = [newCpu(wake), newCpu(base.wakes[i])];
    if (selected === undefined || other === undefined) continue;
    const reason = describeReason(selected);
    if (reason !== describeReason(other)) return `the same CPUs wake; ${name(wake)}: ${reason}`;
  }
  return "the same CPUs wake, for the same reasons";
}

function newCpu(wake: WakeMessage | undefined): ApicTargetEvent | undefined {
  return wake?.cpus.find(({ apicId }) => apicId === NEW_ID);
}

/** The first line of the guest that the other run did not print; counts of work differ anyway. */
function linesDiffer(run: HeadlineRun, base: HeadlineRun): string | undefined {
  const others = new Set(base.serial.split("\n"));
  const lines = run.serial.split("\n").filter((line) => !line.startsWith("work:"));
  const line = lines.find((each) => !others.has(each));
  return line === undefined ? undefined : `Guest: ${line.trim()}`;
}

function name(wake: WakeMessage): string {
  return `${wakeName(wake)} to ${formatApicId(wake.sent.dest)}`;
}

function list(apicIds: readonly number[]): string {
  return apicIds.length === 0 ? "nobody" : apicIds.map(formatApicId).join(" and ");
}
