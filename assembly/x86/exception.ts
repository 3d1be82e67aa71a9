/** Exception vectors. Source: SDM 3A "Exception and Interrupt Reference". */
export const DE: u32 = 0;
export const DB: u32 = 1;
export const NMI_VECTOR: u32 = 2;
export const BP: u32 = 3;
export const OF: u32 = 4;
export const BR: u32 = 5;
export const UD: u32 = 6;
export const NM: u32 = 7;
export const DF: u32 = 8;
export const TS: u32 = 10;
export const NP: u32 = 11;
export const SS_FAULT: u32 = 12;
export const GP: u32 = 13;
export const PF: u32 = 14;
export const MF: u32 = 16;
export const AC: u32 = 17;
export const MC: u32 = 18;
export const XM: u32 = 19;

// Error code of a selector-related exception: SDM 3A "Error Code".
export const ERROR_EXT: u32 = 1;
export const ERROR_IDT: u32 = 2;
export const ERROR_TI: u32 = 4;

// Error code of #PF: SDM 3A "Page-Fault Exceptions".
export const PF_P: u32 = 1; // a protection violation, not an absent page
export const PF_W: u32 = 2;
export const PF_U: u32 = 4;
export const PF_RSVD: u32 = 8;
export const PF_I: u32 = 16;
