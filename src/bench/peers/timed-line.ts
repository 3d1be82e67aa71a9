/** A guest's line with its times as text: how a runner, a process of ours, hands lines on. */
import type { PeerLine } from "./peer.js";

export function timedLine({ text, atMs, cpuMs }: PeerLine): string {
  return `${atMs}\t${cpuMs}\t${text}\n`;
}

/** @returns undefined: it is something else */
export function parseTimedLine(line: string): PeerLine | undefined {
  const match = /^([\d.]+)\t([\d.]+)\t(.*)$/.exec(line);
  if (match === null) return undefined;
  const [, atMs, cpuMs, text] = match;
  return { text: text!, atMs: Number(atMs), cpuMs: Number(cpuMs) };
}
