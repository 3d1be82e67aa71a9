/**
 * What a Linux kernel finds at its entry: boot_params with the memory map, page tables, segment descriptors.
 *
 * Source: Linux Documentation/x86/boot.rst "64-bit Boot Protocol", "32-bit Boot Protocol", Documentation/x86/zero-page.rst.
 *
 *     0x7000 boot_params   0x8000 GDT   0x9000 page tables, 6 pages   0x20000 command line   0xffff0 reset code
 */
import { LOW_MEMORY_END } from "./image.js";

export const BOOT_PARAMS_ADDRESS = 0x7000;
export const GDT_ADDRESS = 0x8000;
export const PAGE_TABLES_ADDRESS = 0x9000;
export const COMMAND_LINE_ADDRESS = 0x20000;
/** The kernel's COMMAND_LINE_SIZE on x86, with the closing zero. */
export const COMMAND_LINE_BYTES = 2048;

export const CODE_SELECTOR = 0x10;
export const DATA_SELECTOR = 0x18;

const E820_RAM = 1;
const E820_RESERVED = 2;
const E820_ACPI = 3;
const E820_ENTRY_BYTES = 20;
/** Conventional memory ends here: an extended BIOS data area follows on a PC. */
const LOW_RAM_END = LOW_MEMORY_END - 0x400;
const ONE_MEBIBYTE = 0x100000;

export interface LinuxLayout {
  readonly ramBytes: number;
  /** Where the ACPI tables are, RSDP first: they take the rest of RAM. */
  readonly acpiAddress: number;
  readonly initrdAddress: number;
  readonly initrdBytes: number;
  readonly commandLineBytes: number;
  /** The setup header of a bzImage and its place, if it has one: a kernel that unpacks itself looks at it. */
  readonly setup?: { readonly header: Uint8Array; readonly headerOffset: number };
}

/** boot_params, 4096 bytes. */
export function bootParams(layout: LinuxLayout): Uint8Array {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  const map = [
    [0, LOW_RAM_END, E820_RAM],
    [LOW_RAM_END, ONE_MEBIBYTE, E820_RESERVED],
    [ONE_MEBIBYTE, layout.acpiAddress, E820_RAM],
    [layout.acpiAddress, layout.ramBytes, E820_ACPI],
  ] as const;
  if (layout.setup !== undefined) bytes.set(layout.setup.header, layout.setup.headerOffset);
  view.setBigUint64(0x070, BigInt(layout.acpiAddress), true); // acpi_rsdp_addr
  view.setUint8(0x1e8, map.length);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x53726448, true); // "HdrS"
  if (layout.setup === undefined) view.setUint16(0x206, 0x020f, true);
  view.setUint8(0x210, 0xff); // type_of_loader: undefined; with 0 the kernel ignores the initrd
  view.setUint8(0x211, view.getUint8(0x211) | 0x01); // LOADED_HIGH
  view.setUint32(0x218, layout.initrdAddress, true);
  view.setUint32(0x21c, layout.initrdBytes, true);
  view.setUint32(0x228, COMMAND_LINE_ADDRESS, true);
  if (layout.setup === undefined) view.setUint32(0x230, 0x200000, true); // kernel_alignment
  view.setUint32(0x238, layout.commandLineBytes, true);
  map.forEach(([first, end, type], i) => {
    const at = 0x2d0 + i * E820_ENTRY_BYTES;
    view.setBigUint64(at, BigInt(first), true);
    view.setBigUint64(at + 8, BigInt(end - first), true);
    view.setUint32(at + 16, type, true);
  });
  return bytes;
}

/** Where a PC's firmware starts after a reset. */
export const RESET_VECTOR = 0xffff0;

/**
 * What stands there for firmware. On a hardware-reduced platform a kernel thinks of EFI to reboot, finds none, and jumps to
 * the firmware's start in real mode instead of writing the reset register: this code writes it.
 */
export function resetCode(): Uint8Array {
  const MOV_DX_CF9 = [0xba, 0xf9, 0x0c];
  const MOV_AL_6 = [0xb0, 0x06]; // hard reset
  const OUT_DX_AL = [0xee];
  const HALT_FOR_GOOD = [0xf4, 0xeb, 0xfd];
  return Uint8Array.from([...MOV_DX_CF9, ...MOV_AL_6, ...OUT_DX_AL, ...HALT_FOR_GOOD]);
}

/** Page tables that map the low 4 GiB onto themselves in 2 MiB pages: PML4, PDPT, four page directories. */
export function identityMap(): Uint8Array {
  const PRESENT_WRITABLE = 3n;
  const LARGE = 0x80n;
  const bytes = new Uint8Array(6 * 4096);
  const view = new DataView(bytes.buffer);
  const at = (page: number) => BigInt(PAGE_TABLES_ADDRESS + page * 4096);
  view.setBigUint64(0, at(1) | PRESENT_WRITABLE, true);
  for (let i = 0; i < 4; i++) view.setBigUint64(4096 + i * 8, at(2 + i) | PRESENT_WRITABLE, true);
  for (let i = 0; i < 4 * 512; i++) {
    view.setBigUint64(2 * 4096 + i * 8, (BigInt(i) << 21n) | LARGE | PRESENT_WRITABLE, true);
  }
  return bytes;
}

/** Descriptors of CODE_SELECTOR (64 bit, or flat of 32) and DATA_SELECTOR (flat). */
export function descriptorTable(is64Bit: boolean): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  const code = is64Bit ? 0x00af9b000000ffffn : 0x00cf9b000000ffffn;
  view.setBigUint64(CODE_SELECTOR, code, true);
  view.setBigUint64(DATA_SELECTOR, 0x00cf93000000ffffn, true);
  return bytes;
}
