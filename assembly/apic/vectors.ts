/**
 * The 256-bit vector registers IRR, ISR and TMR: bit v of 32 consecutive little-endian bytes.
 *
 * Always accessed as four 64-bit words: a processor cannot forward a narrower store to a wider load, and a vector is
 * often looked for right after it was set.
 */

/** @param base - host offset of the first word; @param vector - 0..255 @inline */
export function testVector(base: usize, vector: u32): bool {
  return ((load<u64>(base + ((vector >> 6) << 3)) >> (vector & 63)) & 1) !== 0;
}

/** @inline */
export function setVector(base: usize, vector: u32): void {
  const word = base + ((vector >> 6) << 3);
  store<u64>(word, load<u64>(word) | ((<u64>1) << (vector & 63)));
}

/** @inline */
export function clearVector(base: usize, vector: u32): void {
  const word = base + ((vector >> 6) << 3);
  store<u64>(word, load<u64>(word) & ~((<u64>1) << (vector & 63)));
}

/** @returns the highest set vector, or -1 @inline */
export function highestVector(base: usize): i32 {
  let word = load<u64>(base, 24);
  if (word !== 0) return 255 - <i32>clz(word);
  word = load<u64>(base, 16);
  if (word !== 0) return 191 - <i32>clz(word);
  word = load<u64>(base, 8);
  if (word !== 0) return 127 - <i32>clz(word);
  word = load<u64>(base);
  return word !== 0 ? 63 - <i32>clz(word) : -1;
}

/** Not 0 when a vector is set. @inline */
export function anyVector(base: usize): u64 {
  return load<u64>(base) | load<u64>(base, 8) | load<u64>(base, 16) | load<u64>(base, 24);
}

/** Clears all 256 bits. */
export function clearVectors(base: usize): void {
  store<u64>(base, 0);
  store<u64>(base, 0, 8);
  store<u64>(base, 0, 16);
  store<u64>(base, 0, 24);
}

/** Takes all 256 bits from eight 32-bit registers, 16 bytes apart. */
export function copyVectors(base: usize, registers: usize): void {
  for (let n: usize = 0; n < 4; n++) {
    const low = <u64>load<u32>(registers + (n << 5));
    store<u64>(base + (n << 3), low | ((<u64>load<u32>(registers + (n << 5), 16)) << 32));
  }
}
