/**
 * Segment descriptors and their access rights.
 *
 * Access rights (`Segment.ar`) are bits 55:40 of a descriptor, with the limit nibble cleared, as in the VMX guest state:
 *
 *     16        15  14  13  12   11:8  7   6:5  4  3:0
 *     unusable  G   D/B L   AVL  0     P   DPL  S  type
 *
 * Source: SDM 3A "Segment Descriptors", "System Descriptor Types".
 */
export const AR_TYPE: u32 = 0xf;
export const AR_ACCESSED: u32 = 1; // code and data
export const AR_WRITABLE: u32 = 2; // data; for code: readable
export const AR_READABLE: u32 = 2;
export const AR_EXPAND_DOWN: u32 = 4; // data
export const AR_CONFORMING: u32 = 4; // code
export const AR_CODE: u32 = 8;
export const AR_S: u32 = 1 << 4; // 1 = code or data, 0 = system
export const AR_DPL_SHIFT: u32 = 5;
export const AR_DPL: u32 = 3 << 5;
export const AR_P: u32 = 1 << 7;
export const AR_L: u32 = 1 << 13;
export const AR_DB: u32 = 1 << 14;
export const AR_G: u32 = 1 << 15;
export const AR_UNUSABLE: u32 = 1 << 16;

// System descriptor types.
export const TSS16_AVAILABLE: u32 = 1;
export const LDT: u32 = 2;
export const TSS16_BUSY: u32 = 3;
export const CALL_GATE16: u32 = 4;
export const TASK_GATE: u32 = 5;
export const INTERRUPT_GATE16: u32 = 6;
export const TRAP_GATE16: u32 = 7;
export const TSS32_AVAILABLE: u32 = 9; // 64-bit TSS in long mode
export const TSS32_BUSY: u32 = 11;
export const CALL_GATE32: u32 = 12;
export const INTERRUPT_GATE32: u32 = 14;
export const TRAP_GATE32: u32 = 15;

/** Access rights of a raw 8-byte descriptor. */
export function descriptorAr(raw: u64): u32 {
  return <u32>(raw >> 40) & 0xf0ff;
}

/** Base of a raw 8-byte descriptor, 32 bits. */
export function descriptorBase(raw: u64): u32 {
  return (<u32>(raw >> 16) & 0xffffff) | (<u32>(raw >> 32) & 0xff000000);
}

/** Limit in bytes of a raw 8-byte descriptor, granularity applied. */
export function descriptorLimit(raw: u64): u32 {
  const limit = (<u32>raw & 0xffff) | (<u32>(raw >> 32) & 0xf0000);
  return raw & (1 << 55) ? (limit << 12) | 0xfff : limit;
}
