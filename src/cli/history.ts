/**
 * The last instructions before an end, without recording any: a run can be repeated, and any slicing gives the same run.
 * So the machine is made anew, run up to shortly before the end, and then instruction by instruction.
 */
import type { Machine } from "../index.js";
import { codeAt, type PastInstruction } from "./crash-report.js";

/** Repeating more than this takes longer than most people wait for a report. */
export const MAX_REPEATED_INSTRUCTIONS = 500e6;

/**
 * @param machine - made and loaded as the first one was, or restored from the same snapshot
 * @param instructions - that the first one retired
 * @param count - how many to show at most
 */
export function lastInstructions(
  machine: Machine,
  instructions: number,
  count: number,
): PastInstruction[] {
  const history: PastInstruction[] = [];
  // Deliveries of faults use up budget without retiring, so the way there is measured in retired instructions.
  for (
    let left = instructions - count - machine.instructions;
    left > 0;
    left = instructions - count - machine.instructions
  ) {
    if (machine.run({ maxInstructions: left }).reason !== "budget") return history;
  }
  for (;;) {
    const before = machine.vcpus.map((cpu) => ({
      cpu,
      retired: cpu.retired,
      at: { cs: cpu.segment("cs").selector, rip: cpu.rip, bytes: codeAt(machine, cpu) },
    }));
    const { reason } = machine.run({ maxInstructions: 1 });
    const ran = before.find(({ cpu, retired }) => cpu.retired !== retired);
    if (ran !== undefined) history.push({ apicId: ran.cpu.apicId, ...ran.at });
    if (reason !== "budget") return history.slice(-count);
  }
}
