/**
 * Memory type range registers and PAT: kept and checked, without effect on memory.
 *
 * Source: SDM 3A "Memory Type Range Registers (MTRRs)", "Page Attribute Table (PAT)".
 */
import { Vcpu } from "../vcpu";
import { MAXPHYADDR } from "../x86/cr";
import * as msr from "../x86/msr";
import {
  BANK_MTRR_DEF_TYPE,
  BANK_MTRR_FIXED,
  BANK_MTRR_VARIABLE,
  bankRead,
  bankWrite,
} from "./msr-bank";
import { setMsrValue } from "./platform";

/** Eight variable ranges, fixed ranges, write combining. */
const MTRRCAP: u64 = 8 | (1 << 8) | (1 << 10);
const DEF_TYPE_VALID: u64 = 0xcff; // type 7:0, FE 10, E 11
const ABOVE_PHYSICAL: u64 = ~(((<u64>1) << MAXPHYADDR) - 1);
const MTRR_TYPES: u32 = 0b1110011; // UC WC WT WP WB
const PAT_TYPES: u32 = 0b11110011; // and UC-

function validTypes(value: u64, types: u32): bool {
  for (let i: u32 = 0; i < 64; i += 8) {
    const type = <u32>(value >> i) & 0xff;
    if (type > 7 || !((types >> type) & 1)) return false;
  }
  return true;
}

/** True when each byte of an IA32_PAT value is a memory type. */
export function validPat(value: u64): bool {
  return validTypes(value, PAT_TYPES);
}

/** Position of an MTRR in the bank. @returns -1 when `number` is none */
function slotOf(number: u32): i32 {
  if (number >= msr.IA32_MTRR_PHYSBASE0 && number <= msr.IA32_MTRR_PHYSMASK7) {
    return BANK_MTRR_VARIABLE + (number - msr.IA32_MTRR_PHYSBASE0);
  }
  if (number === msr.IA32_MTRR_FIX64K_00000) return BANK_MTRR_FIXED;
  if (number === msr.IA32_MTRR_FIX16K_80000) return BANK_MTRR_FIXED + 1;
  if (number === msr.IA32_MTRR_FIX16K_A0000) return BANK_MTRR_FIXED + 2;
  if (number >= msr.IA32_MTRR_FIX4K_C0000 && number <= msr.IA32_MTRR_FIX4K_F8000) {
    return BANK_MTRR_FIXED + 3 + (number - msr.IA32_MTRR_FIX4K_C0000);
  }
  return number === msr.IA32_MTRR_DEF_TYPE ? BANK_MTRR_DEF_TYPE : -1;
}

/** Reads an MTRR into `platform.msrValue`. @returns false when `number` is none */
export function mtrrRead(cpu: Vcpu, number: u32): bool {
  if (number === msr.IA32_MTRRCAP) {
    setMsrValue(MTRRCAP);
    return true;
  }
  const slot = slotOf(number);
  if (slot < 0) return false;
  setMsrValue(bankRead(cpu, slot));
  return true;
}

/** Writes an MTRR. @returns false for #GP: no such register, reserved bit or type */
export function mtrrWrite(cpu: Vcpu, number: u32, value: u64): bool {
  const slot = slotOf(number);
  if (slot < 0 || !validMtrr(number, slot, value)) return false;
  bankWrite(cpu, slot, value);
  return true;
}

function validMtrr(number: u32, slot: u32, value: u64): bool {
  if (slot === BANK_MTRR_DEF_TYPE) {
    return !(value & ~DEF_TYPE_VALID) && validTypes(value & 0xff, MTRR_TYPES);
  }
  if (slot < BANK_MTRR_VARIABLE) return validTypes(value, MTRR_TYPES);
  if (value & ABOVE_PHYSICAL) return false;
  // Odd numbers are masks: V in bit 11; even ones are bases: the type in bits 7:0.
  if (number & 1) return !(value & 0x7ff);
  return !(value & 0xf00) && validTypes(value & 0xff, MTRR_TYPES);
}
