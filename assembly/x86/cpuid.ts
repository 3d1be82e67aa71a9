/**
 * CPUID feature bits as numbers: word << 5 | bit, where a word is one register of one leaf.
 *
 * Source: SDM 2A "CPUID"; KVM's: Linux Documentation/virt/kvm/x86/cpuid.rst.
 */
export const WORD_1_EDX: u32 = 0;
export const WORD_1_ECX: u32 = 1;
export const WORD_7_EBX: u32 = 2;
export const WORD_7_ECX: u32 = 3;
export const WORD_7_EDX: u32 = 4;
export const WORD_80000001_EDX: u32 = 5;
export const WORD_80000001_ECX: u32 = 6;
export const WORD_80000007_EDX: u32 = 7;
export const WORD_6_EAX: u32 = 8;
export const WORD_D1_EAX: u32 = 9;
export const WORD_KVM_EAX: u32 = 10;
export const FEATURE_WORDS: u32 = 11;

// Leaf 1, EDX.
export const FEATURE_FPU: u32 = 0;
export const FEATURE_VME: u32 = 1;
export const FEATURE_DE: u32 = 2;
export const FEATURE_PSE: u32 = 3;
export const FEATURE_TSC: u32 = 4;
export const FEATURE_MSR: u32 = 5;
export const FEATURE_PAE: u32 = 6;
export const FEATURE_MCE: u32 = 7;
export const FEATURE_CX8: u32 = 8;
export const FEATURE_APIC: u32 = 9;
export const FEATURE_SEP: u32 = 11;
export const FEATURE_MTRR: u32 = 12;
export const FEATURE_PGE: u32 = 13;
export const FEATURE_MCA: u32 = 14;
export const FEATURE_CMOV: u32 = 15;
export const FEATURE_PAT: u32 = 16;
export const FEATURE_PSE36: u32 = 17;
export const FEATURE_CLFLUSH: u32 = 19;
export const FEATURE_MMX: u32 = 23;
export const FEATURE_FXSR: u32 = 24;
export const FEATURE_SSE: u32 = 25;
export const FEATURE_SSE2: u32 = 26;
export const FEATURE_HTT: u32 = 28;

// Leaf 1, ECX.
export const FEATURE_SSE3: u32 = 32 + 0;
export const FEATURE_PCLMULQDQ: u32 = 32 + 1;
export const FEATURE_MONITOR: u32 = 32 + 3;
export const FEATURE_SSSE3: u32 = 32 + 9;
export const FEATURE_CX16: u32 = 32 + 13;
export const FEATURE_PCID: u32 = 32 + 17;
export const FEATURE_SSE41: u32 = 32 + 19;
export const FEATURE_SSE42: u32 = 32 + 20;
export const FEATURE_X2APIC: u32 = 32 + 21;
export const FEATURE_MOVBE: u32 = 32 + 22;
export const FEATURE_POPCNT: u32 = 32 + 23;
export const FEATURE_TSC_DEADLINE: u32 = 32 + 24;
export const FEATURE_AES: u32 = 32 + 25;
export const FEATURE_XSAVE: u32 = 32 + 26;
export const FEATURE_OSXSAVE: u32 = 32 + 27;
export const FEATURE_RDRAND: u32 = 32 + 30;
export const FEATURE_HYPERVISOR: u32 = 32 + 31;

// Leaf 7, subleaf 0: EBX, ECX, EDX.
export const FEATURE_FSGSBASE: u32 = 64 + 0;
export const FEATURE_TSC_ADJUST: u32 = 64 + 1;
export const FEATURE_SMEP: u32 = 64 + 7;
export const FEATURE_ERMS: u32 = 64 + 9;
export const FEATURE_INVPCID: u32 = 64 + 10;
export const FEATURE_RDSEED: u32 = 64 + 18;
export const FEATURE_SMAP: u32 = 64 + 20;
export const FEATURE_CLFLUSHOPT: u32 = 64 + 23;
export const FEATURE_UMIP: u32 = 96 + 2;
export const FEATURE_RDPID: u32 = 96 + 22;
export const FEATURE_ARCH_CAPABILITIES: u32 = 128 + 29;

// Leaf 80000001H: EDX, ECX.
export const FEATURE_SYSCALL: u32 = 160 + 11;
export const FEATURE_NX: u32 = 160 + 20;
export const FEATURE_PAGE1GB: u32 = 160 + 26;
export const FEATURE_RDTSCP: u32 = 160 + 27;
export const FEATURE_LM: u32 = 160 + 29;
export const FEATURE_LAHF: u32 = 192 + 0;
export const FEATURE_CMP_LEGACY: u32 = 192 + 1;
export const FEATURE_PREFETCHW: u32 = 192 + 8;

// Leaf 80000007H EDX, leaf 6 EAX.
export const FEATURE_INVARIANT_TSC: u32 = 224 + 8;
export const FEATURE_ARAT: u32 = 256 + 2;

// Leaf 0DH, subleaf 1, EAX.
export const FEATURE_XSAVEOPT: u32 = 288 + 0;
export const FEATURE_XSAVEC: u32 = 288 + 1;
export const FEATURE_XGETBV1: u32 = 288 + 2;

// Leaf 40000001H, EAX.
export const FEATURE_KVM_CLOCKSOURCE: u32 = 320 + 0;
export const FEATURE_KVM_CLOCKSOURCE2: u32 = 320 + 3;
export const FEATURE_KVM_PV_EOI: u32 = 320 + 6;
export const FEATURE_KVM_PV_UNHALT: u32 = 320 + 7;
export const FEATURE_KVM_PV_SEND_IPI: u32 = 320 + 11;
export const FEATURE_KVM_PV_SCHED_YIELD: u32 = 320 + 13;
export const FEATURE_KVM_CLOCKSOURCE_STABLE: u32 = 320 + 24;
