/**
 * One instruction: bytes to a micro-op.
 *
 * The decoder reads host memory from a pointer up to an end and says when the bytes do not suffice; who calls it deals
 * with pages (cpu/block.ts). Source: SDM 2A "Instruction Format", "64-Bit Mode" and its appendix of ModRM tables.
 */
import { CS, DS, FS, GS, SS, VCPU_RIP } from "../abi";
import { Vcpu } from "../vcpu";
import {
  HANDLER_ONE_BYTE,
  HANDLER_THREE_BYTE,
  HANDLER_TOO_LONG,
  HANDLER_TWO_BYTE,
  HANDLER_UD,
} from "../op-abi";
import { MODE_32, MODE_64, MODE_FLAT } from "./mode";
import {
  ADDRESS_32,
  ADDRESS_64,
  ADDRESS_BASE,
  ADDRESS_NONE,
  ADDRESS_SLOW,
  Op,
  OP_64,
  OP_66,
  OP_ADDR16,
  OP_ADDR32,
  OP_LOCK,
  OP_REP,
  OP_REPNE,
  OP_REX,
  OP_REX_W,
  OP_RIP,
  OP_SEGMENT,
} from "./op";
import { A, isLockable, ONE_BYTE, TWO_BYTE } from "./opmap";

/** `decode`: more bytes are needed than there are before the end. */
export const NEED_MORE: u32 = 0;

const MAX_LENGTH: usize = 15;
const NO_SEGMENT: u32 = 0xff;
const ZERO: u16 = <u16>offsetof<Vcpu>("zero");

let at: usize = 0;
let end: usize = 0;
let short: bool = false;

function byte(): u32 {
  if (at >= end) {
    short = true;
    return 0;
  }
  return load<u8>(at++);
}

function word(): u32 {
  const low = byte();
  return low | (byte() << 8);
}

function dword(): u32 {
  const low = word();
  return low | (word() << 16);
}

function qword(): u64 {
  const low = <u64>dword();
  return low | ((<u64>dword()) << 32);
}

/** Byte offset in the record of an 8-bit register: AH..BH are second bytes, unless REX makes them SPL..DIL. */
function byteRegister(number: u32, rex: u32): u16 {
  return number >= 4 && number < 8 && rex === 0
    ? <u16>(((number - 4) << 3) + 1)
    : <u16>(number << 3);
}

/**
 * Decodes the instruction at `start`.
 *
 * @param bytesEnd - first host address that must not be read
 * @param mode - Vcpu.mode
 * @param blockOffset - distance of the instruction from its block's start, bytes
 * @param op - receives the micro-op; its `handler` is a HANDLER_* that executes out of line
 * @returns length 1..15, or NEED_MORE. Undefined or over-long instructions decode to ops that raise #UD or #GP.
 */
export function decode(start: usize, bytesEnd: usize, mode: u32, blockOffset: u32, op: Op): u32 {
  at = start;
  // One byte more than is legal can be looked at: a 16th byte that is needed means #GP, not "need more".
  end = min(bytesEnd, start + MAX_LENGTH);
  short = false;
  memory.fill(changetype<usize>(op), 0, 32);
  const is64 = (mode & MODE_64) !== 0;
  let flags: u32 = is64 ? OP_64 : 0;
  let segment: u32 = NO_SEGMENT;
  let rex: u32 = 0;
  let opsize = false;
  let adsize = false;
  let opcode: u32;
  for (;;) {
    opcode = byte();
    if (is64 && (opcode & 0xf0) === 0x40) {
      rex = opcode;
      continue;
    }
    if (opcode === 0x66) opsize = true;
    else if (opcode === 0x67) adsize = true;
    else if (opcode === 0xf0) flags |= OP_LOCK;
    else if (opcode === 0xf2) flags = (flags & ~OP_REP) | OP_REPNE;
    else if (opcode === 0xf3) flags = (flags & ~OP_REPNE) | OP_REP;
    else if (opcode === 0x64) segment = FS;
    else if (opcode === 0x65) segment = GS;
    else if ((opcode & 0xe7) === 0x26) {
      if (!is64) segment = (opcode >> 3) & 3; // 26 ES, 2E CS, 36 SS, 3E DS
    } else break;
    rex = 0; // REX counts only directly before the opcode
    if (short) break;
  }
  let attributes: u32;
  if (opcode === 0x0f) {
    opcode = 0x100 | byte();
    attributes = unchecked(TWO_BYTE[opcode & 0xff]); /* masked: 0..255 */
    if (opcode === 0x138) {
      opcode = 0x200 | byte();
      attributes = opcode === 0x2f0 ? A.M | A.E : A.M; // CRC32 of a byte
    } else if (opcode === 0x13a) {
      opcode = 0x300 | byte();
      attributes = A.M | A.IU;
    }
  } else attributes = unchecked(ONE_BYTE[opcode]); /* a byte */

  if (opsize) flags |= OP_66;
  if (rex !== 0) flags |= OP_REX | (rex & 8 ? OP_REX_W : 0);
  if (segment !== NO_SEGMENT) flags |= OP_SEGMENT;
  if (is64) flags |= adsize ? OP_ADDR32 : 0;
  else flags |= ((mode & MODE_32) !== 0) !== adsize ? OP_ADDR32 : OP_ADDR16;

  let modrm: u32 = 0;
  op.base = ZERO;
  op.index = ZERO;
  op.kind = <u8>ADDRESS_NONE;
  let isRipRelative = false;
  if (attributes & A.M) {
    modrm = byte();
    const extension = (modrm >> 3) & 7;
    const reg = extension | ((rex & 4) << 1);
    if (attributes & A.G) op.reg = <u16>(extension << 3);
    else op.reg = attributes & A.B ? byteRegister(reg, rex) : <u16>(reg << 3);
    // MOV CRn and DRn take a register whatever mod says.
    if (modrm >= 0xc0 || (opcode >= 0x120 && opcode <= 0x123)) {
      const rm = (modrm & 7) | ((rex & 1) << 3);
      op.rm = attributes & (A.B | A.E) ? byteRegister(rm, rex) : <u16>(rm << 3);
    } else if (flags & OP_ADDR16) segment = address16(modrm, op, segment);
    else {
      isRipRelative = is64 && (modrm & 0xc7) === 5;
      segment = address32(modrm, rex, op, segment, isRipRelative);
    }
    // TEST of groups F6 and F7 has an immediate; near branches and PUSH of group FF default to 64 bits.
    if ((opcode === 0xf6 || opcode === 0xf7) && extension < 2)
      attributes |= opcode === 0xf6 ? A.IB : A.IZ;
    if (opcode === 0xff) {
      if (extension === 2 || extension === 4) attributes |= A.F | A.T;
      else if (extension === 3 || extension === 5) attributes |= A.T;
      else if (extension === 6) attributes |= A.D;
    }
  } else if (attributes & A.R) {
    const number = (opcode & 7) | ((rex & 1) << 3);
    op.rm = attributes & A.B ? byteRegister(number, rex) : <u16>(number << 3);
  }

  let size: u32 = 4;
  if (is64) {
    if (rex & 8 || attributes & A.F) size = 8;
    else if (opsize) size = 2;
    else if (attributes & A.D) size = 8;
  } else if (((mode & MODE_32) !== 0) === opsize) size = 2;
  immediate(attributes & A.IMM, size, flags, op);

  if (short) {
    if (at - start < MAX_LENGTH && end < start + MAX_LENGTH) return NEED_MORE;
    op.handler = <u16>HANDLER_TOO_LONG;
    op.length = <u8>MAX_LENGTH;
    op.end = <u16>(blockOffset + <u32>MAX_LENGTH);
    op.kind = <u8>ADDRESS_NONE;
    lastAttributes = A.T;
    return <u32>MAX_LENGTH;
  }

  const length = <u32>(at - start);
  op.length = <u8>length;
  op.end = <u16>(blockOffset + length);
  op.opcode = <u16>opcode;
  op.segment = <u8>(segment === NO_SEGMENT ? DS : segment);
  if (op.kind !== ADDRESS_NONE) chooseKind(mode, flags, op);
  if (isRipRelative) {
    const disp = <i64>op.disp + <i64>op.end;
    if (disp === <i64>(<i32>disp)) op.disp = <i32>disp;
    else {
      op.kind = <u8>ADDRESS_SLOW;
      flags |= OP_RIP;
    }
  }
  op.flags = <u16>(flags | size);
  if (opcode < 0x100) op.handler = <u16>HANDLER_ONE_BYTE;
  else op.handler = <u16>(opcode < 0x200 ? HANDLER_TWO_BYTE : HANDLER_THREE_BYTE);
  const misplacedLock =
    (flags & OP_LOCK) !== 0 && (op.kind === ADDRESS_NONE || !isLockable(opcode, (modrm >> 3) & 7));
  if (attributes & A.X || (is64 && attributes & A.N) || misplacedLock) {
    op.handler = <u16>HANDLER_UD;
    attributes |= A.T;
  }
  lastAttributes = attributes;
  return length;
}

/** Attributes of the last decoded instruction. */
let lastAttributes: u32 = 0;

/** True when the last decoded instruction ends a block. */
export function endsBlock(): bool {
  return (lastAttributes & A.T) !== 0;
}

function immediate(kind: u32, size: u32, flags: u32, op: Op): void {
  switch (kind >> 1) {
    case A.IB >> 1:
      op.imm = <i64>(<i8>byte());
      break;
    case A.IZ >> 1:
      op.imm = size === 2 ? <i64>(<i16>word()) : <i64>(<i32>dword());
      break;
    case A.IV >> 1:
      if (size === 8) op.imm = <i64>qword();
      else op.imm = size === 2 ? <i64>(<i16>word()) : <i64>(<i32>dword());
      break;
    case A.IW >> 1:
      op.imm = <i64>word();
      break;
    case A.IE >> 1: {
      const bytes = word();
      op.imm = <i64>(bytes | (byte() << 16));
      break;
    }
    case A.IF >> 1: {
      const offset = <u64>(size === 2 ? word() : dword());
      op.imm = <i64>(offset | ((<u64>word()) << 32));
      break;
    }
    case A.IO >> 1:
      if (flags & OP_ADDR16) op.imm = <i64>word();
      else op.imm = flags & OP_ADDR32 ? <i64>dword() : <i64>qword();
      break;
    case A.IU >> 1:
      op.imm = <i64>byte();
      break;
    default:
      break;
  }
}

/** 16-bit addressing forms. @returns the segment, by default DS, or SS with BP */
function address16(modrm: u32, op: Op, segment: u32): u32 {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  op.kind = <u8>ADDRESS_SLOW;
  let stack = false;
  // BX+SI BX+DI BP+SI BP+DI SI DI BP BX, as offsets of RBX = 3, RBP = 5, RSI = 6, RDI = 7
  switch (rm) {
    case 0:
    case 1:
      op.base = 3 << 3;
      op.index = <u16>((6 + rm) << 3);
      break;
    case 2:
    case 3:
      op.base = 5 << 3;
      op.index = <u16>((4 + rm) << 3);
      stack = true;
      break;
    case 4:
    case 5:
      op.base = <u16>((2 + rm) << 3);
      break;
    case 6:
      if (mod !== 0) {
        op.base = 5 << 3;
        stack = true;
      }
      break;
    default:
      op.base = 3 << 3;
      break;
  }
  if (mod === 1) op.disp = <i32>(<i8>byte());
  else if (mod === 2 || (mod === 0 && rm === 6)) op.disp = <i32>(<i16>word());
  return segment !== NO_SEGMENT ? segment : stack ? SS : DS;
}

/** 32- and 64-bit addressing forms. @returns the segment, by default DS, or SS with RSP or RBP as base */
function address32(modrm: u32, rex: u32, op: Op, segment: u32, isRipRelative: bool): u32 {
  const mod = modrm >> 6;
  let base = modrm & 7;
  let hasBase = true;
  op.kind = <u8>ADDRESS_SLOW;
  if (base === 4) {
    const sib = byte();
    const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
    if (index !== 4) {
      op.index = <u16>(index << 3);
      op.scale = <u8>(sib >> 6);
    }
    base = sib & 7;
  }
  if (base === 5 && mod === 0) hasBase = false;
  let stack = false;
  if (isRipRelative) op.base = <u16>VCPU_RIP;
  else if (hasBase) {
    stack = !(rex & 1) && (base === 4 || base === 5);
    op.base = <u16>((base | ((rex & 1) << 3)) << 3);
  }
  if (mod === 1) op.disp = <i32>(<i8>byte());
  else if (mod === 2 || !hasBase) op.disp = <i32>dword();
  return segment !== NO_SEGMENT ? segment : stack ? SS : DS;
}

function chooseKind(mode: u32, flags: u32, op: Op): void {
  const segment = <u32>op.segment;
  op.kind = <u8>ADDRESS_SLOW;
  if (segment >= <u32>FS) {
    if (mode & MODE_64 && !(flags & OP_ADDR32)) op.kind = <u8>ADDRESS_BASE;
    return;
  }
  if (flags & OP_ADDR16 || !(mode & MODE_FLAT)) return;
  if (mode & MODE_64) op.kind = <u8>(flags & OP_ADDR32 ? ADDRESS_32 : ADDRESS_64);
  else if (segment !== <u32>CS) op.kind = <u8>ADDRESS_32;
}
