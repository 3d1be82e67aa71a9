/** The fast handlers that are not ALU operations (fast-alu.ts): moves, shifts, stack, branches. */
import { raiseWithError } from "../fault";
import { isCanonical } from "../mem/paging";
import { Vcpu } from "../vcpu";
import { GP } from "../x86/exception";
import { leaveBlock } from "./control";
import {
  condition,
  setCarryOverflow,
  setDecFlags,
  setIncFlags,
  setLogicFlags,
  setResultFlags,
  setSubFlags,
} from "./flags";
import { Memory } from "./flat-memory";
import { Op } from "./op";
import { register, setRegister } from "./operand";

export class Fast {
  @inline
  static movRR<T>(cpu: Vcpu, op: Op): void {
    setRegister<T>(cpu, op.rm, register<T>(cpu, op.reg));
  }

  @inline
  static load<T>(cpu: Vcpu, op: Op): void {
    const value = Memory.read<T>(cpu, op);
    if (cpu.fault === 0) setRegister<T>(cpu, op.reg, value);
  }

  /** MOVZX, MOVSXD: the extension follows from the signedness of T. */
  @inline
  static loadExtended<T>(cpu: Vcpu, op: Op): void {
    const value = Memory.read<T>(cpu, op);
    if (cpu.fault === 0) setRegister<u64>(cpu, op.reg, <u64>(<i64>value));
  }

  @inline
  static store<T>(cpu: Vcpu, op: Op): void {
    Memory.writeAt<T>(cpu, op, Memory.address(cpu, op), register<T>(cpu, op.reg));
  }

  @inline
  static storeImm<T>(cpu: Vcpu, op: Op): void {
    Memory.writeAt<T>(cpu, op, Memory.address(cpu, op), <T>op.imm);
  }

  @inline
  static lea<T>(cpu: Vcpu, op: Op): void {
    setRegister<T>(cpu, op.reg, <T>Memory.address(cpu, op));
  }

  @inline
  static testRR<T>(cpu: Vcpu, op: Op): void {
    setLogicFlags<T>(cpu, register<T>(cpu, op.rm) & register<T>(cpu, op.reg));
  }

  @inline
  static testRI<T>(cpu: Vcpu, op: Op): void {
    setLogicFlags<T>(cpu, register<T>(cpu, op.rm) & <T>op.imm);
  }

  @inline
  static testMI<T>(cpu: Vcpu, op: Op): void {
    const value = Memory.read<T>(cpu, op);
    if (cpu.fault === 0) setLogicFlags<T>(cpu, value & <T>op.imm);
  }

  @inline
  static inc<T>(cpu: Vcpu, op: Op): void {
    const result = register<T>(cpu, op.rm) + <T>1;
    setRegister<T>(cpu, op.rm, result);
    setIncFlags<T>(cpu, result);
  }

  @inline
  static dec<T>(cpu: Vcpu, op: Op): void {
    const result = register<T>(cpu, op.rm) - <T>1;
    setRegister<T>(cpu, op.rm, result);
    setDecFlags<T>(cpu, result);
  }

  @inline
  static incM<T>(cpu: Vcpu, op: Op): void {
    const gva = Memory.address(cpu, op);
    const result = Memory.readForWriteAt<T>(cpu, op, gva) + <T>1;
    if (cpu.fault !== 0) return;
    Memory.writeAt<T>(cpu, op, gva, result);
    setIncFlags<T>(cpu, result);
  }

  @inline
  static decM<T>(cpu: Vcpu, op: Op): void {
    const gva = Memory.address(cpu, op);
    const result = Memory.readForWriteAt<T>(cpu, op, gva) - <T>1;
    if (cpu.fault !== 0) return;
    Memory.writeAt<T>(cpu, op, gva, result);
    setDecFlags<T>(cpu, result);
  }

  @inline
  static neg<T>(cpu: Vcpu, op: Op): void {
    const value = register<T>(cpu, op.rm);
    const result = <T>0 - value;
    setRegister<T>(cpu, op.rm, result);
    setSubFlags<T>(cpu, <T>0, value, result);
  }

  @inline
  static not<T>(cpu: Vcpu, op: Op): void {
    setRegister<T>(cpu, op.rm, ~register<T>(cpu, op.rm));
  }

  @inline
  static shl<T>(cpu: Vcpu, op: Op, count: u32): void {
    const masked = count & (<u32>sizeof<T>() * 8 - 1);
    if (masked === 0) {
      // A 32-bit register is written, and so extended, even when nothing is shifted.
      setRegister<T>(cpu, op.rm, register<T>(cpu, op.rm));
      return;
    }
    const before = register<T>(cpu, op.rm) << (<T>(masked - 1));
    const result = before << (<T>1);
    setRegister<T>(cpu, op.rm, result);
    const top = <T>(sizeof<T>() * 8 - 1);
    const carry = before >> top !== <T>0;
    setResultFlags<T>(cpu, result, carry, carry !== (result >> top !== <T>0));
  }

  @inline
  static shr<T>(cpu: Vcpu, op: Op, count: u32): void {
    const masked = count & (<u32>sizeof<T>() * 8 - 1);
    const value = register<T>(cpu, op.rm);
    if (masked === 0) {
      setRegister<T>(cpu, op.rm, value);
      return;
    }
    const before = value >> <T>(masked - 1);
    const result = before >> <T>1;
    setRegister<T>(cpu, op.rm, result);
    setResultFlags<T>(
      cpu,
      result,
      (before & <T>1) !== <T>0,
      before >> <T>(sizeof<T>() * 8 - 1) !== <T>0,
    );
  }

  @inline
  static sar<T>(cpu: Vcpu, op: Op, count: u32): void {
    const masked = count & (<u32>sizeof<T>() * 8 - 1);
    const value = register<T>(cpu, op.rm);
    if (masked === 0) {
      setRegister<T>(cpu, op.rm, value);
      return;
    }
    const before: i64 = (sizeof<T>() === 8 ? <i64>value : <i64>(<i32>value)) >> <i64>(masked - 1);
    const result = <T>(before >> 1);
    setRegister<T>(cpu, op.rm, result);
    setResultFlags<T>(cpu, result, (before & 1) !== 0, false);
  }

  @inline
  static shlImm<T>(cpu: Vcpu, op: Op): void {
    Fast.shl<T>(cpu, op, <u32>op.imm);
  }
  @inline
  static shrImm<T>(cpu: Vcpu, op: Op): void {
    Fast.shr<T>(cpu, op, <u32>op.imm);
  }
  @inline
  static sarImm<T>(cpu: Vcpu, op: Op): void {
    Fast.sar<T>(cpu, op, <u32>op.imm);
  }
  @inline
  static shlCl<T>(cpu: Vcpu, op: Op): void {
    Fast.shl<T>(cpu, op, <u32>cpu.rcx);
  }
  @inline
  static shrCl<T>(cpu: Vcpu, op: Op): void {
    Fast.shr<T>(cpu, op, <u32>cpu.rcx);
  }
  @inline
  static sarCl<T>(cpu: Vcpu, op: Op): void {
    Fast.sar<T>(cpu, op, <u32>cpu.rcx);
  }

  static multiply<T>(cpu: Vcpu, op: Op, a: T, b: T): void {
    const result = a * b;
    let fits: bool;
    if (sizeof<T>() === 4) fits = <i64>(<i32>a) * <i64>(<i32>b) === <i64>(<i32>result);
    else
      fits =
        a === <T>0 ||
        (!(a === <T>-1 && b === <T>((<u64>1) << 63)) && <i64>result / <i64>a === <i64>b);
    setRegister<T>(cpu, op.reg, result);
    setCarryOverflow(cpu, !fits, !fits);
  }

  @inline
  static imulRR<T>(cpu: Vcpu, op: Op): void {
    Fast.multiply<T>(cpu, op, register<T>(cpu, op.reg), register<T>(cpu, op.rm));
  }

  @inline
  static imulRM<T>(cpu: Vcpu, op: Op): void {
    const value = Memory.read<T>(cpu, op);
    if (cpu.fault === 0) Fast.multiply<T>(cpu, op, register<T>(cpu, op.reg), value);
  }

  @inline
  static cmov<T>(cpu: Vcpu, op: Op): void {
    const from = condition(cpu, op.opcode) ? op.rm : op.reg;
    setRegister<T>(cpu, op.reg, register<T>(cpu, from));
  }

  /** Stack width is the operand width here: 64-bit mode, or flat 32-bit. */
  @inline
  static below<T>(cpu: Vcpu): u64 {
    const top = cpu.rsp - sizeof<T>();
    return sizeof<T>() === 4 ? top & 0xffffffff : top;
  }

  @inline
  static above<T>(cpu: Vcpu): u64 {
    const top = cpu.rsp + sizeof<T>();
    return sizeof<T>() === 4 ? top & 0xffffffff : top;
  }

  @inline
  static push<T>(cpu: Vcpu, op: Op): void {
    const top = Fast.below<T>(cpu);
    Memory.writeAt<T>(cpu, op, top, register<T>(cpu, op.rm));
    if (cpu.fault === 0) cpu.rsp = top;
  }

  @inline
  static pop<T>(cpu: Vcpu, op: Op): void {
    const value = Memory.readAt<T>(cpu, op, <u64>(<T>cpu.rsp));
    if (cpu.fault !== 0) return;
    cpu.rsp = Fast.above<T>(cpu);
    setRegister<T>(cpu, op.rm, value);
  }

  /** @returns true when the branch may be taken along its link */
  @inline
  static call<T>(cpu: Vcpu, op: Op): bool {
    const top = Fast.below<T>(cpu);
    Memory.writeAt<T>(cpu, op, top, <T>(cpu.rip + op.end));
    if (cpu.fault !== 0) return false;
    cpu.rsp = top;
    return true;
  }

  @inline
  static ret<T>(cpu: Vcpu, op: Op): void {
    const target = <u64>Memory.readAt<T>(cpu, op, <u64>(<T>cpu.rsp));
    if (cpu.fault !== 0) return;
    if (sizeof<T>() === 8 && !isCanonical(target)) {
      Fast.badTarget(cpu);
      return;
    }
    cpu.rsp = Fast.above<T>(cpu);
    cpu.rip = target - op.end;
  }

  static badTarget(cpu: Vcpu): void {
    raiseWithError(cpu, GP, 0);
    leaveBlock();
  }

  @inline
  static goTo(cpu: Vcpu, op: Op, target: u64): void {
    if (isCanonical(target)) cpu.rip = target - op.end;
    else Fast.badTarget(cpu);
  }

  @inline
  static jumpR(cpu: Vcpu, op: Op): void {
    Fast.goTo(cpu, op, register<u64>(cpu, op.rm));
  }

  @inline
  static jumpM(cpu: Vcpu, op: Op): void {
    const target = Memory.read<u64>(cpu, op);
    if (cpu.fault === 0) Fast.goTo(cpu, op, target);
  }

  static callTo(cpu: Vcpu, op: Op, target: u64): void {
    if (!isCanonical(target)) {
      Fast.badTarget(cpu);
      return;
    }
    const top = cpu.rsp - 8;
    Memory.writeAt<u64>(cpu, op, top, cpu.rip + op.end);
    if (cpu.fault !== 0) return;
    cpu.rsp = top;
    cpu.rip = target - op.end;
  }

  @inline
  static callR(cpu: Vcpu, op: Op): void {
    Fast.callTo(cpu, op, register<u64>(cpu, op.rm));
  }

  @inline
  static callM(cpu: Vcpu, op: Op): void {
    const target = Memory.read<u64>(cpu, op);
    if (cpu.fault === 0) Fast.callTo(cpu, op, target);
  }
}
