/** Fast handlers of ADD OR ADC SBB AND SUB XOR CMP, by the forms of handler.ts. */
import { Vcpu } from "../vcpu";
import { carryFlag, setAddFlags, setLogicFlags, setSubFlags } from "./flags";
import { Memory } from "./flat-memory";
import { Op } from "./op";
import { register, setRegister } from "./operand";

export const ADD: u32 = 0;
export const OR: u32 = 1;
export const ADC: u32 = 2;
export const SBB: u32 = 3;
export const AND: u32 = 4;
export const SUB: u32 = 5;
export const XOR: u32 = 6;
export const CMP: u32 = 7;

/** `operation` is a constant at every use, so each arm holds one operation. */
export class Alu {
  @inline
  static apply<T>(cpu: Vcpu, a: T, b: T, operation: u32): T {
    let result: T;
    if (operation === ADD || operation === ADC) {
      result = a + b;
      if (operation === ADC) result += <T>carryFlag(cpu);
      setAddFlags<T>(cpu, a, b, result);
    } else if (operation === SUB || operation === SBB || operation === CMP) {
      result = a - b;
      if (operation === SBB) result -= <T>carryFlag(cpu);
      setSubFlags<T>(cpu, a, b, result);
    } else {
      result = operation === AND ? a & b : operation === OR ? a | b : a ^ b;
      setLogicFlags<T>(cpu, result);
    }
    return result;
  }

  @inline
  static rr<T>(cpu: Vcpu, op: Op, operation: u32): void {
    const result = Alu.apply<T>(cpu, register<T>(cpu, op.rm), register<T>(cpu, op.reg), operation);
    if (operation !== CMP) setRegister<T>(cpu, op.rm, result);
  }

  @inline
  static ri<T>(cpu: Vcpu, op: Op, operation: u32): void {
    const result = Alu.apply<T>(cpu, register<T>(cpu, op.rm), <T>op.imm, operation);
    if (operation !== CMP) setRegister<T>(cpu, op.rm, result);
  }

  @inline
  static rm<T>(cpu: Vcpu, op: Op, operation: u32): void {
    const value = Memory.read<T>(cpu, op);
    if (cpu.fault !== 0) return;
    const result = Alu.apply<T>(cpu, register<T>(cpu, op.reg), value, operation);
    if (operation !== CMP) setRegister<T>(cpu, op.reg, result);
  }

  @inline
  static toMemory<T>(cpu: Vcpu, op: Op, operand: T, operation: u32): void {
    const gva = Memory.address(cpu, op);
    const value =
      operation === CMP ? Memory.readAt<T>(cpu, op, gva) : Memory.readForWriteAt<T>(cpu, op, gva);
    if (cpu.fault !== 0) return;
    const result = Alu.apply<T>(cpu, value, operand, operation);
    if (operation !== CMP) Memory.writeAt<T>(cpu, op, gva, result);
  }

  @inline
  static mr<T>(cpu: Vcpu, op: Op, operation: u32): void {
    Alu.toMemory<T>(cpu, op, register<T>(cpu, op.reg), operation);
  }

  @inline
  static mi<T>(cpu: Vcpu, op: Op, operation: u32): void {
    Alu.toMemory<T>(cpu, op, <T>op.imm, operation);
  }
}
