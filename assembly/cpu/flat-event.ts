/**
 * The short way into and out of handlers of flat 32-bit kernels: an event through a 32-bit gate, and IRETD, at one
 * privilege level, where nothing can go wrong. As in fast-event.ts, each first looks, then acts, and returns false with
 * nothing changed where the exact path (gate.ts, iret.ts) could do anything else.
 */
import { CS } from "../abi";
import { TlbView } from "../mem/access";
import { updateTlbTag } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import {
  AR_ACCESSED,
  AR_CODE,
  AR_CONFORMING,
  AR_DB,
  AR_P,
  AR_S,
  descriptorAr,
  descriptorBase,
  descriptorLimit,
} from "../x86/descriptor";
import { AC_FLAG, VM } from "../x86/eflags";
import { clearFlags, EVENT_GATE, GATE_BITS } from "./event-gate";
import { knownDescriptor } from "./fast-event";
import { setRflags } from "./flags";
import { isLong, MODE_32, MODE_64, MODE_FLAT, MODE_PROTECTED, MODE_SS32 } from "./mode";
import { commitCode, dplOf } from "./segment";

const MODE_BITS: u32 = MODE_64 | MODE_32 | MODE_SS32 | MODE_FLAT | MODE_PROTECTED;
const FLAT32: u32 = MODE_32 | MODE_SS32 | MODE_FLAT | MODE_PROTECTED;
const CODE_BITS: u32 = AR_P | AR_S | AR_CODE | AR_CONFORMING | AR_ACCESSED | AR_DB;
const CODE32: u32 = AR_P | AR_S | AR_CODE | AR_ACCESSED | AR_DB;
const GATE_BYTES: u32 = 8;

/** Protected mode outside IA-32e mode, flat 32-bit segments. */
function isFlat32(cpu: Vcpu): bool {
  return (cpu.mode & MODE_BITS) === FLAT32 && !isLong(cpu);
}

/** True for a descriptor of flat 32-bit code of the present level: `mode` stays what it is. */
function isSameCode(cpu: Vcpu, raw: u64): bool {
  const ar = descriptorAr(raw);
  if ((ar & CODE_BITS) !== CODE32 || dplOf(ar) !== cpu.cpl) return false;
  return descriptorBase(raw) === 0 && descriptorLimit(raw) === 0xffffffff;
}

/** Delivers an event. The parameters are those of `enterFast`. */
export function enterFlat(
  cpu: Vcpu,
  vector: u32,
  hasError: bool,
  error: u32,
  ext: u32,
  image: u32,
  savedRip: u64,
): bool {
  if (!isFlat32(cpu) || (vector + 1) * GATE_BYTES - 1 > cpu.idtrLimit) return false;
  const gva = <u64>(<u32>cpu.idtrBase + vector * GATE_BYTES);
  const gate = TlbView.read(cpu, gva, GATE_BYTES, cpu.asid);
  if (gate === 0) return false;
  const low = load<u64>(gate);
  if ((<u32>(low >> 40) & GATE_BITS) !== EVENT_GATE) return false;
  if (ext === 0 && dplOf(<u32>(low >> 40)) < cpu.cpl) return false;
  const selector = <u32>(low >> 16) & 0xffff;
  const raw = knownDescriptor(cpu, selector);
  if (!isSameCode(cpu, raw)) return false;
  const bytes: u32 = hasError ? 16 : 12;
  const sp = <u32>cpu.rsp;
  if (sp < bytes) return false;
  let frame = TlbView.write(cpu, sp - bytes, bytes, cpu.tlbTag);
  if (frame === 0) return false;
  if (hasError) {
    store<u32>(frame, error);
    frame += 4;
  }
  store<u32>(frame, <u32>savedRip);
  store<u32>(frame, cpu.segment(CS).selector, 4);
  store<u32>(frame, image, 8);
  commitCode(cpu, selector, raw, cpu.cpl);
  cpu.rsp = sp - bytes;
  cpu.rip = (low & 0xffff) | ((low >> 32) & 0xffff0000);
  clearFlags(cpu, low);
  cpu.shadow = 0;
  return true;
}

/** IRETD, with NT clear: RIP is where it returns to. @param mask - the flags that it may load */
export function returnFlat(cpu: Vcpu, mask: u32): bool {
  if (!isFlat32(cpu)) return false;
  const sp = <u32>cpu.rsp;
  if (sp > 0xffffffff - 12) return false;
  const frame = TlbView.read(cpu, sp, 12, cpu.tlbTag);
  if (frame === 0) return false;
  const selector = <u32>load<u16>(frame, 4);
  const flags = load<u32>(frame, 8);
  if (flags & VM || (selector & 3) !== cpu.cpl) return false;
  const raw = knownDescriptor(cpu, selector);
  if (!isSameCode(cpu, raw)) return false;
  commitCode(cpu, selector, raw, cpu.cpl);
  cpu.rsp = sp + 12;
  const before = cpu.eflags;
  setRflags(cpu, flags, mask);
  if ((before ^ cpu.eflags) & AC_FLAG) updateTlbTag(cpu);
  cpu.rip = load<u32>(frame);
  return true;
}
