/**
 * How far `execute` is: which of the instructions that it was asked for have retired. The clock and the counts of
 * instructions ask while an instruction runs.
 */
import { currentOp } from "./flat-memory";
import { OP_BYTES } from "./op";

/** First micro-op of the running block: with `currentOp`, how many instructions of it have retired. */
let firstOp: usize = 0;
/** Instructions retired in this `execute` before the running block. */
let retiredBefore: u32 = 0;
/** The limit of this `execute`. */
let limitOfExecute: u32 = 0;

/** @param limit - of `execute`, which begins */
export function beginExecute(limit: u32): void {
  limitOfExecute = limit;
}

/** To be called when `execute` has returned and its instructions are accounted: nothing is under way any more. */
export function endExecute(): void {
  firstOp = currentOp;
  retiredBefore = 0;
}

/** Instructions retired since `execute` was called, up to the present instruction; 0 outside it: for the clock. */
export function retiredSoFar(): u32 {
  return retiredBefore + <u32>((currentOp - firstOp) / OP_BYTES);
}

/**
 * Says that a block or an instruction begins.
 *
 * @param op - its first micro-op; @param left - instructions that may retire, its own among them @inline
 */
export function locate(op: usize, left: u32): void {
  firstOp = op;
  retiredBefore = limitOfExecute - left;
}

/** Says where a region is, or a boundary. @param left - instructions that may retire, the present one among them @inline */
export function locateHere(left: u32): void {
  locate(currentOp, left);
}
