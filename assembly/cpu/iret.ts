/**
 * CF IRET, IRETD, IRETQ: `iret`.
 *
 * Source: SDM 2 "IRET/IRETD/IRETQ"; SDM 3A "Handling Multiple NMIs".
 */
import { CS, DS, ES, FS, GS, SS } from "../abi";
import { raiseWithError } from "../fault";
import { NMI_BLOCKED, Vcpu } from "../vcpu";
import {
  AC_FLAG,
  ARITHMETIC,
  DF_FLAG,
  ID,
  IF,
  IOPL,
  IOPL_SHIFT,
  NT,
  RF,
  TF,
  VM,
} from "../x86/eflags";
import { GP } from "../x86/exception";
import { jumpTo } from "./control";
import { frameWithin, peekSized, returnFar } from "./far-return";
import { returnFast } from "./fast-event";
import { returnFlat } from "./flat-event";
import { setRflags } from "./flags";
import { is64, isLong, isReal, isV86, updateMode } from "./mode";
import { Op } from "./op";
import { setStackPointer } from "./operand";
import { commitReal, commitV86 } from "./segment";
import { returnFromTask } from "./task-gate";
import {
  acceptsImage,
  checkVirtualInterrupt,
  hasVirtualFlags,
  loadVirtualImage,
  vmeFlags,
} from "./vme";

const ALWAYS: u32 = ARITHMETIC | TF | DF_FLAG | NT;
const WIDE: u32 = RF | AC_FLAG | ID;

/** The flags that IRET of an operand size loads at the present privilege (VM and the outermost cases apart). @inline */
function loadedFlags(cpu: Vcpu, size: u32): u32 {
  const always = size === 2 ? ALWAYS : ALWAYS | WIDE;
  if (cpu.cpl === 0) return always | IF | IOPL | (size === 2 ? 0 : vmeFlags);
  return cpu.cpl <= (cpu.eflags & IOPL) >> IOPL_SHIFT ? always | IF : always;
}

/** IRET in every mode. NMIs are unblocked even when it faults. */
export function iret(cpu: Vcpu, op: Op): void {
  cpu.nmi &= ~NMI_BLOCKED;
  if (isReal(cpu) || isV86(cpu)) iretParagraph(cpu, op);
  else if (cpu.eflags & NT) {
    if (isLong(cpu)) raiseWithError(cpu, GP, 0);
    else returnFromTask(cpu, op);
  } else if (is64(cpu) && op.size === 8 && returnFast(cpu, loadedFlags(cpu, 8)))
    jumpTo(cpu, op, cpu.rip);
  else if (op.size === 4 && returnFlat(cpu, loadedFlags(cpu, 4))) jumpTo(cpu, op, cpu.rip);
  else iretProtected(cpu, op);
  if (vmeFlags !== 0) checkVirtualInterrupt(cpu);
}

/** IRETQ in 64-bit code where nothing can go wrong. @returns false, with nothing changed, when `iret` must do it @inline */
export function iretShort(cpu: Vcpu): bool {
  if (((cpu.eflags & NT) | vmeFlags) !== 0) return false;
  if (!returnFast(cpu, loadedFlags(cpu, 8))) return false;
  cpu.nmi &= ~NMI_BLOCKED;
  return true;
}

/** Real-address mode, and virtual-8086 mode with IOPL 3 or virtual flags. */
function iretParagraph(cpu: Vcpu, op: Op): void {
  const size = op.size;
  const isVirtual = hasVirtualFlags(cpu, size);
  if (!isVirtual && isV86(cpu) && (cpu.eflags & IOPL) !== IOPL) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  if (!frameWithin(cpu, 3, size)) return;
  const ip = peekSized(cpu, 0, size);
  const selector = <u32>peekSized(cpu, size, size) & 0xffff;
  const flags = <u32>peekSized(cpu, size * 2, size);
  if (cpu.fault !== 0) return;
  if (ip > cpu.segment(CS).limit) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  if (isVirtual && !acceptsImage(cpu, flags)) return;
  // In real-address mode VIF and VIP stay.
  const mask = loadedFlags(cpu, size) & ~vmeFlags;
  setStackPointer(cpu, cpu.rsp + size * 3);
  if (isV86(cpu)) commitV86(cpu, CS, selector);
  else commitReal(cpu, CS, selector);
  if (isVirtual) {
    loadVirtualImage(cpu, flags);
    finish(cpu, op, ip, 0, 0);
  } else finish(cpu, op, ip, flags, mask);
}

function finish(cpu: Vcpu, op: Op, rip: u64, flags: u32, mask: u32): void {
  setRflags(cpu, flags, mask);
  updateMode(cpu);
  jumpTo(cpu, op, rip);
}

function iretProtected(cpu: Vcpu, op: Op): void {
  const size = op.size;
  if (!frameWithin(cpu, 3, size)) return;
  const rip = peekSized(cpu, 0, size);
  const selector = <u32>peekSized(cpu, size, size) & 0xffff;
  const flags = <u32>peekSized(cpu, size * 2, size);
  if (cpu.fault !== 0) return;
  if (flags & VM && size === 4 && cpu.cpl === 0 && !isLong(cpu)) {
    iretToV86(cpu, op, rip, selector, flags);
    return;
  }
  // The rights to IF and IOPL are those of the level that IRET leaves.
  const mask = loadedFlags(cpu, size);
  if (returnFar(cpu, size, size * 3, 0, rip, selector, is64(cpu)))
    finish(cpu, op, rip, flags, mask);
}

/** From ring 0 to virtual-8086 mode: pops ESP, SS, ES, DS, FS and GS as well. */
function iretToV86(cpu: Vcpu, op: Op, eip: u64, selector: u32, flags: u32): void {
  const esp = peekSized(cpu, 12, 4);
  const ss = <u32>peekSized(cpu, 16, 4);
  const es = <u32>peekSized(cpu, 20, 4);
  const ds = <u32>peekSized(cpu, 24, 4);
  const fs = <u32>peekSized(cpu, 28, 4);
  const gs = <u32>peekSized(cpu, 32, 4);
  if (cpu.fault !== 0) return;
  if (eip > 0xffff) {
    raiseWithError(cpu, GP, 0);
    return;
  }
  commitV86(cpu, CS, selector);
  commitV86(cpu, SS, ss & 0xffff);
  commitV86(cpu, ES, es & 0xffff);
  commitV86(cpu, DS, ds & 0xffff);
  commitV86(cpu, FS, fs & 0xffff);
  commitV86(cpu, GS, gs & 0xffff);
  cpu.rsp = esp;
  cpu.cpl = 3;
  finish(cpu, op, eip, flags, ALWAYS | WIDE | IF | IOPL | VM | vmeFlags);
}
