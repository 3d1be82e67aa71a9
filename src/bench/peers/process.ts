/** A peer's process: from its start to its end, with the lines that its guest prints. */
import { spawn, spawnSync } from "node:child_process";
import type { Readable } from "node:stream";
import { Stopwatch } from "../stopwatch.js";
import { cpuMsOf } from "./cpu-time.js";
import { PeerTimeoutError, type PeerLine } from "./peer.js";
import { parseTimedLine } from "./timed-line.js";

const DEFAULT_TIMEOUT_MS = 60_000;
const FIRST_LINE = "START";
/** The guest's last word. Then it halts, and the process is killed, not before its CPU time was read. */
const LAST_LINE = "DONE";

export interface PeerProcess {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where the guest's lines come from. Default: standard output. */
  readonly lines?: Readable;
  readonly timeoutMs?: number | undefined;
  readonly startMs?: number | undefined;
  /** Its standard input is the guest's COM1: a byte answers START, once the stopwatch runs. */
  readonly isPaced?: boolean;
  /** Its lines carry their times: see timed-line.ts. */
  readonly isTimed?: boolean;
}

/** Output of a program that tells its version, or undefined: not installed. */
export function outputOf(program: string, ...args: readonly string[]): string | undefined {
  const { error, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return error === undefined ? stdout + stderr : undefined;
}

/** @throws Error when it ends otherwise, with what the process said */
export async function runProcess(peer: PeerProcess): Promise<PeerLine[]> {
  const child = spawn(peer.program, peer.args, {
    stdio: "pipe",
    env: { ...process.env, ...peer.env },
  });
  const lines: PeerLine[] = [];
  const timeoutMs = peer.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  let isLate = false;
  const tooLate = () => {
    isLate = true;
    child.kill("SIGKILL");
  };
  let timer = setTimeout(tooLate, peer.startMs ?? timeoutMs);
  let cpuMs: number | undefined;
  const stopwatch = new Stopwatch((arrived) => {
    const line = peer.isTimed === true ? parseTimedLine(arrived.text) : { ...arrived, cpuMs };
    if (line === undefined) return;
    lines.push(line);
    if (line.text !== FIRST_LINE) return;
    clearTimeout(timer);
    timer = setTimeout(tooLate, timeoutMs);
    if (peer.isPaced === true) child.stdin.write("\n");
  });
  const output = peer.lines ?? child.stdout;
  output.on("data", (data: Uint8Array) => {
    cpuMs = cpuMsOf(child.pid!);
    data.forEach((byte) => stopwatch.take(byte));
    if (lines.at(-1)?.text === LAST_LINE) child.kill("SIGKILL");
  });
  if (output !== child.stdout) child.stdout.resume();
  let messages = "";
  child.stderr.on("data", (data: Uint8Array) => (messages += new TextDecoder().decode(data)));
  child.stdin.on("error", () => {}); // it has ended: its lines tell why
  if (peer.isPaced !== true) child.stdin.end();
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  clearTimeout(timer);
  if (lines.at(-1)?.text !== LAST_LINE) {
    const text = lines.map((line) => line.text).join(" | ");
    if (isLate) {
      const hasStarted = lines.some((line) => line.text === FIRST_LINE);
      throw new PeerTimeoutError(`${peer.program} took too long after: ${text}`, hasStarted);
    }
    throw new Error(`${peer.program} ended with ${status} after: ${text} ${messages}`.trimEnd());
  }
  return lines;
}
