/**
 * x87 instructions: D8 to DF, and 9B FWAIT.
 *
 * Source: SDM 2 "Escape Opcode Instructions"; SDM 1 "x87 FPU Instruction Set". An instruction that waits first checks
 * for a pending unmasked exception (#MF); memory operands are read before the stack is looked at.
 * Not modelled: the FERR# pin. With CR0.NE = 0 pending exceptions are ignored, as with IGNNE# asserted.
 */
import { CS, FPU_FCS, FPU_FDP, FPU_FDS, FPU_FIP, FPU_FOP } from "../abi";
import { addressOf, offsetOf } from "../cpu/address";
import { offers } from "../cpu/features";
import { nextRip, Op } from "../cpu/op";
import { raise } from "../fault";
import { probe, read } from "../mem/access";
import { NO_GPA } from "../mem/paging";
import { physicalRead } from "../mem/physical";
import { Vcpu } from "../vcpu";
import { CR0_EM, CR0_MP, CR0_NE, CR0_TS } from "../x86/cr";
import { FEATURE_SSE3 } from "../x86/cpuid";
import { MF, NM, UD } from "../x86/exception";
import { A, B, fromInteger, unpack32, unpack64 } from "./soft";
import { Fpu, fpuOf, FSW_C1, FSW_ES } from "./state";
import { arithmetic, arithmeticPop, compareInteger, fcom, fcomi, fcmov, fucom } from "./x87-arith";
import {
  clearExceptions,
  finit,
  loadControl,
  loadEnvironment,
  restore,
  save,
  storeControl,
  storeEnvironment,
  storeStatus,
  storeStatusAx,
} from "./x87-control";
import {
  absolute,
  changeSign,
  examine,
  exchange,
  loadBcd,
  loadConstant,
  loadReal32,
  loadReal64,
  loadReal80,
  loadInteger,
  pushRegister,
  storeBcd,
  storeInteger,
  storeReal32,
  storeReal64,
  storeReal80,
  storeRegister,
  storeUnchecked,
  test,
} from "./x87-move";
import { extract, partialRemainder, roundInteger, scale, squareRootOf } from "./x87-math";
import { pop } from "./x87-result";
import * as transcendental from "./x87-transcendental";

/** True, with #NM raised, when x87 instructions are not available. */
function unavailable(cpu: Vcpu): bool {
  if (!(cpu.cr0 & (CR0_EM | CR0_TS))) return false;
  raise(cpu, NM);
  return true;
}

/** True, with #MF raised, when an unmasked exception is pending. */
function pending(cpu: Vcpu): bool {
  if (!(fpuOf(cpu).fsw() & FSW_ES) || !(cpu.cr0 & CR0_NE)) return false;
  raise(cpu, MF);
  return true;
}

/** FWAIT (9B). */
export function fwait(cpu: Vcpu, op: Op): void {
  if ((cpu.cr0 & (CR0_MP | CR0_TS)) === (CR0_MP | CR0_TS)) raise(cpu, NM);
  else pending(cpu);
}

/** Saves the pointers to the last instruction and its operand. */
function recordPointers(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const base = changetype<usize>(fpu);
  store<u64>(base, nextRip(cpu, op) - op.length, FPU_FIP);
  store<u16>(base, cpu.segment(CS).selector, FPU_FCS);
  if (op.isMemory) {
    store<u64>(base, offsetOf(cpu, op), FPU_FDP);
    store<u16>(base, cpu.segment(op.segment).selector, FPU_FDS);
  }
}

/** The same, and the last opcode when its exception is unmasked, as current CPUs do. */
function record(cpu: Vcpu, op: Op, fpu: Fpu): void {
  recordPointers(cpu, op, fpu);
  if (!(fpu.fsw() & FSW_ES)) return;
  const rip = nextRip(cpu, op) - op.length;
  // The ModRM byte is the one after D8..DF; what stands before are prefixes.
  for (let i: u32 = 0; i < op.length; i++) {
    if ((codeByte(cpu, rip + i) & 0xf8) !== 0xd8) continue;
    store<u16>(
      changetype<usize>(fpu),
      <u16>(((op.opcode & 7) << 8) | codeByte(cpu, rip + i + 1)),
      FPU_FOP,
    );
    return;
  }
}

function codeByte(cpu: Vcpu, rip: u64): u32 {
  const gpa = probe(cpu, cpu.segment(CS).base + rip);
  return gpa === NO_GPA ? 0 : physicalRead<u8>(cpu, gpa);
}

/** D8..DF. */
export function executeX87(cpu: Vcpu, op: Op): void {
  if (unavailable(cpu)) return;
  const fpu = fpuOf(cpu);
  const opcode = <u32>op.opcode & 7;
  const control = op.isMemory
    ? executeMemory(cpu, op, fpu, opcode)
    : executeRegister(cpu, op, fpu, opcode);
  if (!control && cpu.fault === 0) record(cpu, op, fpu);
}

/** @returns true for control instructions, which leave the instruction pointer alone */
function executeMemory(cpu: Vcpu, op: Op, fpu: Fpu, opcode: u32): bool {
  const extension = op.extension;
  // FNSTCW, FNSTENV, FNSAVE, FNSTSW do not wait.
  if (opcode === 1 && extension >= 6) {
    if (extension === 6) storeEnvironment(cpu, op, fpu);
    else storeControl(cpu, op, fpu);
    return true;
  }
  if (opcode === 5 && extension >= 6) {
    if (extension === 6) save(cpu, op, fpu);
    else storeStatus(cpu, op, fpu);
    return true;
  }
  // FISTTP came with SSE3: DB, DD and DF /1.
  if (extension === 1 && opcode & 1 && opcode !== 1 && !offers(FEATURE_SSE3)) {
    raise(cpu, UD);
    return true;
  }
  if (pending(cpu)) return true;
  switch (opcode) {
    case 0: {
      const gva = addressOf(cpu, op, 4, false);
      if (cpu.fault !== 0) return true;
      const value = read<u32>(cpu, gva);
      if (cpu.fault !== 0) return true;
      unpack32(B, value);
      arithmeticMemory(fpu, extension);
      return false;
    }
    case 4: {
      const gva = addressOf(cpu, op, 8, false);
      if (cpu.fault !== 0) return true;
      const value = read<u64>(cpu, gva);
      if (cpu.fault !== 0) return true;
      unpack64(B, value);
      arithmeticMemory(fpu, extension);
      return false;
    }
    case 2:
    case 6: {
      const gva = addressOf(cpu, op, opcode === 2 ? 4 : 2, false);
      if (cpu.fault !== 0) return true;
      const value = opcode === 2 ? <i64>read<i32>(cpu, gva) : <i64>read<i16>(cpu, gva);
      if (cpu.fault !== 0) return true;
      fromInteger(value);
      memory.copy(changetype<usize>(B), changetype<usize>(A), 24);
      arithmeticMemory(fpu, extension);
      return false;
    }
    case 1:
      if (extension === 0) loadReal32(cpu, op, fpu);
      else if (extension === 2) storeReal32(cpu, op, fpu, false);
      else if (extension === 3) storeReal32(cpu, op, fpu, true);
      else if (extension === 4) loadEnvironment(cpu, op, fpu);
      else if (extension === 5) loadControl(cpu, op, fpu);
      else raise(cpu, UD);
      return extension >= 4;
    case 3:
      if (extension === 0) loadInteger(cpu, op, fpu, 4);
      else if (extension === 1) storeInteger(cpu, op, fpu, 4, true, true);
      else if (extension <= 3) storeInteger(cpu, op, fpu, 4, extension === 3, false);
      else if (extension === 5) loadReal80(cpu, op, fpu);
      else if (extension === 7) storeReal80(cpu, op, fpu);
      else raise(cpu, UD);
      return false;
    case 5:
      if (extension === 0) loadReal64(cpu, op, fpu);
      else if (extension === 1) storeInteger(cpu, op, fpu, 8, true, true);
      else if (extension === 2) storeReal64(cpu, op, fpu, false);
      else if (extension === 3) storeReal64(cpu, op, fpu, true);
      else if (extension === 4) restore(cpu, op, fpu);
      else raise(cpu, UD);
      return extension >= 4;
    default:
      if (extension === 0) loadInteger(cpu, op, fpu, 2);
      else if (extension === 1) storeInteger(cpu, op, fpu, 2, true, true);
      else if (extension <= 3) storeInteger(cpu, op, fpu, 2, extension === 3, false);
      else if (extension === 4) loadBcd(cpu, op, fpu);
      else if (extension === 5) loadInteger(cpu, op, fpu, 8);
      else if (extension === 6) storeBcd(cpu, op, fpu);
      else storeInteger(cpu, op, fpu, 8, true, false);
      return false;
  }
}

/** ST(0) op B, from memory. */
function arithmeticMemory(fpu: Fpu, extension: u32): void {
  if (extension === 2 || extension === 3) compareInteger(fpu, extension === 3);
  else arithmetic(fpu, extension, 0, false);
}

/** @returns true for control instructions */
function executeRegister(cpu: Vcpu, op: Op, fpu: Fpu, opcode: u32): bool {
  const extension = op.extension;
  const i = (<u32>op.rm >> 3) & 7;
  // FNCLEX, FNINIT, FNSTSW AX do not wait.
  if (opcode === 3 && extension === 4) {
    if (i === 2) clearExceptions(fpu);
    else if (i === 3) finit(fpu);
    else if (i === 0 || i === 1 || i === 4) return true; // FENI, FDISI, FSETPM: nothing since the 387
    else raise(cpu, UD);
    return true;
  }
  if (opcode === 7 && extension === 4 && i === 0) {
    storeStatusAx(cpu, fpu);
    return true;
  }
  if (pending(cpu)) return true;
  switch (opcode) {
    case 0:
      if (extension === 2 || extension === 3) fcom(fpu, i, <u32>(extension === 3));
      else arithmetic(fpu, extension, i, true);
      break;
    case 1:
      return group1(cpu, fpu, extension, i);
    case 2:
      if (extension < 4) fcmov(cpu, fpu, extension, i, true);
      else if (extension === 5 && i === 1) fucom(fpu, 1, 2);
      else raise(cpu, UD);
      break;
    case 3:
      if (extension < 4) fcmov(cpu, fpu, extension, i, false);
      else if (extension === 5) fcomi(cpu, fpu, i, true, false);
      else if (extension === 6) fcomi(cpu, fpu, i, false, false);
      else raise(cpu, UD);
      break;
    case 4:
      if (extension === 2 || extension === 3) fcom(fpu, i, <u32>(extension === 3));
      else arithmeticPop(fpu, extension, i, false);
      break;
    case 5:
      if (extension === 0) free(fpu, i);
      else if (extension === 1) exchange(fpu, i);
      else if (extension <= 3) storeRegister(fpu, i, extension === 3);
      else if (extension <= 5) fucom(fpu, i, <u32>(extension === 5));
      else raise(cpu, UD);
      break;
    case 6:
      if (extension === 2) fcom(fpu, i, 1);
      else if (extension === 3) {
        if (i === 1) fcom(fpu, 1, 2);
        else raise(cpu, UD);
      } else arithmeticPop(fpu, extension, i, true);
      break;
    default:
      if (extension === 0) {
        free(fpu, i);
        pop(fpu);
      } else if (extension === 1) exchange(fpu, i);
      else if (extension <= 3) storeRegister(fpu, i, true);
      else if (extension === 5) fcomi(cpu, fpu, i, true, true);
      else if (extension === 6) fcomi(cpu, fpu, i, false, true);
      else raise(cpu, UD);
      break;
  }
  return false;
}

/** D9 C0..FF. @returns false: none of them is a control instruction */
function group1(cpu: Vcpu, fpu: Fpu, extension: u32, i: u32): bool {
  switch (extension) {
    case 0:
      pushRegister(fpu, i);
      return false;
    case 1:
      exchange(fpu, i);
      return false;
    case 2:
      if (i !== 0) raise(cpu, UD);
      return false;
    case 3:
      storeUnchecked(fpu, i);
      return false;
    case 4:
      if (i === 0) changeSign(fpu);
      else if (i === 1) absolute(fpu);
      else if (i === 4) test(fpu);
      else if (i === 5) examine(fpu);
      else raise(cpu, UD);
      return false;
    case 5:
      if (i === 7) raise(cpu, UD);
      else loadConstant(fpu, i);
      return false;
    case 6:
      switch (i) {
        case 0:
          transcendental.f2xm1(fpu);
          break;
        case 1:
          transcendental.fyl2x(fpu);
          break;
        case 2:
          transcendental.fptan(fpu);
          break;
        case 3:
          transcendental.fpatan(fpu);
          break;
        case 4:
          extract(fpu);
          break;
        case 5:
          partialRemainder(fpu, true);
          break;
        default:
          moveTop(fpu, i === 6 ? -1 : 1);
          break;
      }
      return false;
    default:
      switch (i) {
        case 0:
          partialRemainder(fpu, false);
          break;
        case 1:
          transcendental.fyl2xp1(fpu);
          break;
        case 2:
          squareRootOf(fpu);
          break;
        case 3:
          transcendental.fsincos(fpu);
          break;
        case 4:
          roundInteger(fpu);
          break;
        case 5:
          scale(fpu);
          break;
        case 6:
          transcendental.fsin(fpu);
          break;
        default:
          transcendental.fcos(fpu);
          break;
      }
      return false;
  }
}

/** FFREE: C1 := 0, as CPUs do though the manual leaves it open. */
function free(fpu: Fpu, i: u32): void {
  fpu.setEmpty(i, true);
  fpu.setFsw(fpu.fsw() & ~FSW_C1);
}

/** FDECSTP, FINCSTP: C1 := 0. */
function moveTop(fpu: Fpu, by: i32): void {
  fpu.setTop(fpu.top() + <u32>by);
  fpu.setFsw(fpu.fsw() & ~FSW_C1);
}
