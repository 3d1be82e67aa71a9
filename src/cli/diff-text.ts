/** A comparison of policies, as lines and as JSON. */
import { describeOutcome, describeReason, isRefusal, type ApicTargetEvent } from "../index.js";
import {
  cpuOf,
  differenceSentence,
  disputedIds,
  idList,
  isSameMessage,
  type Difference,
} from "./compare.js";
import type { Comparison, DiffReport, Ending } from "./diff.js";
import { formatApicId, formatCount, formatNs, wrap } from "./format.js";
import { messageName, senderName, takers, type SentMessage } from "./messages.js";

const LINE = 100;
/** More lines than this that differ say no more. */
const SHOWN_LINES = 12;

/** The report as people read it. */
export function diffLines({ base, others }: DiffReport): string[] {
  return [
    `${base.policy}: ${endingText(base)}`,
    ...refusalLines(base),
    ...others.flatMap((other) => ["", ...comparisonLines(other, base)]),
  ];
}

function comparisonLines(comparison: Comparison, base: Ending): string[] {
  const { ending, difference, addedLines, missingLines } = comparison;
  return [
    `${ending.policy}: ${endingText(ending)}`,
    ...refusalLines(ending),
    ...(difference === undefined
      ? ["  Every message reaches the same CPUs."]
      : differenceLines(difference, ending.policy, base.policy)),
    ...stateLines(ending, base),
    ...textLines(addedLines, "+"),
    ...textLines(missingLines, "-"),
  ];
}

function differenceLines(difference: Difference, policy: string, basePolicy: string): string[] {
  const { message, base, alike } = difference;
  const { sent } = (message ?? base)!;
  const from = senderName((message ?? base)!);
  const when = `message ${formatCount(alike + 1)}, from ${from} at ${formatNs(Number(sent.now))}`;
  if (message === undefined || base === undefined || !isSameMessage(message, base)) {
    return indented(`First difference: ${when}: ${differenceSentence(difference)}.`, 2);
  }
  const width = Math.max(policy.length, basePolicy.length);
  return [
    ...indented(`First difference: ${when}: ${messageName(message)}.`, 2),
    `    ${policy.padEnd(width)}  reaches ${idList(takers(message))}`,
    `    ${basePolicy.padEnd(width)}  reaches ${idList(takers(base))}`,
    ...disputedIds(message, base).flatMap((apicId) => [
      `  Why ${formatApicId(apicId)}:`,
      ...indented(`${policy.padEnd(width)}  ${verdict(message, apicId)}`, 4),
      ...indented(`${basePolicy.padEnd(width)}  ${verdict(base, apicId)}`, 4),
    ]),
  ];
}

/** Whether a CPU takes a message, and why. */
function verdict(message: SentMessage, apicId: number): string {
  const cpu = cpuOf(message, apicId);
  if (cpu === undefined) return "not there, or the message was dropped or delayed";
  if (cpu.kind === "other") return `not selected: ${describeReason(cpu)}`;
  return `${describeOutcome(cpu)}: ${describeReason(cpu)}`;
}

/** CPUs that end in another state. */
function stateLines({ cpus }: Ending, base: Ending): string[] {
  return cpus.flatMap(({ apicId, runState }) => {
    const other = base.cpus.find((cpu) => cpu.apicId === apicId)?.runState ?? "not there";
    if (other === runState) return [];
    return [`  CPU ${formatApicId(apicId)} ends ${runState}, under ${base.policy} ${other}`];
  });
}

function textLines(lines: readonly string[], sign: string): string[] {
  const shown = lines.slice(0, SHOWN_LINES).map((line) => `  ${sign} ${line.trimEnd()}`);
  const rest = lines.length - shown.length;
  return rest > 0 ? [...shown, `  ${sign} ... and ${formatCount(rest)} more`] : shown;
}

function endingText({ result }: Ending): string {
  const end = result.reason === "exit" ? `guest exit code ${result.exitCode}` : result.reason;
  return `${end}, ${formatCount(result.instructions)} instructions, ${formatNs(result.virtualNs)}`;
}

function refusalLines({ refusals }: Ending): string[] {
  return refusals.flatMap(({ apicId, why }) =>
    indented(`CPU ${formatApicId(apicId)} was added by force: ${why}.`, 2),
  );
}

function indented(text: string, indent: number): string[] {
  // Runs of spaces line columns up: only what follows them wraps.
  const [, head = "", rest = ""] = /^(\S+ {2,})?(.*)$/.exec(text)!;
  const lines = wrap(rest, LINE - indent - head.length);
  return lines.map(
    (line, i) => " ".repeat(indent) + (i === 0 ? head : " ".repeat(head.length)) + line,
  );
}

/** The report as data. */
export function diffJson(image: string, { base, others }: DiffReport): object {
  return {
    image,
    base: endingJson(base),
    others: others.map(({ ending, difference, addedLines, missingLines }) => ({
      ...endingJson(ending),
      difference: difference === undefined ? null : differenceJson(difference),
      addedLines,
      missingLines,
    })),
  };
}

function endingJson({ policy, result, serial, cpus, refusals }: Ending): object {
  const { reason, exitCode, instructions, virtualNs } = result;
  return {
    policy,
    reason,
    exitCode: exitCode ?? null,
    instructions,
    virtualNs,
    cpus,
    refusals,
    serial,
  };
}

function differenceJson(difference: Difference): object {
  const { alike, message, base } = difference;
  const isReceivers = message !== undefined && base !== undefined && isSameMessage(message, base);
  return {
    kind: isReceivers ? "receivers" : "messages",
    alike,
    text: differenceSentence(difference),
    message: message === undefined ? null : messageJson(message),
    base: base === undefined ? null : messageJson(base),
  };
}

function messageJson(message: SentMessage): object {
  const { sent, senderId, cpus } = message;
  return {
    name: messageName(message),
    ...sent,
    now: Number(sent.now),
    senderId,
    takers: takers(message),
    cpus: cpus.map(cpuJson),
  };
}

function cpuJson(cpu: ApicTargetEvent): object {
  return {
    apicId: cpu.apicId,
    takes: cpu.kind === "target" && !isRefusal(cpu.outcome),
    reason: describeReason(cpu),
    outcome: cpu.kind === "target" ? describeOutcome(cpu) : null,
  };
}
