/**
 * Micro-ops and blocks as numbers: what the core and the translator of the host (src/translate) agree on.
 *
 * Untyped `export const`s only, as in abi.ts. Layouts are asserted against the structs where these are declared.
 */

// A micro-op (cpu/op.ts), byte offsets.
export const MICRO_BYTES = 32;
export const MICRO_HANDLER = 0; // u16
export const MICRO_LENGTH = 2; // u8
export const MICRO_KIND = 3; // u8, ADDRESS_*
export const MICRO_REG = 4; // u16, as MICRO_RM, MICRO_BASE and MICRO_INDEX: offset in the vCPU record
export const MICRO_RM = 6;
export const MICRO_BASE = 8;
export const MICRO_INDEX = 10;
export const MICRO_SCALE = 12; // u8
export const MICRO_SEGMENT = 13; // u8
export const MICRO_FLAGS = 14; // u16
export const MICRO_DISP = 16; // i32; of a direct branch: its link, the block at its target
export const MICRO_END = 20; // u16
export const MICRO_OPCODE = 22; // u16
export const MICRO_IMM = 24; // i64

// How the memory operand's address is formed (MICRO_KIND).
export const ADDRESS_64 = 0; // flat 64-bit: base + index * scale + disp
export const ADDRESS_32 = 1; // flat 32-bit: the same, wrapped to 32 bits
export const ADDRESS_BASE = 2; // 64-bit with FS or GS: the same, plus the segment's base
export const ADDRESS_SLOW = 3; // everything else: cpu/address.ts looks at the flags and the segment
export const ADDRESS_NONE = 4; // no memory operand: MICRO_RM is a register

// MICRO_FLAGS; the others are in cpu/op.ts.
export const FLAG_SIZE = 15; // operand size in bytes: 2, 4 or 8 (byte instructions know themselves)
export const FLAG_LOCK = 0x40;
export const FLAG_REP = 0x80; // F3
export const FLAG_REPNE = 0x100; // F2
export const FLAG_66 = 0x800; // operand-size prefix was there

/** Byte offset of an entry in an array of the TLB (mem/tlb.ts): these bits. */
export const TLB_OFFSET_MASK = 0x7ff0;

// A block (cpu/block.ts), byte offsets.
export const BLOCK_GPA = 0; // u32
export const BLOCK_MODE = 4; // u32, bit 31: valid
export const BLOCK_COUNT = 8; // u16, micro-ops
export const BLOCK_LENGTH = 10; // u16, bytes of code
export const BLOCK_NEXT = 16; // u32: link to the block behind the last instruction
export const BLOCK_HEAT = 20; // i32: entries so far, up to the threshold; negative: the complement of its region's index
export const BLOCK_HEADER = 32;
export const BLOCK_VALID = 0x80000000; // bit of BLOCK_MODE

// Arithmetic flags of translated code, not yet stored: operation, plus the operand's size as 0 1 2 3 for 1 2 4 8 bytes.
export const PENDING_NONE = 0; // the vCPU record has them
export const PENDING_ADD = 4; // a, b, result
export const PENDING_SUB = 8; // a, b, result
export const PENDING_LOGIC = 12; // result
export const PENDING_INC = 16; // b = carry before, result
export const PENDING_DEC = 20; // b = carry before, result
export const PENDING_SHL = 24; // a = shifted by one less, result
export const PENDING_SHR = 28; // a = shifted by one less, result
export const PENDING_SAR = 32; // a = shifted by one less, result
export const PENDING_ADC = 36; // as ADD, with a carry in the result
export const PENDING_SBB = 40; // as SUB, with a borrow in the result

// What the core says of an instruction that a region had it execute (cpu/region.ts).
export const REGION_GOES_ON = 0;
export const REGION_LEAVES = 1; // done; the region ends behind it
export const REGION_REFUSED = 2; // nothing was done: the interpreter has to

// MSRs of the local APIC's registers: those with these upper bits.
export const X2APIC_SHIFT = 8;
export const X2APIC_FIRST = 0x800;

// Handlers of micro-ops: out of line by opcode map, or fast (cpu/handler.ts chooses; arms of cpu/interpret.ts).
export const HANDLER_ONE_BYTE = 0;
export const HANDLER_TWO_BYTE = 1;
export const HANDLER_THREE_BYTE = 2;
export const HANDLER_UD = 3;
export const HANDLER_TOO_LONG = 4;
/** D8..DF: fpu/x87-short.ts, and where that does nothing, as out of line. */
export const X87 = 5;

/**
 * ALU handlers: ALU + (operation * 2 + is64) * 5 + form.
 * Operation: ADD OR ADC SBB AND SUB XOR CMP. Form: below.
 */
export const ALU = 8;
export const FORM_RR = 0; // rm := rm op reg
export const FORM_RI = 1; // rm := rm op imm
export const FORM_RM = 2; // reg := reg op memory
export const FORM_MR = 3; // memory := memory op reg
export const FORM_MI = 4; // memory := memory op imm
// 8 .. 87 ALU; pairs below are 32-bit, 64-bit.
export const MOV_RR = 88;
export const MOV_RI = 90;
export const LOAD = 92;
export const STORE = 94;
export const STORE_IMM = 96;
export const LEA = 98;
export const TEST_RR = 100;
export const TEST_RI = 102;
export const INC = 104;
export const DEC = 106;
export const NEG = 108;
export const NOT = 110;
export const SHL_IMM = 112;
export const SHR_IMM = 114;
export const SAR_IMM = 116;
export const IMUL_RR = 118;
export const IMUL_RM = 120;
export const MOVSXD = 122; // register source, memory source
export const MOVZX8 = 124; // register source, memory source; the destination is 32 or 64 bits alike
export const MOVZX16 = 126;
export const LOAD8 = 128;
export const STORE8 = 129;
export const STORE8_IMM = 130;
export const MOV8_RR = 131;
export const CMP8_RI = 132;
export const CMP8_RR = 133;
export const CMP8_MI = 134;
export const CMP8_RM = 135;
export const TEST8_RR = 136;
export const TEST8_RI = 137;
export const NOP = 138;
export const PUSH = 139; // 32-bit flat, 64-bit
export const POP = 141;
export const CALL = 143;
export const RET = 145;
export const JMP = 147;
export const JCC = 148; // 16 conditions
export const TEST_MI = 164;
export const INC_M = 166;
export const DEC_M = 168;
export const SHL_CL = 170;
export const SHR_CL = 172;
export const SAR_CL = 174;
export const CMOV_RR = 176;
export const JMP_R = 178; // indirect, 64-bit: register, memory
export const CALL_R = 180;

// SSE (cpu/handler-sse.ts chooses).
/** First number; those after it are arms of interpret.ts. */
export const SSE = 182;
export const MOVE16 = 182;
export const LOAD16 = 183; // unaligned, aligned
export const STORE16 = 185;
export const LOAD_PART = 187; // 8 bytes, 4 bytes
export const STORE_PART = 189;
export const MOVE_PART = 191;
export const MOVE_QUAD = 193;
export const FROM_GENERAL = 194; // 32-bit, 64-bit
export const TO_GENERAL = 196;
export const BYTE_MASK = 198;
export const PACKED_ANY = 199; // register, memory
export const PACKED_RR = 201; // 15 operations, in the order of `packedIndex`
export const ADD_SD = 216; // ADD SUB MUL DIV
export const ADD_SS = 220;
export const SQRT_SD = 224; // SD, SS
export const COMPARE = 226; // SD, SS
export const FROM_INTEGER = 228; // 32-bit, 64-bit
export const TRUNCATE = 230; // 32-bit, 64-bit
export const SS_TO_SD = 232;
export const SD_TO_SS = 233;
export const PACKED_FLOAT = 234; // PS, PD
