/** QEMU with its translator, TCG. */
import { outputOf, runProcess } from "./process.js";
import { arrivalNs, ticksOf, type Peer, type PeerGuest, type PeerLine } from "./peer.js";

const PROGRAM = "qemu-system-x86_64";
/** `max` has what TCG offers: x2APIC from QEMU 9 on. */
const MACHINE = "-M q35 -cpu max -m 64 -display none -serial stdio -no-reboot".split(" ");
/** A thread for each CPU (its default), or one in which they take turns. */
const WAYS = ["thread=multi", "thread=single"] as const;
/** QEMU's local APIC has x2APIC mode under TCG from this version on. */
const X2APIC_VERSION = 9;
/** Rounds of a tight loop that take about a second. */
const CALIBRATION_COUNT = 100_000_000;

/** @param computePath - compute.bin, to find out how fast its TSC ticks @returns undefined: not installed */
export async function findQemu(computePath: string): Promise<Peer | undefined> {
  const text = outputOf(PROGRAM, "--version");
  if (text === undefined) return undefined;
  const version = /version (\S+)/.exec(text)?.[1] ?? "unknown";
  const ticksPerNs = await calibrate(computePath);
  return {
    name: "QEMU",
    version,
    title: `QEMU ${version} (TCG)`,
    share: 1,
    ways: WAYS,
    obstacle: ({ isX2apic }) =>
      isX2apic === true && Number.parseInt(version, 10) < X2APIC_VERSION
        ? `no x2APIC in QEMU ${version}`
        : undefined,
    run,
    wallNs(start, end) {
      const ticks = ticksOf(end.text);
      return ticks === undefined ? arrivalNs(start, end) : ticks / ticksPerNs;
    },
  };
}

function run(guest: PeerGuest): Promise<PeerLine[]> {
  const { imagePath, commandLine, cpus = 1, way = WAYS[0], ...times } = guest;
  const machine = [...MACHINE, "-accel", `tcg,${way}`, "-smp", String(cpus)];
  const args = [...machine, "-kernel", imagePath, "-append", `${commandLine} paced`];
  return runProcess({ program: PROGRAM, args, isPaced: true, ...times });
}

/**
 * Ticks of the guest's TSC in a nanosecond of wall time. Short runs are timed by the TSC, because lines that follow
 * each other closely come through the pipe at once; TCG hands the host's TSC through, which ticks evenly.
 */
async function calibrate(computePath: string): Promise<number> {
  const commandLine = `alu count=${CALIBRATION_COUNT}`;
  const [start, end] = await run({ imagePath: computePath, commandLine });
  const ticks = ticksOf(end?.text ?? "");
  if (start === undefined || end === undefined || ticks === undefined) {
    throw new Error("QEMU printed no ticks to calibrate by");
  }
  return ticks / arrivalNs(start, end);
}
