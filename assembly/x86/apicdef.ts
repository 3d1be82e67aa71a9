/**
 * Local APIC as the manual defines it: register numbers, register bits, ICR fields.
 *
 * Source: SDM 3A "Advanced Programmable Interrupt Controller (APIC)". A register number is the xAPIC page offset
 * divided by 16, which is also the x2APIC MSR address minus 800H, so that one name serves both interfaces.
 */

// Register numbers.
export const APIC_ID: u32 = 0x02;
export const APIC_VERSION: u32 = 0x03;
export const APIC_TPR: u32 = 0x08;
export const APIC_APR: u32 = 0x09;
export const APIC_PPR: u32 = 0x0a;
export const APIC_EOI: u32 = 0x0b;
export const APIC_RRD: u32 = 0x0c;
export const APIC_LDR: u32 = 0x0d;
export const APIC_DFR: u32 = 0x0e;
export const APIC_SVR: u32 = 0x0f;
export const APIC_ISR: u32 = 0x10; // eight registers each
export const APIC_TMR: u32 = 0x18;
export const APIC_IRR: u32 = 0x20;
export const APIC_ESR: u32 = 0x28;
export const APIC_LVT_CMCI: u32 = 0x2f;
export const APIC_ICR_LOW: u32 = 0x30; // the whole 64-bit ICR in x2APIC mode
export const APIC_ICR_HIGH: u32 = 0x31;
export const APIC_LVT_TIMER: u32 = 0x32;
export const APIC_LVT_THERMAL: u32 = 0x33;
export const APIC_LVT_PERF: u32 = 0x34;
export const APIC_LVT_LINT0: u32 = 0x35;
export const APIC_LVT_LINT1: u32 = 0x36;
export const APIC_LVT_ERROR: u32 = 0x37;
export const APIC_TMICT: u32 = 0x38;
export const APIC_TMCCT: u32 = 0x39;
export const APIC_TDCR: u32 = 0x3e;
export const APIC_SELF_IPI: u32 = 0x3f;

/** First x2APIC MSR. */
export const MSR_X2APIC_BASE: u32 = 0x800;

// IA32_APIC_BASE (MSR 1BH).
export const APIC_BASE_BSP: u64 = 1 << 8;
export const APIC_BASE_EXTD: u64 = 1 << 10;
export const APIC_BASE_EN: u64 = 1 << 11;
export const APIC_BASE_RESERVED: u64 = 0x2ff; // 7:0 and 9
export const APIC_BASE_DEFAULT: u64 = 0xfee00000;

// SVR.
export const SVR_ENABLED: u32 = 1 << 8;
export const SVR_SUPPRESS_EOI_BROADCAST: u32 = 1 << 12;

// LVT entries and the fields of a message, which have the same places in the ICR.
export const LVT_MASKED: u32 = 1 << 16;
export const LVT_TIMER_MODE: u32 = 3 << 17;
export const LVT_TIMER_ONE_SHOT: u32 = 0;
export const LVT_TIMER_PERIODIC: u32 = 1 << 17;
export const LVT_TIMER_TSC_DEADLINE: u32 = 2 << 17;
export const ICR_VECTOR: u32 = 0xff;
export const ICR_DELIVERY_MODE_SHIFT: u32 = 8;
export const ICR_LOGICAL: u32 = 1 << 11;
export const ICR_DELIVERY_STATUS: u32 = 1 << 12;
export const ICR_ASSERT: u32 = 1 << 14;
export const ICR_LEVEL_TRIGGERED: u32 = 1 << 15;
export const ICR_SHORTHAND_SHIFT: u32 = 18;

// Delivery modes.
export const FIXED: u32 = 0;
export const LOWEST_PRIORITY: u32 = 1;
export const SMI: u32 = 2;
/** Reserved in the manual (remote read); KVM's paravirtual kick. */
export const REMOTE_READ: u32 = 3;
export const NMI: u32 = 4;
export const INIT: u32 = 5;
export const STARTUP: u32 = 6;
export const EXTINT: u32 = 7;

// Destination shorthands.
export const NO_SHORTHAND: u32 = 0;
export const SELF: u32 = 1;
export const ALL_INCLUDING_SELF: u32 = 2;
export const ALL_EXCLUDING_SELF: u32 = 3;

// Destinations.
export const XAPIC_BROADCAST: u32 = 0xff;
export const X2APIC_BROADCAST: u32 = 0xffffffff;
export const DFR_FLAT: u32 = 0xffffffff;
export const DFR_CLUSTER: u32 = 0x0fffffff;

// ESR.
export const ESR_SEND_ILLEGAL_VECTOR: u32 = 1 << 5;
export const ESR_RECEIVE_ILLEGAL_VECTOR: u32 = 1 << 6;
export const ESR_ILLEGAL_REGISTER: u32 = 1 << 7;

/** Version register: version 14H, highest LVT entry in 23:16, directed EOI in bit 24. */
export const VERSION_INTEGRATED: u32 = 0x14;
export const VERSION_DIRECTED_EOI: u32 = 1 << 24;

/**
 * Logical ID of an x2APIC: cluster in 31:16, one bit of sixteen in 15:0.
 *
 * SDM 3A "Deriving Logical x2APIC ID from the Local x2APIC ID".
 */
export function x2apicLogicalId(apicId: u32): u32 {
  return ((apicId >> 4) << 16) | (1 << (apicId & 15));
}

/** Lowest vector that a Fixed interrupt may use. */
export const FIRST_LEGAL_VECTOR: u32 = 16;
