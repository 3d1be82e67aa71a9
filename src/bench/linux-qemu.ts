/** The same kernel, user space and hot-add on QEMU TCG, driven through its monitor protocol (QMP). */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ADDED,
  onlineLine,
  POWER_OFF,
  putOnline,
  type LinuxGuest,
  type LinuxSample,
} from "./linux.js";
import { cpuMsOf } from "./peers/cpu-time.js";
import { outputOf } from "./peers/process.js";
import { Stopwatch } from "./stopwatch.js";

const PROGRAM = "qemu-system-x86_64";
/** q35 without devices that nobody asked for: the smallest machine of QEMU that takes a CPU while it runs. */
const MACHINE = "-M q35 -nodefaults -m 256 -cpu max -display none -serial stdio -no-reboot".split(
  " ",
);
const CPU_DRIVER = "max-x86_64-cpu";
const TIMEOUT_MS = 180_000;

/** Threads of the translator: one for each CPU, or one for all. */
export type QemuThreads = "multi" | "single";

/** Its version, or undefined: not installed. */
export function qemuVersion(): string | undefined {
  const text = outputOf(PROGRAM, "--version");
  return text === undefined ? undefined : (/version (\S+)/.exec(text)?.[1] ?? "unknown");
}

/** @throws Error when the guest does not come to user space, or its new CPU not online */
export async function linuxOnQemu(guest: LinuxGuest, threads: QemuThreads): Promise<LinuxSample> {
  const folder = mkdtempSync(join(tmpdir(), "x2vm-qemu-"));
  const file = (name: string) => join(folder, name);
  writeFileSync(file("kernel"), guest.kernel);
  writeFileSync(file("initrd"), guest.initrd);
  const most = guest.cpus + 1;
  const startMs = performance.now();
  const qemu = spawn(
    PROGRAM,
    [
      MACHINE,
      ["-accel", `tcg,thread=${threads}`],
      ["-smp", `${guest.cpus},sockets=${most},cores=1,threads=1,maxcpus=${most}`],
      ["-kernel", file("kernel"), "-initrd", file("initrd"), "-append", guest.commandLine],
      ["-qmp", `unix:${file("qmp")},server=on,wait=off`],
    ].flat(),
    { stdio: "pipe" },
  );
  let boot: { wallMs: number; cpuMs: number | undefined } | undefined;
  let request: { wallMs: number; cpuMs: number | undefined } | undefined;
  let added: { wallMs: number; cpuMs: number | undefined } | undefined;
  let messages = "";
  const now = () => ({ wallMs: performance.now(), cpuMs: cpuMsOf(qemu.pid!) });
  const stopwatch = new Stopwatch(({ text }) => {
    if (boot === undefined && guest.ready.test(text)) {
      const { wallMs, cpuMs } = now();
      boot = { wallMs: wallMs - startMs, cpuMs };
      if (!guest.hotAdds) qemu.kill("SIGKILL");
      else {
        request = now();
        addCpu(file("qmp"), guest.cpus, (message) => {
          messages += message;
          qemu.kill("SIGKILL");
        });
      }
    } else if (request !== undefined && ADDED.test(text)) {
      qemu.stdin.write(putOnline(guest.cpus));
    } else if (request !== undefined && onlineLine(guest.cpus).test(text)) {
      added = difference(now(), request);
      qemu.stdin.write(POWER_OFF);
    }
  });
  qemu.stdin.on("error", () => {}); // it has ended: the lines tell why
  qemu.stdout.on("data", (data: Uint8Array) => data.forEach((byte) => stopwatch.take(byte)));
  qemu.stderr.on("data", (data: Uint8Array) => (messages += new TextDecoder().decode(data)));
  const timer = setTimeout(() => qemu.kill("SIGKILL"), TIMEOUT_MS);
  await new Promise((resolve) => qemu.on("close", resolve));
  clearTimeout(timer);
  rmSync(folder, { recursive: true });
  if (boot === undefined || (guest.hotAdds && added === undefined)) {
    const last = stopwatch.lines.slice(-3).map(({ text }) => text);
    throw new Error(`Linux on QEMU ended after: ${last.join(" | ")} ${messages}`.trimEnd());
  }
  return {
    bootWallMs: boot.wallMs,
    bootCpuMs: boot.cpuMs,
    addWallMs: added?.wallMs,
    addCpuMs: added?.cpuMs,
  };
}

interface Moment {
  readonly wallMs: number;
  readonly cpuMs: number | undefined;
}

function difference(end: Moment, start: Moment): Moment {
  const isKnown = end.cpuMs !== undefined && start.cpuMs !== undefined;
  return {
    wallMs: end.wallMs - start.wallMs,
    cpuMs: isKnown ? end.cpuMs! - start.cpuMs! : undefined,
  };
}

/** QMP `device_add` of the CPU behind those that are there. @param onError - told of a refusal */
function addCpu(path: string, socketId: number, onError: (message: string) => void): void {
  const socket = createConnection(path);
  const ids = { "socket-id": socketId, "core-id": 0, "thread-id": 0 };
  const device = { driver: CPU_DRIVER, id: "added", ...ids };
  socket.on("data", (data) => {
    if (data.includes('"error"')) onError(data.toString());
  });
  socket.on("error", () => {}); // QEMU ends the run at any moment
  socket.write(`${JSON.stringify({ execute: "qmp_capabilities" })}\n`);
  socket.write(`${JSON.stringify({ execute: "device_add", arguments: device })}\n`);
}
