/**
 * ACPI tables of the machine: RSDP, RSDT, XSDT, FADT, MADT, DSDT, and a FACS for a PC.
 *
 * Source: ACPI Specification 6.1, "ACPI Software Programming Model". The minimal platform is hardware-reduced: no FACS, no
 * fixed event registers; sleep and reset are registers in port space. A PC has the fixed hardware of devices/acpi-pm.ts.
 * Not modelled: SRAT, HPET, MCFG.
 */
import { dword } from "./aml.js";
import { dsdtBody } from "./dsdt.js";
import { madtBody } from "./madt.js";
import { SCI_GSI, type Platform } from "../platform.js";

export type { Platform };

/** A CPU that the machine has or may get. */
export interface AcpiCpu {
  /** x2APIC ID, 32 bits. */
  readonly apicId: number;
  readonly isEnabled: boolean;
}

const OEM = "X2VM  ";
const OEM_TABLE = "X2VMDSDT";
const COMPILER = "X2VM";

export const RSDP_BYTES = 36;
const RSDP_ALIGNMENT = 64;
const HEADER_BYTES = 36;
const FADT_BYTES = 276;

export const SLEEP_CONTROL_PORT = 0x604;
export const SLEEP_STATUS_PORT = 0x605;
const RESET_PORT = 0xcf9;
const RESET_VALUE = 0x0e;

const FADT_WBINVD = 1 << 0;
const FADT_NO_POWER_BUTTON = 1 << 4;
const FADT_NO_SLEEP_BUTTON = 1 << 5;
const FADT_NO_RTC_WAKE = 1 << 6;
const FADT_TIMER_32_BITS = 1 << 8;
const FADT_RESET_REG = 1 << 10;
const FADT_HW_REDUCED = 1 << 20;
/** No VGA, no MSI, no ASPM, no CMOS clock. */
const BOOT_ARCH = 0x3c;
/** ISA devices; no VGA, no MSI, no ASPM. */
const BOOT_ARCH_PC = 0x1d;

// Fixed hardware of a PC: devices/acpi-pm.ts.
const PM1_EVENT_PORT = 0x600;
const PM1_CONTROL_PORT = 0x604;
const PM_TIMER_PORT = 0x608;
/** C2 and C3 do not exist: latencies beyond what a kernel takes. */
const NO_C2 = 101;
const NO_C3 = 1001;
const RTC_CENTURY = 0x32;
const FACS_BYTES = 64;

/** The tables of a machine, as one block that starts with the RSDP. How long it is does not depend on where it goes. */
export class AcpiTables {
  readonly #platform: Platform;
  readonly #madt: Uint8Array;
  readonly #dsdt: Uint8Array;
  /** Where each table is in the block. */
  readonly #at: Readonly<Record<"rsdt" | "xsdt" | "fadt" | "madt" | "dsdt" | "facs", number>>;
  /** Of the block, in bytes. */
  readonly length: number;

  /** @param cpus - in slot order, at most 46656 */
  constructor(cpus: readonly AcpiCpu[], platform: Platform = "minimal") {
    const apicIds = cpus.map((cpu) => cpu.apicId);
    this.#platform = platform;
    this.#dsdt = table("DSDT", 2, dsdtBody(apicIds, platform));
    this.#madt = table("APIC", 4, madtBody(cpus, platform));
    const rsdt = RSDP_ALIGNMENT;
    const xsdt = aligned(rsdt + HEADER_BYTES + 2 * 4);
    const fadt = aligned(xsdt + HEADER_BYTES + 2 * 8);
    const madt = aligned(fadt + FADT_BYTES);
    const dsdt = aligned(madt + this.#madt.length);
    const dsdtEnd = dsdt + this.#dsdt.length;
    const facs = aligned(dsdtEnd);
    this.#at = { rsdt, xsdt, fadt, madt, dsdt, facs };
    this.length = platform === "pc" ? facs + FACS_BYTES : dsdtEnd;
  }

  /** The block, with its pointers. @param address - guest-physical, 16-byte aligned, below 4 GiB */
  blockAt(address: number): Uint8Array {
    const at = this.#at;
    const isPc = this.#platform === "pc";
    const block = new Uint8Array(this.length);
    block.set(rsdp(address + at.rsdt, address + at.xsdt), 0);
    const pointers = [at.fadt, at.madt].map((each) => [...dword(address + each)]);
    block.set(table("RSDT", 1, pointers.flat()), at.rsdt);
    const longPointers = pointers.flatMap((each) => [...each, ...dword(0)]);
    block.set(table("XSDT", 1, longPointers), at.xsdt);
    const fixed = isPc ? pcFadt(address + at.dsdt, address + at.facs) : fadt(address + at.dsdt);
    block.set(fixed, at.fadt);
    block.set(this.#madt, at.madt);
    block.set(this.#dsdt, at.dsdt);
    if (isPc) block.set(facs(), at.facs);
    return block;
  }
}

function aligned(offset: number): number {
  return Math.ceil(offset / RSDP_ALIGNMENT) * RSDP_ALIGNMENT;
}

/** A table with its header and checksum. */
function table(signature: string, revision: number, body: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  put(bytes, 0, signature);
  view.setUint32(4, bytes.length, true);
  bytes[8] = revision;
  put(bytes, 10, OEM);
  put(bytes, 16, OEM_TABLE);
  view.setUint32(24, 1, true);
  put(bytes, 28, COMPILER);
  view.setUint32(32, 1, true);
  bytes.set(body, HEADER_BYTES);
  bytes[9] = checksum(bytes);
  return bytes;
}

function rsdp(rsdt: number, xsdt: number): Uint8Array {
  const bytes = new Uint8Array(RSDP_BYTES);
  const view = new DataView(bytes.buffer);
  put(bytes, 0, "RSD PTR ");
  put(bytes, 9, OEM);
  bytes[15] = 2; // ACPI 2.0 and later
  view.setUint32(16, rsdt, true);
  view.setUint32(20, RSDP_BYTES, true);
  view.setUint32(24, xsdt, true);
  bytes[8] = checksum(bytes.subarray(0, 20));
  bytes[32] = checksum(bytes);
  return bytes;
}

function fadt(dsdt: number): Uint8Array {
  const body = new Uint8Array(FADT_BYTES - HEADER_BYTES);
  const view = new DataView(body.buffer);
  const field = (offset: number) => offset - HEADER_BYTES;
  view.setUint16(field(109), BOOT_ARCH, true);
  view.setUint32(field(112), FADT_WBINVD | FADT_RESET_REG | FADT_HW_REDUCED, true);
  setRegister(view, field(116), RESET_PORT);
  body[field(128)] = RESET_VALUE;
  body[field(131)] = 1; // minor version: 6.1
  view.setUint32(field(140), dsdt, true); // X_DSDT
  setRegister(view, field(244), SLEEP_CONTROL_PORT);
  setRegister(view, field(256), SLEEP_STATUS_PORT);
  return table("FACP", 6, body);
}

/** Of a PC: the fixed registers, each in its old field and as a Generic Address Structure. */
function pcFadt(dsdt: number, facsAddress: number): Uint8Array {
  const body = new Uint8Array(FADT_BYTES - HEADER_BYTES);
  const view = new DataView(body.buffer);
  const field = (offset: number) => offset - HEADER_BYTES;
  view.setUint32(field(36), facsAddress, true);
  view.setUint32(field(40), dsdt, true);
  view.setUint16(field(46), SCI_GSI, true);
  view.setUint32(field(56), PM1_EVENT_PORT, true);
  view.setUint32(field(64), PM1_CONTROL_PORT, true);
  view.setUint32(field(76), PM_TIMER_PORT, true);
  body[field(88)] = 4; // bytes of PM1 event, PM1 control, timer
  body[field(89)] = 2;
  body[field(91)] = 4;
  view.setUint16(field(96), NO_C2, true);
  view.setUint16(field(98), NO_C3, true);
  body[field(108)] = RTC_CENTURY;
  view.setUint16(field(109), BOOT_ARCH_PC, true);
  const absent = FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON | FADT_NO_RTC_WAKE;
  view.setUint32(field(112), FADT_WBINVD | absent | FADT_TIMER_32_BITS | FADT_RESET_REG, true);
  setRegister(view, field(116), RESET_PORT);
  body[field(128)] = RESET_VALUE;
  body[field(131)] = 1; // minor version: 6.1
  view.setUint32(field(140), dsdt, true); // X_DSDT
  setRegister(view, field(148), PM1_EVENT_PORT, 32);
  setRegister(view, field(172), PM1_CONTROL_PORT, 16);
  setRegister(view, field(208), PM_TIMER_PORT, 32);
  return table("FACP", 6, body);
}

/** Firmware ACPI Control Structure: no checksum, and nothing in it that this machine uses. */
function facs(): Uint8Array {
  const bytes = new Uint8Array(FACS_BYTES);
  put(bytes, 0, "FACS");
  bytes[4] = FACS_BYTES;
  bytes[32] = 2; // version
  return bytes;
}

/** Access sizes of a Generic Address Structure. */
const GAS_ACCESS = { 8: 1, 16: 2, 32: 3 } as const;

/** Generic Address Structure of a port. */
function setRegister(view: DataView, offset: number, port: number, bits: 8 | 16 | 32 = 8): void {
  view.setUint8(offset, 1); // system I/O
  view.setUint8(offset + 1, bits);
  view.setUint8(offset + 3, GAS_ACCESS[bits]);
  view.setUint32(offset + 4, port, true);
}

function put(bytes: Uint8Array, offset: number, ascii: string): void {
  for (let i = 0; i < ascii.length; i++) bytes[offset + i] = ascii.charCodeAt(i);
}

/** The byte that makes the sum of all 0. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const each of bytes) sum += each;
  return -sum & 0xff;
}
