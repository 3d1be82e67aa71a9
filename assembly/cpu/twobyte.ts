/** The two-byte opcode map: one arm an opcode, rows of eight as in SDM 2D "Opcode Map". */
import { raise } from "../fault";
import { executeSse } from "../fpu/sse";
import { Vcpu } from "../vcpu";
import { FEATURE_POPCNT, FEATURE_SSE2 } from "../x86/cpuid";
import { UD } from "../x86/exception";
import { bitRegister, bitScan, populationCount } from "./bits";
import { jumpOnCondition } from "./branch";
import { cpuidInstruction } from "./cpuid";
import { clts, movFromCr, movToCr } from "./cr";
import { movFromDr, movToDr } from "./dr";
import { byteSwap, cmpxchg, xadd } from "./exchange";
import { syscall, sysenter, sysexit, sysret } from "./fast-call";
import { offers } from "./features";
import { group15, group6, group7, group8, group9 } from "./groups";
import {
  conditionalMove,
  moveNonTemporal,
  moveSignExtended,
  moveZeroExtended,
  setOnCondition,
} from "./move";
import { rdmsr, wrmsr } from "./msr";
import { imulRegister } from "./muldiv";
import { Op, OP_66, OP_REP, OP_REPNE } from "./op";
import { lar, loadFarPointer, lsl, popSegment, pushSegment } from "./segment-ops";
import { doubleShift } from "./shift";
import { rdpmc, rdtsc, ud, wbinvd } from "./system";

/** Executes an instruction of the two-byte map: 0F and the opcode. */
export function executeTwoByte(cpu: Vcpu, op: Op): void {
  // prettier-ignore
  switch (op.opcode & 0xff) {
    // 00 .. 07
    case 0x00: return group6(cpu, op);
    case 0x01: return group7(cpu, op);
    case 0x02: return lar(cpu, op);
    case 0x03: return lsl(cpu, op);
    case 0x05: return syscall(cpu, op);
    case 0x06: return clts(cpu, op);
    case 0x07: return sysret(cpu, op);
    // 08 .. 0F
    case 0x08: case 0x09: return wbinvd(cpu, op);
    case 0x0b: return ud(cpu, op);
    case 0x0d: return hint(cpu, op);
    // 10 .. 17
    case 0x10: case 0x11: case 0x12: case 0x13: case 0x14: case 0x15: case 0x16: case 0x17:
      return executeSse(cpu, op);
    // 18 .. 1F
    case 0x18: case 0x19: case 0x1a: case 0x1b: case 0x1c: case 0x1d: case 0x1e: case 0x1f:
      return hint(cpu, op);
    // 20 .. 27
    case 0x20: return movFromCr(cpu, op);
    case 0x21: return movFromDr(cpu, op);
    case 0x22: return movToCr(cpu, op);
    case 0x23: return movToDr(cpu, op);
    // 28 .. 2F
    case 0x28: case 0x29: case 0x2a: case 0x2b: case 0x2c: case 0x2d: case 0x2e: case 0x2f:
      return executeSse(cpu, op);
    // 30 .. 37
    case 0x30: return wrmsr(cpu, op);
    case 0x31: return rdtsc(cpu, op);
    case 0x32: return rdmsr(cpu, op);
    case 0x33: return rdpmc(cpu, op);
    case 0x34: return sysenter(cpu, op);
    case 0x35: return sysexit(cpu, op);
    // 40 .. 47
    case 0x40: case 0x41: case 0x42: case 0x43: case 0x44: case 0x45: case 0x46: case 0x47:
      return conditionalMove(cpu, op);
    // 48 .. 4F
    case 0x48: case 0x49: case 0x4a: case 0x4b: case 0x4c: case 0x4d: case 0x4e: case 0x4f:
      return conditionalMove(cpu, op);
    // 50 .. 57
    case 0x50: case 0x51: case 0x52: case 0x53: case 0x54: case 0x55: case 0x56: case 0x57:
      return executeSse(cpu, op);
    // 58 .. 5F
    case 0x58: case 0x59: case 0x5a: case 0x5b: case 0x5c: case 0x5d: case 0x5e: case 0x5f:
      return executeSse(cpu, op);
    // 60 .. 67
    case 0x60: case 0x61: case 0x62: case 0x63: case 0x64: case 0x65: case 0x66: case 0x67:
      return executeSse(cpu, op);
    // 68 .. 6F
    case 0x68: case 0x69: case 0x6a: case 0x6b: case 0x6c: case 0x6d: case 0x6e: case 0x6f:
      return executeSse(cpu, op);
    // 70 .. 77
    case 0x70: case 0x71: case 0x72: case 0x73: case 0x74: case 0x75: case 0x76: case 0x77:
      return executeSse(cpu, op);
    // 78 .. 7F
    case 0x7c: case 0x7d: case 0x7e: case 0x7f:
      return executeSse(cpu, op);
    // 80 .. 87
    case 0x80: case 0x81: case 0x82: case 0x83: case 0x84: case 0x85: case 0x86: case 0x87:
      return jumpOnCondition(cpu, op);
    // 88 .. 8F
    case 0x88: case 0x89: case 0x8a: case 0x8b: case 0x8c: case 0x8d: case 0x8e: case 0x8f:
      return jumpOnCondition(cpu, op);
    // 90 .. 97
    case 0x90: case 0x91: case 0x92: case 0x93: case 0x94: case 0x95: case 0x96: case 0x97:
      return setOnCondition(cpu, op);
    // 98 .. 9F
    case 0x98: case 0x99: case 0x9a: case 0x9b: case 0x9c: case 0x9d: case 0x9e: case 0x9f:
      return setOnCondition(cpu, op);
    // A0 .. A7
    case 0xa0: return pushSegment(cpu, op);
    case 0xa1: return popSegment(cpu, op);
    case 0xa2: return cpuidInstruction(cpu, op);
    case 0xa3: return bitRegister(cpu, op);
    case 0xa4: case 0xa5: return doubleShift(cpu, op);
    // A8 .. AF
    case 0xa8: return pushSegment(cpu, op);
    case 0xa9: return popSegment(cpu, op);
    case 0xab: return bitRegister(cpu, op);
    case 0xac: case 0xad: return doubleShift(cpu, op);
    case 0xae: return group15(cpu, op);
    case 0xaf: return imulRegister(cpu, op);
    // B0 .. B7
    case 0xb0: case 0xb1: return cmpxchg(cpu, op);
    case 0xb2: return loadFarPointer(cpu, op);
    case 0xb3: return bitRegister(cpu, op);
    case 0xb4: case 0xb5: return loadFarPointer(cpu, op);
    case 0xb6: case 0xb7: return moveZeroExtended(cpu, op);
    // B8 .. BF
    case 0xb8: return op.flags & OP_REP && offers(FEATURE_POPCNT) ? populationCount(cpu, op) : raise(cpu, UD);
    case 0xb9: return ud(cpu, op);
    case 0xba: return group8(cpu, op);
    case 0xbb: return bitRegister(cpu, op);
    case 0xbc: case 0xbd: return bitScan(cpu, op);
    case 0xbe: case 0xbf: return moveSignExtended(cpu, op);
    // C0 .. C7
    case 0xc0: case 0xc1: return xadd(cpu, op);
    case 0xc2: return executeSse(cpu, op);
    case 0xc3: return nonTemporal(cpu, op);
    case 0xc4: case 0xc5: case 0xc6: return executeSse(cpu, op);
    case 0xc7: return group9(cpu, op);
    // C8 .. CF
    case 0xc8: case 0xc9: case 0xca: case 0xcb: case 0xcc: case 0xcd: case 0xce: case 0xcf:
      return byteSwap(cpu, op);
    // D0 .. D7
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: case 0xd4: case 0xd5: case 0xd6: case 0xd7:
      return executeSse(cpu, op);
    // D8 .. DF
    case 0xd8: case 0xd9: case 0xda: case 0xdb: case 0xdc: case 0xdd: case 0xde: case 0xdf:
      return executeSse(cpu, op);
    // E0 .. E7
    case 0xe0: case 0xe1: case 0xe2: case 0xe3: case 0xe4: case 0xe5: case 0xe6: case 0xe7:
      return executeSse(cpu, op);
    // E8 .. EF
    case 0xe8: case 0xe9: case 0xea: case 0xeb: case 0xec: case 0xed: case 0xee: case 0xef:
      return executeSse(cpu, op);
    // F0 .. F7
    case 0xf0: case 0xf1: case 0xf2: case 0xf3: case 0xf4: case 0xf5: case 0xf6: case 0xf7:
      return executeSse(cpu, op);
    // F8 .. FF
    case 0xf8: case 0xf9: case 0xfa: case 0xfb: case 0xfc: case 0xfd: case 0xfe:
      return executeSse(cpu, op);
    case 0xff: return ud(cpu, op);
    default: return raise(cpu, UD);
  }
}

/** Prefetches and hint NOPs: the memory operand is not accessed. */
function hint(cpu: Vcpu, op: Op): void {
  // PREFETCH and PREFETCHW have no register form.
  if ((op.opcode & 0xff) === 0x0d && !op.isMemory) raise(cpu, UD);
}

/** MOVNTI has no prefixed forms. */
function nonTemporal(cpu: Vcpu, op: Op): void {
  if (op.flags & (OP_66 | OP_REP | OP_REPNE) || !offers(FEATURE_SSE2)) raise(cpu, UD);
  else moveNonTemporal(cpu, op);
}
