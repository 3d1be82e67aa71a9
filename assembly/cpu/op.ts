/**
 * Micro-op: one decoded instruction, 32 bytes.
 *
 *      0 handler u16   2 length u8   3 kind u8   4 reg u16   6 rm u16   8 base u16   10 index u16
 *     12 scale u8  13 segment u8  14 flags u16   16 disp i32  20 end u16  22 opcode u16   24 imm i64
 *
 * `reg`, `rm`, `base` and `index` are byte offsets into the vCPU record: a register is `load(cpu + offset)`, AH is the
 * second byte of RAX. A missing base or index points at `Vcpu.zero`.
 */
import * as abi from "../op-abi";
import { Vcpu } from "../vcpu";

// How the memory operand's address is formed (Op.kind).
export const ADDRESS_64: u32 = abi.ADDRESS_64;
export const ADDRESS_32: u32 = abi.ADDRESS_32;
export const ADDRESS_BASE: u32 = abi.ADDRESS_BASE;
export const ADDRESS_SLOW: u32 = abi.ADDRESS_SLOW;
export const ADDRESS_NONE: u32 = abi.ADDRESS_NONE;

// Op.flags.
export const OP_SIZE: u32 = abi.FLAG_SIZE;
export const OP_ADDR16: u32 = 0x10; // address size; none of both: 64
export const OP_ADDR32: u32 = 0x20;
export const OP_LOCK: u32 = abi.FLAG_LOCK;
export const OP_REP: u32 = abi.FLAG_REP;
export const OP_REPNE: u32 = abi.FLAG_REPNE;
export const OP_REX: u32 = 0x200;
export const OP_REX_W: u32 = 0x400;
export const OP_66: u32 = abi.FLAG_66;
export const OP_SEGMENT: u32 = 0x1000; // a segment override was there (for string and moffs forms)
export const OP_RIP: u32 = 0x2000; // RIP-relative in ADDRESS_SLOW: add the end of the instruction
export const OP_64: u32 = 0x4000; // decoded in 64-bit mode

@unmanaged
export class Op {
  handler: u16;
  /** Instruction length in bytes, 1..15. */
  length: u8;
  kind: u8;
  /** Register of ModRM.reg. */
  reg: u16;
  /** Register of ModRM.r/m (kind ADDRESS_NONE) or of the opcode's low three bits. */
  rm: u16;
  base: u16;
  index: u16;
  /** Shift of the index, 0..3. */
  scale: u8;
  /** Segment number ES..GS of the memory operand. */
  segment: u8;
  flags: u16;
  disp: i32;
  /** Offset of the next instruction from the start of the block, in bytes. */
  end: u16;
  /** Map (0 one byte, 1 0F, 2 0F 38, 3 0F 3A) << 8 | opcode byte. */
  opcode: u16;
  /** Immediate, sign-extended; far pointers: selector << 32 | offset; ENTER: level << 16 | size. */
  imm: i64;

  /** Operand size in bytes: 2, 4 or 8. */
  get size(): u32 {
    return this.flags & OP_SIZE;
  }
  get isMemory(): bool {
    return this.kind !== ADDRESS_NONE;
  }
  /** Raw ModRM.reg as a number 0..7: opcode extension, segment or control register number (without REX.R). */
  get extension(): u32 {
    return (this.reg >> 3) & 7;
  }
  /** ModRM.reg with REX.R, 0..15: only for operands that are not byte registers. */
  get regNumber(): u32 {
    return this.reg >> 3;
  }
}

export const OP_BYTES: usize = abi.MICRO_BYTES;
if (offsetof<Op>() !== OP_BYTES) ERROR("Op: 32 bytes");
if (offsetof<Op>("reg") !== abi.MICRO_REG) ERROR("Op.reg");
if (offsetof<Op>("scale") !== abi.MICRO_SCALE) ERROR("Op.scale");
if (offsetof<Op>("disp") !== abi.MICRO_DISP) ERROR("Op.disp");
if (offsetof<Op>("opcode") !== abi.MICRO_OPCODE) ERROR("Op.opcode");
if (offsetof<Op>("imm") !== abi.MICRO_IMM) ERROR("Op.imm");

/** RIP of the instruction after `op`. */
export function nextRip(cpu: Vcpu, op: Op): u64 {
  return cpu.rip + op.end;
}
