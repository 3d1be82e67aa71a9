/** Linux kernels as small as they can be: an ELF file with one segment, and bzImages that hold it. */

export const MiB = 2 ** 20;
export const KERNEL_ADDRESS = 0x1000000;
/** hlt */
const CODE = 0xf4;

/** An ELF64 file with one loadable segment and a note of Linux's. */
export function vmlinux(memoryBytes = MiB): Uint8Array {
  const bytes = new Uint8Array(0x2000);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setBigUint64(24, BigInt(KERNEL_ADDRESS), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 2, true);
  const header = (at: number, type: number, offset: number, length: number, memory: number) => {
    view.setUint32(at, type, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, 0xffffffff81000000n, true);
    view.setBigUint64(at + 24, BigInt(KERNEL_ADDRESS), true);
    view.setBigUint64(at + 32, BigInt(length), true);
    view.setBigUint64(at + 40, BigInt(memory), true);
  };
  header(64, 1, 0x1000, 0x1000, memoryBytes);
  header(120, 4, 0x200, 24, 24);
  view.setUint32(0x200, 6, true);
  view.setUint32(0x204, 4, true);
  bytes.set(new TextEncoder().encode("Linux"), 0x20c);
  bytes.fill(CODE, 0x1000);
  return bytes;
}

/** LZ4 legacy: literals only, in one block. */
export function lz4(bytes: Uint8Array): Uint8Array {
  const more: number[] = [];
  let rest = bytes.length - 15;
  for (; rest >= 255; rest -= 255) more.push(255);
  const block = [0xf0, ...more, rest, ...bytes];
  const out = new Uint8Array(8 + block.length + 4);
  const view = new DataView(out.buffer);
  view.setUint32(0, 0x184c2102, true);
  view.setUint32(4, block.length, true);
  out.set(block, 8);
  view.setUint32(8 + block.length, bytes.length, true);
  return out;
}

/** A bzImage of boot protocol 2.15 with a 64-bit entry; its code is its payload. */
export function bzImage(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1024 + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0x1f1] = 1;
  bytes.set([0x55, 0xaa], 0x1fe);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x020f, true);
  bytes[0x211] = 1;
  bytes[0x201] = 0x6a; // the header ends at 0x26c
  view.setUint16(0x236, 1, true);
  view.setUint32(0x248, 0, true);
  view.setUint32(0x24c, payload.length, true);
  view.setBigUint64(0x258, BigInt(KERNEL_ADDRESS), true);
  view.setUint32(0x260, MiB, true);
  bytes.set(payload, 1024);
  return bytes;
}
