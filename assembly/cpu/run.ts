/**
 * The inner loop: translated blocks run in their regions, all others in the interpreter.
 */
import { blockCount, lookupHere } from "./block";
import { goesOn } from "./boundary";
import { blockEnd, setBlockEnd } from "./control";
import { isHot, judge, regionOf } from "./heat";
import { following, interpret } from "./interpret";
import { beginExecute } from "./progress";
import { Vcpu } from "../vcpu";

/**
 * Runs instructions of one vCPU until `limit` have retired, a fault waits for delivery, or something asked to leave.
 *
 * On return cpu.rip is the next instruction to run; for a fault, the faulting one (for a trap, the one after it).
 *
 * @param limit - instructions, at least 1
 * @returns instructions retired, 0..limit. An instruction that faults has not retired; one that traps has.
 */
export function execute(cpu: Vcpu, limit: u32): u32 {
  beginExecute(limit);
  let left = limit;
  let block = lookupHere(cpu);
  while (block !== 0) {
    if (!isHot(block)) {
      left = interpret(cpu, block, left);
      block = following;
      continue;
    }
    setBlockEnd(-1);
    const before = left;
    left = call_indirect<u32>(regionOf(block), cpu, left);
    if (left === 0) break;
    const retired = before - left;
    if (blockEnd() === 0) {
      if (!goesOn(cpu, left)) {
        // One that waits or yields is as short as it is meant to be.
        if (cpu.fault !== 0) judge(block, retired);
        break;
      }
    } else if (retired === 0) {
      // The interpreter does what the region cannot, or what is left of the slice.
      if (blockCount(block) <= left) judge(block, 0);
      left = interpret(cpu, block, left);
      block = following;
      continue;
    }
    judge(block, retired);
    block = lookupHere(cpu);
  }
  return limit - left;
}
