/**
 * System instructions without a family of their own.
 *
 *     0F 31 rdtsc        0F 33 rdpmc        F4 hlt            F3 90 pause        0F 08 invd       0F 09 wbinvd
 *     0F 01 /0 sgdt      0F 01 /1 sidt      0F 01 /2 lgdt     0F 01 /3 lidt      0F 01 /7 invlpg  (memory forms)
 *     0F 01 C1 vmcall    0F 01 D9 vmmcall   0F 01 CA clac     0F 01 CB stac
 *     0F 01 F8 swapgs    0F 01 F9 rdtscp    66 0F 38 82 invpcid
 *     F3 0F AE /0 rdfsbase /1 rdgsbase /2 wrfsbase /3 wrgsbase (register forms)    F3 0F C7 /7 rdpid
 *     0F AE /5 lfence /6 mfence /7 sfence (register forms)    0F AE /7 clflush (memory form)    0F 0B, 0F B9, 0F FF ud
 *
 * 0F 01 C8 and C9 are in monitor.ts, 0F C7 /6 and /7 in random.ts. Source: SDM 2A to 2D, by instruction.
 */
import { FS, GS, HALTED } from "../abi";
import { raise, raiseWithError } from "../fault";
import { checkWrite, read, write } from "../mem/access";
import { isCanonical } from "../mem/paging";
import { flushPage, flushTlb } from "../mem/space";
import { updateTlbTag } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { CR4_FSGSBASE, CR4_PCIDE, CR4_TSD } from "../x86/cr";
import * as feature from "../x86/cpuid";
import { AC_FLAG } from "../x86/eflags";
import { GP, UD } from "../x86/exception";
import { addressOf, offsetOf } from "./address";
import { leaveBlock, setYieldSlice } from "./control";
import { offersKvm } from "./cpuid";
import { userPrevented } from "./cr";
import { offers } from "./features";
import { is64 } from "./mode";
import { MONITOR_NONE } from "./monitor";
import { ADDRESS_NONE, Op } from "./op";
import { setRegister } from "./operand";
import { hypercall } from "./platform";
import { readTsc } from "./tsc";

function gp(cpu: Vcpu): void {
  raiseWithError(cpu, GP, 0);
}

/** True, with #GP(0) raised, outside CPL 0. */
function unprivileged(cpu: Vcpu): bool {
  if (cpu.cpl === 0) return false;
  gp(cpu);
  return true;
}

/** RDTSC. */
export function rdtsc(cpu: Vcpu, op: Op): void {
  if (!offers(feature.FEATURE_TSC)) {
    raise(cpu, UD);
    return;
  }
  if (cpu.cr4 & CR4_TSD && cpu.cpl !== 0) {
    gp(cpu);
    return;
  }
  const tsc = readTsc(cpu);
  cpu.rax = tsc & 0xffffffff;
  cpu.rdx = tsc >> 32;
}

/** RDTSCP: as RDTSC, with IA32_TSC_AUX in ECX. */
export function rdtscp(cpu: Vcpu, op: Op): void {
  if (!offers(feature.FEATURE_RDTSCP)) {
    raise(cpu, UD);
    return;
  }
  rdtsc(cpu, op);
  if (cpu.fault === 0) cpu.rcx = cpu.tscAux & 0xffffffff;
}

/** RDPID r: IA32_TSC_AUX. */
export function rdpid(cpu: Vcpu, op: Op): void {
  if (offers(feature.FEATURE_RDPID)) setRegister<u64>(cpu, op.rm, cpu.tscAux & 0xffffffff);
  else raise(cpu, UD);
}

/** RDPMC: there are no performance counters, so every index is invalid. */
export function rdpmc(cpu: Vcpu, op: Op): void {
  gp(cpu);
}

/** HLT: waits for an interrupt. The loop decides whether one is there already. */
export function hlt(cpu: Vcpu, op: Op): void {
  if (unprivileged(cpu)) return;
  cpu.monitorAddress = MONITOR_NONE;
  cpu.runState = HALTED;
  leaveBlock();
}

/** PAUSE: gives the rest of the slice away. */
export function pause(cpu: Vcpu, op: Op): void {
  setYieldSlice(true);
}

/** INVD, WBINVD: there are no caches. */
export function wbinvd(cpu: Vcpu, op: Op): void {
  unprivileged(cpu);
}

/** LFENCE, MFENCE, SFENCE: every access is in order already. */
export function fence(cpu: Vcpu, op: Op): void {
  // In order and alone on the memory: nothing to wait for.
}

/** CLFLUSH m8: faults as a read of the byte. */
export function clflush(cpu: Vcpu, op: Op): void {
  if (!offers(feature.FEATURE_CLFLUSH)) {
    raise(cpu, UD);
    return;
  }
  const gva = addressOf(cpu, op, 1, false);
  if (cpu.fault === 0) read<u8>(cpu, gva);
}

/** UD0, UD1, UD2. */
export function ud(cpu: Vcpu, op: Op): void {
  raise(cpu, UD);
}

/** SGDT, SIDT m: limit and base, whatever the operand size. */
export function storeTable(cpu: Vcpu, op: Op): void {
  if (op.kind === ADDRESS_NONE) {
    raise(cpu, UD);
    return;
  }
  if (userPrevented(cpu)) return;
  const size: u32 = is64(cpu) ? 10 : 6;
  const gva = addressOf(cpu, op, size, true);
  if (cpu.fault !== 0 || !checkWrite(cpu, gva, size, 4)) return;
  const isIdt = op.extension === 1;
  write<u16>(cpu, gva, <u16>(isIdt ? cpu.idtrLimit : cpu.gdtrLimit));
  if (cpu.fault !== 0) return;
  const base = isIdt ? cpu.idtrBase : cpu.gdtrBase;
  // By words: with #AC the image is aligned as a whole.
  for (let at: u32 = 2; at < size; at += 2)
    write<u16>(cpu, gva + at, <u16>(base >> ((at - 2) << 3)));
}

/** LGDT, LIDT m: a 16-bit operand size takes 24 bits of the base. */
export function loadTable(cpu: Vcpu, op: Op): void {
  if (op.kind === ADDRESS_NONE) {
    raise(cpu, UD);
    return;
  }
  if (unprivileged(cpu)) return;
  const long = is64(cpu);
  const gva = addressOf(cpu, op, long ? 10 : 6, false);
  if (cpu.fault !== 0) return;
  const limit = <u32>read<u16>(cpu, gva);
  if (cpu.fault !== 0) return;
  let base = long ? read<u64>(cpu, gva + 2) : <u64>read<u32>(cpu, gva + 2);
  if (cpu.fault !== 0) return;
  if (long) {
    if (!isCanonical(base)) {
      gp(cpu);
      return;
    }
  } else if (op.size === 2) base &= 0xffffff;
  if (op.extension === 3) {
    cpu.idtrLimit = limit;
    cpu.idtrBase = base;
  } else {
    cpu.gdtrLimit = limit;
    cpu.gdtrBase = base;
  }
}

/** INVLPG m: the address alone counts, without limit checks. */
export function invlpg(cpu: Vcpu, op: Op): void {
  if (op.kind === ADDRESS_NONE) {
    raise(cpu, UD);
    return;
  }
  if (unprivileged(cpu)) return;
  let gva = offsetOf(cpu, op);
  if (!is64(cpu)) gva = (gva + cpu.segment(op.segment).base) & 0xffffffff;
  else if (<u32>op.segment >= <u32>FS) gva += cpu.segment(op.segment).base;
  // Also for code: the block cache and the chained blocks look translations up anew.
  flushPage(cpu, gva);
  leaveBlock();
}

/** INVPCID r, m128: drops all translations of this vCPU, which every type allows. */
export function invpcid(cpu: Vcpu, op: Op): void {
  if (op.kind === ADDRESS_NONE || !offers(feature.FEATURE_INVPCID)) {
    raise(cpu, UD);
    return;
  }
  if (unprivileged(cpu)) return;
  const type = is64(cpu) ? cpu.gpr(op.regNumber) : cpu.gpr(op.regNumber) & 0xffffffff;
  const gva = addressOf(cpu, op, 16, false);
  if (cpu.fault !== 0) return;
  const pcid = read<u64>(cpu, gva);
  if (cpu.fault !== 0) return;
  const address = read<u64>(cpu, gva + 8);
  if (cpu.fault !== 0) return;
  let ok = type <= 3 && pcid < 4096;
  if (type <= 1) ok = ok && (pcid === 0 || (cpu.cr4 & CR4_PCIDE) !== 0);
  if (type === 0) ok = ok && isCanonical(address);
  if (!ok) {
    gp(cpu);
    return;
  }
  flushTlb(cpu);
  leaveBlock();
}

/** SWAPGS. */
export function swapgs(cpu: Vcpu, op: Op): void {
  if (!is64(cpu)) {
    raise(cpu, UD);
    return;
  }
  if (unprivileged(cpu)) return;
  const gs = cpu.segment(GS);
  const base = gs.base;
  gs.base = cpu.kernelGsBase;
  cpu.kernelGsBase = base;
}

/** RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE: ModRM.reg selects. */
export function fsGsBase(cpu: Vcpu, op: Op): void {
  if (!is64(cpu) || !(cpu.cr4 & CR4_FSGSBASE) || op.kind !== ADDRESS_NONE) {
    raise(cpu, UD);
    return;
  }
  const segment = cpu.segment(op.extension & 1 ? GS : FS);
  if (op.extension < 2) {
    if (op.size === 8) setRegister<u64>(cpu, op.rm, segment.base);
    else setRegister<u32>(cpu, op.rm, <u32>segment.base);
    return;
  }
  const value = load<u64>(changetype<usize>(cpu) + op.rm);
  if (op.size !== 8) segment.base = value & 0xffffffff;
  else if (isCanonical(value)) segment.base = value;
  else gp(cpu);
}

/** CLAC, STAC: supervisor access to user pages under SMAP. */
export function setAc(cpu: Vcpu, op: Op, value: bool): void {
  if (cpu.cpl !== 0 || !offers(feature.FEATURE_SMAP)) {
    raise(cpu, UD);
    return;
  }
  cpu.eflags = value ? cpu.eflags | AC_FLAG : cpu.eflags & ~AC_FLAG;
  updateTlbTag(cpu);
}

export function clac(cpu: Vcpu, op: Op): void {
  setAc(cpu, op, false);
}

export function stac(cpu: Vcpu, op: Op): void {
  setAc(cpu, op, true);
}

/** XCR0 bits: x87 is always set, SSE can be. */
/** -KVM_EPERM: hypercalls are for CPL 0. */
const EPERM: u64 = -1;

/** VMCALL, VMMCALL: a KVM hypercall where its CPUID leaves are offered. */
export function vmcall(cpu: Vcpu, op: Op): void {
  if (!offersKvm()) {
    raise(cpu, UD);
    return;
  }
  const value = cpu.cpl === 0 ? hypercall(cpu) : EPERM;
  cpu.rax = is64(cpu) ? value : value & 0xffffffff;
  leaveBlock();
}
