/** Bochs, an interpreter in C++. */
import { spawnSync } from "node:child_process";
import { constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { arrivalNs, type Peer, type PeerGuest, type PeerLine, type PeerNeeds } from "./peer.js";
import { outputOf, runProcess } from "./process.js";
import { ROM_ADDRESS, romOf } from "./rom.js";

const PROGRAM = "bochs";
/** The oldest that tells of x2APIC mode in its CPUID. */
const MODEL = "corei7_ivy_bridge_3770k";
/** A display that needs no screen: which of them there are depends on the package. */
const DISPLAYS = ["nogui", "term", "rfb"] as const;
/** Only the speed of devices depends on it: few instructions go by while COM1 sends a byte. */
const INSTRUCTIONS_PER_SECOND = 1_000_000;
/** With more CPUs its table of 64 timers overflows: each has several, and so have devices, most of them those of PCI. */
const MAX_CPUS = 17;
/** Versions whose LDR is 0 in x2APIC mode: no message to a cluster ever arrives. */
const WITHOUT_CLUSTERS: readonly string[] = ["2.7"];
const PROBE_TIMEOUT_MS = 10_000;
/** Of the ROM of a display adapter: without one Bochs does not start, and its package does not always bring one. */
const VGA_ROM_BYTES = 512;

interface Installed {
  readonly display: string;
  /** Whether it starts in its debugger, which must be told to go on. */
  readonly hasDebugger: boolean;
}

/** @param computePath - compute.bin, to try it with @returns undefined: not installed, or it cannot run headless */
export async function findBochs(computePath: string): Promise<Peer | undefined> {
  const help = outputOf(PROGRAM, "--help");
  if (help === undefined) return undefined;
  const version = /Bochs x86 Emulator (\S+)/.exec(help)?.[1] ?? "unknown";
  const hasDebugger = help.includes("-rc filename");
  const probe = { imagePath: computePath, commandLine: "alu", timeoutMs: PROBE_TIMEOUT_MS };
  for (const display of DISPLAYS) {
    const installed = { display, hasDebugger };
    try {
      await run(installed, probe);
    } catch {
      continue;
    }
    return {
      name: "Bochs",
      version,
      title: `Bochs ${version} (interpreter)`,
      share: 0.25,
      obstacle: (needs) => obstacleOf(version, needs),
      // no firmware that tells the number of CPUs: see guests/lib/fwcfg.inc
      run: ({ commandLine, ...guest }) =>
        run(installed, { ...guest, commandLine: `${commandLine} cpus=${guest.cpus ?? 1}` }),
      wallNs: arrivalNs,
    };
  }
  return undefined;
}

/** What Bochs of a version cannot run. */
export function obstacleOf(version: string, { cpus, hasClusters }: PeerNeeds): string | undefined {
  if (cpus > MAX_CPUS) return `Bochs ${version} ends at ${MAX_CPUS} CPUs`;
  return hasClusters === true && WITHOUT_CLUSTERS.includes(version)
    ? `no logical IDs in x2APIC mode in Bochs ${version}`
    : undefined;
}

async function run(installed: Installed, guest: PeerGuest): Promise<PeerLine[]> {
  const folder = mkdtempSync(join(tmpdir(), "x2vm-bochs-"));
  const file = (name: string) => join(folder, name);
  try {
    writeFileSync(file("rom"), romOf(readFileSync(guest.imagePath), guest.commandLine));
    writeFileSync(file("vgarom"), new Uint8Array(VGA_ROM_BYTES));
    writeFileSync(file("bochsrc"), configuration(installed, guest, file));
    writeFileSync(file("debugger"), "continue\n");
    spawnSync("mkfifo", [file("com1")]);
    const debuggerArgs = installed.hasDebugger ? ["-rc", file("debugger")] : [];
    const lines = new Socket({
      // open for writing too, so that it neither waits for Bochs nor ends before Bochs has begun
      fd: openSync(file("com1"), constants.O_RDWR | constants.O_NONBLOCK),
    });
    try {
      return await runProcess({
        program: PROGRAM,
        args: ["-q", "-f", file("bochsrc"), ...debuggerArgs],
        env: { TERM: "dumb" },
        lines,
        timeoutMs: guest.timeoutMs,
        startMs: guest.startMs,
      });
    } finally {
      lines.destroy();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function configuration(
  { display }: Installed,
  { cpus = 1 }: PeerGuest,
  file: (name: string) => string,
): string {
  return `cpu: count=${cpus}, model=${MODEL}, ips=${INSTRUCTIONS_PER_SECOND}, reset_on_triple_fault=0
memory: guest=64, host=64
pci: enabled=0
romimage: file=${file("rom")}, address=${ROM_ADDRESS}
vgaromimage: file=${file("vgarom")}
com1: enabled=1, mode=file, dev=${file("com1")}
display_library: ${display}
log: ${file("log")}
speaker: enabled=0
sound: driver=dummy
panic: action=fatal
error: action=ignore
info: action=ignore
`;
}
