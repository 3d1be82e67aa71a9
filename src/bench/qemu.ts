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
