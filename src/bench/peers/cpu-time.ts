/**
 * The time that another process has computed.
 *
 * Source: proc(5), /proc/PID/task/TID/schedstat: nanoseconds on a CPU come first. Linux only.
 */
import { readdirSync, readFileSync } from "node:fs";

/** Milliseconds, of all threads that still run; undefined where the system does not tell. */
export function cpuMsOf(pid: number): number | undefined {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`);
    let ns = 0;
    for (const task of tasks) {
      ns += Number.parseInt(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "latin1"), 10);
    }
    return ns / 1e6;
  } catch {
    return undefined;
  }
}
