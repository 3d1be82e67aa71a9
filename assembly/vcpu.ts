/**
 * The vCPU record, as the CPU sees it: a view over linear memory, passed down as a pointer, never copied.
 *
 *       0  rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15
 *     128  rip · zero · flagResult · flagAux, eflags · request, runState · mode, cpl · asid, asidEpoch ·
 *          shadow, apicId · index, nmi · retired · fault, faultError · faultAddress · sipiVector, ...
 *     256  gdtr idtr · cr0 cr2 cr3 cr4 efer xcr0 · dr0-3 dr6 dr7 · MSRs
 *     768  es cs ss ds fs gs ldtr tr, 24 bytes each
 *    1024  the local APIC (apic/lapic.ts)
 *    1344  x87 and SSE state (cpu/fpu.ts)
 *
 * Arithmetic flags are lazy (cpu/flags.ts); `eflags` holds only the others.
 */
import * as abi from "./abi";

/** Segment register with its hidden part: access rights as in `abi.SEGMENT_AR`. */
@unmanaged
export class Segment {
  base: u64;
  limit: u32;
  ar: u32;
  selector: u16;
  private pad0: u16;
  private pad1: u32;
}

@unmanaged
export class Vcpu {
  rax: u64;
  rcx: u64;
  rdx: u64;
  rbx: u64;
  rsp: u64;
  rbp: u64;
  rsi: u64;
  rdi: u64;
  r8: u64;
  r9: u64;
  r10: u64;
  r11: u64;
  r12: u64;
  r13: u64;
  r14: u64;
  r15: u64;
  /** While a block runs: RIP of the block's first instruction. At every other time: RIP of the next instruction. */
  rip: u64;
  /** Always 0: the base or index register of an address that has none. */
  zero: u64;
  /** Result of the last flag-setting operation, sign-extended from its operand size (flags.ts). */
  flagResult: i64;
  /** Carry vector of that operation (flags.ts). */
  flagAux: u32;
  /** RFLAGS without CF PF AF ZF SF OF; bit 1 is set. */
  eflags: u32;
  /** REQ_* of abi.ts. */
  request: u32;
  /** RUNNABLE .. ABSENT of abi.ts. */
  runState: u32;
  /** How code at CS is decoded, MODE_* of cpu/mode.ts: part of the block cache's key. */
  mode: u32;
  /** Current privilege level, 0..3. */
  cpl: u32;
  /** First of the four TLB tags of this vCPU's address space (mem/space.ts). */
  asid: u32;
  /** TLB epoch in which `asid` and `space` were given; in any other they mean nothing. */
  asidEpoch: u32;
  /** SHADOW_STI or SHADOW_MOV_SS: holds for the next instruction boundary only. */
  shadow: u32;
  /** x2APIC ID. */
  apicId: u32;
  /** Position in the vCPU set: the vcpuIndex. */
  index: u32;
  /** NMI_BLOCKED until IRET, and the number of queued NMIs in bits 9:8 (0..2). */
  nmi: u32;
  /** Instructions retired since creation. */
  retired: u64;
  /** 0, or FAULT_* bits and the vector of an exception that waits for delivery (fault.ts). */
  fault: u32;
  faultError: u32;
  /** Linear address of a #PF; goes to CR2 on delivery. */
  faultAddress: u64;
  /** Vector of a pending SIPI. */
  sipiVector: u32;
  /** What led to SHUTDOWN: first vector in bits 7:0, the one that hit its delivery in bits 15:8. */
  shutdownCause: u32;
  /** TLB tag of this vCPU's present privilege: `asid` plus TAG_* (mem/tlb.ts). */
  tlbTag: u32;
  /** PAGING_* of mem/paging.ts, derived from CR0, CR4 and EFER. */
  paging: u32;
  /** Guest-physical page of the xAPIC registers, or all ones while the LAPIC has none. */
  apicPage: u64;
  /** MONITOR: guest-physical line address, or all ones when no monitor is armed. */
  monitorAddress: u64;
  gdtrBase: u64;
  gdtrLimit: u32;
  /** Mixed into the TLB places of this vCPU's address space (mem/tlb.ts). */
  tlbSalt: u32;
  idtrBase: u64;
  idtrLimit: u32;
  /** The address space that `asid` belongs to (mem/space.ts). */
  space: u32;
  cr0: u64;
  cr2: u64;
  cr3: u64;
  cr4: u64;
  efer: u64;
  xcr0: u64;
  dr0: u64;
  dr1: u64;
  dr2: u64;
  dr3: u64;
  dr6: u64;
  dr7: u64;
  // MSRs that the CPU itself reads; others are in the bank of cpu/msr.ts.
  star: u64;
  lstar: u64;
  cstar: u64;
  sfmask: u64;
  kernelGsBase: u64;
  sysenterCs: u64;
  sysenterEsp: u64;
  sysenterEip: u64;
  tscAux: u64;
  /** Added to the virtual clock (ns) to give the TSC: it ticks at 1 GHz. */
  tscOffset: u64;
  tscAdjust: u64;
  pat: u64;
  miscEnable: u64;
  /** PDPTE cache of PAE paging, loaded with CR3 (SDM 3A "PDPTE Registers"). */
  pdpte0: u64;
  pdpte1: u64;
  pdpte2: u64;
  pdpte3: u64;

  /** The record of a vCPU. @param vcpuIndex - 0..vcpuCount-1 */
  get address(): usize {
    return changetype<usize>(this);
  }

  /** @param n - ES..TR of abi.ts */
  segment(n: u32): Segment {
    return changetype<Segment>(changetype<usize>(this) + abi.VCPU_SEGMENT + n * abi.SEGMENT_BYTES);
  }

  /** 64-bit register. @param n - 0..15 in encoding order */
  gpr(n: u32): u64 {
    return load<u64>(changetype<usize>(this) + (n << 3));
  }

  setGpr(n: u32, value: u64): void {
    store<u64>(changetype<usize>(this) + (n << 3), value);
  }
}

/** First byte of the MSR bank (cpu/msr.ts), up to the segments. */
export const VCPU_MSR_BANK: usize = 520;
export const VCPU_MSR_BANK_END: usize = 768;

export const SHADOW_STI: u32 = 1;
export const SHADOW_MOV_SS: u32 = 2;
/** Bits 7:4 of the shadow: data breakpoints that the instruction of the shadow hit. */
export const SHADOW_HITS_SHIFT: u32 = 4;
export const NMI_BLOCKED: u32 = 1;
export const NMI_QUEUED_SHIFT: u32 = 8;

if (offsetof<Vcpu>("rip") !== abi.VCPU_RIP) ERROR("Vcpu.rip");
if (offsetof<Vcpu>("zero") !== abi.VCPU_ZERO) ERROR("Vcpu.zero");
if (offsetof<Vcpu>("flagResult") !== abi.VCPU_FLAG_RESULT) ERROR("Vcpu.flagResult");
if (offsetof<Vcpu>("flagAux") !== abi.VCPU_FLAG_AUX) ERROR("Vcpu.flagAux");
if (offsetof<Vcpu>("eflags") !== abi.VCPU_EFLAGS) ERROR("Vcpu.eflags");
if (offsetof<Vcpu>("tlbTag") !== abi.VCPU_TLB_TAG) ERROR("Vcpu.tlbTag");
if (offsetof<Vcpu>("tlbSalt") !== abi.VCPU_TLB_SALT) ERROR("Vcpu.tlbSalt");
if (offsetof<Vcpu>("request") !== abi.VCPU_REQUEST) ERROR("Vcpu.request");
if (offsetof<Vcpu>("runState") !== abi.VCPU_RUN_STATE) ERROR("Vcpu.runState");
if (offsetof<Vcpu>("cpl") !== abi.VCPU_CPL) ERROR("Vcpu.cpl");
if (offsetof<Vcpu>("apicId") !== abi.VCPU_APIC_ID) ERROR("Vcpu.apicId");
if (offsetof<Vcpu>("index") !== abi.VCPU_INDEX) ERROR("Vcpu.index");
if (offsetof<Vcpu>("nmi") !== abi.VCPU_NMI) ERROR("Vcpu.nmi");
if (offsetof<Vcpu>("retired") !== abi.VCPU_RETIRED) ERROR("Vcpu.retired");
if (offsetof<Vcpu>("sipiVector") !== abi.VCPU_SIPI_VECTOR) ERROR("Vcpu.sipiVector");
if (offsetof<Vcpu>("shutdownCause") !== abi.VCPU_SHUTDOWN_CAUSE) ERROR("Vcpu.shutdownCause");
if (offsetof<Vcpu>("gdtrBase") !== abi.VCPU_GDTR) ERROR("Vcpu.gdtrBase");
if (offsetof<Vcpu>("idtrBase") !== abi.VCPU_IDTR) ERROR("Vcpu.idtrBase");
if (offsetof<Vcpu>("cr0") !== abi.VCPU_CR0) ERROR("Vcpu.cr0");
if (offsetof<Vcpu>("efer") !== abi.VCPU_EFER) ERROR("Vcpu.efer");
if (offsetof<Vcpu>("dr0") !== abi.VCPU_DR) ERROR("Vcpu.dr0");
if (offsetof<Vcpu>() > VCPU_MSR_BANK) ERROR("Vcpu: fields run into the MSR bank");
