/** Runs a guest on this machine, x2vm, against the wall clock. */
import { Machine, type MachineOptions } from "../index.js";
import { Stopwatch, type TimedLine } from "./stopwatch.js";

/** A line, and how far the machine was when it was complete. */
export interface CountedLine extends TimedLine {
  /** Retired by all CPUs together, to the end of the last slice (a few thousand instructions). */
  readonly instructions: number;
  /** Time that this process has computed: other programs on the host do not stretch it. Milliseconds. */
  readonly cpuMs: number;
}

/**
 * Runs a guest to its end.
 *
 * @param drive - told of the machine before it runs, to plan what comes from outside
 * @returns every line that the guest printed @throws Error when it does not print DONE
 */
export async function runHere(
  image: Uint8Array,
  commandLine: string,
  options: MachineOptions = {},
  drive: (machine: Machine) => void = () => {},
): Promise<CountedLine[]> {
  const machine = await Machine.create(options);
  const lines: CountedLine[] = [];
  const stopwatch = new Stopwatch((line) =>
    lines.push({ ...line, instructions: machine.instructions, cpuMs: cpuMs() }),
  );
  machine.onSerial((byte) => stopwatch.take(byte));
  machine.load(image, { name: "guest", commandLine });
  drive(machine);
  const { reason } = machine.run();
  machine.dispose();
  if (lines.at(-1)?.text !== "DONE") {
    const output = lines.map(({ text }) => text).join(" | ");
    throw new Error(`The guest (${commandLine}) ended by ${reason} after: ${output}`);
  }
  return lines;
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}
