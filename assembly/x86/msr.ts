/** MSR numbers. Source: SDM 4 "Architectural MSRs"; KVM's paravirtual ones: Linux Documentation/virt/kvm/x86/msr.rst. */
export const IA32_TSC: u32 = 0x10;
export const MSR_KVM_WALL_CLOCK: u32 = 0x11;
export const MSR_KVM_SYSTEM_TIME: u32 = 0x12;
export const IA32_PLATFORM_ID: u32 = 0x17;
export const IA32_APIC_BASE: u32 = 0x1b;
export const IA32_FEATURE_CONTROL: u32 = 0x3a;
export const IA32_TSC_ADJUST: u32 = 0x3b;
export const IA32_BIOS_SIGN_ID: u32 = 0x8b;
export const MSR_PLATFORM_INFO: u32 = 0xce;
export const IA32_MTRRCAP: u32 = 0xfe;
export const IA32_ARCH_CAPABILITIES: u32 = 0x10a;
export const MSR_MISC_FEATURES_ENABLES: u32 = 0x140;
export const IA32_SYSENTER_CS: u32 = 0x174;
export const IA32_SYSENTER_ESP: u32 = 0x175;
export const IA32_SYSENTER_EIP: u32 = 0x176;
export const IA32_MCG_CAP: u32 = 0x179;
export const IA32_MCG_STATUS: u32 = 0x17a;
export const IA32_PERF_STATUS: u32 = 0x198;
export const IA32_MISC_ENABLE: u32 = 0x1a0;
export const IA32_DEBUGCTL: u32 = 0x1d9;
export const IA32_MTRR_PHYSBASE0: u32 = 0x200; // base and mask alternate, eight pairs
export const IA32_MTRR_PHYSMASK0: u32 = 0x201;
export const IA32_MTRR_FIX64K_00000: u32 = 0x250;
export const IA32_MTRR_FIX16K_80000: u32 = 0x258; // two in a row
export const IA32_MTRR_FIX4K_C0000: u32 = 0x268; // eight in a row
export const IA32_PAT: u32 = 0x277;
export const IA32_MTRR_DEF_TYPE: u32 = 0x2ff;
export const IA32_TSC_DEADLINE: u32 = 0x6e0;
export const X2APIC_FIRST: u32 = 0x800;
export const X2APIC_LAST: u32 = 0x8ff;
export const MSR_KVM_WALL_CLOCK_NEW: u32 = 0x4b564d00;
export const MSR_KVM_SYSTEM_TIME_NEW: u32 = 0x4b564d01;
export const MSR_KVM_PV_EOI_EN: u32 = 0x4b564d04;
export const IA32_EFER: u32 = 0xc0000080;
export const IA32_STAR: u32 = 0xc0000081;
export const IA32_LSTAR: u32 = 0xc0000082;
export const IA32_CSTAR: u32 = 0xc0000083;
export const IA32_FMASK: u32 = 0xc0000084;
export const IA32_FS_BASE: u32 = 0xc0000100;
export const IA32_GS_BASE: u32 = 0xc0000101;
export const IA32_KERNEL_GS_BASE: u32 = 0xc0000102;
export const IA32_TSC_AUX: u32 = 0xc0000103;
// AMD's.
export const MSR_AMD64_SYSCFG: u32 = 0xc0010010;
export const MSR_K7_HWCR: u32 = 0xc0010015;
export const MSR_K8_INT_PENDING_MSG: u32 = 0xc0010055;

// IA32_MISC_ENABLE.
export const MISC_ENABLE_FAST_STRING: u64 = 1 << 0;
export const MISC_ENABLE_BTS_UNAVAILABLE: u64 = 1 << 11; // read-only
export const MISC_ENABLE_PEBS_UNAVAILABLE: u64 = 1 << 12; // read-only
export const MISC_ENABLE_MONITOR: u64 = 1 << 18;
export const MISC_ENABLE_LIMIT_CPUID: u64 = 1 << 22;
export const MISC_ENABLE_XD_DISABLE: u64 = 1 << 34;

/** MSR_MISC_FEATURES_ENABLES: CPUID at CPL > 0 raises #GP(0). */
export const CPUID_FAULTING: u64 = 1;

/** IA32_PAT after RESET: WB WT UC- UC, twice. */
export const PAT_RESET: u64 = 0x0007040600070406;
