/** What the compute guests fill their memory with, and the CRC-32 of its first 4 KiB, computed another way: by table. */

const BYTES = 4096;

/** An xorshift generator: shifts to the left, right and left. */
function xorshift(bits: 32 | 64, shifts: readonly [bigint, bigint, bigint]): Uint8Array {
  const mask = (1n << BigInt(bits)) - 1n;
  const view = new DataView(new ArrayBuffer(BYTES));
  let x = 1n;
  for (let offset = 0; offset < BYTES; offset += bits / 8) {
    x ^= (x << shifts[0]) & mask;
    x ^= x >> shifts[1];
    x ^= (x << shifts[2]) & mask;
    if (bits === 64) view.setBigUint64(offset, x, true);
    else view.setUint32(offset, Number(x), true);
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

export const CRC_OF_NUMBERS_64 = crc32(xorshift(64, [13n, 7n, 17n]));
export const CRC_OF_NUMBERS_32 = crc32(xorshift(32, [13n, 17n, 5n]));
