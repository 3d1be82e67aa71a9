/** One run of a guest from the command line: machine, console, trace file, limits. */
import { basename } from "node:path";
import {
  Machine,
  isLinux,
  linuxMachineOptions,
  unpackLinux,
  type Fault,
  type LoadOptions,
  type MachineOptions,
  type RunResult,
} from "../index.js";
import type { PlannedHotplug } from "./args.js";
import type { RunReport } from "./summary.js";
import type { Terminal } from "./terminal.js";

/** Everything that decides a run: two sessions of the same plan give the same run. */
export interface SessionPlan {
  readonly imagePath: string;
  readonly image: Uint8Array;
  readonly machine: MachineOptions;
  readonly load: LoadOptions;
  readonly hotplugs: readonly PlannedHotplug[];
  readonly forceHotplug: boolean;
  readonly faults: readonly Fault[];
  /** For the guest's serial port, there from the start. */
  readonly input: Uint8Array | undefined;
  readonly maxInstructions: number;
  readonly untilNs: number;
}

/** Instructions between two looks at the terminal: about a hundredth of a second. */
const SLICE_INSTRUCTIONS = 4e6;

/** Adds a CPU to the running machine of a plan. */
export type AddCpu = (machine: Machine, apicId: number) => void;

/**
 * Makes and loads the machine of a plan.
 *
 * @param addCpu - does a planned hotplug; as `forceHotplug` says when it is not given
 * @throws X2vmError
 */
export async function prepare(plan: SessionPlan, addCpu?: AddCpu): Promise<Machine> {
  const force = plan.forceHotplug;
  const add = addCpu ?? ((machine, apicId) => machine.hotplug({ apicId, force }));
  const name = basename(plan.imagePath);
  const later = plan.hotplugs.map(({ apicId }) => apicId);
  const isKernel = plan.load.format === undefined && isLinux(plan.image);
  const image = isKernel ? await unpackLinux(plan.image, name) : plan.image;
  const machine = await Machine.create(
    isKernel ? linuxMachineOptions(plan.machine, later) : plan.machine,
  );
  machine.load(image, { name, ...plan.load });
  for (const { apicId, ns } of plan.hotplugs) {
    machine.at(ns, () => {
      add(machine, apicId);
      injectFaults(
        machine,
        plan.faults.filter(({ sender }) => sender === apicId),
      );
    });
  }
  injectFaults(
    machine,
    plan.faults.filter(({ sender }) => !(later as readonly unknown[]).includes(sender)),
  );
  if (plan.input !== undefined) machine.sendSerial(plan.input);
  return machine;
}

/** A sender has to be there: faults of a CPU that is added later begin then. */
function injectFaults(machine: Machine, faults: readonly Fault[]): void {
  for (const fault of faults) machine.interrupts.injectFault(fault);
}

/** Runs to the end, or until the user has enough. @param terminal - open */
export async function runToEnd(
  machine: Machine,
  plan: SessionPlan,
  terminal: Terminal,
): Promise<RunReport> {
  const start = performance.now();
  let budget = plan.maxInstructions;
  let result: RunResult;
  for (;;) {
    const slice = Math.min(budget, SLICE_INSTRUCTIONS);
    result = machine.run({ maxInstructions: slice, untilNs: plan.untilNs });
    budget -= slice;
    await terminal.breathe();
    if (terminal.isInterrupted) break;
    if (result.reason === "idle" && terminal.isInteractive && machine.listensToSerial) {
      await terminal.activity();
      if (terminal.isInterrupted) break;
      budget += slice;
    } else if (result.reason !== "budget" || budget <= 0) {
      break;
    }
  }
  const culprit = result.vcpuIndex === undefined ? undefined : machine.vcpus[result.vcpuIndex];
  return {
    ...result,
    ...(culprit === undefined ? {} : { apicId: culprit.apicId }),
    instructions: machine.instructions,
    isInterrupted: terminal.isInterrupted,
    wallMs: performance.now() - start,
  };
}
