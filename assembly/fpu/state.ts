/**
 * x87, MMX and SSE state of a vCPU: a view of the record at VCPU_FPU (drawn in abi.ts), and its start values.
 *
 * Source: SDM 1 "x87 FPU Execution Environment", "MXCSR Control and Status Register"; SDM 3A "Processor State After
 * Reset". Data registers are kept by physical number: ST(i) is register (TOP + i) & 7.
 */
import * as abi from "../abi";
import { Vcpu } from "../vcpu";

// Status word.
export const FSW_SF: u32 = 1 << 6; // stack fault
export const FSW_ES: u32 = 1 << 7; // an unmasked exception is pending
export const FSW_C0: u32 = 1 << 8;
export const FSW_C1: u32 = 1 << 9;
export const FSW_C2: u32 = 1 << 10;
export const FSW_TOP_SHIFT: u32 = 11;
export const FSW_TOP: u32 = 7 << 11;
export const FSW_C3: u32 = 1 << 14;
export const FSW_B: u32 = 1 << 15; // copy of ES
export const FSW_CONDITIONS: u32 = FSW_C0 | FSW_C1 | FSW_C2 | FSW_C3;
export const FSW_EXCEPTIONS: u32 = 0x3f;

/** FCW after FNINIT: all exceptions masked, 64-bit precision, nearest. Bit 6 always reads 1. */
export const FCW_INIT: u32 = 0x37f;
const FCW_RESET: u32 = 0x40;
export const FCW_FIXED: u32 = 0x40;
export const FCW_WRITABLE: u32 = 0x1f3f;
export const MXCSR_RESET: u32 = 0x1f80;
/** Bits of MXCSR that may be set: DAZ is there, MM is not. */
export const MXCSR_MASK: u32 = 0xffff;
export const MXCSR_DAZ: u32 = 1 << 6;
export const MXCSR_MASK_SHIFT: u32 = 7;
export const MXCSR_RC_SHIFT: u32 = 13;
export const MXCSR_FTZ: u32 = 1 << 15;

@unmanaged
export class Fpu {
  fcw(): u32 {
    return load<u16>(changetype<usize>(this), abi.FPU_FCW);
  }
  setFcw(value: u32): void {
    store<u16>(changetype<usize>(this), <u16>((value & FCW_WRITABLE) | FCW_FIXED), abi.FPU_FCW);
  }
  fsw(): u32 {
    return load<u16>(changetype<usize>(this), abi.FPU_FSW);
  }
  setFsw(value: u32): void {
    store<u16>(changetype<usize>(this), <u16>value, abi.FPU_FSW);
  }
  /** One bit a physical register: 1 = holds something. */
  tags(): u32 {
    return load<u8>(changetype<usize>(this), abi.FPU_FTW);
  }
  setTags(value: u32): void {
    store<u8>(changetype<usize>(this), <u8>value, abi.FPU_FTW);
  }
  top(): u32 {
    return (this.fsw() >> FSW_TOP_SHIFT) & 7;
  }
  setTop(value: u32): void {
    this.setFsw((this.fsw() & ~FSW_TOP) | ((value & 7) << FSW_TOP_SHIFT));
  }
  /** Physical number of ST(i). */
  physical(i: u32): u32 {
    return (this.top() + i) & 7;
  }
  isEmpty(i: u32): bool {
    return !((this.tags() >> this.physical(i)) & 1);
  }
  setEmpty(i: u32, empty: bool): void {
    const bit = (<u32>1) << this.physical(i);
    this.setTags(empty ? this.tags() & ~bit : this.tags() | bit);
  }
  /** Address of ST(i). */
  st(i: u32): usize {
    return changetype<usize>(this) + ((<usize>this.physical(i)) << 4);
  }
  /** Address of a physical register: MM(i) is its low half. */
  register(n: u32): usize {
    return changetype<usize>(this) + ((<usize>n) << 4);
  }
  sig(i: u32): u64 {
    return load<u64>(this.st(i));
  }
  high(i: u32): u32 {
    return load<u16>(this.st(i), 8);
  }
  /** Stores ST(i) and marks it as holding something. */
  set(i: u32, high: u32, sig: u64): void {
    const at = this.st(i);
    store<u64>(at, sig);
    store<u16>(at, <u16>high, 8);
    this.setEmpty(i, false);
  }
  xmm(n: u32): usize {
    return changetype<usize>(this) + abi.FPU_XMM + ((<usize>n) << 4);
  }
  mxcsr(): u32 {
    return load<u32>(changetype<usize>(this), abi.FPU_MXCSR);
  }
  setMxcsr(value: u32): void {
    store<u32>(changetype<usize>(this), value, abi.FPU_MXCSR);
  }
}

/** The x87 and SSE state of a vCPU. */
export function fpuOf(cpu: Vcpu): Fpu {
  return changetype<Fpu>(changetype<usize>(cpu) + abi.VCPU_FPU);
}

/** Power-up and RESET values: FCW 0040H, tags 5555H (all registers hold +0.0), MXCSR 1F80H. INIT changes nothing. */
export function resetFpu(cpu: Vcpu): void {
  const fpu = fpuOf(cpu);
  memory.fill(changetype<usize>(fpu), 0, abi.FPU_BYTES);
  store<u16>(changetype<usize>(fpu), <u16>FCW_RESET, abi.FPU_FCW);
  fpu.setTags(0xff);
  fpu.setMxcsr(MXCSR_RESET);
}

/** FNINIT: registers keep their contents. */
export function initFpu(fpu: Fpu): void {
  fpu.setFcw(FCW_INIT);
  fpu.setFsw(0);
  fpu.setTags(0);
  store<u16>(changetype<usize>(fpu), 0, abi.FPU_FOP);
  store<u64>(changetype<usize>(fpu), 0, abi.FPU_FIP);
  store<u64>(changetype<usize>(fpu), 0, abi.FPU_FDP);
  store<u16>(changetype<usize>(fpu), 0, abi.FPU_FCS);
  store<u16>(changetype<usize>(fpu), 0, abi.FPU_FDS);
}
