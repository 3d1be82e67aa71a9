/**
 * Memory types in the memory type range registers and PAT: checked, without effect on memory.
 *
 * Source: SDM 3A "Memory Type Range Registers (MTRRs)", "Page Attribute Table (PAT)".
 */
const MTRR_TYPES: u32 = 0b1110011; // UC WC WT WP WB
const PAT_TYPES: u32 = 0b11110011; // and UC-

function isType(type: u32, types: u32): bool {
  return type < 8 && ((types >> type) & 1) !== 0;
}

function allTypes(value: u64, types: u32): bool {
  for (let i: u32 = 0; i < 64; i += 8) {
    if (!isType(<u32>(value >> i) & 0xff, types)) return false;
  }
  return true;
}

/** True when each byte of an IA32_PAT value is a memory type. */
export function validPat(value: u64): bool {
  return allTypes(value, PAT_TYPES);
}

/** True when each byte of a fixed MTRR's value is a memory type. */
export function validFixedMtrr(value: u64): bool {
  return allTypes(value, MTRR_TYPES);
}

/** True when the low byte is a memory type: the base of a variable MTRR, IA32_MTRR_DEF_TYPE. */
export function validMtrrType(value: u64): bool {
  return isType(<u32>value & 0xff, MTRR_TYPES);
}
