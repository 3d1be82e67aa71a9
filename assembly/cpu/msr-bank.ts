/**
 * MSRs that are only stored: a bank of eight-byte slots in the vCPU record.
 *
 *     0 MTRR_DEF_TYPE   1-11 fixed MTRRs   12-27 variable MTRRs (base, mask)   28 MCG_STATUS   29 MISC_FEATURES_ENABLES
 *     30 MSR_KVM_SYSTEM_TIME
 */
import { Vcpu, VCPU_MSR_BANK, VCPU_MSR_BANK_END } from "../vcpu";

export const BANK_MTRR_DEF_TYPE: u32 = 0;
export const BANK_MTRR_FIXED: u32 = 1;
export const BANK_MTRR_VARIABLE: u32 = 12;
export const BANK_MCG_STATUS: u32 = 28;
export const BANK_MISC_FEATURES: u32 = 29;
export const BANK_KVM_SYSTEM_TIME: u32 = 30;
const BANK_SLOTS: u32 = 31;

if (VCPU_MSR_BANK + ((<usize>BANK_SLOTS) << 3) > VCPU_MSR_BANK_END)
  ERROR("MSR bank: too many slots");

export function bankRead(cpu: Vcpu, slot: u32): u64 {
  return load<u64>(changetype<usize>(cpu) + ((<usize>slot) << 3), VCPU_MSR_BANK);
}

export function bankWrite(cpu: Vcpu, slot: u32, value: u64): void {
  store<u64>(changetype<usize>(cpu) + ((<usize>slot) << 3), value, VCPU_MSR_BANK);
}

/** MSR_MISC_FEATURES_ENABLES. */
export function miscFeatures(cpu: Vcpu): u64 {
  return bankRead(cpu, BANK_MISC_FEATURES);
}
