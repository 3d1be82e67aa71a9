/** The choice of a fast handler for SSE forms (fast-sse.ts, numbers: op-abi.ts); for code decoded with MODE_SSE. */
import {
  MOVE16,
  LOAD16,
  STORE16,
  LOAD_PART,
  STORE_PART,
  MOVE_PART,
  MOVE_QUAD,
  FROM_GENERAL,
  TO_GENERAL,
  BYTE_MASK,
  PACKED_ANY,
  PACKED_RR,
  ADD_SD,
  ADD_SS,
  SQRT_SD,
  COMPARE,
  FROM_INTEGER,
  TRUNCATE,
  SS_TO_SD,
  SD_TO_SS,
  PACKED_FLOAT,
} from "../op-abi";
import { offers } from "./features";
import { ADDRESS_NONE, Op, OP_66, OP_LOCK, OP_REP, OP_REPNE } from "./op";
import { FEATURE_SSE, FEATURE_SSE2 } from "../x86/cpuid";

function swapRegisters(op: Op): void {
  const rm = op.rm;
  op.rm = op.reg;
  op.reg = rm;
}

/** Fast handler of a two-byte opcode, 0 for none. */
export function sseHandler(op: Op): u32 {
  if (op.flags & OP_LOCK || !offers(FEATURE_SSE) || !offers(FEATURE_SSE2)) return 0;
  const byte = <u32>op.opcode & 0xff;
  const isRegister = op.kind === ADDRESS_NONE;
  if (op.flags & (OP_REP | OP_REPNE)) return scalar(op, byte, isRegister);
  const has66 = (op.flags & OP_66) !== 0;
  switch (byte) {
    case 0x10:
      return move16(op, false, false, isRegister);
    case 0x11:
      return move16(op, true, false, isRegister);
    case 0x13:
      return isRegister ? 0 : STORE_PART;
    case 0x28:
      return move16(op, false, true, isRegister);
    case 0x29:
      return move16(op, true, true, isRegister);
    case 0x2e:
    case 0x2f:
      return COMPARE + <u32>!has66;
    case 0x54:
      return packed(op, 0xdb, isRegister);
    case 0x55:
      return packed(op, 0xdf, isRegister);
    case 0x56:
      return packed(op, 0xeb, isRegister);
    case 0x57:
      return packed(op, 0xef, isRegister);
    case 0x58:
    case 0x59:
    case 0x5c:
    case 0x5e:
      return PACKED_FLOAT + <u32>has66;
    default:
      return has66 ? integer(op, byte, isRegister) : 0;
  }
}

/** MOVUPS, MOVAPS and their like. */
function move16(op: Op, isStore: bool, aligned: bool, isRegister: bool): u32 {
  if (!isRegister) return (isStore ? STORE16 : LOAD16) + <u32>aligned;
  if (!isStore) swapRegisters(op);
  return MOVE16;
}

/** Prefix 66. */
function integer(op: Op, byte: u32, isRegister: bool): u32 {
  const wide = <u32>(op.size === 8);
  switch (byte) {
    case 0x6e:
      return isRegister ? FROM_GENERAL + wide : LOAD_PART + 1 - wide;
    case 0x7e:
      return isRegister ? TO_GENERAL + wide : STORE_PART + 1 - wide;
    case 0x6f:
      return move16(op, false, true, isRegister);
    case 0x7f:
      return move16(op, true, true, isRegister);
    case 0xd6:
      return isRegister ? MOVE_QUAD : STORE_PART;
    case 0xd7:
      return isRegister ? BYTE_MASK : 0;
    default:
      break;
  }
  if ((byte >= 0x60 && byte <= 0x6d) || (byte >= 0x74 && byte <= 0x76))
    return packed(op, byte, isRegister);
  if (byte < 0xd1 || byte === 0xe6 || byte === 0xe7 || byte === 0xf0 || byte === 0xf7) return 0;
  return byte === 0xff ? 0 : packed(op, byte, isRegister);
}

/** Position of an opcode among the arms from PACKED_RR, or their number. */
function packedIndex(byte: u32): u32 {
  switch (byte) {
    case 0xef:
      return 0;
    case 0xdb:
      return 1;
    case 0xeb:
      return 2;
    case 0xdf:
      return 3;
    case 0xfc:
    case 0xfd:
    case 0xfe:
      return byte - 0xfc + 4;
    case 0xd4:
      return 7;
    case 0xf8:
    case 0xf9:
    case 0xfa:
    case 0xfb:
      return byte - 0xf8 + 8;
    case 0x74:
    case 0x75:
    case 0x76:
      return byte - 0x74 + 12;
    default:
      return 15;
  }
}

/** @param byte - opcode of the operation on integers; the operation's own `imm` is free to hold it */
function packed(op: Op, byte: u32, isRegister: bool): u32 {
  const index = packedIndex(byte);
  if (isRegister && index < 15) return PACKED_RR + index;
  op.imm = byte;
  return PACKED_ANY + <u32>!isRegister;
}

/** Prefixes F3 (singles) and F2 (doubles). */
function scalar(op: Op, byte: u32, isRegister: bool): u32 {
  const single = <u32>((op.flags & OP_REP) !== 0);
  const wide = <u32>(op.size === 8);
  const first = single ? ADD_SS : ADD_SD;
  switch (byte) {
    case 0x10:
      if (!isRegister) return LOAD_PART + single;
      swapRegisters(op);
      return MOVE_PART + single;
    case 0x11:
      return (isRegister ? MOVE_PART : STORE_PART) + single;
    case 0x2a:
      return isRegister && !single ? FROM_INTEGER + wide : 0;
    case 0x2c:
      return single ? 0 : TRUNCATE + wide;
    case 0x51:
      return SQRT_SD + single;
    case 0x58:
      return first;
    case 0x59:
      return first + 2;
    case 0x5a:
      return single ? SS_TO_SD : SD_TO_SS;
    case 0x5c:
      return first + 1;
    case 0x5e:
      return first + 3;
    case 0x6f:
      return single ? move16(op, false, false, isRegister) : 0;
    case 0x7f:
      return single ? move16(op, true, false, isRegister) : 0;
    case 0x7e:
      if (!single) return 0;
      if (!isRegister) return LOAD_PART;
      swapRegisters(op);
      return MOVE_QUAD;
    default:
      return 0;
  }
}
