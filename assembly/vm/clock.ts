/**
 * The virtual clock: one for the machine, in nanoseconds.
 *
 * An instruction takes 1 ns (or what `setInstructionNs` says) divided by the number of vCPUs that run, so that N busy
 * CPUs look parallel. Time is counted in 2^-24 ns; the share is fixed for a slice, and the clock never runs backwards between vCPUs.
 */
import { retiredSoFar } from "../cpu/progress";

const FRACTION_BITS: u64 = 24;
const FRACTION: u64 = (1 << 24) - 1;

let time: u64 = 0;
let fraction: u64 = 0;
let perInstruction: u64 = 1 << 24;
/** ns that an instruction takes while one vCPU runs. */
let instructionNs: u64 = 1;
/** For how many `perInstruction` was computed last; 0: not yet. */
let sharersOf: u32 = 0;
/** Instructions of the present slice before the present `execute`. */
let used: u64 = 0;

/** Makes the CPUs slower. Before the first slice. @param ns - of an instruction, 1..1000 */
export function setInstructionNs(ns: u32): void {
  instructionNs = ns;
  sharersOf = 0;
}

/** Starts a slice. @param sharers - vCPUs that run in turn, at least 1 @inline */
export function beginSlice(sharers: u32): void {
  if (sharers !== sharersOf) share(sharers);
}

/** Where all wait in turn the share is another in each slice: a division of 32 bits is the shorter one. @noinline */
function share(sharers: u32): void {
  sharersOf = sharers;
  const alone = instructionNs << FRACTION_BITS;
  perInstruction = alone >> 32 === 0 ? <u64>(<u32>alone / sharers) : alone / sharers;
  if (perInstruction === 0) perInstruction = 1;
}

/** Accounts instructions of the present slice. @inline */
export function advance(instructions: u32): void {
  used += instructions;
}

/** Ends a slice: its time becomes part of the clock. @inline */
export function endSlice(): void {
  const total = fraction + used * perInstruction;
  time += total >> FRACTION_BITS;
  fraction = total & FRACTION;
  used = 0;
}

/** The clock at the last boundary. */
export function clockNs(): u64 {
  return time + ((fraction + used * perInstruction) >> FRACTION_BITS);
}

/** The clock, exact to the instruction that runs: for calls out of `execute`. */
export function preciseNs(): u64 {
  return time + ((fraction + (used + retiredSoFar()) * perInstruction) >> FRACTION_BITS);
}

/** Moves the clock forward while no vCPU runs. @param ns - not before the present time */
export function jumpTo(ns: u64): void {
  if (ns <= time) return;
  time = ns;
  fraction = 0;
}

/** Instructions until the clock reads `ns` or more, at the share of this slice; at least 0, at most `most`. */
export function instructionsUntil(ns: u64, most: u32): u32 {
  const present = clockNs();
  if (ns <= present) return 0;
  // Beyond what `most` instructions can take: also keeps the product below 2^64.
  if (ns - present > most * instructionNs) return most;
  const need = ((ns - time) << FRACTION_BITS) - fraction - used * perInstruction;
  return <u32>min<u64>((need + perInstruction - 1) / perInstruction, most);
}
