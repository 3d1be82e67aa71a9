/** One run of a guest from the command line: machine, planned actions, limits. */
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
import { PACE_MS, Pace } from "./pace.js";
import { PlannedActions, type ActionPlan } from "./planned-actions.js";
import type { RunReport } from "./summary.js";
import type { Terminal } from "./terminal.js";

/** Everything that decides a run: two sessions of the same plan give the same run. */
export interface SessionPlan extends ActionPlan {
  readonly imagePath: string;
  readonly image: Uint8Array;
  readonly machine: MachineOptions;
  readonly load: LoadOptions;
  /** A machine goes on from here; image, machine and load options say nothing then, but for policy and build. */
  readonly snapshot?: Uint8Array;
  readonly forceHotplug: boolean;
  /** A packed Linux kernel unpacks itself, as on a real machine. */
  readonly unpacksInGuest?: boolean;
  readonly faults: readonly Fault[];
  /** For the guest's serial port, there from the start. */
  readonly input: Uint8Array | undefined;
  readonly maxInstructions: number;
  readonly untilNs: number;
}

/** A loaded machine with what will be done to it. */
export interface Session {
  readonly machine: Machine;
  readonly actions: PlannedActions;
}

/** Instructions between two looks at the terminal: about a hundredth of a second. */
const SLICE_INSTRUCTIONS = 4e6;

/** Adds a CPU to the running machine of a plan. */
export type AddCpu = (machine: Machine, apicId: number) => void;

/** The machine of a plan, as `prepareSession`. @throws X2vmError */
export async function prepare(plan: SessionPlan, addCpu?: AddCpu): Promise<Machine> {
  return (await prepareSession(plan, addCpu)).machine;
}

/**
 * Makes and loads the machine of a plan.
 *
 * @param addCpu - does a planned hotplug; as `forceHotplug` says when it is not given
 * @throws X2vmError
 */
export async function prepareSession(plan: SessionPlan, addCpu?: AddCpu): Promise<Session> {
  const force = plan.forceHotplug;
  const add = addCpu ?? ((target, apicId) => target.hotplug({ apicId, force }));
  const later = plan.hotplugs.map(({ apicId }) => apicId);
  const machine = await (plan.snapshot === undefined
    ? load(plan, later)
    : Machine.restore(plan.snapshot, plan.machine));
  const actions = new PlannedActions(machine, plan, (apicId) => {
    add(machine, apicId);
    injectFaults(
      machine,
      plan.faults.filter(({ sender }) => sender === apicId),
    );
  });
  injectFaults(
    machine,
    plan.faults.filter(({ sender }) => !(later as readonly unknown[]).includes(sender)),
  );
  if (plan.input !== undefined) machine.sendSerial(plan.input);
  return { machine, actions };
}

/** @param later - APIC IDs of CPUs that will come */
async function load(plan: SessionPlan, later: readonly number[]): Promise<Machine> {
  const name = basename(plan.imagePath);
  const isKernel = plan.load.format === undefined && isLinux(plan.image);
  const isUnpackedHere = isKernel && plan.unpacksInGuest !== true;
  const image = isUnpackedHere ? await unpackLinux(plan.image, name) : plan.image;
  const machine = await Machine.create(
    isKernel ? linuxMachineOptions(plan.machine, later) : plan.machine,
  );
  machine.load(image, { name, ...plan.load });
  return machine;
}

/** A sender has to be there: faults of a CPU that is added later begin then. */
function injectFaults(machine: Machine, faults: readonly Fault[]): void {
  for (const fault of faults) machine.interrupts.injectFault(fault);
}

/**
 * What is left of a plan after a reset: the CPUs that are there now stay, what was done is done, the clock and the limits
 * go on.
 */
export function planAfterReset(plan: SessionPlan, { machine, actions }: Session): SessionPlan {
  const { cpus: _, ...options } = plan.machine;
  const ids = (isEnabled: boolean) =>
    machine.cpuSlots.filter((slot) => slot.isEnabled === isEnabled).map(({ apicId }) => apicId);
  return {
    ...plan,
    ...actions.remaining(),
    machine: {
      ...options,
      apicIds: ids(true),
      // A guest that is no Linux may have an open list.
      ...(options.possibleApicIds === undefined && !isLinux(plan.image)
        ? {}
        : { possibleApicIds: ids(false) }),
    },
    input: undefined,
    maxInstructions: plan.maxInstructions - machine.instructions,
    untilNs: plan.untilNs - machine.virtualNs,
  };
}

/**
 * Runs to the end, or until the user has enough.
 *
 * @param terminal - open; an interactive guest is held to real time; @param settle - called where the guest pauses
 */
export async function runToEnd(
  machine: Machine,
  plan: SessionPlan,
  terminal: Terminal,
  settle: () => void,
): Promise<RunReport> {
  const start = performance.now();
  const pace = terminal.isInteractive ? new Pace() : undefined;
  let budget = plan.maxInstructions;
  let result: RunResult;
  for (;;) {
    const slice = Math.min(budget, SLICE_INSTRUCTIONS);
    const before = machine.instructions;
    const paceNs = pace === undefined ? Infinity : machine.virtualNs + pace.allowance();
    result = machine.run({ maxInstructions: slice, untilNs: Math.min(plan.untilNs, paceNs) });
    budget -= result.reason === "budget" ? slice : machine.instructions - before;
    settle();
    await terminal.breathe();
    if (terminal.isInterrupted) break;
    if (result.reason === "time" && result.virtualNs < plan.untilNs) {
      await terminal.activity(PACE_MS);
    } else if (result.reason === "idle" && terminal.isInteractive && machine.listensToSerial) {
      await terminal.activity();
    } else if (result.reason !== "budget" || budget <= 0) {
      break;
    }
    if (terminal.isInterrupted) break;
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
