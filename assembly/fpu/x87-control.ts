/**
 * x87 control: FLDCW FNSTCW FNSTSW FNCLEX FNINIT FLDENV FNSTENV FRSTOR FNSAVE.
 *
 * Source: SDM 1 "Saving the x87 FPU's State"; SDM 2A, by instruction. The environment is 14 bytes with 16-bit operands,
 * 28 with 32-bit (and in 64-bit mode); real and virtual-8086 mode store linear pointers instead of selector and offset.
 *
 *     32-bit   0 FCW   4 FSW   8 FTW   12 FIP   16 FCS, FOP << 16   20 FDP   24 FDS
 */
import { FPU_FCS, FPU_FDP, FPU_FDS, FPU_FIP, FPU_FOP } from "../abi";
import { addressOf } from "../cpu/address";
import { isProtected } from "../cpu/mode";
import { Op } from "../cpu/op";
import { checkWrite, read, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { A, NORMAL, unpack80, ZERO } from "./soft";
import { Fpu, FSW_B, FSW_ES, FSW_EXCEPTIONS, initFpu } from "./state";

const FSW_CLEARED: u32 = 0x7f00; // what FNCLEX keeps

/** Re-derives ES and B from the exceptions and their masks. */
export function updateSummary(fpu: Fpu): void {
  const fsw = fpu.fsw() & ~(FSW_ES | FSW_B);
  const unmasked = fsw & ~fpu.fcw() & FSW_EXCEPTIONS;
  fpu.setFsw(unmasked ? fsw | FSW_ES | FSW_B : fsw);
}

/** FNCLEX. */
export function clearExceptions(fpu: Fpu): void {
  fpu.setFsw(fpu.fsw() & FSW_CLEARED);
}

/** FNINIT. */
export function finit(fpu: Fpu): void {
  initFpu(fpu);
}

/** FNSTSW AX. */
export function storeStatusAx(cpu: Vcpu, fpu: Fpu): void {
  cpu.rax = (cpu.rax & ~(<u64>0xffff)) | <u64>fpu.fsw();
}

/** FNSTSW m16. */
export function storeStatus(cpu: Vcpu, op: Op, fpu: Fpu): void {
  storeWord(cpu, op, fpu.fsw());
}

/** FNSTCW m16. */
export function storeControl(cpu: Vcpu, op: Op, fpu: Fpu): void {
  storeWord(cpu, op, fpu.fcw());
}

function storeWord(cpu: Vcpu, op: Op, value: u32): void {
  const gva = addressOf(cpu, op, 2, true);
  if (cpu.fault === 0) write<u16>(cpu, gva, <u16>value);
}

/** FLDCW m16. */
export function loadControl(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const gva = addressOf(cpu, op, 2, false);
  if (cpu.fault !== 0) return;
  const value = <u32>read<u16>(cpu, gva);
  if (cpu.fault !== 0) return;
  fpu.setFcw(value);
  updateSummary(fpu);
}

/** The tag word in its full form: two bits a register, 0 valid, 1 zero, 2 special, 3 empty. */
export function fullTags(fpu: Fpu): u32 {
  let tags: u32 = 0;
  for (let n: u32 = 0; n < 8; n++) {
    let tag: u32 = 3;
    if ((fpu.tags() >> n) & 1) {
      const at = fpu.register(n);
      unpack80(A, load<u16>(at, 8), load<u64>(at));
      tag = A.kind === ZERO ? 1 : A.kind === NORMAL && !A.denormal ? 0 : 2;
    }
    tags |= tag << (n << 1);
  }
  return tags;
}

/** Takes a full tag word: only "empty" counts. */
export function setFullTags(fpu: Fpu, tags: u32): void {
  let abridged: u32 = 0;
  for (let n: u32 = 0; n < 8; n++) {
    if (((tags >> (n << 1)) & 3) !== 3) abridged |= 1 << n;
  }
  fpu.setTags(abridged);
}

function environmentBytes(op: Op): u32 {
  return op.size === 2 ? 14 : 28;
}

/** Writes the environment at gva, which was checked. */
function writeEnvironment(cpu: Vcpu, op: Op, fpu: Fpu, gva: u64): void {
  const base = changetype<usize>(fpu);
  const fop = <u32>load<u16>(base, FPU_FOP) & 0x7ff;
  let ip = <u32>load<u64>(base, FPU_FIP);
  let dp = <u32>load<u64>(base, FPU_FDP);
  let cs = <u32>load<u16>(base, FPU_FCS);
  let ds = <u32>load<u16>(base, FPU_FDS);
  const real = !isProtected(cpu);
  if (op.size === 2) {
    if (real) {
      ip += cs << 4;
      dp += ds << 4;
      cs = ((ip >> 16) << 12) | fop;
      ds = (dp >> 16) << 12;
    }
    put16(cpu, gva, fpu.fcw());
    put16(cpu, gva + 2, fpu.fsw());
    put16(cpu, gva + 4, fullTags(fpu));
    put16(cpu, gva + 6, ip);
    put16(cpu, gva + 8, cs);
    put16(cpu, gva + 10, dp);
    put16(cpu, gva + 12, ds);
    return;
  }
  // Unused upper halves hold ones.
  put32(cpu, gva, 0xffff0000 | fpu.fcw());
  put32(cpu, gva + 4, 0xffff0000 | fpu.fsw());
  put32(cpu, gva + 8, 0xffff0000 | fullTags(fpu));
  if (real) {
    ip += cs << 4;
    dp += ds << 4;
    put32(cpu, gva + 12, 0xffff0000 | (ip & 0xffff));
    put32(cpu, gva + 16, ((ip >> 16) << 12) | fop);
    put32(cpu, gva + 20, 0xffff0000 | (dp & 0xffff));
    put32(cpu, gva + 24, (dp >> 16) << 12);
  } else {
    put32(cpu, gva + 12, ip);
    put32(cpu, gva + 16, cs | (fop << 16));
    put32(cpu, gva + 20, dp);
    put32(cpu, gva + 24, 0xffff0000 | ds);
  }
}

function put16(cpu: Vcpu, gva: u64, value: u32): void {
  if (cpu.fault === 0) write<u16>(cpu, gva, <u16>value);
}

function put32(cpu: Vcpu, gva: u64, value: u32): void {
  if (cpu.fault === 0) write<u32>(cpu, gva, value);
}

/** FNSTENV: then masks all exceptions. */
export function storeEnvironment(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const bytes = environmentBytes(op);
  const gva = addressOf(cpu, op, bytes, true);
  if (cpu.fault !== 0 || !checkWrite(cpu, gva, bytes, op.size)) return;
  writeEnvironment(cpu, op, fpu, gva);
  if (cpu.fault !== 0) return;
  fpu.setFcw(fpu.fcw() | FSW_EXCEPTIONS);
  updateSummary(fpu);
}

// The environment as read: nothing is committed before the last byte is there.
let newFcw: u32 = 0;
let newFsw: u32 = 0;
let newTags: u32 = 0;
let newIp: u64 = 0;
let newDp: u64 = 0;
let newCs: u32 = 0;
let newDs: u32 = 0;
let newFop: u32 = 0;

function get(cpu: Vcpu, gva: u64, size: u32): u32 {
  if (cpu.fault !== 0) return 0;
  return size === 2 ? <u32>read<u16>(cpu, gva) : read<u32>(cpu, gva);
}

function readEnvironment(cpu: Vcpu, op: Op, gva: u64): void {
  const size: u32 = op.size === 2 ? 2 : 4;
  const real = !isProtected(cpu);
  newFcw = get(cpu, gva, size);
  newFsw = get(cpu, gva + size, size);
  newTags = get(cpu, gva + size * 2, size);
  const ip = get(cpu, gva + size * 3, size);
  const second = get(cpu, gva + size * 4, size);
  const dp = get(cpu, gva + size * 5, size);
  const fourth = get(cpu, gva + size * 6, size);
  newIp = ip;
  newDp = dp;
  if (real) {
    newIp = (ip & 0xffff) | (((second >> 12) & 0xffff) << 16);
    newDp = (dp & 0xffff) | (((fourth >> 12) & 0xffff) << 16);
    newCs = 0;
    newDs = 0;
    newFop = second & 0x7ff;
  } else {
    newCs = second & 0xffff;
    newDs = fourth & 0xffff;
    if (size === 4) newFop = (second >> 16) & 0x7ff;
  }
}

function commitEnvironment(fpu: Fpu): void {
  const base = changetype<usize>(fpu);
  fpu.setFcw(newFcw);
  fpu.setFsw(newFsw);
  setFullTags(fpu, newTags);
  store<u64>(base, newIp, FPU_FIP);
  store<u64>(base, newDp, FPU_FDP);
  store<u16>(base, <u16>newCs, FPU_FCS);
  store<u16>(base, <u16>newDs, FPU_FDS);
  store<u16>(base, <u16>newFop, FPU_FOP);
  updateSummary(fpu);
}

/** FLDENV. */
export function loadEnvironment(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const gva = addressOf(cpu, op, environmentBytes(op), false);
  if (cpu.fault !== 0) return;
  newFop = load<u16>(changetype<usize>(fpu), FPU_FOP);
  readEnvironment(cpu, op, gva);
  if (cpu.fault === 0) commitEnvironment(fpu);
}

/** FNSAVE: environment, then ST(0)..ST(7); then as FNINIT. */
export function save(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const bytes = environmentBytes(op);
  const gva = addressOf(cpu, op, bytes + 80, true);
  if (cpu.fault !== 0 || !checkWrite(cpu, gva, bytes + 80, op.size)) return;
  writeEnvironment(cpu, op, fpu, gva);
  for (let i: u32 = 0; i < 8; i++) {
    const to = gva + bytes + i * 10;
    // By words: the image is only aligned to the operand size.
    for (let at: u32 = 0; at < 10; at += 2) put16(cpu, to + at, load<u16>(fpu.st(i) + at));
  }
  if (cpu.fault === 0) initFpu(fpu);
}

const registers: usize = memory.data(128, 8);

/** FRSTOR. */
export function restore(cpu: Vcpu, op: Op, fpu: Fpu): void {
  const bytes = environmentBytes(op);
  const gva = addressOf(cpu, op, bytes + 80, false);
  if (cpu.fault !== 0) return;
  newFop = load<u16>(changetype<usize>(fpu), FPU_FOP);
  readEnvironment(cpu, op, gva);
  for (let i: usize = 0; i < 8; i++) {
    const from = gva + bytes + i * 10;
    for (let at: usize = 0; at < 10; at += 2) {
      store<u16>(registers + (i << 4) + at, <u16>get(cpu, from + at, 2));
    }
  }
  if (cpu.fault !== 0) return;
  commitEnvironment(fpu);
  for (let i: u32 = 0; i < 8; i++) {
    const to = fpu.st(i);
    store<u64>(to, load<u64>(registers + ((<usize>i) << 4)));
    store<u16>(to, load<u16>(registers + ((<usize>i) << 4), 8), 8);
  }
}
