/** Runs a guest under QEMU: the other machine that its expected lines are checked on. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { GUESTS, linesOf, type Guest, type QemuRun } from "./manifest.js";

const QEMU = "qemu-system-x86_64";
const TIMEOUT_MS = 60_000;
const DEVICES =
  "-device isa-debug-exit,iobase=0xf4,iosize=0x04 -serial stdio -display none -no-reboot".split(
    " ",
  );

export interface QemuResult {
  readonly lines: readonly string[];
  readonly exitCode: number | null;
  /** What QEMU itself had to say. */
  readonly messages: string;
}

/** Whether a program can be started at all. */
export function isInstalled(program: string, versionOption: string): boolean {
  return spawnSync(program, [versionOption]).error === undefined;
}

export function hasQemu(): boolean {
  return isInstalled(QEMU, "--version");
}

/** Runs it to its end, or kills it after a minute. */
export async function runOnQemu(guest: Guest, run: QemuRun): Promise<QemuResult> {
  const folder = mkdtempSync(join(tmpdir(), "x2vm-qemu-"));
  const socket = join(folder, "qmp");
  const image = fileURLToPath(new URL(guest.binary.file, GUESTS));
  const boot = bootArguments(guest.format, image, run.append);
  const args = [
    ...run.args,
    ...boot,
    ...DEVICES,
    ...(run.deviceAdd === undefined ? [] : ["-qmp", `unix:${socket},server=on,wait=off`]),
  ];
  const qemu = spawn(QEMU, args, { stdio: ["ignore", "pipe", "pipe"] });
  const timer = setTimeout(() => qemu.kill("SIGKILL"), TIMEOUT_MS);
  let output = "";
  let messages = "";
  let monitor: Socket | undefined;
  qemu.stderr.on("data", (data: Buffer) => (messages += data.toString()));
  qemu.stdout.on("data", (data: Buffer) => {
    output += data.toString();
    if (run.deviceAdd === undefined || monitor !== undefined) return;
    if (!output.includes(`${run.deviceAdd.afterLine}\n`)) return;
    monitor = addDevice(socket, run.deviceAdd.arguments, (answer) => (messages += answer));
  });
  const exitCode = await new Promise<number | null>((resolve) => qemu.on("close", resolve));
  clearTimeout(timer);
  monitor?.destroy();
  rmSync(folder, { recursive: true });
  return { lines: linesOf(output), exitCode, messages };
}

function bootArguments(format: Guest["format"], image: string, append: string): string[] {
  if (format === "multiboot") return ["-kernel", image, "-append", append];
  if (format === "rom") return ["-bios", image];
  return ["-drive", `file=${image},format=raw,snapshot=on`];
}

/** QMP: the monitor takes commands once its capabilities are negotiated. */
function addDevice(
  path: string,
  device: Readonly<Record<string, unknown>>,
  onAnswer: (text: string) => void,
): Socket {
  const socket = createConnection(path);
  socket.on("data", (data) => onAnswer(data.toString()));
  socket.on("error", (error) => onAnswer(error.message)); // QEMU ends the run at any moment
  socket.write(`${JSON.stringify({ execute: "qmp_capabilities" })}\n`);
  socket.write(`${JSON.stringify({ execute: "device_add", arguments: device })}\n`);
  return socket;
}
