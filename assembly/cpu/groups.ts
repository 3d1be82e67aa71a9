/** Opcodes that ModRM.reg extends. Source: SDM 2D "Opcode Extensions for One-Byte and Two-byte Opcodes". */
import { raise } from "../fault";
import { executeSse } from "../fpu/sse";
import { xgetbv, xrstor, xsave, xsavec, xsetbv } from "../fpu/xsave";
import { Vcpu } from "../vcpu";
import { FEATURE_CX16, FEATURE_CX8 } from "../x86/cpuid";
import { UD } from "../x86/exception";
import { dec, inc, neg, not, testImmediate } from "./alu";
import { bitImmediate } from "./bits";
import { callIndirect, jumpIndirect } from "./branch";
import { lmsw, smsw } from "./cr";
import { cmpxchgPair } from "./exchange";
import { callFar, jumpFar } from "./far-jump";
import { offers } from "./features";
import { monitor, mwait } from "./monitor";
import { div, idiv, imul, mul } from "./muldiv";
import { Op, OP_66, OP_REP, OP_REPNE, OP_REX_W } from "./op";
import { rdrand, rdseed } from "./random";
import { lldt, ltr, storeSystemSegment, verify } from "./segment-ops";
import { pushRm } from "./stack";
import {
  clac,
  clflush,
  fence,
  fsGsBase,
  invlpg,
  loadTable,
  rdpid,
  rdtscp,
  stac,
  storeTable,
  swapgs,
  vmcall,
} from "./system";

/** Group 3: F6, F7. */
export function group3(cpu: Vcpu, op: Op): void {
  // prettier-ignore
  switch (op.extension) {
    case 0: case 1: return testImmediate(cpu, op);
    case 2: return not(cpu, op);
    case 3: return neg(cpu, op);
    case 4: return mul(cpu, op);
    case 5: return imul(cpu, op);
    case 6: return div(cpu, op);
    default: return idiv(cpu, op);
  }
}

/** Group 4: FE. */
export function group4(cpu: Vcpu, op: Op): void {
  // prettier-ignore
  switch (op.extension) {
    case 0: return inc(cpu, op, 1);
    case 1: return dec(cpu, op, 1);
    default: return raise(cpu, UD);
  }
}

/** Group 5: FF. */
export function group5(cpu: Vcpu, op: Op): void {
  // prettier-ignore
  switch (op.extension) {
    case 0: return inc(cpu, op, op.size);
    case 1: return dec(cpu, op, op.size);
    case 2: return callIndirect(cpu, op);
    case 3: return callFar(cpu, op);
    case 4: return jumpIndirect(cpu, op);
    case 5: return jumpFar(cpu, op);
    case 6: return pushRm(cpu, op);
    default: return raise(cpu, UD);
  }
}

/** Group 6: 0F 00. */
export function group6(cpu: Vcpu, op: Op): void {
  // prettier-ignore
  switch (op.extension) {
    case 0: case 1: return storeSystemSegment(cpu, op);
    case 2: return lldt(cpu, op);
    case 3: return ltr(cpu, op);
    case 4: case 5: return verify(cpu, op);
    default: return raise(cpu, UD);
  }
}

/** Group 7: 0F 01. Its register forms are opcodes of their own, ModRM as a whole. */
export function group7(cpu: Vcpu, op: Op): void {
  if (!op.isMemory) return group7Register(cpu, op);
  // prettier-ignore
  switch (op.extension) {
    case 0: case 1: return storeTable(cpu, op);
    case 2: case 3: return loadTable(cpu, op);
    case 4: return smsw(cpu, op);
    case 6: return lmsw(cpu, op);
    case 7: return invlpg(cpu, op);
    default: return raise(cpu, UD);
  }
}

function group7Register(cpu: Vcpu, op: Op): void {
  if (op.extension === 4) return smsw(cpu, op);
  if (op.extension === 6) return lmsw(cpu, op);
  if (op.flags & (OP_66 | OP_REP | OP_REPNE)) return raise(cpu, UD);
  // prettier-ignore
  switch ((op.extension << 3) | ((op.rm >> 3) & 7)) {
    case 0x01: return vmcall(cpu, op);
    case 0x08: return monitor(cpu, op);
    case 0x09: return mwait(cpu, op);
    case 0x0a: return clac(cpu, op);
    case 0x0b: return stac(cpu, op);
    case 0x10: return xgetbv(cpu, op);
    case 0x11: return xsetbv(cpu, op);
    case 0x19: return vmcall(cpu, op);
    case 0x38: return swapgs(cpu, op);
    case 0x39: return rdtscp(cpu, op);
    default: return raise(cpu, UD);
  }
}

/** Group 8: 0F BA, BT BTS BTR BTC Ev,Ib. */
export function group8(cpu: Vcpu, op: Op): void {
  if (op.extension < 4) raise(cpu, UD);
  else bitImmediate(cpu, op);
}

/** Group 9: 0F C7. */
export function group9(cpu: Vcpu, op: Op): void {
  if (op.isMemory) {
    if (op.extension === 4) return xsavec(cpu, op);
    const isOffered = offers(op.flags & OP_REX_W ? FEATURE_CX16 : FEATURE_CX8);
    return op.extension === 1 && isOffered ? cmpxchgPair(cpu, op) : raise(cpu, UD);
  }
  if (op.extension === 7 && op.flags & OP_REP) return rdpid(cpu, op);
  if (op.flags & (OP_REP | OP_REPNE)) return raise(cpu, UD);
  if (op.extension === 6) return rdrand(cpu, op);
  return op.extension === 7 ? rdseed(cpu, op) : raise(cpu, UD);
}

/** Group 15: 0F AE. */
export function group15(cpu: Vcpu, op: Op): void {
  if (op.isMemory) {
    if (op.extension < 4) return executeSse(cpu, op);
    if (op.extension === 4) return xsave(cpu, op, false);
    if (op.extension === 5) return xrstor(cpu, op);
    if (op.extension === 6) return xsave(cpu, op, true);
    return !(op.flags & (OP_66 | OP_REP | OP_REPNE)) ? clflush(cpu, op) : raise(cpu, UD);
  }
  if (op.extension < 4) return op.flags & OP_REP ? fsGsBase(cpu, op) : raise(cpu, UD);
  if (op.extension === 4 || op.flags & (OP_66 | OP_REP | OP_REPNE)) return raise(cpu, UD);
  fence(cpu, op);
}
