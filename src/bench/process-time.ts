/** How long a command of the CLI takes, from the start of its process to the end. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../cli/main.js", import.meta.url));

/** @returns milliseconds @throws Error when the process ends with another status */
export function cliMs(args: readonly string[], expectedStatus: number): number {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });
  const ms = performance.now() - start;
  if (status !== expectedStatus) {
    throw new Error(`x2vm ${args.join(" ")} ended with ${status}: ${stderr}`);
  }
  return ms;
}
