/**
 * Which CPUID features this machine offers: one bit each, the same for all vCPUs.
 *
 * Two sets: what this core can do (`IMPLEMENTED`, the single table to extend when an instruction family lands) and what
 * the host offers to the guest, never more than that. An instruction whose feature is not offered raises #UD.
 */
import { setGigabytePages } from "../mem/paging";
import { addArea } from "../state-areas";
import * as cpuid from "../x86/cpuid";
import { setVmeOffered } from "./vme";

function bit(feature: u32): u32 {
  return (<u32>1) << (feature & 31);
}

/** Features that this core implements, by word. Bits that CPUID derives (APIC, OSXSAVE, HTT) are not in it. */
function implemented(word: u32): u32 {
  switch (word) {
    case cpuid.WORD_1_EDX:
      return (
        bit(cpuid.FEATURE_FPU) |
        bit(cpuid.FEATURE_VME) |
        bit(cpuid.FEATURE_DE) |
        bit(cpuid.FEATURE_PSE) |
        bit(cpuid.FEATURE_TSC) |
        bit(cpuid.FEATURE_MSR) |
        bit(cpuid.FEATURE_PAE) |
        bit(cpuid.FEATURE_MCE) |
        bit(cpuid.FEATURE_CX8) |
        bit(cpuid.FEATURE_APIC) |
        bit(cpuid.FEATURE_SEP) |
        bit(cpuid.FEATURE_MTRR) |
        bit(cpuid.FEATURE_PGE) |
        bit(cpuid.FEATURE_MCA) |
        bit(cpuid.FEATURE_CMOV) |
        bit(cpuid.FEATURE_PAT) |
        bit(cpuid.FEATURE_PSE36) |
        bit(cpuid.FEATURE_CLFLUSH) |
        bit(cpuid.FEATURE_MMX) |
        bit(cpuid.FEATURE_FXSR) |
        bit(cpuid.FEATURE_SSE) |
        bit(cpuid.FEATURE_SSE2)
      );
    case cpuid.WORD_1_ECX:
      return (
        bit(cpuid.FEATURE_SSE3) |
        bit(cpuid.FEATURE_MONITOR) |
        bit(cpuid.FEATURE_SSSE3) |
        bit(cpuid.FEATURE_CX16) |
        bit(cpuid.FEATURE_PCID) |
        bit(cpuid.FEATURE_SSE41) |
        bit(cpuid.FEATURE_SSE42) |
        bit(cpuid.FEATURE_X2APIC) |
        bit(cpuid.FEATURE_MOVBE) |
        bit(cpuid.FEATURE_POPCNT) |
        bit(cpuid.FEATURE_TSC_DEADLINE) |
        bit(cpuid.FEATURE_XSAVE) |
        bit(cpuid.FEATURE_RDRAND) |
        bit(cpuid.FEATURE_HYPERVISOR)
      );
    case cpuid.WORD_7_EBX:
      return (
        bit(cpuid.FEATURE_FSGSBASE) |
        bit(cpuid.FEATURE_TSC_ADJUST) |
        bit(cpuid.FEATURE_SMEP) |
        bit(cpuid.FEATURE_ERMS) |
        bit(cpuid.FEATURE_INVPCID) |
        bit(cpuid.FEATURE_RDSEED) |
        bit(cpuid.FEATURE_SMAP)
      );
    case cpuid.WORD_7_ECX:
      return bit(cpuid.FEATURE_UMIP) | bit(cpuid.FEATURE_RDPID);
    case cpuid.WORD_7_EDX:
      return bit(cpuid.FEATURE_ARCH_CAPABILITIES);
    case cpuid.WORD_80000001_EDX:
      return (
        bit(cpuid.FEATURE_SYSCALL) |
        bit(cpuid.FEATURE_NX) |
        bit(cpuid.FEATURE_PAGE1GB) |
        bit(cpuid.FEATURE_RDTSCP) |
        bit(cpuid.FEATURE_LM)
      );
    case cpuid.WORD_80000001_ECX:
      return bit(cpuid.FEATURE_LAHF) | bit(cpuid.FEATURE_PREFETCHW);
    case cpuid.WORD_80000007_EDX:
      return bit(cpuid.FEATURE_INVARIANT_TSC);
    case cpuid.WORD_6_EAX:
      return bit(cpuid.FEATURE_ARAT);
    case cpuid.WORD_D1_EAX:
      return bit(cpuid.FEATURE_XSAVEOPT) | bit(cpuid.FEATURE_XSAVEC) | bit(cpuid.FEATURE_XGETBV1);
    case cpuid.WORD_KVM_EAX:
      // What stands behind these bits is the machine's: the host selects.
      return 0xffffffff;
    default:
      return 0;
  }
}

const words: usize = memory.data(64, 4);
let ready = false;

/** Counts the changes of what is offered, for whoever keeps what follows from it. */
export let offerings: u32 = 0;

/** Offers everything that is implemented, but no hypervisor-specific feature. */
function offerAll(): void {
  ready = true;
  offerings++;
  for (let word: u32 = 0; word < cpuid.FEATURE_WORDS; word++) {
    store<u32>(words + ((<usize>word) << 2), word === cpuid.WORD_KVM_EAX ? 0 : implemented(word));
  }
  setVmeOffered(true);
}

/** The features of one word (x86/cpuid.ts) as offered to the guest. */
export function featureWord(word: u32): u32 {
  if (!ready) offerAll();
  return load<u32>(words + ((<usize>word) << 2));
}

/** True when CPUID offers `feature`, FEATURE_* of x86/cpuid.ts. */
export function offers(feature: u32): bool {
  return (featureWord(feature >> 5) & bit(feature)) !== 0;
}

/**
 * Selects the features of one word; to be called before the guest runs.
 *
 * @param word - 0..FEATURE_WORDS-1; @param value - wanted bits
 * @returns the bits that this core does not implement: they are not offered
 */
export function setFeatureWord(word: u32, value: u32): u32 {
  if (!ready) offerAll();
  if (word >= cpuid.FEATURE_WORDS) return value;
  const known = implemented(word);
  store<u32>(words + ((<usize>word) << 2), value & known);
  offerings++;
  if (word === cpuid.WORD_1_EDX) setVmeOffered(offers(cpuid.FEATURE_VME));
  if (word === cpuid.WORD_80000001_EDX) setGigabytePages(offers(cpuid.FEATURE_PAGE1GB));
  return value & ~known;
}

/** For snapshots. */
export function listFeatures(): void {
  if (!ready) offerAll();
  addArea(words, 64);
}

/** @returns false when a feature that was put back is not implemented */
export function restoreFeatures(): bool {
  for (let word: u32 = 0; word < cpuid.FEATURE_WORDS; word++) {
    if (setFeatureWord(word, featureWord(word)) !== 0) return false;
  }
  return true;
}
