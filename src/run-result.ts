/** How a run is limited, and what it comes back with. */
import * as abi from "../assembly/abi.js";
import { X2vmError } from "./errors.js";

/** Why `run` came back. */
export type StopReason =
  | "exit" // the guest ended the run: `exitCode`
  | "budget" // `maxInstructions` are used up
  | "time" // virtual time has reached `untilNs`
  | "idle" // every CPU waits, no timer is armed and no action of the host is due
  | "stopped" // `stop` was called
  | "reset" // the guest asked for a reset
  | "shutdown"; // a CPU took a triple fault: `vcpuIndex`

export interface RunOptions {
  /** Instructions at most, all CPUs together; the delivery of a fault counts as one. Default: no limit. */
  readonly maxInstructions?: number;
  /** Virtual time at which to stop, in nanoseconds. Default: never. */
  readonly untilNs?: number;
}

/** The limits of a run, checked: instructions that are left, and a whole number of nanoseconds. */
export interface RunLimits {
  budget: number;
  readonly untilNs: number;
}

/** @throws X2vmError BAD_OPTION */
export function limitsOf({
  maxInstructions = Infinity,
  untilNs = Infinity,
}: RunOptions): RunLimits {
  if (!(maxInstructions >= 0)) {
    throw new X2vmError(
      "BAD_OPTION",
      `maxInstructions is ${maxInstructions}, not a number from 0.`,
    );
  }
  if (!(untilNs >= 0))
    throw new X2vmError("BAD_OPTION", `untilNs is ${untilNs}, not a time from 0.`);
  return { budget: Math.floor(maxInstructions), untilNs: Math.ceil(untilNs) };
}

export interface RunResult {
  readonly reason: StopReason;
  /** With reason "exit": 32 bits, unsigned. */
  readonly exitCode?: number;
  /** With reason "shutdown": the CPU that caused it. */
  readonly vcpuIndex?: number;
  /** Retired by this call. */
  readonly instructions: number;
  /** Virtual time at its end, nanoseconds since the machine was made. */
  readonly virtualNs: number;
}

export interface StepResult extends Omit<RunResult, "reason"> {
  /** "stepped": the instruction, or the delivery of an event, is done. */
  readonly reason: StopReason | "stepped";
  /** An exception that was delivered by this step. */
  readonly exception?: { readonly vector: number; readonly hasErrorCode: boolean };
}

/** What made the machine stop, before the result is put together. */
export type Stop = Pick<RunResult, "reason" | "exitCode" | "vcpuIndex">;

/** @param exit - EXIT_* of the core, not EXIT_BUDGET; @param vcpuIndex - the vCPU that ran last */
export function stopOf(exit: number, vcpuIndex: number): Stop {
  switch (exit) {
    case abi.EXIT_IDLE:
      return { reason: "idle" };
    case abi.EXIT_TIME:
      return { reason: "time" };
    case abi.EXIT_STOP:
      return { reason: "stopped" };
    case abi.EXIT_SHUTDOWN:
      return { reason: "shutdown", vcpuIndex };
    default:
      throw new Error(`core: unknown exit ${exit}`);
  }
}
