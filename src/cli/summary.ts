/** What a run came to, in one line and in one number. */
import type { RunResult } from "../index.js";
import { formatApicId, formatCount, formatNs } from "./format.js";

/** Exit codes of the program where the guest gives none. */
export const EXIT_FAILED_RUN = 1;
export const EXIT_USAGE = 2;
export const EXIT_INTERRUPTED = 130; // 128 + SIGINT, as shells count

/** A finished run with what the machine alone cannot know. */
export interface RunReport extends RunResult {
  /** APIC ID of the CPU that `vcpuIndex` names. */
  readonly apicId?: number;
  /** The user ended the run. */
  readonly isInterrupted: boolean;
  /** Time on the wall, milliseconds. */
  readonly wallMs: number;
}

/** Millions of instructions in a second of wall time. */
export function mips(report: RunReport): number {
  return report.wallMs > 0 ? report.instructions / report.wallMs / 1000 : 0;
}

/** One line: why it stopped, instructions, virtual and wall time, speed. */
export function summaryLine(report: RunReport): string {
  const parts = [
    whyStopped(report),
    `${formatCount(report.instructions)} instructions`,
    `${formatNs(report.virtualNs)} virtual`,
    `${formatNs(report.wallMs * 1e6)} wall`,
    `${mips(report).toFixed(1)} MIPS`,
  ];
  return `x2vm: ${parts.join(" · ")}`;
}

function whyStopped(report: RunReport): string {
  if (report.isInterrupted) return "interrupted";
  const cpu = report.apicId === undefined ? "a CPU" : `CPU ${formatApicId(report.apicId)}`;
  switch (report.reason) {
    case "exit":
      return `guest exit code ${report.exitCode}`;
    case "budget":
      return "instruction limit reached";
    case "time":
      return "time limit reached";
    case "idle":
      return "idle: every CPU waits and no timer is armed";
    case "reset":
      return "guest asked for a reset";
    case "stopped":
      return "stopped";
    case "shutdown":
      return `triple fault on ${cpu}`;
  }
}

/** The guest's exit code as far as a process can have it; 1 for a run that failed; 0 for one that came to its limit. */
export function exitStatus(report: RunReport): number {
  if (report.isInterrupted) return EXIT_INTERRUPTED;
  if (report.reason === "exit") return report.exitCode! & 0xff;
  return report.reason === "shutdown" ? EXIT_FAILED_RUN : 0;
}
