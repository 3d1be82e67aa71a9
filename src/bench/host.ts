/** The computer that a benchmark runs on. */
import { cpus } from "node:os";
import { versions } from "node:process";

/** A line for a page: whose time it is. */
export function hostLine(): string {
  const all = cpus();
  return `Host: ${all.length} × ${all[0]?.model ?? "unknown CPU"}, Node ${versions.node}.`;
}
