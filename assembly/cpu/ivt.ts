/**
 * Delivery through the interrupt vector table of real-address mode.
 *
 * Source: SDM 3B "Interrupt and Exception Handling" (8086 emulation); SDM 2 "INT n", REAL-ADDRESS-MODE.
 */
import { CS, SS } from "../abi";
import { raiseWithError } from "../fault";
import { readSystem } from "../mem/access";
import { Vcpu } from "../vcpu";
import { AC_FLAG, IF, RF, TF } from "../x86/eflags";
import { GP } from "../x86/exception";
import { setRflags } from "./flags";
import { commitFramePointer, openFrame, pushFrame } from "./frame";
import { updateMode } from "./mode";
import { commitReal } from "./segment";

/**
 * Delivers a vector: pushes FLAGS, CS and IP, loads CS:IP. There are no error codes.
 *
 * @param image - FLAGS to save; @param savedRip - IP to save. Raises #GP beyond the IDT limit, #SS
 */
export function deliverThroughIvt(cpu: Vcpu, vector: u32, image: u32, savedRip: u64): void {
  if (vector * 4 + 3 > cpu.idtrLimit) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  const entry = readSystem<u32>(cpu, (cpu.idtrBase + vector * 4) & 0xffffffff);
  if (cpu.fault !== 0) return;
  const stack = cpu.segment(SS);
  if (!openFrame(cpu, stack.base, stack.limit, stack.ar, cpu.rsp, 2, 3, 0)) return;
  const ip = entry & 0xffff;
  if (ip > cpu.segment(CS).limit) raiseWithError(cpu, GP, 0);
  pushFrame(cpu, image);
  pushFrame(cpu, cpu.segment(CS).selector);
  pushFrame(cpu, savedRip);
  if (cpu.fault !== 0) return;
  commitFramePointer(cpu);
  commitReal(cpu, CS, entry >> 16);
  cpu.rip = ip;
  setRflags(cpu, 0, IF | TF | AC_FLAG | RF);
  updateMode(cpu);
}
