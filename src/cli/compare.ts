/** What differs between two runs of one guest: the first message that other CPUs took, and what the guest said. */
import { describeReason, type ApicTargetEvent } from "../index.js";
import { formatApicId } from "./format.js";
import { messageName, takers, type SentMessage } from "./messages.js";

/** The first pair of messages that is not alike; without one of them, that run has sent no more. */
export interface Difference {
  /** How many pairs before it are alike. */
  readonly alike: number;
  readonly message: SentMessage | undefined;
  readonly base: SentMessage | undefined;
}

/** Compares as far as both lists go. @returns undefined when all pairs are alike */
export function firstDifference(
  messages: readonly SentMessage[],
  base: readonly SentMessage[],
): Difference | undefined {
  const common = Math.min(messages.length, base.length);
  for (let i = 0; i < common; i++) {
    const [message, other] = [messages[i]!, base[i]!];
    if (!isSameMessage(message, other) || String(takers(message)) !== String(takers(other))) {
      return { alike: i, message, base: other };
    }
  }
  return undefined;
}

/** The same for lists that are complete: one that goes on is a difference, too. */
export function firstDifferenceOfAll(
  messages: readonly SentMessage[],
  base: readonly SentMessage[],
): Difference | undefined {
  const difference = firstDifference(messages, base);
  if (difference !== undefined || messages.length === base.length) return difference;
  const alike = Math.min(messages.length, base.length);
  return { alike, message: messages[alike], base: base[alike] };
}

/** Sent by the same CPU to the same destination: what is left to differ is who takes it. */
export function isSameMessage(a: SentMessage, b: SentMessage): boolean {
  const key = ({ sent, senderId }: SentMessage) => [
    senderId,
    sent.dest,
    sent.logical,
    sent.shorthand,
    sent.deliveryMode,
    sent.vector,
    sent.levelTriggered,
    sent.assert,
  ];
  return String(key(a)) === String(key(b));
}

/** A difference in one sentence, with the reason of the first CPU that took the message in one run only. */
export function differenceSentence({ message, base }: Difference): string {
  if (message === undefined) return `the guest does not send ${messageName(base!)}`;
  if (base === undefined) return `the guest sends more: ${messageName(message)}`;
  if (!isSameMessage(message, base)) {
    return `the guest sends ${messageName(message)}, not ${messageName(base)}`;
  }
  const [first] = disputedIds(message, base);
  const cpu = first === undefined ? undefined : cpuOf(message, first);
  const because = cpu === undefined ? "" : `: ${describeReason(cpu)}`;
  return `${messageName(message)} reaches ${idList(takers(message))}, not ${idList(takers(base))}${because}`;
}

/** APIC IDs of the CPUs that took one of two messages and not the other. */
export function disputedIds(a: SentMessage, b: SentMessage): number[] {
  const [inA, inB] = [new Set(takers(a)), new Set(takers(b))];
  return [...new Set([...inA, ...inB])]
    .filter((id) => inA.has(id) !== inB.has(id))
    .sort((x, y) => x - y);
}

/** What a CPU made of a message; undefined when it was not there. */
export function cpuOf({ cpus }: SentMessage, apicId: number): ApicTargetEvent | undefined {
  return cpus.find((cpu) => cpu.apicId === apicId);
}

/** Lines of a text that the other one does not have, as often as it lacks them. */
export function linesMissingIn(other: string, text: string): string[] {
  const counts = new Map<string, number>();
  for (const line of other.split("\n")) counts.set(line, (counts.get(line) ?? 0) + 1);
  return text.split("\n").filter((line) => {
    const left = counts.get(line) ?? 0;
    counts.set(line, left - 1);
    return left <= 0;
  });
}

/** 0x00 and 0x23; nobody. */
export function idList(apicIds: readonly number[]): string {
  return apicIds.length === 0 ? "nobody" : apicIds.map(formatApicId).join(" and ");
}
