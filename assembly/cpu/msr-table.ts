/**
 * The MSRs that there are: one row each, from which reads, writes and presence follow.
 *
 * Source: SDM 4 "Architectural MSRs"; KVM `kvm_get_msr_common`, `kvm_set_msr_common`. A number without a row raises
 * #GP(0), and so does one whose feature is not offered. Three of AMD's are there under its vendor string, for kernels
 * that expect them.
 * Not modelled: effects of memory types (MTRRs and PAT are stored and checked only), machine-check banks (there are
 * none), DEBUGCTL features (only zero can be written), microcode updates.
 */
import { FS, GS, SEGMENT_BYTES, VCPU_SEGMENT } from "../abi";
import { Vcpu } from "../vcpu";
import { MAXPHYADDR } from "../x86/cr";
import * as feature from "../x86/cpuid";
import * as msr from "../x86/msr";
import { isAmd } from "./cpuid";
import { offers } from "./features";
import {
  BANK_MCG_STATUS,
  BANK_MISC_FEATURES,
  BANK_MTRR_DEF_TYPE,
  BANK_MTRR_FIXED,
  BANK_MTRR_VARIABLE,
} from "./msr-bank";

// Where the value is: bits 1:0 of the kind.
/** In the vCPU's record; the value column is the offset, eight bytes a register. */
export const STORED: u32 = 0;
/** In the value column. */
export const CONSTANT: u32 = 1;
/** Computed by msr.ts. */
export const COMPUTED: u32 = 2;
/** The machine has it: cpu/platform.ts reads and writes. */
export const PLATFORM: u32 = 3;
export const KIND_PLACE: u32 = 3;
// What writes have to obey: the other bits.
/** Every write raises #GP. */
export const READ_ONLY: u32 = 1 << 2;
/** msr.ts has a function of its own for writes. */
export const WRITTEN: u32 = 1 << 3;
export const CANONICAL: u32 = 1 << 4;
/** Every byte is a memory type of the PAT. */
export const PAT_TYPES: u32 = 1 << 5;
/** Every byte is a memory type. */
export const MTRR_TYPES: u32 = 1 << 6;
/** The low byte is a memory type. */
export const MTRR_TYPE: u32 = 1 << 7;
/** The host may set bits that the guest may not. */
export const HOST_SETS: u32 = 1 << 8;

const ALWAYS: u32 = 0;
/** AMD's vendor string, in the place of a feature. */
const AMD: u32 = 0x3ff;
const MTRR: u32 = feature.FEATURE_MTRR;
const SEP: u32 = feature.FEATURE_SEP;
const MCA: u32 = feature.FEATURE_MCA;
const LM: u32 = feature.FEATURE_LM;
const CLOCK: u32 = feature.FEATURE_KVM_CLOCKSOURCE;
const CLOCK2: u32 = feature.FEATURE_KVM_CLOCKSOURCE2;
// Any of these, ten bits each.
const SYSCALL_OR_LM: u32 = feature.FEATURE_SYSCALL | (feature.FEATURE_LM << 10);
const NX_OR_SYSCALL_OR_LM: u32 = feature.FEATURE_NX | (SYSCALL_OR_LM << 10);
const RDTSCP_OR_RDPID: u32 = feature.FEATURE_RDTSCP | (feature.FEATURE_RDPID << 10);

const ALL: u64 = ~0;
const LOW_32: u64 = 0xffffffff;
const PHYSICAL: u64 = ((<u64>1) << MAXPHYADDR) - 1;

/** Revision that IA32_BIOS_SIGN_ID has in bits 63:32. It is written before CPUID to have the revision loaded. */
const MICROCODE_REVISION: u64 = 1 << 32;
/** Ratio of the TSC to its 100 MHz bus clock, bits 15:8; bit 31: CPUID faulting is there. */
const PLATFORM_INFO: u64 = (10 << 8) | 0x80000000;
const PERF_STATUS: u64 = 10 << 8;
/** RDCL_NO, SKIP_L1DFL, SSB_NO, MDS_NO, PSCHANGE_MC_NO, TAA_NO: nothing here speculates. */
const ARCH_CAPABILITIES: u64 = 0x179;
/** Locked, with VMX and SMX off. */
const FEATURE_CONTROL: u64 = 1;
/** Bits of AMD's HWCR that are written and not kept, as by KVM: IGNNEEM, FFDIS, TLBCACHEDIS. */
const HWCR_IGNORED: u64 = (1 << 8) | (1 << 6) | (1 << 3);
const MISC_ENABLE_READ_ONLY: u64 =
  msr.MISC_ENABLE_BTS_UNAVAILABLE | msr.MISC_ENABLE_PEBS_UNAVAILABLE;
const MISC_ENABLE_WRITABLE: u64 =
  msr.MISC_ENABLE_FAST_STRING |
  msr.MISC_ENABLE_MONITOR |
  msr.MISC_ENABLE_LIMIT_CPUID |
  msr.MISC_ENABLE_XD_DISABLE;
/** IA32_MISC_ENABLE after RESET. */
export const MISC_ENABLE_RESET: u64 =
  MISC_ENABLE_READ_ONLY | msr.MISC_ENABLE_FAST_STRING | msr.MISC_ENABLE_MONITOR;
/** Eight variable ranges, fixed ranges, write combining. */
const MTRRCAP: u64 = 8 | (1 << 8) | (1 << 10);
/** Type 7:0, FE 10, E 11. */
const DEF_TYPE_BITS: u64 = 0xcff;
const MTRR_BASE_BITS: u64 = PHYSICAL & ~0xf00;
/** V in bit 11. */
const MTRR_MASK_BITS: u64 = PHYSICAL & ~0x7ff;

const FS_BASE: usize = VCPU_SEGMENT + FS * SEGMENT_BYTES;
const GS_BASE: usize = VCPU_SEGMENT + GS * SEGMENT_BYTES;

/**
 * By number; `count` registers of a row follow one another. Of what is written, bits that are neither writable nor
 * ignored have to be 0, else #GP; the ignored ones keep their value.
 */
// prettier-ignore
const rows: usize = memory.data<u64>([
  // number                      count needs                              kind                  value                           writable              ignored
  msr.IA32_TSC,                  1,    ALWAYS,                            COMPUTED | WRITTEN,   0,                              ALL,                  0,
  msr.MSR_KVM_WALL_CLOCK,        1,    CLOCK,                             PLATFORM,             0,                              ALL,                  0,
  msr.MSR_KVM_SYSTEM_TIME,       1,    CLOCK,                             PLATFORM,             0,                              ALL,                  0,
  msr.IA32_PLATFORM_ID,          1,    ALWAYS,                            CONSTANT | READ_ONLY, 0,                              0,                    0,
  msr.IA32_APIC_BASE,            1,    ALWAYS,                            PLATFORM,             0,                              ALL,                  0,
  msr.IA32_FEATURE_CONTROL,      1,    ALWAYS,                            CONSTANT | READ_ONLY, FEATURE_CONTROL,                0,                    0,
  msr.IA32_TSC_ADJUST,           1,    feature.FEATURE_TSC_ADJUST,        STORED | WRITTEN,     offsetof<Vcpu>("tscAdjust"),    ALL,                  0,
  msr.IA32_BIOS_SIGN_ID,         1,    ALWAYS,                            CONSTANT,             MICROCODE_REVISION,             0,                    ALL,
  msr.MSR_PLATFORM_INFO,         1,    ALWAYS,                            CONSTANT | READ_ONLY, PLATFORM_INFO,                  0,                    0,
  msr.IA32_MTRRCAP,              1,    MTRR,                              CONSTANT | READ_ONLY, MTRRCAP,                        0,                    0,
  msr.IA32_ARCH_CAPABILITIES,    1,    feature.FEATURE_ARCH_CAPABILITIES, CONSTANT | READ_ONLY, ARCH_CAPABILITIES,              0,                    0,
  msr.MSR_MISC_FEATURES_ENABLES, 1,    ALWAYS,                            STORED,               BANK_MISC_FEATURES,             msr.CPUID_FAULTING,   0,
  msr.IA32_SYSENTER_CS,          1,    SEP,                               STORED,               offsetof<Vcpu>("sysenterCs"),   LOW_32,               ~LOW_32,
  msr.IA32_SYSENTER_ESP,         1,    SEP,                               STORED | CANONICAL,   offsetof<Vcpu>("sysenterEsp"),  ALL,                  0,
  msr.IA32_SYSENTER_EIP,         1,    SEP,                               STORED | CANONICAL,   offsetof<Vcpu>("sysenterEip"),  ALL,                  0,
  msr.IA32_MCG_CAP,              1,    MCA,                               CONSTANT | READ_ONLY, 0,                              0,                    0,
  msr.IA32_MCG_STATUS,           1,    MCA,                               STORED | HOST_SETS,   BANK_MCG_STATUS,                0,                    0,
  msr.IA32_PERF_STATUS,          1,    ALWAYS,                            CONSTANT | READ_ONLY, PERF_STATUS,                    0,                    0,
  msr.IA32_MISC_ENABLE,          1,    ALWAYS,                            STORED,               offsetof<Vcpu>("miscEnable"),   MISC_ENABLE_WRITABLE, MISC_ENABLE_READ_ONLY,
  msr.IA32_DEBUGCTL,             1,    ALWAYS,                            CONSTANT,             0,                              0,                    0,
  msr.IA32_MTRR_PHYSBASE0 + 0,   1,    MTRR,                              STORED | MTRR_TYPE,   BANK_MTRR_VARIABLE + 0,         MTRR_BASE_BITS,       0,
  msr.IA32_MTRR_PHYSMASK0 + 0,   1,    MTRR,                              STORED,               BANK_MTRR_VARIABLE + 8,         MTRR_MASK_BITS,       0,
  msr.IA32_MTRR_PHYSBASE0 + 2,   1,    MTRR,                              STORED | MTRR_TYPE,   BANK_MTRR_VARIABLE + 16,        MTRR_BASE_BITS,       0,
  msr.IA32_MTRR_PHYSMASK0 + 2,   1,    MTRR,                              STORED,               BANK_MTRR_VARIABLE + 24,        MTRR_MASK_BITS,       0,
  msr.IA32_MTRR_PHYSBASE0 + 4,   1,    MTRR,                              STORED | MTRR_TYPE,   BANK_MTRR_VARIABLE + 32,        MTRR_BASE_BITS,       0,
  msr.IA32_MTRR_PHYSMASK0 + 4,   1,    MTRR,                              STORED,               BANK_MTRR_VARIABLE + 40,        MTRR_MASK_BITS,       0,
  msr.IA32_MTRR_PHYSBASE0 + 6,   1,    MTRR,                              STORED | MTRR_TYPE,   BANK_MTRR_VARIABLE + 48,        MTRR_BASE_BITS,       0,
  msr.IA32_MTRR_PHYSMASK0 + 6,   1,    MTRR,                              STORED,               BANK_MTRR_VARIABLE + 56,        MTRR_MASK_BITS,       0,
  msr.IA32_MTRR_PHYSBASE0 + 8,   1,    MTRR,                              STORED | MTRR_TYPE,   BANK_MTRR_VARIABLE + 64,        MTRR_BASE_BITS,       0,
  msr.IA32_MTRR_PHYSMASK0 + 8,   1,    MTRR,                              STORED,               BANK_MTRR_VARIABLE + 72,        MTRR_MASK_BITS,       0,
  msr.IA32_MTRR_PHYSBASE0 + 10,  1,    MTRR,                              STORED | MTRR_TYPE,   BANK_MTRR_VARIABLE + 80,        MTRR_BASE_BITS,       0,
  msr.IA32_MTRR_PHYSMASK0 + 10,  1,    MTRR,                              STORED,               BANK_MTRR_VARIABLE + 88,        MTRR_MASK_BITS,       0,
  msr.IA32_MTRR_PHYSBASE0 + 12,  1,    MTRR,                              STORED | MTRR_TYPE,   BANK_MTRR_VARIABLE + 96,        MTRR_BASE_BITS,       0,
  msr.IA32_MTRR_PHYSMASK0 + 12,  1,    MTRR,                              STORED,               BANK_MTRR_VARIABLE + 104,       MTRR_MASK_BITS,       0,
  msr.IA32_MTRR_PHYSBASE0 + 14,  1,    MTRR,                              STORED | MTRR_TYPE,   BANK_MTRR_VARIABLE + 112,       MTRR_BASE_BITS,       0,
  msr.IA32_MTRR_PHYSMASK0 + 14,  1,    MTRR,                              STORED,               BANK_MTRR_VARIABLE + 120,       MTRR_MASK_BITS,       0,
  msr.IA32_MTRR_FIX64K_00000,    1,    MTRR,                              STORED | MTRR_TYPES,  BANK_MTRR_FIXED,                ALL,                  0,
  msr.IA32_MTRR_FIX16K_80000,    2,    MTRR,                              STORED | MTRR_TYPES,  BANK_MTRR_FIXED + 8,            ALL,                  0,
  msr.IA32_MTRR_FIX4K_C0000,     8,    MTRR,                              STORED | MTRR_TYPES,  BANK_MTRR_FIXED + 24,           ALL,                  0,
  msr.IA32_PAT,                  1,    feature.FEATURE_PAT,               STORED | PAT_TYPES,   offsetof<Vcpu>("pat"),          ALL,                  0,
  msr.IA32_MTRR_DEF_TYPE,        1,    MTRR,                              STORED | MTRR_TYPE,   BANK_MTRR_DEF_TYPE,             DEF_TYPE_BITS,        0,
  msr.IA32_TSC_DEADLINE,         1,    feature.FEATURE_TSC_DEADLINE,      PLATFORM,             0,                              ALL,                  0,
  msr.X2APIC_FIRST,              256,  feature.FEATURE_X2APIC,            PLATFORM,             0,                              ALL,                  0,
  msr.MSR_KVM_WALL_CLOCK_NEW,    1,    CLOCK2,                            PLATFORM,             0,                              ALL,                  0,
  msr.MSR_KVM_SYSTEM_TIME_NEW,   1,    CLOCK2,                            PLATFORM,             0,                              ALL,                  0,
  msr.MSR_KVM_PV_EOI_EN,         1,    feature.FEATURE_KVM_PV_EOI,        PLATFORM,             0,                              ALL,                  0,
  msr.IA32_EFER,                 1,    NX_OR_SYSCALL_OR_LM,               STORED | WRITTEN,     offsetof<Vcpu>("efer"),         ALL,                  0,
  msr.IA32_STAR,                 1,    SYSCALL_OR_LM,                     STORED,               offsetof<Vcpu>("star"),         ALL,                  0,
  msr.IA32_LSTAR,                1,    LM,                                STORED | CANONICAL,   offsetof<Vcpu>("lstar"),        ALL,                  0,
  msr.IA32_CSTAR,                1,    LM,                                STORED | CANONICAL,   offsetof<Vcpu>("cstar"),        ALL,                  0,
  msr.IA32_FMASK,                1,    LM,                                STORED,               offsetof<Vcpu>("sfmask"),       LOW_32,               ~LOW_32,
  msr.IA32_FS_BASE,              1,    LM,                                STORED | CANONICAL,   FS_BASE,                        ALL,                  0,
  msr.IA32_GS_BASE,              1,    LM,                                STORED | CANONICAL,   GS_BASE,                        ALL,                  0,
  msr.IA32_KERNEL_GS_BASE,       1,    LM,                                STORED | CANONICAL,   offsetof<Vcpu>("kernelGsBase"), ALL,                  0,
  msr.IA32_TSC_AUX,              1,    RDTSCP_OR_RDPID,                   STORED,               offsetof<Vcpu>("tscAux"),       LOW_32,               0,
  msr.MSR_AMD64_SYSCFG,          1,    AMD,                               CONSTANT | READ_ONLY, 0,                              0,                    0,
  msr.MSR_K7_HWCR,               1,    AMD,                               CONSTANT,             0,                              0,                    HWCR_IGNORED,
  msr.MSR_K8_INT_PENDING_MSG,    1,    AMD,                               CONSTANT | READ_ONLY, 0,                              0,                    0,
]);
const ROW_BYTES: usize = 7 * 8;
const ROWS: usize = 58;

/** One row, as the array above has it. */
@unmanaged
export class Row {
  private number: u64;
  private count: u64;
  private needs: u64;
  private kindColumn: u64;
  value: u64;
  writable: u64;
  ignored: u64;

  get kind(): u32 {
    return <u32>this.kindColumn;
  }

  /** True when `number` is one of the row's. */
  covers(number: u32): bool {
    return number - <u32>this.number < <u32>this.count;
  }

  /** Where a STORED register is in the record. */
  offsetOf(number: u32): usize {
    return <usize>this.value + ((<usize>(number - <u32>this.number)) << 3);
  }

  isOffered(): bool {
    let needs = <u32>this.needs;
    if (needs === ALWAYS) return true;
    if (needs === AMD) return isAmd();
    for (; needs !== 0; needs >>= 10) if (offers(needs & 0x3ff)) return true;
    return false;
  }
}

/** Rows that were asked for last, by number. */
const recent: usize = memory.data(16 * 4, 8);

/** The row of an MSR. @returns null when there is no such MSR, or its feature is not offered */
export function rowOf(number: u32): Row | null {
  const place = recent + ((<usize>((number ^ (number >> 4)) & 15)) << 2);
  let row = changetype<Row>(<usize>load<u32>(place));
  if (changetype<usize>(row) === 0 || !row.covers(number)) {
    row = search(number);
    store<u32>(place, <u32>changetype<usize>(row));
  }
  return row.covers(number) && row.isOffered() ? row : null;
}

/** The last row whose first number is not above `number`, or the first of all. */
function search(number: u32): Row {
  let low: usize = 0;
  let high = ROWS;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (load<u32>(rows + middle * ROW_BYTES) > number) high = middle;
    else low = middle;
  }
  return changetype<Row>(rows + low * ROW_BYTES);
}
