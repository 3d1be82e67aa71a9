/**
 * The CPUID features that the core implements, by the names that Linux prints in /proc/cpuinfo.
 *
 * Source: SDM 2A "CPUID"; Linux arch/x86/include/asm/cpufeatures.h for the names. A word is one register of one leaf;
 * their numbers are the core's (assembly/x86/cpuid.ts). KVM's leaf is not here: `MachineOptions.kvmFeatures`.
 */

export interface CpuFeature {
  readonly name: string;
  readonly word: number;
  readonly bit: number;
  /** The core has no CPU without it. */
  readonly isFixed: boolean;
}

/** Names by bit. A "!" marks a feature that cannot be taken away. */
interface FeatureWord {
  readonly word: number;
  /** Where CPUID has it. */
  readonly register: string;
  readonly bits: Readonly<Record<number, string>>;
}

export const FEATURE_WORDS: readonly FeatureWord[] = [
  {
    word: 0,
    register: "1:EDX",
    bits: {
      0: "fpu!",
      1: "vme",
      2: "de",
      3: "pse",
      4: "tsc",
      5: "msr!",
      6: "pae",
      7: "mce",
      8: "cx8",
      9: "apic!",
      11: "sep",
      12: "mtrr",
      13: "pge",
      14: "mca",
      15: "cmov!",
      16: "pat!",
      17: "pse36!",
      19: "clflush",
      23: "mmx",
      24: "fxsr",
      25: "sse",
      26: "sse2",
    },
  },
  {
    word: 1,
    register: "1:ECX",
    bits: {
      0: "pni",
      3: "monitor",
      9: "ssse3",
      13: "cx16",
      17: "pcid",
      19: "sse4_1",
      20: "sse4_2",
      21: "x2apic",
      22: "movbe",
      23: "popcnt",
      24: "tsc_deadline_timer",
      26: "xsave",
      30: "rdrand",
      31: "hypervisor",
    },
  },
  {
    word: 2,
    register: "7:EBX",
    bits: {
      0: "fsgsbase",
      1: "tsc_adjust",
      7: "smep",
      9: "erms",
      10: "invpcid",
      18: "rdseed",
      20: "smap",
    },
  },
  { word: 3, register: "7:ECX", bits: { 2: "umip", 22: "rdpid" } },
  { word: 4, register: "7:EDX", bits: { 29: "arch_capabilities" } },
  {
    word: 5,
    register: "80000001:EDX",
    bits: { 11: "syscall", 20: "nx", 26: "pdpe1gb", 27: "rdtscp", 29: "lm" },
  },
  { word: 6, register: "80000001:ECX", bits: { 0: "lahf_lm", 8: "3dnowprefetch" } },
  { word: 7, register: "80000007:EDX", bits: { 8: "nonstop_tsc" } },
  { word: 8, register: "6:EAX", bits: { 2: "arat" } },
  { word: 9, register: "D.1:EAX", bits: { 0: "xsaveopt", 1: "xsavec", 2: "xgetbv1" } },
];

export const CPU_FEATURES: readonly CpuFeature[] = FEATURE_WORDS.flatMap(({ word, bits }) =>
  Object.entries(bits).map(([bit, name]) => ({
    name: name.replace("!", ""),
    word,
    bit: Number(bit),
    isFixed: name.endsWith("!"),
  })),
);

/** The words that offer these features and no others, by number. */
export function featureWords(names: ReadonlySet<string>): Map<number, number> {
  const words = new Map(FEATURE_WORDS.map(({ word }) => [word, 0]));
  for (const { name, word, bit } of CPU_FEATURES) {
    if (names.has(name)) words.set(word, (words.get(word)! | (1 << bit)) >>> 0);
  }
  return words;
}
