/**
 * A ROM that holds a Multiboot image and starts it: firmware for machines that load no kernel by themselves.
 *
 *     0            the image
 *     then         Multiboot information, command line
 *     1FF00H       GDT, code below
 *     1FFF0H       reset vector
 *
 * The ROM ends at 4 GiB and shows at 1 MiB, too, from where it copies the image. Nothing else is set up: the other CPUs
 * wait for STARTUP, the interrupt controllers are as after reset.
 *
 * Source: Multiboot Specification 0.6.96; SDM 3A "Processor Initialization", "First Instruction Executed".
 */

const ROM_BYTES = 0x20000;
/** Where it shows below 1 MiB. */
const BASE = 0x100000 - ROM_BYTES;
export const ROM_ADDRESS = 2 ** 32 - ROM_BYTES;
const GDT = 0x1ff00;
const GDT_POINTER = GDT + 24;
const CODE = 0x1ff20;
const RESET = 0x1fff0;
const INFO_BYTES = 32;
const HAS_COMMAND_LINE = 1 << 2;
const COMMAND_LINE_FIELD = 16;
/** Flat: null, 32-bit code, data. */
const DESCRIPTORS = [0n, 0x00cf_9b00_0000_ffffn, 0x00cf_9300_0000_ffffn];
const CODE_SELECTOR = 8;
const DATA_SELECTOR = 16;
const BOOT_MAGIC = 0x2bad_b002;

/** Words of the Multiboot header of an image that begins with it. */
const LOAD_ADDRESS = 16;
const BSS_END = 24;
const ENTRY = 28;

/** @param image - begins with its Multiboot header, which has address fields @throws Error when it is too large */
export function romOf(image: Uint8Array, commandLine: string): Uint8Array {
  const header = new DataView(image.buffer, image.byteOffset);
  const word = (offset: number) => header.getUint32(offset, true);
  const rom = new Uint8Array(ROM_BYTES);
  const view = new DataView(rom.buffer);
  const info = (image.length + 15) & ~15;
  const text = new TextEncoder().encode(`${commandLine}\0`);
  if (info + INFO_BYTES + text.length > GDT) {
    throw new Error(`An image of ${image.length} bytes is too large for a ROM of ${ROM_BYTES}`);
  }
  rom.set(image);
  view.setUint32(info, HAS_COMMAND_LINE, true);
  view.setUint32(info + COMMAND_LINE_FIELD, BASE + info + INFO_BYTES, true);
  rom.set(text, info + INFO_BYTES);
  DESCRIPTORS.forEach((descriptor, i) => view.setBigUint64(GDT + i * 8, descriptor, true));
  view.setUint16(GDT_POINTER, DESCRIPTORS.length * 8 - 1, true);
  view.setUint32(GDT_POINTER + 2, BASE + GDT, true);
  const loaded = word(LOAD_ADDRESS);
  rom.set(
    [
      [0xfa], // cli
      [0x66, 0x2e, 0x0f, 0x01, 0x16, ...le16(GDT_POINTER & 0xffff)], // o32 lgdt [cs:gdt_pointer]
      [0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // mov eax, cr0; or al, 1; mov cr0, eax
      [0x66, 0xea, ...le32(BASE + CODE + 24), ...le16(CODE_SELECTOR)], // jmp dword 8:next
      [0xb8, ...le32(DATA_SELECTOR)], // mov eax, 16
      [0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0xfc], // mov ds, eax; mov es, eax; mov ss, eax; cld
      [0xbe, ...le32(BASE)], // mov esi, image
      [0xbf, ...le32(loaded)], // mov edi, load_addr
      [0xb9, ...le32(image.length), 0xf3, 0xa4], // mov ecx, bytes; rep movsb
      [0xb9, ...le32(Math.max(0, word(BSS_END) - loaded - image.length))], // mov ecx, bss
      [0x31, 0xc0, 0xf3, 0xaa], // xor eax, eax; rep stosb
      [0xb8, ...le32(BOOT_MAGIC)], // mov eax, magic
      [0xbb, ...le32(BASE + info)], // mov ebx, info
      [0xba, ...le32(word(ENTRY)), 0xff, 0xe2], // mov edx, entry; jmp edx
    ].flat(),
    CODE,
  );
  rom.set([0xe9, ...le16(CODE - RESET - 3)], RESET); // jmp near CODE
  return rom;
}

function le16(value: number): number[] {
  return [value & 0xff, (value >> 8) & 0xff];
}

function le32(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
