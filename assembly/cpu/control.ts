/**
 * How a handler tells the run loop that straight-line execution ends.
 *
 * The loop runs micro-ops up to `blockEnd`; setting it to 0 leaves the block after the present instruction.
 */
import { Vcpu } from "../vcpu";
import { Op } from "./op";

/** A cell at a constant address: the loop reads it after every instruction, and a global costs it one load more. */
const cell: usize = memory.data(8, 8);

/** The loop leaves the block when the next micro-op's address is not below this. */
export function blockEnd(): usize {
  return load<usize>(cell);
}

export function setBlockEnd(end: usize): void {
  store<usize>(cell, end);
}

/** Leaves the block after the present instruction: requests, modes, decoded code or shadows may have changed. */
export function leaveBlock(): void {
  setBlockEnd(0);
}

/**
 * Continues at `target` after the present instruction (which then ends its block).
 *
 * @param target - RIP; limit and canonical checks are the caller's
 */
export function jumpTo(cpu: Vcpu, op: Op, target: u64): void {
  // The loop adds `op.end` when it leaves the block.
  cpu.rip = target - op.end;
  setBlockEnd(0);
}

/** PAUSE and the like: the loop gives the rest of the slice to other vCPUs and clears it. */
export let yieldSlice = false;

export function setYieldSlice(value: bool): void {
  yieldSlice = value;
  if (value) setBlockEnd(0);
}

/** The host wants `run` to return at the next instruction boundary. */
export let stopRequested: bool = false;

export function setStopRequested(value: bool): void {
  stopRequested = value;
  if (value) setBlockEnd(0);
}

/** SYSCALL and SYSRET judge RFLAGS.TF themselves, as it is after them: the loop then raises no single-step trap. */
export let stepHandled = false;

export function setStepHandled(value: bool): void {
  stepHandled = value;
}
