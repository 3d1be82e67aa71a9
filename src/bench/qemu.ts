/** The peer: QEMU with its translator (TCG), where it is installed. */
import { spawn, spawnSync } from "node:child_process";
import { Stopwatch, type TimedLine } from "./stopwatch.js";

const PROGRAM = "qemu-system-x86_64";
/** `max` has what TCG offers: x2APIC from QEMU 9 on. */
const MACHINE = "-M q35 -accel tcg -cpu max -m 64 -display none -serial stdio -no-reboot".split(
  " ",
);
const DEBUG_EXIT = ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"];
const DEBUG_EXIT_SUCCESS = 1;
/** Rounds of a tight loop that take about a second. */
const CALIBRATION_COUNT = 100_000_000;

/** Its version as in "7.2.22", or undefined: not installed. */
export function qemuVersion(): string | undefined {
  const { error, stdout } = spawnSync(PROGRAM, ["--version"], { encoding: "utf8" });
  return error === undefined ? (/version (\S+)/.exec(stdout)?.[1] ?? "unknown") : undefined;
}

export interface QemuOptions {
  readonly cpus?: number;
  /** Wall time after which it is killed. Default: a minute. */
  readonly timeoutMs?: number;
}

/**
 * Ticks of the guest's TSC in a nanosecond of wall time. Short runs are timed by the TSC, because lines that follow
 * each other closely come through the pipe at once; TCG hands the host's TSC through, which ticks evenly.
 *
 * @param computePath - compute.bin
 */
export async function qemuTicksPerNs(computePath: string): Promise<number> {
  const [start, end] = await runOnQemu(computePath, `alu count=${CALIBRATION_COUNT}`);
  const ticks = ticksOf(end?.text ?? "");
  if (start === undefined || end === undefined || ticks === undefined) {
    throw new Error("QEMU printed no ticks to calibrate by");
  }
  return ticks / ((end.atMs - start.atMs) * 1e6);
}

/** The ticks that a guest printed at the end of a run, in a line such as "ticks 123, result 0x45". */
export function ticksOf(line: string): number | undefined {
  const match = /ticks (\d+)/.exec(line);
  return match === null ? undefined : Number(match[1]);
}

/** @param imagePath - a multiboot image @throws Error when the guest does not print DONE in time */
export async function runOnQemu(
  imagePath: string,
  commandLine: string,
  { cpus = 1, timeoutMs = 60_000 }: QemuOptions = {},
): Promise<TimedLine[]> {
  const args = ["-smp", String(cpus), "-kernel", imagePath, "-append", commandLine];
  const qemu = spawn(PROGRAM, [...MACHINE, ...DEBUG_EXIT, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stopwatch = new Stopwatch();
  let messages = "";
  qemu.stdout.on("data", (data: Uint8Array) => data.forEach((byte) => stopwatch.take(byte)));
  qemu.stderr.on("data", (data: Uint8Array) => (messages += new TextDecoder().decode(data)));
  const timer = setTimeout(() => qemu.kill("SIGKILL"), timeoutMs);
  const status = await new Promise<number | null>((resolve) => qemu.on("close", resolve));
  clearTimeout(timer);
  const { lines } = stopwatch;
  if (status !== DEBUG_EXIT_SUCCESS || lines.at(-1)?.text !== "DONE") {
    const output = lines.map(({ text }) => text).join(" | ");
    throw new Error(`QEMU (${commandLine}) ended with ${status} after: ${output} ${messages}`);
  }
  return lines;
}
