/**
 * A program: runs a ROM on v86 and prints the guest's lines with their times.
 *
 *     node v86-runner.js FOLDER ROM       FOLDER is the package v86
 *
 * Each line of output is "wall-clock ms, CPU ms of this process, text", with tabs between.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { argv, cpuUsage, stdout } from "node:process";
import { pathToFileURL } from "node:url";
import { Stopwatch } from "../stopwatch.js";
import { timedLine } from "./timed-line.js";

/** What is used of its API. */
interface V86Module {
  readonly V86: new (options: Readonly<Record<string, unknown>>) => {
    add_listener(event: "serial0-output-byte", listener: (byte: number) => void): void;
  };
}

const MEMORY_BYTES = 64 << 20;
const VGA_BYTES = 1 << 20;

const [, , folder, romFile] = argv as [string, string, string, string];
const url = pathToFileURL(join(folder, "build", "libv86.mjs")).href;
const { V86 } = (await import(url)) as V86Module;
const stopwatch = new Stopwatch(({ text, atMs }) => {
  const { user, system } = cpuUsage();
  stdout.write(timedLine({ text, atMs, cpuMs: (user + system) / 1e3 }));
});
const machine = new V86({
  wasm_path: join(folder, "build", "v86.wasm"),
  memory_size: MEMORY_BYTES,
  vga_memory_size: VGA_BYTES,
  bios: { buffer: new Uint8Array(readFileSync(romFile)).buffer },
  autostart: true,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
});
machine.add_listener("serial0-output-byte", (byte) => stopwatch.take(byte));
