/**
 * The one-byte opcode map: one arm an opcode, rows of eight as in SDM 2D "Opcode Map".
 *
 * The decoder has dealt with prefixes, with LOCK where it may not stand, and with what 64-bit mode does not have.
 */
import { raise } from "../fault";
import { executeX87, fwait } from "../fpu/x87";
import { Vcpu } from "../vcpu";
import { DF_FLAG } from "../x86/eflags";
import { UD } from "../x86/exception";
import { arithmetic, dec, group1, inc, test, testAccumulator } from "./alu";
import {
  asciiAdjustAdd,
  asciiAdjustDivide,
  asciiAdjustMultiply,
  asciiAdjustSubtract,
  bound,
  decimalAdjustAdd,
  decimalAdjustSubtract,
} from "./bcd";
import {
  callRelative,
  jumpOnCondition,
  jumpOnZeroCounter,
  jumpRelative,
  loop,
  returnNear,
} from "./branch";
import { xchg, xchgAccumulator } from "./exchange";
import { callFar, jumpFar, retFar } from "./far-jump";
import { carryFlag, setCarry } from "./flags";
import { cli, popFlags, pushFlags, sti } from "./flags-ops";
import {
  extendAccumulator,
  extendIntoRdx,
  loadEffectiveAddress,
  loadFlags,
  moveByteImmediate,
  moveFromOffset,
  moveImmediate,
  moveRegisterImmediate,
  moveSignExtendedDoubleword,
  moveToOffset,
  moveToReg,
  moveToRm,
  setAlFromCarry,
  storeFlags,
  translateByte,
} from "./move";
import { group3, group4, group5 } from "./groups";
import { in16or32, in8, ins16or32, ins8, out16or32, out8, outs16or32, outs8 } from "./io";
import { int1, int3, intImmediate, into } from "./interrupt-ops";
import { iret } from "./iret";
import { imulImmediate } from "./muldiv";
import { Op, OP_64, OP_REP } from "./op";
import {
  arpl,
  loadFarPointer,
  movFromSegment,
  movToSegment,
  popSegment,
  pushSegment,
} from "./segment-ops";
import { shiftByCl, shiftByImmediate, shiftByOne } from "./shift";
import {
  enter,
  leave,
  popAll,
  popRegister,
  popRm,
  pushAll,
  pushImmediate,
  pushRegister,
} from "./stack";
import { cmps, lods, movs, scas, stos } from "./string";
import { hlt, pause } from "./system";

/** Executes an instruction of the one-byte map. */
export function executeOneByte(cpu: Vcpu, op: Op): void {
  // prettier-ignore
  switch (op.opcode & 0xff) {
    // 00 .. 07
    case 0x00: case 0x01: case 0x02: case 0x03: case 0x04: case 0x05: return arithmetic(cpu, op);
    case 0x06: return pushSegment(cpu, op);
    case 0x07: return popSegment(cpu, op);
    // 08 .. 0F
    case 0x08: case 0x09: case 0x0a: case 0x0b: case 0x0c: case 0x0d: return arithmetic(cpu, op);
    case 0x0e: return pushSegment(cpu, op);
    // 10 .. 17
    case 0x10: case 0x11: case 0x12: case 0x13: case 0x14: case 0x15: return arithmetic(cpu, op);
    case 0x16: return pushSegment(cpu, op);
    case 0x17: return popSegment(cpu, op);
    // 18 .. 1F
    case 0x18: case 0x19: case 0x1a: case 0x1b: case 0x1c: case 0x1d: return arithmetic(cpu, op);
    case 0x1e: return pushSegment(cpu, op);
    case 0x1f: return popSegment(cpu, op);
    // 20 .. 27
    case 0x20: case 0x21: case 0x22: case 0x23: case 0x24: case 0x25: return arithmetic(cpu, op);
    case 0x27: return decimalAdjustAdd(cpu, op);
    // 28 .. 2F
    case 0x28: case 0x29: case 0x2a: case 0x2b: case 0x2c: case 0x2d: return arithmetic(cpu, op);
    case 0x2f: return decimalAdjustSubtract(cpu, op);
    // 30 .. 37
    case 0x30: case 0x31: case 0x32: case 0x33: case 0x34: case 0x35: return arithmetic(cpu, op);
    case 0x37: return asciiAdjustAdd(cpu, op);
    // 38 .. 3F
    case 0x38: case 0x39: case 0x3a: case 0x3b: case 0x3c: case 0x3d: return arithmetic(cpu, op);
    case 0x3f: return asciiAdjustSubtract(cpu, op);
    // 40 .. 47
    case 0x40: case 0x41: case 0x42: case 0x43: case 0x44: case 0x45: case 0x46: case 0x47:
      return inc(cpu, op, op.size);
    // 48 .. 4F
    case 0x48: case 0x49: case 0x4a: case 0x4b: case 0x4c: case 0x4d: case 0x4e: case 0x4f:
      return dec(cpu, op, op.size);
    // 50 .. 57
    case 0x50: case 0x51: case 0x52: case 0x53: case 0x54: case 0x55: case 0x56: case 0x57:
      return pushRegister(cpu, op);
    // 58 .. 5F
    case 0x58: case 0x59: case 0x5a: case 0x5b: case 0x5c: case 0x5d: case 0x5e: case 0x5f:
      return popRegister(cpu, op);
    // 60 .. 67
    case 0x60: return pushAll(cpu, op);
    case 0x61: return popAll(cpu, op);
    case 0x62: return bound(cpu, op);
    case 0x63: return op.flags & OP_64 ? moveSignExtendedDoubleword(cpu, op) : arpl(cpu, op);
    // 68 .. 6F
    case 0x68: return pushImmediate(cpu, op);
    case 0x69: return imulImmediate(cpu, op);
    case 0x6a: return pushImmediate(cpu, op);
    case 0x6b: return imulImmediate(cpu, op);
    case 0x6c: return ins8(cpu, op);
    case 0x6d: return ins16or32(cpu, op);
    case 0x6e: return outs8(cpu, op);
    case 0x6f: return outs16or32(cpu, op);
    // 70 .. 77
    case 0x70: case 0x71: case 0x72: case 0x73: case 0x74: case 0x75: case 0x76: case 0x77:
      return jumpOnCondition(cpu, op);
    // 78 .. 7F
    case 0x78: case 0x79: case 0x7a: case 0x7b: case 0x7c: case 0x7d: case 0x7e: case 0x7f:
      return jumpOnCondition(cpu, op);
    // 80 .. 87
    case 0x80: case 0x81: case 0x82: case 0x83: return group1(cpu, op);
    case 0x84: case 0x85: return test(cpu, op);
    case 0x86: case 0x87: return xchg(cpu, op);
    // 88 .. 8F
    case 0x88: case 0x89: return moveToRm(cpu, op);
    case 0x8a: case 0x8b: return moveToReg(cpu, op);
    case 0x8c: return movFromSegment(cpu, op);
    case 0x8d: return loadEffectiveAddress(cpu, op);
    case 0x8e: return movToSegment(cpu, op);
    case 0x8f: return popRm(cpu, op);
    // 90 .. 97
    case 0x90: case 0x91: case 0x92: case 0x93: case 0x94: case 0x95: case 0x96: case 0x97:
      return op.flags & OP_REP && (op.opcode & 0xff) === 0x90 ? pause(cpu, op) : xchgAccumulator(cpu, op);
    // 98 .. 9F
    case 0x98: return extendAccumulator(cpu, op);
    case 0x99: return extendIntoRdx(cpu, op);
    case 0x9a: return callFar(cpu, op);
    case 0x9b: return fwait(cpu, op);
    case 0x9c: return pushFlags(cpu, op);
    case 0x9d: return popFlags(cpu, op);
    case 0x9e: return storeFlags(cpu, op);
    case 0x9f: return loadFlags(cpu, op);
    // A0 .. A7
    case 0xa0: case 0xa1: return moveFromOffset(cpu, op);
    case 0xa2: case 0xa3: return moveToOffset(cpu, op);
    case 0xa4: case 0xa5: return movs(cpu, op);
    case 0xa6: case 0xa7: return cmps(cpu, op);
    // A8 .. AF
    case 0xa8: case 0xa9: return testAccumulator(cpu, op);
    case 0xaa: case 0xab: return stos(cpu, op);
    case 0xac: case 0xad: return lods(cpu, op);
    case 0xae: case 0xaf: return scas(cpu, op);
    // B0 .. B7
    case 0xb0: case 0xb1: case 0xb2: case 0xb3: case 0xb4: case 0xb5: case 0xb6: case 0xb7:
      return moveByteImmediate(cpu, op);
    // B8 .. BF
    case 0xb8: case 0xb9: case 0xba: case 0xbb: case 0xbc: case 0xbd: case 0xbe: case 0xbf:
      return moveRegisterImmediate(cpu, op);
    // C0 .. C7
    case 0xc0: case 0xc1: return shiftByImmediate(cpu, op);
    case 0xc2: case 0xc3: return returnNear(cpu, op);
    case 0xc4: case 0xc5: return loadFarPointer(cpu, op);
    case 0xc6: case 0xc7: return moveImmediate(cpu, op);
    // C8 .. CF
    case 0xc8: return enter(cpu, op);
    case 0xc9: return leave(cpu, op);
    case 0xca: case 0xcb: return retFar(cpu, op);
    case 0xcc: return int3(cpu, op);
    case 0xcd: return intImmediate(cpu, op);
    case 0xce: return into(cpu, op);
    case 0xcf: return iret(cpu, op);
    // D0 .. D7
    case 0xd0: case 0xd1: return shiftByOne(cpu, op);
    case 0xd2: case 0xd3: return shiftByCl(cpu, op);
    case 0xd4: return asciiAdjustMultiply(cpu, op);
    case 0xd5: return asciiAdjustDivide(cpu, op);
    case 0xd6: return setAlFromCarry(cpu, op);
    case 0xd7: return translateByte(cpu, op);
    // D8 .. DF
    case 0xd8: case 0xd9: case 0xda: case 0xdb: case 0xdc: case 0xdd: case 0xde: case 0xdf:
      return executeX87(cpu, op);
    // E0 .. E7
    case 0xe0: case 0xe1: case 0xe2: return loop(cpu, op);
    case 0xe3: return jumpOnZeroCounter(cpu, op);
    case 0xe4: return in8(cpu, op);
    case 0xe5: return in16or32(cpu, op);
    case 0xe6: return out8(cpu, op);
    case 0xe7: return out16or32(cpu, op);
    // E8 .. EF
    case 0xe8: return callRelative(cpu, op);
    case 0xe9: return jumpRelative(cpu, op);
    case 0xea: return jumpFar(cpu, op);
    case 0xeb: return jumpRelative(cpu, op);
    case 0xec: return in8(cpu, op);
    case 0xed: return in16or32(cpu, op);
    case 0xee: return out8(cpu, op);
    case 0xef: return out16or32(cpu, op);
    // F0 .. F7
    case 0xf1: return int1(cpu, op);
    case 0xf4: return hlt(cpu, op);
    case 0xf5: return setCarry(cpu, !carryFlag(cpu));
    case 0xf6: case 0xf7: return group3(cpu, op);
    // F8 .. FF
    case 0xf8: return setCarry(cpu, false);
    case 0xf9: return setCarry(cpu, true);
    case 0xfa: return cli(cpu, op);
    case 0xfb: return sti(cpu, op);
    case 0xfc: return setDirection(cpu, false);
    case 0xfd: return setDirection(cpu, true);
    case 0xfe: return group4(cpu, op);
    case 0xff: return group5(cpu, op);
    default: return raise(cpu, UD);
  }
}

/** CLD, STD. */
function setDirection(cpu: Vcpu, down: bool): void {
  cpu.eflags = down ? cpu.eflags | DF_FLAG : cpu.eflags & ~DF_FLAG;
}
