/**
 * Handlers of the instructions that interrupt: CC int3, CD intImmediate, CE into, F1 int1.
 *
 * They record a trap that the loop delivers (interrupt.ts): a fault during its delivery is reported at the instruction.
 * Source: SDM 2 "INT n/INTO/INT3/INT1".
 */
import { FAULT_LENGTH_SHIFT, FAULT_SOFTWARE, FAULT_TRAP, raise, raiseWithError } from "../fault";
import { Vcpu } from "../vcpu";
import { IOPL } from "../x86/eflags";
import { BP, DB, GP, OF, UD } from "../x86/exception";
import { overflowFlag } from "./flags";
import { is64, isV86 } from "./mode";
import { Op } from "./op";
import { redirectInterrupt } from "./vme";

function trap(cpu: Vcpu, op: Op, vector: u32, kind: u32): void {
  raise(cpu, vector);
  cpu.fault |= FAULT_TRAP | kind | ((<u32>op.length) << FAULT_LENGTH_SHIFT);
}

/** INT3. */
export function int3(cpu: Vcpu, op: Op): void {
  trap(cpu, op, BP, FAULT_SOFTWARE);
}

/** INT imm8. In virtual-8086 mode it needs IOPL 3, unless it is redirected. */
export function intImmediate(cpu: Vcpu, op: Op): void {
  const vector = <u32>op.imm & 0xff;
  if (isV86(cpu)) {
    if (redirectInterrupt(cpu, op, vector)) return;
    if ((cpu.eflags & IOPL) !== IOPL) {
      raiseWithError(cpu, GP, 0);
      return;
    }
  }
  trap(cpu, op, vector, FAULT_SOFTWARE);
}

/** INTO: traps when OF = 1. #UD in 64-bit mode. */
export function into(cpu: Vcpu, op: Op): void {
  if (is64(cpu)) raise(cpu, UD);
  else if (overflowFlag(cpu)) trap(cpu, op, OF, FAULT_SOFTWARE);
}

/** INT1: a #DB that leaves DR6 alone. The gate's DPL is not checked. */
export function int1(cpu: Vcpu, op: Op): void {
  trap(cpu, op, DB, 0);
}
