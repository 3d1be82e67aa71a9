/**
 * Packed integer operations of MMX, SSE2, SSSE3: one function for 64-bit and 128-bit operands.
 *
 *     0F 60..6D  74..76  D1..FE (without moves)   0F 38 00..0B, 1C..1E
 *
 * Source: SDM 2, by instruction. Operands of 64 bits come in the low half with zeros above; results are taken from the
 * low half.
 */

/** No such operation. */
export let unknown = false;

function count(b: v128): u64 {
  return i64x2.extract_lane(b, 0);
}

function low(a: v128): v128 {
  return i64x2.replace_lane(a, 1, 0);
}

/** Both 64-bit operands in one vector: a below b. */
function joined(a: v128, b: v128): v128 {
  return v128.shuffle<u64>(a, b, 0, 2);
}

/** The high half, as a 64-bit result. */
function high(a: v128): v128 {
  return v128.shuffle<u64>(a, a, 1, 1);
}

/** Operands of PACK and horizontal operations: for 64 bits both come from the joined vector. */
function narrow(byte: u32, a: v128, b: v128, wide: bool): v128 {
  const x = wide ? a : joined(a, b);
  const y = wide ? b : x;
  switch (byte) {
    case 0x63:
      return i8x16.narrow_i16x8_s(x, y);
    case 0x67:
      return i8x16.narrow_i16x8_u(x, y);
    default:
      return i16x8.narrow_i32x4_s(x, y);
  }
}

/** PUNPCKL. and PUNPCKH. */
function unpack(byte: u32, a: v128, b: v128, wide: bool): v128 {
  let kind = byte - 0x60;
  const takesHigh = byte >= 0x68 && byte !== 0x6c;
  if (byte >= 0x68) kind = byte - 0x68;
  if (byte === 0x6c || byte === 0x6d) {
    return byte === 0x6c ? v128.shuffle<u64>(a, b, 0, 2) : v128.shuffle<u64>(a, b, 1, 3);
  }
  if (takesHigh && wide) {
    if (kind === 0)
      return v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    if (kind === 1) return v128.shuffle<u16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    return v128.shuffle<u32>(a, b, 2, 6, 3, 7);
  }
  let all: v128;
  if (kind === 0)
    all = v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  else if (kind === 1) all = v128.shuffle<u16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  else all = v128.shuffle<u32>(a, b, 0, 4, 1, 5);
  // For 64 bits the high forms are the upper half of the same interleaving.
  return takesHigh ? high(all) : all;
}

/** PMULHW, PMULHUW. */
function multiplyHigh(a: v128, b: v128, isSigned: bool): v128 {
  const lowProducts = isSigned ? i32x4.extmul_low_i16x8_s(a, b) : i32x4.extmul_low_i16x8_u(a, b);
  const highProducts = isSigned ? i32x4.extmul_high_i16x8_s(a, b) : i32x4.extmul_high_i16x8_u(a, b);
  return v128.shuffle<u16>(lowProducts, highProducts, 1, 3, 5, 7, 9, 11, 13, 15);
}

/** PSADBW. */
function sumDifferences(a: v128, b: v128): v128 {
  const difference = v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a));
  const words = i16x8.extadd_pairwise_i8x16_u(difference);
  const doubles = i32x4.extadd_pairwise_i16x8_u(words);
  const folded = i64x2.add(doubles, i64x2.shr_u(doubles, 32));
  return v128.and(folded, i64x2.splat(0xffffffff));
}

/** 0F 60..FE: a op b, 128-bit when `wide`. `unknown` is set when there is no such operation. */
export function packed(byte: u32, a: v128, b: v128, wide: bool): v128 {
  unknown = false;
  switch (byte) {
    case 0x60:
    case 0x61:
    case 0x62:
    case 0x68:
    case 0x69:
    case 0x6a:
    case 0x6c:
    case 0x6d:
      return unpack(byte, a, b, wide);
    case 0x63:
    case 0x67:
    case 0x6b:
      return narrow(byte, a, b, wide);
    case 0x64:
      return i8x16.gt_s(a, b);
    case 0x65:
      return i16x8.gt_s(a, b);
    case 0x66:
      return i32x4.gt_s(a, b);
    case 0x74:
      return i8x16.eq(a, b);
    case 0x75:
      return i16x8.eq(a, b);
    case 0x76:
      return i32x4.eq(a, b);
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xe1:
    case 0xe2:
    case 0xf1:
    case 0xf2:
    case 0xf3:
      return shift(byte, a, count(b));
    case 0xd4:
      return i64x2.add(a, b);
    case 0xd5:
      return i16x8.mul(a, b);
    case 0xd8:
      return i8x16.sub_sat_u(a, b);
    case 0xd9:
      return i16x8.sub_sat_u(a, b);
    case 0xda:
      return i8x16.min_u(a, b);
    case 0xdb:
      return v128.and(a, b);
    case 0xdc:
      return i8x16.add_sat_u(a, b);
    case 0xdd:
      return i16x8.add_sat_u(a, b);
    case 0xde:
      return i8x16.max_u(a, b);
    case 0xdf:
      return v128.andnot(b, a);
    case 0xe0:
      return i8x16.avgr_u(a, b);
    case 0xe3:
      return i16x8.avgr_u(a, b);
    case 0xe4:
      return multiplyHigh(a, b, false);
    case 0xe5:
      return multiplyHigh(a, b, true);
    case 0xe8:
      return i8x16.sub_sat_s(a, b);
    case 0xe9:
      return i16x8.sub_sat_s(a, b);
    case 0xea:
      return i16x8.min_s(a, b);
    case 0xeb:
      return v128.or(a, b);
    case 0xec:
      return i8x16.add_sat_s(a, b);
    case 0xed:
      return i16x8.add_sat_s(a, b);
    case 0xee:
      return i16x8.max_s(a, b);
    case 0xef:
      return v128.xor(a, b);
    case 0xf4: {
      const mask = i64x2.splat(0xffffffff);
      return i64x2.mul(v128.and(a, mask), v128.and(b, mask));
    }
    case 0xf5:
      return i32x4.dot_i16x8_s(a, b);
    case 0xf6:
      return sumDifferences(a, b);
    case 0xf8:
      return i8x16.sub(a, b);
    case 0xf9:
      return i16x8.sub(a, b);
    case 0xfa:
      return i32x4.sub(a, b);
    case 0xfb:
      return i64x2.sub(a, b);
    case 0xfc:
      return i8x16.add(a, b);
    case 0xfd:
      return i16x8.add(a, b);
    case 0xfe:
      return i32x4.add(a, b);
    default:
      unknown = true;
      return a;
  }
}

/** PSRLW..PSLLQ by a count that may exceed the width. @param byte - D1..D3, E1, E2, F1..F3 */
export function shift(byte: u32, a: v128, by: u64): v128 {
  const width: u64 = (byte & 3) === 1 ? 16 : (byte & 3) === 2 ? 32 : 64;
  const arithmetic = (byte & 0xf0) === 0xe0;
  let n = <i32>min<u64>(by, width);
  if (<u64>n === width) {
    if (!arithmetic) return i64x2.splat(0);
    n--;
  }
  switch (byte) {
    case 0xd1:
      return i16x8.shr_u(a, n);
    case 0xd2:
      return i32x4.shr_u(a, n);
    case 0xd3:
      return i64x2.shr_u(a, n);
    case 0xe1:
      return i16x8.shr_s(a, n);
    case 0xe2:
      return i32x4.shr_s(a, n);
    case 0xf1:
      return i16x8.shl(a, n);
    case 0xf2:
      return i32x4.shl(a, n);
    default:
      return i64x2.shl(a, n);
  }
}

const shiftWindow: usize = memory.data(48, 16);

/** PSRLDQ (right) or PSLLDQ by bytes. */
export function shiftBytes(a: v128, bytes: u32, right: bool): v128 {
  const n = <usize>min<u32>(bytes, 16);
  const zero = i64x2.splat(0);
  v128.store(shiftWindow, zero);
  v128.store(shiftWindow, a, 16);
  v128.store(shiftWindow, zero, 32);
  return v128.load(right ? shiftWindow + 16 + n : shiftWindow + 16 - n);
}

/** PALIGNR: the 16 (or 8) bytes from position `bytes` of a:b. */
export function align(a: v128, b: v128, bytes: u32, wide: bool): v128 {
  const width: u32 = wide ? 16 : 8;
  if (bytes >= width << 1) return i64x2.splat(0);
  v128.store(shiftWindow, b);
  v128.store(shiftWindow + width, wide ? a : low(a));
  v128.store(shiftWindow + width * 2, i64x2.splat(0));
  return v128.load(shiftWindow + bytes);
}

/** Even and odd words of both operands, for horizontal operations. */
function pairs16(a: v128, b: v128, wide: bool, odd: bool): v128 {
  const x = wide ? a : joined(a, b);
  const y = wide ? b : x;
  return odd
    ? v128.shuffle<u16>(x, y, 1, 3, 5, 7, 9, 11, 13, 15)
    : v128.shuffle<u16>(x, y, 0, 2, 4, 6, 8, 10, 12, 14);
}

function pairs32(a: v128, b: v128, wide: bool, odd: bool): v128 {
  const x = wide ? a : joined(a, b);
  const y = wide ? b : x;
  return odd ? v128.shuffle<u32>(x, y, 1, 3, 5, 7) : v128.shuffle<u32>(x, y, 0, 2, 4, 6);
}

/** PMADDUBSW: unsigned bytes of a, signed bytes of b, pairs added with saturation. */
function multiplyAddBytes(a: v128, b: v128): v128 {
  const lowProducts = i16x8.mul(i16x8.extend_low_i8x16_u(a), i16x8.extend_low_i8x16_s(b));
  const highProducts = i16x8.mul(i16x8.extend_high_i8x16_u(a), i16x8.extend_high_i8x16_s(b));
  return i16x8.add_sat_s(
    v128.shuffle<u16>(lowProducts, highProducts, 0, 2, 4, 6, 8, 10, 12, 14),
    v128.shuffle<u16>(lowProducts, highProducts, 1, 3, 5, 7, 9, 11, 13, 15),
  );
}

/** PMULHRSW: rounded high part; unlike WASM's, -32768 squared wraps. */
function multiplyRounded(a: v128, b: v128): v128 {
  const one = i32x4.splat(1);
  const lowProducts = i32x4.shr_s(
    i32x4.add(i32x4.shr_s(i32x4.extmul_low_i16x8_s(a, b), 14), one),
    1,
  );
  const highProducts = i32x4.shr_s(
    i32x4.add(i32x4.shr_s(i32x4.extmul_high_i16x8_s(a, b), 14), one),
    1,
  );
  return v128.shuffle<u16>(lowProducts, highProducts, 0, 2, 4, 6, 8, 10, 12, 14);
}

/** PSIGN: a with the sign of b applied, lane by lane. */
function signed(a: v128, negated: v128, isNegative: v128, isZero: v128): v128 {
  return v128.andnot(v128.bitselect(negated, a, isNegative), isZero);
}

/** PSHUFB: bytes of a chosen by b; bit 7 gives zero. */
function shuffleBytes(a: v128, b: v128, wide: bool): v128 {
  const mask = i8x16.splat(wide ? 0x0f : 0x07);
  const chosen = i8x16.swizzle(a, v128.and(b, mask));
  return v128.andnot(chosen, i8x16.lt_s(b, i8x16.splat(0)));
}

/** 0F 38 00..0B, 1C..1E (SSSE3). */
export function packed38(byte: u32, a: v128, b: v128, wide: bool): v128 {
  const zero = i64x2.splat(0);
  unknown = false;
  switch (byte) {
    case 0x00:
      return shuffleBytes(a, b, wide);
    case 0x01:
      return i16x8.add(pairs16(a, b, wide, false), pairs16(a, b, wide, true));
    case 0x02:
      return i32x4.add(pairs32(a, b, wide, false), pairs32(a, b, wide, true));
    case 0x03:
      return i16x8.add_sat_s(pairs16(a, b, wide, false), pairs16(a, b, wide, true));
    case 0x04:
      return multiplyAddBytes(a, b);
    case 0x05:
      return i16x8.sub(pairs16(a, b, wide, false), pairs16(a, b, wide, true));
    case 0x06:
      return i32x4.sub(pairs32(a, b, wide, false), pairs32(a, b, wide, true));
    case 0x07:
      return i16x8.sub_sat_s(pairs16(a, b, wide, false), pairs16(a, b, wide, true));
    case 0x08:
      return signed(a, i8x16.neg(a), i8x16.lt_s(b, zero), i8x16.eq(b, zero));
    case 0x09:
      return signed(a, i16x8.neg(a), i16x8.lt_s(b, zero), i16x8.eq(b, zero));
    case 0x0a:
      return signed(a, i32x4.neg(a), i32x4.lt_s(b, zero), i32x4.eq(b, zero));
    case 0x0b:
      return multiplyRounded(a, b);
    case 0x1c:
      return i8x16.abs(b);
    case 0x1d:
      return i16x8.abs(b);
    case 0x1e:
      return i32x4.abs(b);
    default:
      unknown = true;
      return a;
  }
}
