/**
 * The interpreter's inner loop: runs micro-ops of blocks, and follows links between them.
 *
 * The switch holds the forms that handler.ts chose as fast; all others go out of line through one arm each. Memory
 * operands here are flat: the address is the sum, the TLB check is inline, and the slow path is a call.
 */
import { SS } from "../abi";
import { FAULT_NONCANONICAL, FAULT_TRAP, raise, raiseWithError, throughStack } from "../fault";
import { readForWriteSlow, readSlow, writeSlow } from "../mem/access";
import { isCanonical } from "../mem/paging";
import { TLB_MASK, tlbRead, tlbWrite } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { GP, UD } from "../x86/exception";
import {
  blockCount,
  blockOps,
  branchLink,
  generation,
  linked,
  lookup,
  nextLink,
  setLink,
} from "./block";
import { blockEnd, leaveBlock, setBlockEnd } from "./control";
import {
  carryFlag,
  condition,
  overflowFlag,
  parityFlag,
  setAddFlags,
  setCarryOverflow,
  setDecFlags,
  setIncFlags,
  setLogicFlags,
  setResultFlags,
  setSubFlags,
  signFlag,
  zeroFlag,
} from "./flags";
import { CALL_R, JMP, JMP_R, PUSH, RET } from "./handler";
import { MODE_64 } from "./mode";
import { executeOneByte } from "./onebyte";
import { ADDRESS_64, ADDRESS_BASE, Op, OP_BYTES } from "./op";
import { register, setRegister } from "./operand";
import { executeThreeByte } from "./threebyte";
import { executeTwoByte } from "./twobyte";

const PAGE: u64 = ~(<u64>0xfff);
const ADD: u32 = 0;
const OR: u32 = 1;
const ADC: u32 = 2;
const SBB: u32 = 3;
const AND: u32 = 4;
const SUB: u32 = 5;
const XOR: u32 = 6;
const CMP: u32 = 7;

/** Beyond any block: a taken branch goes here to leave the loop, at no cost to the other instructions. */
const FAR: usize = 0xffff0000;

/** First micro-op of the running block: with `currentOp`, how many instructions of it have retired. */
let firstOp: usize = 0;
/** The micro-op that called out of the loop; valid while it does. */
let currentOp: usize = 0;
/** Instructions retired in this `execute` before the running block. */
let retiredBefore: u32 = 0;

/** Instructions retired since `execute` was called, up to the present instruction: for the clock. */
export function retiredSoFar(): u32 {
  return retiredBefore + <u32>((currentOp - firstOp) / OP_BYTES);
}

/** Flat memory operands of the fast handlers. */
class Memory {
  @inline
  static address(cpu: Vcpu, op: Op): u64 {
    const record = changetype<usize>(cpu);
    const gva =
      load<u64>(record + op.base) +
      (load<u64>(record + op.index) << op.scale) +
      <u64>(<i64>op.disp);
    if (op.kind === ADDRESS_64) return gva;
    return op.kind === ADDRESS_BASE ? gva + cpu.segment(op.segment).base : gva & 0xffffffff;
  }

  @inline
  static readAt<T>(cpu: Vcpu, op: Op, gva: u64): T {
    const entry = tlbRead + ((<usize>((gva >> 12) & TLB_MASK)) << 4);
    if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) {
      return load<T>(<usize>(<u32>gva + load<u32>(entry, 8)));
    }
    return Memory.readMiss<T>(cpu, op, gva);
  }

  static readMiss<T>(cpu: Vcpu, op: Op, gva: u64): T {
    currentOp = changetype<usize>(op);
    const value = readSlow<T>(cpu, gva, cpu.tlbTag);
    if (cpu.fault !== 0) leaveBlock();
    return value;
  }

  @inline
  static read<T>(cpu: Vcpu, op: Op): T {
    return Memory.readAt<T>(cpu, op, Memory.address(cpu, op));
  }

  @inline
  static readForWriteAt<T>(cpu: Vcpu, op: Op, gva: u64): T {
    const entry = tlbWrite + ((<usize>((gva >> 12) & TLB_MASK)) << 4);
    if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) {
      return load<T>(<usize>(<u32>gva + load<u32>(entry, 8)));
    }
    return Memory.readForWriteMiss<T>(cpu, op, gva);
  }

  static readForWriteMiss<T>(cpu: Vcpu, op: Op, gva: u64): T {
    currentOp = changetype<usize>(op);
    const value = readForWriteSlow<T>(cpu, gva);
    if (cpu.fault !== 0) leaveBlock();
    return value;
  }

  @inline
  static writeAt<T>(cpu: Vcpu, op: Op, gva: u64, value: T): void {
    const entry = tlbWrite + ((<usize>((gva >> 12) & TLB_MASK)) << 4);
    if (load<u64>(entry) === (((gva + (sizeof<T>() - 1)) & PAGE) | cpu.tlbTag)) {
      store<T>(<usize>(<u32>gva + load<u32>(entry, 8)), value);
      return;
    }
    Memory.writeMiss<T>(cpu, op, gva, value);
  }

  static writeMiss<T>(cpu: Vcpu, op: Op, gva: u64, value: T): void {
    currentOp = changetype<usize>(op);
    writeSlow<T>(cpu, gva, value, cpu.tlbTag);
    if (cpu.fault !== 0) leaveBlock();
  }
}

/** ADD OR ADC SBB AND SUB XOR CMP; `operation` is a constant at every use, so each arm holds one operation. */
class Alu {
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

/** The other fast handlers. */
class Fast {
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

/** Instructions that have no fast handler. */
function outOfLine(cpu: Vcpu, op: Op): void {
  currentOp = changetype<usize>(op);
  switch (op.handler) {
    case 0:
      executeOneByte(cpu, op);
      break;
    case 1:
      executeTwoByte(cpu, op);
      break;
    case 2:
      executeThreeByte(cpu, op);
      break;
    case 4:
      raiseWithError(cpu, GP, 0);
      break;
    default:
      raise(cpu, UD);
      break;
  }
  if (cpu.fault !== 0) leaveBlock();
}

/** True when the access of `op` that faulted went through SS; what out-of-line code pushes and pops says so itself. */
function usesStack(cpu: Vcpu, op: Op): bool {
  const handler = <u32>op.handler;
  if ((handler >= PUSH && handler < JMP) || handler === CALL_R) return true;
  // CALL of a memory operand reads that first.
  if (handler === CALL_R + 1 && isCanonical(Memory.address(cpu, op))) return true;
  return op.isMemory && op.segment === SS;
}

/** False for returns and indirect jumps: the block that follows them is another one each time. */
function fallsThrough(op: Op): bool {
  const handler = <u32>op.handler;
  return !((handler >= RET && handler < JMP) || handler >= JMP_R);
}

/**
 * Runs instructions of one vCPU until `limit` have retired, a fault waits for delivery, or something asked to leave.
 *
 * On return cpu.rip is the next instruction to run; for a fault, the faulting one (for a trap, the one after it).
 *
 * @param limit - instructions, at least 1
 * @returns instructions retired, 0..limit. An instruction that faults has not retired; one that traps has.
 */
export function execute(cpu: Vcpu, limit: u32): u32 {
  let left = limit;
  const ripMask: u64 = cpu.mode & MODE_64 ? -1 : 0xffffffff;
  let block = lookup(cpu);
  while (block !== 0) {
    const count = blockCount(block);
    const whole = count <= left;
    const first = blockOps(block);
    firstOp = first;
    retiredBefore = limit - left;
    setBlockEnd(first + <usize>(whole ? count : left) * OP_BYTES);
    let taken: usize = 0;
    let at = first;
    do {
      const op = changetype<Op>(at);
      // prettier-ignore
      switch (op.handler) {
        case 8: Alu.rr<u32>(cpu, op, ADD); break;
        case 9: Alu.ri<u32>(cpu, op, ADD); break;
        case 10: Alu.rm<u32>(cpu, op, ADD); break;
        case 11: Alu.mr<u32>(cpu, op, ADD); break;
        case 12: Alu.mi<u32>(cpu, op, ADD); break;
        case 13: Alu.rr<u64>(cpu, op, ADD); break;
        case 14: Alu.ri<u64>(cpu, op, ADD); break;
        case 15: Alu.rm<u64>(cpu, op, ADD); break;
        case 16: Alu.mr<u64>(cpu, op, ADD); break;
        case 17: Alu.mi<u64>(cpu, op, ADD); break;
        case 18: Alu.rr<u32>(cpu, op, OR); break;
        case 19: Alu.ri<u32>(cpu, op, OR); break;
        case 20: Alu.rm<u32>(cpu, op, OR); break;
        case 21: Alu.mr<u32>(cpu, op, OR); break;
        case 22: Alu.mi<u32>(cpu, op, OR); break;
        case 23: Alu.rr<u64>(cpu, op, OR); break;
        case 24: Alu.ri<u64>(cpu, op, OR); break;
        case 25: Alu.rm<u64>(cpu, op, OR); break;
        case 26: Alu.mr<u64>(cpu, op, OR); break;
        case 27: Alu.mi<u64>(cpu, op, OR); break;
        case 28: Alu.rr<u32>(cpu, op, ADC); break;
        case 29: Alu.ri<u32>(cpu, op, ADC); break;
        case 30: Alu.rm<u32>(cpu, op, ADC); break;
        case 31: Alu.mr<u32>(cpu, op, ADC); break;
        case 32: Alu.mi<u32>(cpu, op, ADC); break;
        case 33: Alu.rr<u64>(cpu, op, ADC); break;
        case 34: Alu.ri<u64>(cpu, op, ADC); break;
        case 35: Alu.rm<u64>(cpu, op, ADC); break;
        case 36: Alu.mr<u64>(cpu, op, ADC); break;
        case 37: Alu.mi<u64>(cpu, op, ADC); break;
        case 38: Alu.rr<u32>(cpu, op, SBB); break;
        case 39: Alu.ri<u32>(cpu, op, SBB); break;
        case 40: Alu.rm<u32>(cpu, op, SBB); break;
        case 41: Alu.mr<u32>(cpu, op, SBB); break;
        case 42: Alu.mi<u32>(cpu, op, SBB); break;
        case 43: Alu.rr<u64>(cpu, op, SBB); break;
        case 44: Alu.ri<u64>(cpu, op, SBB); break;
        case 45: Alu.rm<u64>(cpu, op, SBB); break;
        case 46: Alu.mr<u64>(cpu, op, SBB); break;
        case 47: Alu.mi<u64>(cpu, op, SBB); break;
        case 48: Alu.rr<u32>(cpu, op, AND); break;
        case 49: Alu.ri<u32>(cpu, op, AND); break;
        case 50: Alu.rm<u32>(cpu, op, AND); break;
        case 51: Alu.mr<u32>(cpu, op, AND); break;
        case 52: Alu.mi<u32>(cpu, op, AND); break;
        case 53: Alu.rr<u64>(cpu, op, AND); break;
        case 54: Alu.ri<u64>(cpu, op, AND); break;
        case 55: Alu.rm<u64>(cpu, op, AND); break;
        case 56: Alu.mr<u64>(cpu, op, AND); break;
        case 57: Alu.mi<u64>(cpu, op, AND); break;
        case 58: Alu.rr<u32>(cpu, op, SUB); break;
        case 59: Alu.ri<u32>(cpu, op, SUB); break;
        case 60: Alu.rm<u32>(cpu, op, SUB); break;
        case 61: Alu.mr<u32>(cpu, op, SUB); break;
        case 62: Alu.mi<u32>(cpu, op, SUB); break;
        case 63: Alu.rr<u64>(cpu, op, SUB); break;
        case 64: Alu.ri<u64>(cpu, op, SUB); break;
        case 65: Alu.rm<u64>(cpu, op, SUB); break;
        case 66: Alu.mr<u64>(cpu, op, SUB); break;
        case 67: Alu.mi<u64>(cpu, op, SUB); break;
        case 68: Alu.rr<u32>(cpu, op, XOR); break;
        case 69: Alu.ri<u32>(cpu, op, XOR); break;
        case 70: Alu.rm<u32>(cpu, op, XOR); break;
        case 71: Alu.mr<u32>(cpu, op, XOR); break;
        case 72: Alu.mi<u32>(cpu, op, XOR); break;
        case 73: Alu.rr<u64>(cpu, op, XOR); break;
        case 74: Alu.ri<u64>(cpu, op, XOR); break;
        case 75: Alu.rm<u64>(cpu, op, XOR); break;
        case 76: Alu.mr<u64>(cpu, op, XOR); break;
        case 77: Alu.mi<u64>(cpu, op, XOR); break;
        case 78: Alu.rr<u32>(cpu, op, CMP); break;
        case 79: Alu.ri<u32>(cpu, op, CMP); break;
        case 80: Alu.rm<u32>(cpu, op, CMP); break;
        case 81: Alu.mr<u32>(cpu, op, CMP); break;
        case 82: Alu.mi<u32>(cpu, op, CMP); break;
        case 83: Alu.rr<u64>(cpu, op, CMP); break;
        case 84: Alu.ri<u64>(cpu, op, CMP); break;
        case 85: Alu.rm<u64>(cpu, op, CMP); break;
        case 86: Alu.mr<u64>(cpu, op, CMP); break;
        case 87: Alu.mi<u64>(cpu, op, CMP); break;
        case 88: Fast.movRR<u32>(cpu, op); break;
        case 89: Fast.movRR<u64>(cpu, op); break;
        case 91: store<u64>(changetype<usize>(cpu) + op.rm, op.imm); break;
        case 92: Fast.load<u32>(cpu, op); break;
        case 93: Fast.load<u64>(cpu, op); break;
        case 94: Fast.store<u32>(cpu, op); break;
        case 95: Fast.store<u64>(cpu, op); break;
        case 96: Fast.storeImm<u32>(cpu, op); break;
        case 97: Fast.storeImm<u64>(cpu, op); break;
        case 98: Fast.lea<u32>(cpu, op); break;
        case 99: Fast.lea<u64>(cpu, op); break;
        case 100: Fast.testRR<u32>(cpu, op); break;
        case 101: Fast.testRR<u64>(cpu, op); break;
        case 102: Fast.testRI<u32>(cpu, op); break;
        case 103: Fast.testRI<u64>(cpu, op); break;
        case 104: Fast.inc<u32>(cpu, op); break;
        case 105: Fast.inc<u64>(cpu, op); break;
        case 106: Fast.dec<u32>(cpu, op); break;
        case 107: Fast.dec<u64>(cpu, op); break;
        case 108: Fast.neg<u32>(cpu, op); break;
        case 109: Fast.neg<u64>(cpu, op); break;
        case 110: Fast.not<u32>(cpu, op); break;
        case 111: Fast.not<u64>(cpu, op); break;
        case 112: Fast.shlImm<u32>(cpu, op); break;
        case 113: Fast.shlImm<u64>(cpu, op); break;
        case 114: Fast.shrImm<u32>(cpu, op); break;
        case 115: Fast.shrImm<u64>(cpu, op); break;
        case 116: Fast.sarImm<u32>(cpu, op); break;
        case 117: Fast.sarImm<u64>(cpu, op); break;
        case 118: Fast.imulRR<u32>(cpu, op); break;
        case 119: Fast.imulRR<u64>(cpu, op); break;
        case 120: Fast.imulRM<u32>(cpu, op); break;
        case 121: Fast.imulRM<u64>(cpu, op); break;
        case 122: setRegister<u64>(cpu, op.reg, <u64>(<i64>register<i32>(cpu, op.rm))); break;
        case 123: Fast.loadExtended<i32>(cpu, op); break;
        case 124: setRegister<u64>(cpu, op.reg, <u64>register<u8>(cpu, op.rm)); break;
        case 125: Fast.loadExtended<u8>(cpu, op); break;
        case 126: setRegister<u64>(cpu, op.reg, <u64>register<u16>(cpu, op.rm)); break;
        case 127: Fast.loadExtended<u16>(cpu, op); break;
        case 128: Fast.load<u8>(cpu, op); break;
        case 129: Fast.store<u8>(cpu, op); break;
        case 130: Fast.storeImm<u8>(cpu, op); break;
        case 131: Fast.movRR<u8>(cpu, op); break;
        case 132: Alu.ri<u8>(cpu, op, CMP); break;
        case 133: Alu.rr<u8>(cpu, op, CMP); break;
        case 134: Alu.mi<u8>(cpu, op, CMP); break;
        case 135: Alu.rm<u8>(cpu, op, CMP); break;
        case 136: Fast.testRR<u8>(cpu, op); break;
        case 137: Fast.testRI<u8>(cpu, op); break;
        case 138: break;
        case 139: Fast.push<u32>(cpu, op); break;
        case 140: Fast.push<u64>(cpu, op); break;
        case 141: Fast.pop<u32>(cpu, op); break;
        case 142: Fast.pop<u64>(cpu, op); break;
        case 143: if (Fast.call<u32>(cpu, op)) { taken = at; at = FAR; } break;
        case 144: if (Fast.call<u64>(cpu, op)) { taken = at; at = FAR; } break;
        case 145: Fast.ret<u32>(cpu, op); break;
        case 146: Fast.ret<u64>(cpu, op); break;
        case 147: taken = at; at = FAR; break;
        case 148: if (overflowFlag(cpu)) { taken = at; at = FAR; } break;
        case 149: if (!overflowFlag(cpu)) { taken = at; at = FAR; } break;
        case 150: if (carryFlag(cpu)) { taken = at; at = FAR; } break;
        case 151: if (!carryFlag(cpu)) { taken = at; at = FAR; } break;
        case 152: if (zeroFlag(cpu)) { taken = at; at = FAR; } break;
        case 153: if (!zeroFlag(cpu)) { taken = at; at = FAR; } break;
        case 154: if (carryFlag(cpu) || zeroFlag(cpu)) { taken = at; at = FAR; } break;
        case 155: if (!(carryFlag(cpu) || zeroFlag(cpu))) { taken = at; at = FAR; } break;
        case 156: if (signFlag(cpu)) { taken = at; at = FAR; } break;
        case 157: if (!signFlag(cpu)) { taken = at; at = FAR; } break;
        case 158: if (parityFlag(cpu)) { taken = at; at = FAR; } break;
        case 159: if (!parityFlag(cpu)) { taken = at; at = FAR; } break;
        case 160: if (signFlag(cpu) !== overflowFlag(cpu)) { taken = at; at = FAR; } break;
        case 161: if (signFlag(cpu) === overflowFlag(cpu)) { taken = at; at = FAR; } break;
        case 162: if (zeroFlag(cpu) || signFlag(cpu) !== overflowFlag(cpu)) { taken = at; at = FAR; } break;
        case 163: if (!zeroFlag(cpu) && signFlag(cpu) === overflowFlag(cpu)) { taken = at; at = FAR; } break;
        case 164: Fast.testMI<u32>(cpu, op); break;
        case 165: Fast.testMI<u64>(cpu, op); break;
        case 166: Fast.incM<u32>(cpu, op); break;
        case 167: Fast.incM<u64>(cpu, op); break;
        case 168: Fast.decM<u32>(cpu, op); break;
        case 169: Fast.decM<u64>(cpu, op); break;
        case 170: Fast.shlCl<u32>(cpu, op); break;
        case 171: Fast.shlCl<u64>(cpu, op); break;
        case 172: Fast.shrCl<u32>(cpu, op); break;
        case 173: Fast.shrCl<u64>(cpu, op); break;
        case 174: Fast.sarCl<u32>(cpu, op); break;
        case 175: Fast.sarCl<u64>(cpu, op); break;
        case 176: Fast.cmov<u32>(cpu, op); break;
        case 177: Fast.cmov<u64>(cpu, op); break;
        case 178: Fast.jumpR(cpu, op); break;
        case 179: Fast.jumpM(cpu, op); break;
        case 180: Fast.callR(cpu, op); break;
        case 181: Fast.callM(cpu, op); break;
        // Two calls, so that the optimizer does not inline it here: this function has to stay small for its registers.
        case 0: outOfLine(cpu, op); break;
        default: outOfLine(cpu, op); break;
      }
      at += OP_BYTES;
    } while (at < blockEnd());

    const lastAt = taken !== 0 ? taken : at - OP_BYTES;
    const last = changetype<Op>(lastAt);
    const done = <u32>((lastAt - first) / OP_BYTES) + 1;
    const branch = taken !== 0 ? <u64>last.imm : 0;
    if (blockEnd() === 0) {
      if (cpu.fault !== 0 && !(cpu.fault & FAULT_TRAP)) {
        if (cpu.fault & FAULT_NONCANONICAL && usesStack(cpu, last)) throughStack(cpu);
        cpu.rip = (cpu.rip + last.end - last.length) & ripMask;
        return limit - left + done - 1;
      }
      // The instruction may have changed the mode.
      const mask: u64 = cpu.mode & MODE_64 ? -1 : 0xffffffff;
      cpu.rip = (cpu.rip + last.end + branch) & mask;
      return limit - left + done;
    }
    left -= done;
    cpu.rip = (cpu.rip + last.end + branch) & ripMask;
    if (left === 0) return limit;
    // Returns and indirect jumps have no link; anything else that is not a branch falls through.
    if (taken === 0 && !fallsThrough(last)) {
      block = lookup(cpu);
      continue;
    }
    const link = taken !== 0 ? branchLink(taken) : nextLink(block);
    const next = linked(link);
    if (next !== 0) {
      block = next;
      continue;
    }
    const born = generation;
    const found = lookup(cpu);
    if (found !== 0 && born === generation) setLink(block, link, found);
    block = found;
  }
  return limit - left;
}
