/**
 * FXSAVE, FXRSTOR, LDMXCSR, STMXCSR: group 15 (0F AE) with a memory operand, /0 to /3.
 *
 *      0 FCW   2 FSW   4 FTW (abridged)   6 FOP   8 FIP   16 FDP   24 MXCSR   28 MXCSR_MASK
 *     32 ST(0)..ST(7), 16 bytes each   160 XMM0..XMM15 (XMM7 outside 64-bit mode)   512
 *
 * Source: SDM 1 "FXSAVE and FXRSTOR Instructions"; SDM 2 "FXSAVE", "LDMXCSR". Reserved bytes are left alone in memory.
 * The parts of the area are functions of their own, since XSAVE's legacy region is the same (xsave.ts).
 */
import { FPU_FCS, FPU_FDP, FPU_FDS, FPU_FIP, FPU_FOP } from "../abi";
import { addressOf } from "../cpu/address";
import { is64 } from "../cpu/mode";
import { Op } from "../cpu/op";
import { raise, raiseWithError } from "../fault";
import { checkWrite, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { CR0_EM, CR0_TS, CR4_OSFXSR } from "../x86/cr";
import { GP, NM, UD } from "../x86/exception";
import { read16, write16 } from "./memory";
import { memory4, sseUnavailable, storeMemory4 } from "./operands";
import { fpuOf, MXCSR_MASK } from "./state";
import { updateSummary } from "./x87-control";

const AREA_BYTES: u32 = 512;

/** True, with #UD for EM or #NM for TS raised: SDM 2A "FXSAVE". KVM's emulator gives #NM for both. */
function unavailable(cpu: Vcpu): bool {
  if (cpu.cr0 & CR0_EM) raise(cpu, UD);
  else if (cpu.cr0 & CR0_TS) raise(cpu, NM);
  else return false;
  return true;
}

/** Linear address of the area, which must be aligned to 16 bytes. */
function areaOf(cpu: Vcpu, op: Op, isWrite: bool): u64 {
  const gva = addressOf(cpu, op, AREA_BYTES, isWrite);
  if (cpu.fault === 0 && gva & 15) raiseWithError(cpu, GP, 0);
  return gva;
}

function put16(cpu: Vcpu, gva: u64, value: u32): void {
  if (cpu.fault === 0) write<u16>(cpu, gva, <u16>value);
}

function put32(cpu: Vcpu, gva: u64, value: u32): void {
  if (cpu.fault === 0) write<u32>(cpu, gva, value);
}

/** How many XMM registers are saved: eight outside 64-bit mode. */
export function xmmCount(cpu: Vcpu): u32 {
  return is64(cpu) ? 16 : 8;
}

/** FXSAVE, FXSAVE64. */
export function fxsave(cpu: Vcpu, op: Op): void {
  if (unavailable(cpu)) return;
  const gva = areaOf(cpu, op, true);
  if (cpu.fault !== 0 || !checkWrite(cpu, gva, AREA_BYTES, 16)) return;
  saveX87(cpu, op, gva);
  saveMxcsr(cpu, gva);
  if (cpu.cr4 & CR4_OSFXSR) saveXmm(cpu, gva); // whether they are saved without it is up to the CPU
}

/** Bytes 0 to 23 and 32 to 159 of an area that may be written. */
export function saveX87(cpu: Vcpu, op: Op, gva: u64): void {
  const fpu = fpuOf(cpu);
  const base = changetype<usize>(fpu);
  put16(cpu, gva, fpu.fcw());
  put16(cpu, gva + 2, fpu.fsw());
  put16(cpu, gva + 4, fpu.tags());
  put16(cpu, gva + 6, load<u16>(base, FPU_FOP));
  savePointer(cpu, op, gva + 8, load<u64>(base, FPU_FIP), load<u16>(base, FPU_FCS));
  savePointer(cpu, op, gva + 16, load<u64>(base, FPU_FDP), load<u16>(base, FPU_FDS));
  for (let i: u32 = 0; i < 8; i++) {
    if (cpu.fault !== 0) return;
    write<u64>(cpu, gva + 32 + (i << 4), fpu.sig(i));
    if (cpu.fault !== 0) return;
    write<u64>(cpu, gva + 40 + (i << 4), fpu.high(i));
  }
}

/** MXCSR and MXCSR_MASK. */
export function saveMxcsr(cpu: Vcpu, gva: u64): void {
  put32(cpu, gva + 24, fpuOf(cpu).mxcsr());
  put32(cpu, gva + 28, MXCSR_MASK);
}

export function saveXmm(cpu: Vcpu, gva: u64): void {
  for (let i: u32 = 0; i < xmmCount(cpu); i++) {
    if (cpu.fault === 0) write16(cpu, gva + 160 + (i << 4), v128.load(fpuOf(cpu).xmm(i)));
  }
}

/** An instruction or data pointer: 64 bits with REX.W, else offset and selector. */
function savePointer(cpu: Vcpu, op: Op, gva: u64, offset: u64, selector: u32): void {
  if (cpu.fault !== 0) return;
  if (op.size === 8) write<u64>(cpu, gva, offset);
  else write<u64>(cpu, gva, (offset & 0xffffffff) | ((<u64>selector) << 32));
}

/** What is to be restored, with room for the header of XSAVE behind it. */
export const area: usize = memory.data(576, 16);

/** Reads the first `bytes`, a multiple of 16, of an area in guest memory into `area`. */
export function readArea(cpu: Vcpu, gva: u64, bytes: u32): void {
  for (let i: usize = 0; i < <usize>bytes; i += 16) {
    const part = read16(cpu, gva + i);
    if (cpu.fault !== 0) return;
    v128.store(area + i, part);
  }
}

/** True, with #GP(0) raised, when a reserved bit of the area's MXCSR is set. */
export function badMxcsr(cpu: Vcpu): bool {
  if (!(load<u32>(area, 24) & ~MXCSR_MASK)) return false;
  raiseWithError(cpu, GP, 0);
  return true;
}

/** FXRSTOR, FXRSTOR64: the whole area is read before anything changes; reserved bits of MXCSR give #GP(0). */
export function fxrstor(cpu: Vcpu, op: Op): void {
  if (unavailable(cpu)) return;
  const gva = areaOf(cpu, op, false);
  if (cpu.fault !== 0) return;
  readArea(cpu, gva, AREA_BYTES);
  if (cpu.fault !== 0 || badMxcsr(cpu)) return;
  loadX87(cpu, op);
  if (!(cpu.cr4 & CR4_OSFXSR)) return;
  loadMxcsr(cpu);
  loadXmm(cpu);
}

export function loadX87(cpu: Vcpu, op: Op): void {
  const fpu = fpuOf(cpu);
  const base = changetype<usize>(fpu);
  const wide = op.size === 8;
  fpu.setFcw(load<u16>(area));
  fpu.setFsw(load<u16>(area, 2));
  fpu.setTags(load<u8>(area, 4));
  store<u16>(base, load<u16>(area, 6) & 0x7ff, FPU_FOP);
  store<u64>(base, wide ? load<u64>(area, 8) : <u64>load<u32>(area, 8), FPU_FIP);
  store<u16>(base, wide ? 0 : load<u16>(area, 12), FPU_FCS);
  store<u64>(base, wide ? load<u64>(area, 16) : <u64>load<u32>(area, 16), FPU_FDP);
  store<u16>(base, wide ? 0 : load<u16>(area, 20), FPU_FDS);
  for (let i: u32 = 0; i < 8; i++) {
    const to = fpu.st(i);
    store<u64>(to, load<u64>(area + 32 + ((<usize>i) << 4)));
    store<u16>(to, load<u16>(area + 40 + ((<usize>i) << 4)), 8);
  }
  updateSummary(fpu);
}

export function loadMxcsr(cpu: Vcpu): void {
  fpuOf(cpu).setMxcsr(load<u32>(area, 24));
}

export function loadXmm(cpu: Vcpu): void {
  for (let i: u32 = 0; i < xmmCount(cpu); i++) {
    v128.store(fpuOf(cpu).xmm(i), v128.load(area + 160 + ((<usize>i) << 4)));
  }
}

/** LDMXCSR m32. */
export function ldmxcsr(cpu: Vcpu, op: Op): void {
  if (sseUnavailable(cpu)) return;
  const value = memory4(cpu, op);
  if (cpu.fault !== 0) return;
  if (value & ~MXCSR_MASK) raiseWithError(cpu, GP, 0);
  else fpuOf(cpu).setMxcsr(value);
}

/** STMXCSR m32. */
export function stmxcsr(cpu: Vcpu, op: Op): void {
  if (!sseUnavailable(cpu)) storeMemory4(cpu, op, fpuOf(cpu).mxcsr());
}
