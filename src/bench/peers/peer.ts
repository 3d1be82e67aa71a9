/**
 * A peer: another x86 machine in software that runs the same guest image, so that the same code is timed on both.
 *
 * A peer is found (`find.ts`) when its program is installed. It says what it cannot run; what it can, it runs in a
 * process of its own and hands back the guest's lines with the times at which they were complete.
 */
import type { TimedLine } from "../stopwatch.js";

/** What a guest asks of a machine. */
export interface PeerNeeds {
  readonly cpus: number;
  /** Whether the guest enters 64-bit mode. */
  readonly isLong: boolean;
  /** Whether its APICs must be in x2APIC mode. */
  readonly isX2apic?: boolean;
  /** Whether it sends to logical IDs of that mode. */
  readonly hasClusters?: boolean;
}

export interface PeerGuest {
  /** A Multiboot image whose header carries its addresses. */
  readonly imagePath: string;
  readonly commandLine: string;
  /** Default: one. */
  readonly cpus?: number;
  /** One of the peer's ways. Default: its first. */
  readonly way?: string | undefined;
  /** Wall time after which it is killed, from START on, or from its beginning without that. Default: a minute. */
  readonly timeoutMs?: number;
  /** ... and to START. Default: as long. */
  readonly startMs?: number;
}

export interface PeerLine extends TimedLine {
  /** Time that the peer's process has computed until then, ms; undefined where the system does not tell. */
  readonly cpuMs: number | undefined;
}

export interface Peer {
  readonly name: string;
  readonly version: string;
  /** Name, version and how it runs guest code, for a legend. */
  readonly title: string;
  /** How much of x2vm's work it is given in a benchmark of computing, so that a run takes some tenths of a second. */
  readonly share: number;
  /** Ways to run a guest of several CPUs: now one is faster, now the other. Default: there is but one. */
  readonly ways?: readonly string[];
  /** Why it cannot run such a guest, in a few words, or undefined. */
  obstacle(needs: PeerNeeds): string | undefined;
  /** @throws PeerTimeoutError when the guest does not print DONE in time, Error when the peer ends before */
  run(guest: PeerGuest): Promise<readonly PeerLine[]>;
  /** Wall time between two lines, ns. A line may hold the ticks of a TSC that the peer takes from its host. */
  wallNs(start: PeerLine, end: PeerLine): number;
}

/** A guest was killed because it took too long. */
export class PeerTimeoutError extends Error {
  /** Whether it was at work: it had printed START. */
  readonly hasStarted: boolean;

  constructor(message: string, hasStarted: boolean) {
    super(message);
    this.hasStarted = hasStarted;
  }
}

/** The ticks that a guest printed at the end of a run, in a line such as "ticks 123, result 0x45". */
export function ticksOf(line: string): number | undefined {
  const match = /ticks (\d+)/.exec(line);
  return match === null ? undefined : Number(match[1]);
}

/** Wall time between two lines by the moments at which they arrived, ns. */
export function arrivalNs(start: PeerLine, end: PeerLine): number {
  return (end.atMs - start.atMs) * 1e6;
}
