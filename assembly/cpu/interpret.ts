/**
 * The interpreter: runs micro-ops of blocks, and follows links between them.
 *
 * The switch holds the forms that handler.ts chose as fast (fast.ts, fast-alu.ts, fast-sse.ts); all others go out of line.
 */
import { SS } from "../abi";
import { FAULT_BEYOND, FAULT_TRAP, raise, raiseWithError, throughStack } from "../fault";
import { isCanonical } from "../mem/paging";
import { CALL, CALL_R, JMP, JMP_R, PUSH, RET, SSE } from "../op-abi";
import { executeX87 } from "../fpu/x87";
import { shortX87 } from "../fpu/x87-short";
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
import { goesOn } from "./boundary";
import { blockEnd, leaveBlock, setBlockEnd } from "./control";
import { Fast } from "./fast";
import { ADC, ADD, Alu, AND, CMP, OR, SBB, SUB, XOR } from "./fast-alu";
import { FLOAT_ADD, FLOAT_DIV, FLOAT_MUL, FLOAT_SUB, Sse } from "./fast-sse";
import { carryFlag, overflowFlag, parityFlag, signFlag, zeroFlag } from "./flags";
import { Memory, setCurrentOp } from "./flat-memory";
import { isHot } from "./heat";
import { MODE_64 } from "./mode";
import { executeOneByte } from "./onebyte";
import { Op, OP_BYTES } from "./op";
import { register, setRegister } from "./operand";
import { locate } from "./progress";
import { executeThreeByte } from "./threebyte";
import { executeTwoByte } from "./twobyte";

/** Beyond any block: a taken branch goes here to leave the loop, at no cost to the other instructions. */
const FAR: usize = 0xffff0000;

/** The translated block that `interpret` came to; 0: it ended for another reason. */
export let following: usize = 0;

/** Instructions that have no fast handler. */
function outOfLine(cpu: Vcpu, op: Op): void {
  setCurrentOp(op);
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
    case 5:
      if (!shortX87(cpu, op)) executeX87(cpu, op);
      break;
    default:
      raise(cpu, UD);
      break;
  }
  if (cpu.fault !== 0) leaveBlock();
}

/** An instruction that a region does not do itself. @returns -1, or where it ends the region: what is left */
export function executeForRegion(cpu: Vcpu, op: Op, left: u32): i32 {
  locate(changetype<usize>(op), left);
  outOfLine(cpu, op);
  return blockEnd() !== 0 ? -1 : left - leaveAt(cpu, op, 0);
}

/**
 * Sets RIP after an instruction that leaves its block.
 *
 * @param branch - distance of its taken branch, or 0
 * @returns 1 when it retired, 0 when it faulted
 */
function leaveAt(cpu: Vcpu, last: Op, branch: u64): u32 {
  // The instruction may have changed the mode.
  const mask: u64 = cpu.mode & MODE_64 ? -1 : 0xffffffff;
  if (cpu.fault !== 0 && !(cpu.fault & FAULT_TRAP)) {
    if (cpu.fault & FAULT_BEYOND && usesStack(cpu, last)) throughStack(cpu);
    cpu.rip = (cpu.rip + last.end - last.length) & mask;
    return 0;
  }
  cpu.rip = (cpu.rip + last.end + branch) & mask;
  return 1;
}

/** True when the access of `op` that faulted went through SS; what out-of-line code pushes and pops says so itself. */
function usesStack(cpu: Vcpu, op: Op): bool {
  const handler = <i32>op.handler;
  if ((handler >= PUSH && handler < JMP) || handler === CALL_R) return true;
  // CALL of a memory operand reads that first.
  if (handler === CALL_R + 1 && isCanonical(Memory.address(cpu, op))) return true;
  return op.isMemory && op.segment === SS;
}

/** False for returns and indirect jumps: the block that follows them is another one each time. */
function fallsThrough(op: Op): bool {
  const handler = <i32>op.handler;
  return !((handler >= RET && handler < JMP) || (handler >= JMP_R && handler < SSE));
}

/**
 * A direct branch to an address that is not canonical faults at the branch. A CALL has written its return address by
 * then, below the stack pointer that it is given back.
 *
 * @param op - the branch just taken to `cpu.rip` @returns true with #GP(0) raised and RIP at the branch
 */
function refusesTarget(cpu: Vcpu, op: Op): bool {
  if (!(cpu.mode & MODE_64) || isCanonical(cpu.rip)) return false;
  if (<u32>op.handler === CALL + 1) cpu.rsp += 8;
  cpu.rip -= <u64>op.imm + op.length;
  raiseWithError(cpu, GP, 0);
  return true;
}

/**
 * Interprets a block and those that follow it, up to one that is translated: that is `following` then. Where there is
 * none, `execute` ends: `left` is used up, a fault waits, or something asked to leave.
 *
 * @param start - the block at RIP; @param left - instructions that may retire, at least 1
 * @returns how many of them are left. One that faults has not retired; one that traps has.
 */
export function interpret(cpu: Vcpu, start: usize, left: u32): u32 {
  following = 0;
  let ripMask: u64 = cpu.mode & MODE_64 ? -1 : 0xffffffff;
  let block = start;
  do {
    const count = blockCount(block);
    const whole = count <= left;
    const first = blockOps(block);
    locate(first, left);
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
        case 33: Alu.rr<u64>(cpu, op, ADC); break;
        case 34: Alu.ri<u64>(cpu, op, ADC); break;
        case 38: Alu.rr<u32>(cpu, op, SBB); break;
        case 39: Alu.ri<u32>(cpu, op, SBB); break;
        case 43: Alu.rr<u64>(cpu, op, SBB); break;
        case 44: Alu.ri<u64>(cpu, op, SBB); break;
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
        case 182: Sse.move(cpu, op); break;
        case 183: Sse.load16(cpu, op, false); break;
        case 184: Sse.load16(cpu, op, true); break;
        case 185: Sse.store16(cpu, op, false); break;
        case 186: Sse.store16(cpu, op, true); break;
        case 187: Sse.loadPart<u64>(cpu, op); break;
        case 188: Sse.loadPart<u32>(cpu, op); break;
        case 189: Sse.storePart<u64>(cpu, op); break;
        case 190: Sse.storePart<u32>(cpu, op); break;
        case 191: Sse.movePart<u64>(cpu, op); break;
        case 192: Sse.movePart<u32>(cpu, op); break;
        case 193: Sse.moveQuad(cpu, op); break;
        case 194: Sse.fromGeneral<u32>(cpu, op); break;
        case 195: Sse.fromGeneral<u64>(cpu, op); break;
        case 196: Sse.toGeneral<u32>(cpu, op); break;
        case 197: Sse.toGeneral<u64>(cpu, op); break;
        case 198: Sse.byteMask(cpu, op); break;
        case 199: Sse.packedAny(cpu, op); break;
        case 200: Sse.packedAny(cpu, op); break;
        case 201: Sse.packed(cpu, op, 0xef); break;
        case 202: Sse.packed(cpu, op, 0xdb); break;
        case 203: Sse.packed(cpu, op, 0xeb); break;
        case 204: Sse.packed(cpu, op, 0xdf); break;
        case 205: Sse.packed(cpu, op, 0xfc); break;
        case 206: Sse.packed(cpu, op, 0xfd); break;
        case 207: Sse.packed(cpu, op, 0xfe); break;
        case 208: Sse.packed(cpu, op, 0xd4); break;
        case 209: Sse.packed(cpu, op, 0xf8); break;
        case 210: Sse.packed(cpu, op, 0xf9); break;
        case 211: Sse.packed(cpu, op, 0xfa); break;
        case 212: Sse.packed(cpu, op, 0xfb); break;
        case 213: Sse.packed(cpu, op, 0x74); break;
        case 214: Sse.packed(cpu, op, 0x75); break;
        case 215: Sse.packed(cpu, op, 0x76); break;
        case 216: Sse.arithmetic<f64>(cpu, op, FLOAT_ADD); break;
        case 217: Sse.arithmetic<f64>(cpu, op, FLOAT_SUB); break;
        case 218: Sse.arithmetic<f64>(cpu, op, FLOAT_MUL); break;
        case 219: Sse.arithmetic<f64>(cpu, op, FLOAT_DIV); break;
        case 220: Sse.arithmetic<f32>(cpu, op, FLOAT_ADD); break;
        case 221: Sse.arithmetic<f32>(cpu, op, FLOAT_SUB); break;
        case 222: Sse.arithmetic<f32>(cpu, op, FLOAT_MUL); break;
        case 223: Sse.arithmetic<f32>(cpu, op, FLOAT_DIV); break;
        case 224: Sse.squareRoot<f64>(cpu, op); break;
        case 225: Sse.squareRoot<f32>(cpu, op); break;
        case 226: Sse.compare<f64>(cpu, op); break;
        case 227: Sse.compare<f32>(cpu, op); break;
        case 228: Sse.integerToDouble<i32>(cpu, op); break;
        case 229: Sse.integerToDouble<i64>(cpu, op); break;
        case 230: Sse.truncate<i32>(cpu, op); break;
        case 231: Sse.truncate<i64>(cpu, op); break;
        case 232: Sse.singleToDouble(cpu, op); break;
        case 233: Sse.doubleToSingle(cpu, op); break;
        case 234: Sse.packedFloat(cpu, op); break;
        case 235: Sse.packedFloat(cpu, op); break;
        // Called from outOfLine as well, so that the optimizer does not inline them here: this function has to stay small
        // for its registers.
        case 0: setCurrentOp(op); executeOneByte(cpu, op); if (cpu.fault !== 0) leaveBlock(); break;
        case 1: setCurrentOp(op); executeTwoByte(cpu, op); if (cpu.fault !== 0) leaveBlock(); break;
        case 5: if (!shortX87(cpu, op)) outOfLine(cpu, op); break;
        case 2: outOfLine(cpu, op); break;
        default: outOfLine(cpu, op); break;
      }
      at += OP_BYTES;
    } while (at < blockEnd());

    const lastAt = taken !== 0 ? taken : at - OP_BYTES;
    const last = changetype<Op>(lastAt);
    const done = <u32>((lastAt - first) / OP_BYTES) + 1;
    const branch = taken !== 0 ? <u64>last.imm : 0;
    if (blockEnd() === 0) {
      left -= done - 1 + leaveAt(cpu, last, branch);
      if (left === 0 || !goesOn(cpu, left)) return left;
      ripMask = cpu.mode & MODE_64 ? -1 : 0xffffffff;
      block = lookup(cpu);
      continue;
    }
    left -= done;
    cpu.rip = (cpu.rip + last.end + branch) & ripMask;
    if (left === 0) return taken !== 0 && refusesTarget(cpu, last) ? 1 : 0;
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
    if (taken !== 0 && refusesTarget(cpu, last)) return left + 1;
    const born = generation;
    const found = lookup(cpu);
    if (found !== 0 && born === generation) setLink(block, link, found, <i64>(last.end + branch));
    block = found;
  } while (block !== 0 && !isHot(block));
  following = block;
  return left;
}
