/** What compute.asm fills its memory with, and the CRC-32 of its first 4 KiB, computed another way: by table. */

const MASK = (1n << 64n) - 1n;

function xorshift(count: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(count * 8));
  let x = 1n;
  for (let i = 0; i < count; i++) {
    x ^= (x << 13n) & MASK;
    x ^= x >> 7n;
    x ^= (x << 17n) & MASK;
    view.setBigUint64(i * 8, x, true);
  }
  return new Uint8Array(view.buffer);
}

function crc32(bytes: Uint8Array): number {
  const table = Uint32Array.from({ length: 256 }, (_, i) => {
    let c = i;
    for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    return c;
  });
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  return ~crc >>> 0;
}

export const CRC_OF_NUMBERS = crc32(xorshift(512));
