/**
 * Opcode attributes: what the decoder must know of every opcode. One cell an opcode, rows of eight.
 *
 * Source: SDM 2 "Opcode Map".
 */

// prettier-ignore
export enum A {
  M = 1, // ModRM follows
  IB = 1 << 1, // immediate byte, sign-extended
  IZ = 2 << 1, // 2 or 4 bytes by operand size, sign-extended
  IV = 3 << 1, // 2, 4 or 8 bytes by operand size
  IW = 4 << 1, // 2 bytes, zero-extended
  IE = 5 << 1, // ENTER: 2 bytes and 1 byte
  IF = 6 << 1, // far pointer
  IO = 7 << 1, // memory offset of address size
  IU = 8 << 1, // immediate byte, zero-extended
  IMM = 15 << 1,
  B = 1 << 5, // register operands are bytes
  E = 1 << 6, // only the r/m operand is a byte
  G = 1 << 7, // ModRM.reg extends the opcode or names a segment register
  R = 1 << 8, // register in the low three bits of the opcode
  D = 1 << 9, // operand size 64 by default in 64-bit mode
  F = 1 << 10, // operand size 64 always in 64-bit mode
  N = 1 << 11, // not in 64-bit mode
  T = 1 << 12, // ends a block
  X = 1 << 13, // undefined
  P = 1 << 14, // prefix or escape
}

// prettier-ignore
export const ONE_BYTE: StaticArray<i32> = [
  /* 00 */ A.M|A.B, A.M, A.M|A.B, A.M, A.B|A.IB, A.IZ, A.N, A.N,
  /* 08 */ A.M|A.B, A.M, A.M|A.B, A.M, A.B|A.IB, A.IZ, A.N, A.P,
  /* 10 */ A.M|A.B, A.M, A.M|A.B, A.M, A.B|A.IB, A.IZ, A.N, A.N,
  /* 18 */ A.M|A.B, A.M, A.M|A.B, A.M, A.B|A.IB, A.IZ, A.N, A.N,
  /* 20 */ A.M|A.B, A.M, A.M|A.B, A.M, A.B|A.IB, A.IZ, A.P, A.N,
  /* 28 */ A.M|A.B, A.M, A.M|A.B, A.M, A.B|A.IB, A.IZ, A.P, A.N,
  /* 30 */ A.M|A.B, A.M, A.M|A.B, A.M, A.B|A.IB, A.IZ, A.P, A.N,
  /* 38 */ A.M|A.B, A.M, A.M|A.B, A.M, A.B|A.IB, A.IZ, A.P, A.N,
  /* 40 */ A.R, A.R, A.R, A.R, A.R, A.R, A.R, A.R, // REX in 64-bit mode
  /* 48 */ A.R, A.R, A.R, A.R, A.R, A.R, A.R, A.R,
  /* 50 */ A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D,
  /* 58 */ A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D, A.R|A.D,
  /* 60 */ A.N, A.N, A.M|A.N, A.M, A.P, A.P, A.P, A.P,
  /* 68 */ A.IZ|A.D, A.M|A.IZ, A.IB|A.D, A.M|A.IB, 0, 0, 0, 0,
  /* 70 */ A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F,
  /* 78 */ A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F, A.IB|A.F,
  /* 80 */ A.M|A.B|A.G|A.IB, A.M|A.G|A.IZ, A.M|A.B|A.G|A.IB|A.N, A.M|A.G|A.IB, A.M|A.B, A.M, A.M|A.B, A.M,
  /* 88 */ A.M|A.B, A.M, A.M|A.B, A.M, A.M|A.G, A.M, A.M|A.G, A.M|A.G|A.D,
  /* 90 */ A.R, A.R, A.R, A.R, A.R, A.R, A.R, A.R,
  /* 98 */ 0, 0, A.IF|A.N|A.T, 0, A.D, A.D, 0, 0,
  /* A0 */ A.IO|A.B, A.IO, A.IO|A.B, A.IO, 0, 0, 0, 0,
  /* A8 */ A.B|A.IB, A.IZ, 0, 0, 0, 0, 0, 0,
  /* B0 */ A.R|A.B|A.IB, A.R|A.B|A.IB, A.R|A.B|A.IB, A.R|A.B|A.IB, A.R|A.B|A.IB, A.R|A.B|A.IB, A.R|A.B|A.IB, A.R|A.B|A.IB,
  /* B8 */ A.R|A.IV, A.R|A.IV, A.R|A.IV, A.R|A.IV, A.R|A.IV, A.R|A.IV, A.R|A.IV, A.R|A.IV,
  /* C0 */ A.M|A.B|A.G|A.IB, A.M|A.G|A.IB, A.IW|A.F|A.T, A.F|A.T, A.M|A.N, A.M|A.N, A.M|A.B|A.G|A.IB, A.M|A.G|A.IZ,
  /* C8 */ A.IE|A.D, A.D, A.IW|A.T, A.T, A.T, A.IU|A.T, A.N|A.T, A.T,
  /* D0 */ A.M|A.B|A.G, A.M|A.G, A.M|A.B|A.G, A.M|A.G, A.IB|A.N, A.IB|A.N, A.N, 0,
  /* D8 */ A.M|A.G, A.M|A.G, A.M|A.G, A.M|A.G, A.M|A.G, A.M|A.G, A.M|A.G, A.M|A.G,
  /* E0 */ A.IB|A.F|A.T, A.IB|A.F|A.T, A.IB|A.F|A.T, A.IB|A.F|A.T, A.IU|A.B, A.IU, A.IU|A.B, A.IU,
  /* E8 */ A.IZ|A.F|A.T, A.IZ|A.F|A.T, A.IF|A.N|A.T, A.IB|A.F|A.T, 0, 0, 0, 0,
  /* F0 */ A.P, A.T, A.P, A.P, A.T, 0, A.M|A.B|A.G, A.M|A.G,
  /* F8 */ 0, 0, 0, 0, 0, 0, A.M|A.B|A.G, A.M|A.G,
];

// prettier-ignore
export const TWO_BYTE: StaticArray<i32> = [
  /* 00 */ A.M|A.G, A.M|A.G, A.M, A.M, A.X, A.T, 0, A.T,
  /* 08 */ 0, 0, A.X, A.T, A.X, A.M|A.G, A.X, A.X,
  /* 10 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* 18 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* 20 */ A.M, A.M, A.M, A.M, A.X, A.X, A.X, A.X,
  /* 28 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* 30 */ 0, 0, 0, 0, A.T, A.T, A.X, A.X,
  /* 38 */ A.P, A.X, A.P, A.X, A.X, A.X, A.X, A.X,
  /* 40 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* 48 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* 50 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* 58 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* 60 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* 68 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* 70 */ A.M|A.IU, A.M|A.G|A.IU, A.M|A.G|A.IU, A.M|A.G|A.IU, A.M, A.M, A.M, 0,
  /* 78 */ A.X, A.X, A.X, A.X, A.M, A.M, A.M, A.M,
  /* 80 */ A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F,
  /* 88 */ A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F, A.IZ|A.F,
  /* 90 */ A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E,
  /* 98 */ A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E, A.M|A.E,
  /* A0 */ A.D, A.D, 0, A.M, A.M|A.IB, A.M, A.X, A.X,
  /* A8 */ A.D, A.D, A.X, A.M, A.M|A.IB, A.M, A.M|A.G, A.M,
  /* B0 */ A.M|A.B, A.M, A.M, A.M, A.M, A.M, A.M|A.E, A.M,
  /* B8 */ A.M, A.M, A.M|A.G|A.IB, A.M, A.M, A.M, A.M|A.E, A.M,
  /* C0 */ A.M|A.B, A.M, A.M|A.IU, A.M, A.M|A.IU, A.M|A.IU, A.M|A.IU, A.M|A.G,
  /* C8 */ A.R, A.R, A.R, A.R, A.R, A.R, A.R, A.R,
  /* D0 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* D8 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* E0 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* E8 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* F0 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
  /* F8 */ A.M, A.M, A.M, A.M, A.M, A.M, A.M, A.M,
];

/** True when LOCK may stand before this instruction with a memory operand. Source: SDM 2A "LOCK". */
export function isLockable(opcode: u32, extension: u32): bool {
  if (opcode < 0x40) return (opcode & 7) < 2 && opcode < 0x38;
  switch (opcode) {
    case 0x80:
    case 0x81:
    case 0x82:
    case 0x83:
      return extension !== 7;
    case 0x86:
    case 0x87:
      return true;
    case 0xf6:
    case 0xf7:
      return extension === 2 || extension === 3;
    case 0xfe:
    case 0xff:
      return extension < 2;
    case 0x1ab: // BTS
    case 0x1b3: // BTR
    case 0x1bb: // BTC
    case 0x1b0: // CMPXCHG
    case 0x1b1:
    case 0x1c0: // XADD
    case 0x1c1:
      return true;
    case 0x1ba:
      return extension >= 5;
    case 0x1c7: // CMPXCHG8B, CMPXCHG16B
      return extension === 1;
    default:
      return false;
  }
}
