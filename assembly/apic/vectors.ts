/** The 256-bit vector registers IRR, ISR and TMR: bit v of eight consecutive little-endian 32-bit words. */

/** @param base - host offset of the first word; @param vector - 0..255 */
export function testVector(base: usize, vector: u32): bool {
  return ((load<u32>(base + ((vector >> 5) << 2)) >> (vector & 31)) & 1) !== 0;
}

export function setVector(base: usize, vector: u32): void {
  const word = base + ((vector >> 5) << 2);
  store<u32>(word, load<u32>(word) | (1 << (vector & 31)));
}

export function clearVector(base: usize, vector: u32): void {
  const word = base + ((vector >> 5) << 2);
  store<u32>(word, load<u32>(word) & ~(1 << (vector & 31)));
}

/** @returns the highest set vector, or -1 */
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

/** Clears all 256 bits. */
export function clearVectors(base: usize): void {
  memory.fill(base, 0, 32);
}
