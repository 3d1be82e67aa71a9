/** RFLAGS bits. Source: SDM 1 "EFLAGS Register". */
export const CF: u32 = 1 << 0;
export const FLAG_FIXED: u32 = 1 << 1; // always 1
export const PF_FLAG: u32 = 1 << 2;
export const AF: u32 = 1 << 4;
export const ZF: u32 = 1 << 6;
export const SF: u32 = 1 << 7;
export const TF: u32 = 1 << 8;
export const IF: u32 = 1 << 9;
export const DF_FLAG: u32 = 1 << 10;
export const OF_FLAG: u32 = 1 << 11;
export const IOPL: u32 = 3 << 12;
export const IOPL_SHIFT: u32 = 12;
export const NT: u32 = 1 << 14;
export const RF: u32 = 1 << 16;
export const VM: u32 = 1 << 17;
export const AC_FLAG: u32 = 1 << 18;
export const VIF: u32 = 1 << 19;
export const VIP: u32 = 1 << 20;
export const ID: u32 = 1 << 21;

/** The flags that are kept lazily, apart from `Vcpu.eflags`. */
export const ARITHMETIC: u32 = CF | PF_FLAG | AF | ZF | SF | OF_FLAG;
