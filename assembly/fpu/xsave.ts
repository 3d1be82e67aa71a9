/**
 * XSAVE, XSAVEOPT, XSAVEC, XRSTOR, XGETBV and XSETBV, for x87 and SSE state: 0F AE /4 to /6, 0F C7 /4, 0F 01 D0, D1.
 *
 *      0 legacy region, as FXSAVE's   512 XSTATE_BV   520 XCOMP_BV   528 zeros   576
 *
 * Source: SDM 1 "Managing State Using the XSAVE Feature Set"; SDM 2, by instruction. With these two components the
 * compacted format has the layout of the standard one. State in its initial configuration is not in use: XINUSE is a
 * function of the registers.
 * Not modelled: supervisor state (XSAVES, XRSTORS, IA32_XSS); the modified optimization, which no software can rely on.
 */
import { FPU_FCS, FPU_FDP, FPU_FDS, FPU_FIP, FPU_FOP } from "../abi";
import { addressOf } from "../cpu/address";
import { offers } from "../cpu/features";
import { Op, OP_66, OP_REP, OP_REPNE } from "../cpu/op";
import { raise, raiseWithError } from "../fault";
import { checkWrite, read, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { CR0_TS, CR4_OSXSAVE } from "../x86/cr";
import { FEATURE_XGETBV1, FEATURE_XSAVEC, FEATURE_XSAVEOPT } from "../x86/cpuid";
import { GP, NM, UD } from "../x86/exception";
import {
  area,
  badMxcsr,
  loadMxcsr,
  loadX87,
  loadXmm,
  readArea,
  saveMxcsr,
  saveX87,
  saveXmm,
  xmmCount,
} from "./fxsave";
import { FCW_INIT, Fpu, fpuOf, initFpu, MXCSR_RESET } from "./state";

const XSAVE_BYTES: u32 = 576;
const XSTATE_BV: u32 = 512;
const XCOMP_BV: u32 = 520;
const COMPACTED: u64 = 1 << 63;
const X87: u64 = 1;
const SSE: u64 = 2;
/** Components that XCR0 can enable. */
const XCR0_VALID: u64 = X87 | SSE;

function gp(cpu: Vcpu): void {
  raiseWithError(cpu, GP, 0);
}

/** True, with #UD or #NM raised, when the instruction is not there or the state not to be touched. */
function unavailable(cpu: Vcpu, op: Op): bool {
  if (!(cpu.cr4 & CR4_OSXSAVE) || op.flags & (OP_66 | OP_REP | OP_REPNE)) raise(cpu, UD);
  else if (cpu.cr0 & CR0_TS) raise(cpu, NM);
  else return false;
  return true;
}

/** Linear address of the area, which must be aligned to 64 bytes. */
function areaOf(cpu: Vcpu, op: Op, isWrite: bool): u64 {
  const gva = addressOf(cpu, op, XSAVE_BYTES, isWrite);
  if (cpu.fault === 0 && gva & 63) gp(cpu);
  return gva;
}

/** RFBM: components that the instruction is for. */
function requested(cpu: Vcpu): u64 {
  return cpu.xcr0 & ((cpu.rdx << 32) | (cpu.rax & 0xffffffff));
}

function isX87Initial(fpu: Fpu): bool {
  const base = changetype<usize>(fpu);
  if (fpu.fcw() !== FCW_INIT || fpu.fsw() !== 0 || fpu.tags() !== 0) return false;
  if (load<u16>(base, FPU_FOP) !== 0 || load<u64>(base, FPU_FIP) !== 0) return false;
  if (load<u64>(base, FPU_FDP) !== 0) return false;
  if (load<u16>(base, FPU_FCS) !== 0 || load<u16>(base, FPU_FDS) !== 0) return false;
  for (let i: u32 = 0; i < 8; i++) if (fpu.sig(i) !== 0 || fpu.high(i) !== 0) return false;
  return true;
}

/** MXCSR does not count. XMM8 to XMM15 do in every mode, as on silicon: the manual lets XINUSE be 1 for no reason. */
function isSseInitial(fpu: Fpu): bool {
  for (let i: u32 = 0; i < 16; i++) if (v128.any_true(v128.load(fpu.xmm(i)))) return false;
  return true;
}

/** XINUSE of x87 and SSE. */
function inUse(cpu: Vcpu): u64 {
  const fpu = fpuOf(cpu);
  return (isX87Initial(fpu) ? 0 : X87) | (isSseInitial(fpu) ? 0 : SSE);
}

/** XSAVE and XSAVE64: all that is requested. XSAVEOPT: what of it is in use. */
export function xsave(cpu: Vcpu, op: Op, optimized: bool): void {
  if (optimized && !offers(FEATURE_XSAVEOPT)) {
    raise(cpu, UD);
    return;
  }
  if (unavailable(cpu, op)) return;
  const gva = areaOf(cpu, op, true);
  if (cpu.fault !== 0 || !checkWrite(cpu, gva, XSAVE_BYTES, 64)) return;
  const wanted = requested(cpu);
  const used = inUse(cpu);
  const before = read<u64>(cpu, gva + XSTATE_BV);
  if (cpu.fault !== 0) return;
  const saved = optimized ? wanted & used : wanted;
  if (saved & X87) saveX87(cpu, op, gva);
  if (wanted & SSE) saveMxcsr(cpu, gva);
  if (saved & SSE) saveXmm(cpu, gva);
  if (cpu.fault === 0) write<u64>(cpu, gva + XSTATE_BV, (before & ~wanted) | (used & wanted));
}

/** XSAVEC, XSAVEC64: what is requested and in use, in the compacted format. A MXCSR of its own is SSE state in use. */
export function xsavec(cpu: Vcpu, op: Op): void {
  if (!offers(FEATURE_XSAVEC)) {
    raise(cpu, UD);
    return;
  }
  if (unavailable(cpu, op)) return;
  const gva = areaOf(cpu, op, true);
  if (cpu.fault !== 0 || !checkWrite(cpu, gva, XSAVE_BYTES, 64)) return;
  const wanted = requested(cpu);
  const used = inUse(cpu) | (fpuOf(cpu).mxcsr() !== MXCSR_RESET ? SSE : 0);
  const saved = wanted & used;
  if (saved & X87) saveX87(cpu, op, gva);
  if (saved & SSE) {
    saveMxcsr(cpu, gva);
    saveXmm(cpu, gva);
  }
  if (cpu.fault === 0) write<u64>(cpu, gva + XSTATE_BV, saved);
  if (cpu.fault === 0) write<u64>(cpu, gva + XCOMP_BV, wanted | COMPACTED);
}

/** True when the header in `area` is one that XRSTOR accepts. */
function isHeaderValid(cpu: Vcpu): bool {
  const state = load<u64>(area, XSTATE_BV);
  const compaction = load<u64>(area, XCOMP_BV);
  if (!(compaction & COMPACTED)) {
    // Bytes 63:24 of the header are not looked at.
    return compaction === 0 && load<u64>(area, XCOMP_BV + 8) === 0 && !(state & ~cpu.xcr0);
  }
  if (!offers(FEATURE_XSAVEC)) return false;
  const components = compaction & ~COMPACTED;
  if (components & ~cpu.xcr0 || state & ~components) return false;
  for (let i: usize = XCOMP_BV + 8; i < <usize>XSAVE_BYTES; i += 8)
    if (load<u64>(area + i) !== 0) return false;
  return true;
}

/** XRSTOR, XRSTOR64: everything is read and checked before anything changes. */
export function xrstor(cpu: Vcpu, op: Op): void {
  if (unavailable(cpu, op)) return;
  const gva = areaOf(cpu, op, false);
  if (cpu.fault !== 0) return;
  readArea(cpu, gva, XSAVE_BYTES);
  if (cpu.fault !== 0) return;
  if (!isHeaderValid(cpu)) {
    gp(cpu);
    return;
  }
  const wanted = requested(cpu);
  const isCompacted = (load<u64>(area, XCOMP_BV) & COMPACTED) !== 0;
  const restored = wanted & load<u64>(area, XSTATE_BV);
  // The standard form loads MXCSR whatever XSTATE_BV says.
  const loadsMxcsr = ((isCompacted ? restored : wanted) & SSE) !== 0;
  if (loadsMxcsr && badMxcsr(cpu)) return;
  const fpu = fpuOf(cpu);
  if (restored & X87) loadX87(cpu, op);
  else if (wanted & X87) clearX87(fpu);
  if (restored & SSE) loadXmm(cpu);
  else if (wanted & SSE) clearXmm(cpu, fpu);
  if (loadsMxcsr) loadMxcsr(cpu);
  else if (wanted & SSE) fpu.setMxcsr(MXCSR_RESET);
}

function clearX87(fpu: Fpu): void {
  initFpu(fpu);
  memory.fill(fpu.register(0), 0, 8 * 16);
}

function clearXmm(cpu: Vcpu, fpu: Fpu): void {
  memory.fill(fpu.xmm(0), 0, (<usize>xmmCount(cpu)) << 4);
}

/** XGETBV: XCR0; with ECX = 1 what of it is in use. */
export function xgetbv(cpu: Vcpu, op: Op): void {
  if (!(cpu.cr4 & CR4_OSXSAVE)) {
    raise(cpu, UD);
    return;
  }
  const index = <u32>cpu.rcx;
  if (index > 1 || (index === 1 && !offers(FEATURE_XGETBV1))) {
    gp(cpu);
    return;
  }
  const value = index === 0 ? cpu.xcr0 : cpu.xcr0 & inUse(cpu);
  cpu.rax = value & 0xffffffff;
  cpu.rdx = value >> 32;
}

/** True for what XCR0 can hold: x87 state cannot be left out. */
export function isXcr0Valid(value: u64): bool {
  return (value & X87) !== 0 && !(value & ~XCR0_VALID);
}

/** XSETBV: XCR0. */
export function xsetbv(cpu: Vcpu, op: Op): void {
  if (!(cpu.cr4 & CR4_OSXSAVE)) {
    raise(cpu, UD);
    return;
  }
  const value = (cpu.rdx << 32) | (cpu.rax & 0xffffffff);
  if (cpu.cpl !== 0 || <u32>cpu.rcx !== 0 || !isXcr0Valid(value)) gp(cpu);
  else cpu.xcr0 = value;
}
