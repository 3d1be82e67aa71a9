/** The boundary between two instructions where a block was left early. */
import { RUNNABLE } from "../abi";
import { SHADOW_MOV_SS, SHADOW_STI, Vcpu } from "../vcpu";
import { RF, TF } from "../x86/eflags";
import { stopRequested, yieldSlice } from "./control";
import { takeInterrupt } from "./platform";
import { locateHere } from "./progress";

/**
 * At the boundary where a block was left: true when `execute` goes on with the next instruction, after an interrupt
 * perhaps. Everything else that a boundary may have to see to is for the run loop.
 *
 * @param left - instructions that may retire @inline
 */
export function goesOn(cpu: Vcpu, left: u32): bool {
  const more = cpu.fault | (cpu.runState ^ RUNNABLE) | (cpu.eflags & (TF | RF));
  if ((more | (<u32>cpu.dr7 & 0xff) | <u32>yieldSlice | <u32>stopRequested) !== 0) return false;
  if (cpu.shadow !== 0 && !outlivesShadow(cpu)) return false;
  if (cpu.request === 0) return true;
  locateHere(left);
  return takeInterrupt(cpu);
}

/** Behind STI or MOV SS with nothing to hold back, and an instruction that follows for sure: its shadow is over unseen. */
function outlivesShadow(cpu: Vcpu): bool {
  if ((cpu.shadow & ~(SHADOW_STI | SHADOW_MOV_SS)) !== 0 || cpu.request !== 0) return false;
  cpu.shadow = 0;
  return true;
}
