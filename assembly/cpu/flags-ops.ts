/**
 * Handlers of the instructions on RFLAGS whose effect depends on privilege: 9C pushFlags, 9D popFlags, FA cli, FB sti.
 *
 * Source: SDM 2 "PUSHF/PUSHFD/PUSHFQ", "POPF/POPFD/POPFQ", "CLI", "STI". VIF and VIP: vme.ts.
 */
import { raiseWithError } from "../fault";
import { updateTlbTag } from "../mem/tlb";
import { SHADOW_STI, Vcpu } from "../vcpu";
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
  VIF,
  VIP,
  VM,
} from "../x86/eflags";
import { GP } from "../x86/exception";
import { leaveBlock } from "./control";
import { peekSized } from "./far-return";
import { rflags, setRflags } from "./flags";
import { isReal, isV86 } from "./mode";
import { Op } from "./op";
import { push, setStackPointer } from "./operand";
import { acceptsImage, hasVirtualFlags, hasVirtualIf, loadVirtualImage, virtualImage } from "./vme";

/** True when the program may change IF: real-address mode, or CPL <= IOPL (virtual-8086 mode counts as ring 3). */
function mayChangeIf(cpu: Vcpu): bool {
  return isReal(cpu) || cpu.cpl <= (cpu.eflags & IOPL) >> IOPL_SHIFT;
}

/** #GP(0) in virtual-8086 mode with IOPL < 3. @returns false with the fault raised */
function needIopl(cpu: Vcpu): bool {
  if (isV86(cpu) && (cpu.eflags & IOPL) !== IOPL) raiseWithError(cpu, GP, 0);
  return cpu.fault === 0;
}

/** PUSHF, PUSHFD, PUSHFQ: VM and RF read as 0. */
export function pushFlags(cpu: Vcpu, op: Op): void {
  if (hasVirtualFlags(cpu, op.size)) {
    push<u16>(cpu, <u16>virtualImage(cpu));
    return;
  }
  if (!needIopl(cpu)) return;
  const image = rflags(cpu) & ~(VM | RF);
  if (op.size === 2) push<u16>(cpu, <u16>image);
  else if (op.size === 4) push<u32>(cpu, image);
  else push<u64>(cpu, image);
}

/** POPF, POPFD, POPFQ. IOPL changes only in ring 0, IF only with CPL <= IOPL; nothing faults for trying. */
export function popFlags(cpu: Vcpu, op: Op): void {
  const size = op.size;
  const isVirtual = hasVirtualFlags(cpu, size);
  if (!isVirtual && !needIopl(cpu)) return;
  const image = <u32>peekSized(cpu, 0, size);
  if (cpu.fault !== 0) return;
  if (isVirtual) {
    if (!acceptsImage(cpu, image)) return;
    setStackPointer(cpu, cpu.rsp + size);
    loadVirtualImage(cpu, image);
    leaveBlock();
    return;
  }
  let mask = ARITHMETIC | TF | DF_FLAG | NT;
  if (size !== 2) mask |= AC_FLAG | ID;
  if (mayChangeIf(cpu)) mask |= IF;
  if (cpu.cpl === 0) mask |= IOPL;
  const before = cpu.eflags;
  setStackPointer(cpu, cpu.rsp + size);
  setRflags(cpu, image, mask);
  cpu.eflags &= ~RF;
  if ((before ^ cpu.eflags) & (TF | IF | AC_FLAG)) {
    updateTlbTag(cpu);
    leaveBlock();
  }
}

/** CLI. #GP(0) when CPL > IOPL and there is no VIF. */
export function cli(cpu: Vcpu, op: Op): void {
  if (mayChangeIf(cpu)) cpu.eflags &= ~IF;
  else if (hasVirtualIf(cpu)) cpu.eflags &= ~VIF;
  else raiseWithError(cpu, GP, 0);
}

/** STI: interrupts are held until after the next instruction when IF was 0. #GP(0) when CPL > IOPL and there is no VIF. */
export function sti(cpu: Vcpu, op: Op): void {
  if (!mayChangeIf(cpu)) {
    if (hasVirtualIf(cpu) && !(cpu.eflags & VIP)) cpu.eflags |= VIF;
    else raiseWithError(cpu, GP, 0);
    return;
  }
  if (cpu.eflags & IF) return;
  cpu.eflags |= IF;
  cpu.shadow = SHADOW_STI;
  leaveBlock();
}
