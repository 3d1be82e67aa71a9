/**
 * Virtual-8086 mode extensions (CR4.VME) and protected-mode virtual interrupts (CR4.PVI): programs below IOPL have an IF
 * of their own, RFLAGS.VIF, and INT n can stay in virtual-8086 mode.
 *
 * Source: SDM 3B "Interrupt and Exception Handling in Virtual-8086 Mode", "Protected-Mode Virtual Interrupts"; SDM 2
 * "CLI", "STI", "PUSHF", "POPF", "IRET", "INT n". Where the manual is silent (TF in the image that POPF or IRET loads, a
 * TSS without room for the bit map: #GP(0)) as Bochs 2.7.
 * Not modelled: a task switch that sets both VIF and VIP.
 */
import { CS, SS, TR } from "../abi";
import { FAULT_TRAP, raiseWithError } from "../fault";
import { readSystem } from "../mem/access";
import { Vcpu } from "../vcpu";
import { CR4_PVI, CR4_VME } from "../x86/cr";
import { ARITHMETIC, DF_FLAG, IF, IOPL, IOPL_SHIFT, NT, RF, TF, VIF, VIP } from "../x86/eflags";
import { GP } from "../x86/exception";
import { jumpTo, setStepHandled } from "./control";
import { rflags, setRflags } from "./flags";
import { commitFramePointer, openFrame, pushFrame } from "./frame";
import { isV86, updateMode } from "./mode";
import { nextRip, Op } from "./op";
import { commitV86 } from "./segment";

/** Offset of the I/O map base in a TSS; the 32 bytes below the map are the interrupt redirection bit map. */
const TSS_IO_MAP: u32 = 102;
const REDIRECTION_BYTES: u32 = 32;

/** VIF and VIP where CPUID offers VME, else none: what loads RFLAGS at CPL 0 may change of them. */
export let vmeFlags: u32 = 0;

export function setVmeOffered(isOffered: bool): void {
  vmeFlags = isOffered ? VIF | VIP : 0;
}

function isBelowIopl(cpu: Vcpu): bool {
  return cpu.cpl > (cpu.eflags & IOPL) >> IOPL_SHIFT;
}

/** True when CLI and STI, which may not change IF, change VIF instead of faulting. */
export function hasVirtualIf(cpu: Vcpu): bool {
  return cpu.cpl === 3 && (cpu.cr4 & (isV86(cpu) ? CR4_VME : CR4_PVI)) !== 0;
}

/**
 * Raises the #GP(0) for the monitor when a program below IOPL begins with both VIF and VIP: to be called after what can
 * set both, IRET and SYSRET. The instruction that was returned to is the one that is saved.
 */
export function checkVirtualInterrupt(cpu: Vcpu): void {
  if ((cpu.eflags & (VIF | VIP)) !== (VIF | VIP) || cpu.fault !== 0) return;
  if (!hasVirtualIf(cpu) || !isBelowIopl(cpu)) return;
  raiseWithError(cpu, GP, 0);
  cpu.fault |= FAULT_TRAP;
}

/** True when PUSHF, POPF and IRET of 16 bits work below IOPL 3, with VIF in the place of IF. */
export function hasVirtualFlags(cpu: Vcpu, size: u32): bool {
  return size === 2 && isV86(cpu) && (cpu.cr4 & CR4_VME) !== 0 && isBelowIopl(cpu);
}

/** FLAGS as a program below IOPL 3 sees them. */
export function virtualImage(cpu: Vcpu): u32 {
  const image = rflags(cpu) | IOPL;
  return cpu.eflags & VIF ? image | IF : image & ~IF;
}

/** #GP(0), for the monitor, when POPF or IRET would let in a pending interrupt or set TF. @returns false then */
export function acceptsImage(cpu: Vcpu, image: u32): bool {
  if (image & TF || (image & IF && cpu.eflags & VIP)) {
    raiseWithError(cpu, GP, 0);
    return false;
  }
  return true;
}

/** Loads FLAGS of such a program: IF goes to VIF, IOPL stays. */
export function loadVirtualImage(cpu: Vcpu, image: u32): void {
  setRflags(cpu, image, ARITHMETIC | TF | DF_FLAG | NT);
  cpu.eflags = (cpu.eflags & ~(VIF | RF)) | (image & IF ? VIF : 0);
}

/** The redirection bit of a vector: 0 leaves it to the program. @returns -1 with a fault raised */
function redirectionBit(cpu: Vcpu, vector: u32): i32 {
  const tr = cpu.segment(TR);
  if (tr.limit >= TSS_IO_MAP + 1) {
    const map = <u32>readSystem<u16>(cpu, tr.base + TSS_IO_MAP);
    if (cpu.fault !== 0) return -1;
    const at = map - REDIRECTION_BYTES + (vector >> 3);
    if (map >= REDIRECTION_BYTES && at <= tr.limit) {
      const bits = <u32>readSystem<u8>(cpu, tr.base + at);
      return cpu.fault !== 0 ? -1 : (bits >> (vector & 7)) & 1;
    }
  }
  raiseWithError(cpu, GP, 0);
  return -1;
}

/**
 * INT n of virtual-8086 mode under CR4.VME: through the program's own interrupt vector table when the redirection bit
 * is 0.
 *
 * @returns false when the interrupt is the monitor's; true when it was handled, or a fault is raised
 */
export function redirectInterrupt(cpu: Vcpu, op: Op, vector: u32): bool {
  if (!(cpu.cr4 & CR4_VME)) return false;
  const bit = redirectionBit(cpu, vector);
  if (bit > 0) return false;
  if (bit < 0) return true;
  const isVirtual = isBelowIopl(cpu);
  const image = isVirtual ? virtualImage(cpu) : rflags(cpu);
  const entry = readSystem<u32>(cpu, vector << 2);
  if (cpu.fault !== 0) return true;
  const stack = cpu.segment(SS);
  if (!openFrame(cpu, stack.base, stack.limit, stack.ar, cpu.rsp, 2, 3, 0)) return true;
  pushFrame(cpu, image);
  pushFrame(cpu, cpu.segment(CS).selector);
  pushFrame(cpu, nextRip(cpu, op));
  if (cpu.fault !== 0) return true;
  commitFramePointer(cpu);
  commitV86(cpu, CS, entry >> 16);
  setRflags(cpu, 0, TF | RF | (isVirtual ? VIF : IF));
  updateMode(cpu);
  jumpTo(cpu, op, entry & 0xffff);
  setStepHandled(true); // TF is clear now
  return true;
}
