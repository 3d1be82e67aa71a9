/**
 * MSRs that are only stored, in a bank of eight-byte slots in the vCPU record: their offsets in the record.
 *
 *     0 MTRR_DEF_TYPE   1-11 fixed MTRRs   12-27 variable MTRRs (base, mask)   28 MCG_STATUS   29 MISC_FEATURES_ENABLES
 *     30 MSR_KVM_SYSTEM_TIME
 */
import { Vcpu, VCPU_MSR_BANK, VCPU_MSR_BANK_END } from "../vcpu";

export const BANK_MTRR_DEF_TYPE: usize = VCPU_MSR_BANK;
export const BANK_MTRR_FIXED: usize = BANK_MTRR_DEF_TYPE + 8;
export const BANK_MTRR_VARIABLE: usize = BANK_MTRR_FIXED + 11 * 8;
export const BANK_MCG_STATUS: usize = BANK_MTRR_VARIABLE + 16 * 8;
export const BANK_MISC_FEATURES: usize = BANK_MCG_STATUS + 8;
export const BANK_KVM_SYSTEM_TIME: usize = BANK_MISC_FEATURES + 8;
const BANK_END: usize = BANK_KVM_SYSTEM_TIME + 8;

if (BANK_END > VCPU_MSR_BANK_END) ERROR("MSR bank: too many slots");

/** @param offset - in the record */
export function storedRead(cpu: Vcpu, offset: usize): u64 {
  return load<u64>(changetype<usize>(cpu) + offset);
}

export function storedWrite(cpu: Vcpu, offset: usize, value: u64): void {
  store<u64>(changetype<usize>(cpu) + offset, value);
}

/** MSR_MISC_FEATURES_ENABLES. */
export function miscFeatures(cpu: Vcpu): u64 {
  return storedRead(cpu, BANK_MISC_FEATURES);
}
