/**
 * What a BIOS leaves in low memory, for guests that expect one to have run: its data area, and in the ROM's place the
 * tables that tell of CPUs and devices.
 *
 * Source: IBM PS/2 and PC BIOS Interface Technical Reference, "BIOS Data Area"; ACPI Specification, "Finding the RSDP on
 * IA-PC Systems"; MultiProcessor Specification 1.4, "MP Floating Pointer Structure".
 * Software interrupts (IBM PC BIOS Interface, "Interrupt Services") answer that there is no such service, with carry and
 * AH = 86H, but for these: a character written by INT 10H goes to the serial port, other video services do nothing;
 * INT 11H and 12H tell equipment and memory.
 * Not modelled: all other services. A guest that needs them, a disk's above all, brings its BIOS as a ROM.
 */
import { AcpiTables } from "../acpi/tables.js";
import { mpTables } from "../acpi/mp-table.js";
import { piece, type LoadPiece } from "./image.js";
import type { LoadTarget } from "./load-target.js";

const DATA_AREA = 0x400;
const DATA_AREA_BYTES = 0x100;
/** The last KiB below 640 KiB. */
export const EXTENDED_DATA = 0x9fc00;
const TABLES = 0xe0000;
const TABLES_END = 0x100000;
const ALIGNMENT = 16;
/** More do not fit: they are not counted, which takes a while for a million. */
const MOST_CPUS = 512;

const VECTORS = 256;
const VIDEO = 0x10;
const FIRST_SLAVE_IRQ = 0x70;
const LAST_SLAVE_IRQ = 0x77;

/** Where the code of the services lies in the extended data area. */
const SERVICE_CODE = 0x10;
// Offsets in it.
const UNSUPPORTED = 0x00;
const IGNORE = 0x0a;
const SERVICES: ReadonlyMap<number, number> = new Map([
  [VIDEO, 0x0b],
  [0x11, 0x17],
  [0x12, 0x1b],
]);

const COM1 = 0x3f8;
/** 80 by 25 characters in colour, an x87, one serial port. */
const EQUIPMENT = 0x0222;
const MEMORY_KIB = EXTENDED_DATA >> 10;
const COLOUR_TEXT_MODE = 3;
const COLUMNS = 80;
const ROWS = 25;
const SCREEN_BYTES = 0x1000;
const CHARACTER_HEIGHT = 16;
const CRT_CONTROLLER = 0x3d4;

/**
 * @param image - what the guest loads: where it lies, nothing of a BIOS is left
 * @returns nothing for a machine without the memory of a PC
 */
export function biosPieces(
  image: readonly LoadPiece[],
  ramBytes: number,
  target: LoadTarget,
): LoadPiece[] {
  if (ramBytes < TABLES_END) return [];
  const all = [
    piece("the interrupt vectors", 0, interruptVectors()),
    piece("the BIOS data area", DATA_AREA, dataArea()),
    piece("the extended BIOS data area", EXTENDED_DATA, extendedDataArea()),
    ...tablePieces(target),
  ];
  return all.filter((each) => !image.some((other) => overlap(each, other)));
}

function overlap(a: LoadPiece, b: LoadPiece): boolean {
  return a.address < b.address + b.length && b.address < a.address + a.length;
}

/** Hardware interrupts and exceptions are ignored, as a BIOS does with those it does not expect. */
function interruptVectors(): Uint8Array {
  const bytes = new Uint8Array(VECTORS * 4);
  const view = new DataView(bytes.buffer);
  for (let vector = 0; vector < VECTORS; vector++) {
    const isIgnored = vector < VIDEO || (vector >= FIRST_SLAVE_IRQ && vector <= LAST_SLAVE_IRQ);
    const service = SERVICES.get(vector) ?? (isIgnored ? IGNORE : UNSUPPORTED);
    view.setUint16(vector * 4, SERVICE_CODE + service, true);
    view.setUint16(vector * 4 + 2, EXTENDED_DATA >> 4, true);
  }
  return bytes;
}

function extendedDataArea(): Uint8Array {
  const bytes = new Uint8Array(SERVICE_CODE + CODE.length);
  bytes[0] = 1; // its size in KiB
  bytes.set(CODE, SERVICE_CODE);
  return bytes;
}

function dataArea(): Uint8Array {
  const bytes = new Uint8Array(DATA_AREA_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0x00, COM1, true);
  view.setUint16(0x0e, EXTENDED_DATA >> 4, true);
  view.setUint16(0x10, EQUIPMENT, true);
  view.setUint16(0x13, MEMORY_KIB, true);
  bytes[0x49] = COLOUR_TEXT_MODE;
  view.setUint16(0x4a, COLUMNS, true);
  view.setUint16(0x4c, SCREEN_BYTES, true);
  view.setUint16(0x63, CRT_CONTROLLER, true);
  bytes[0x84] = ROWS - 1;
  view.setUint16(0x85, CHARACTER_HEIGHT, true);
  return bytes;
}

/** A line for each instruction. */
const CODE = Uint8Array.from(
  [
    [0x55], // unsupported: push bp
    [0x89, 0xe5], // mov bp, sp
    [0x80, 0x4e, 0x06, 0x01], // or byte [bp + 6], 1: carry of the caller
    [0xb4, 0x86], // mov ah, 86h
    [0x5d], // pop bp
    [0xcf], // ignore: iret
    [0x80, 0xfc, 0x0e], // video: cmp ah, 0eh
    [0x75, 0xfa], // jne ignore
    [0x52], // push dx
    [0xba, COM1 & 0xff, COM1 >> 8], // mov dx, COM1
    [0xee], // out dx, al
    [0x5a], // pop dx
    [0xcf], // iret
    [0xb8, EQUIPMENT & 0xff, EQUIPMENT >> 8, 0xcf], // equipment: mov ax, EQUIPMENT; iret
    [0xb8, MEMORY_KIB & 0xff, MEMORY_KIB >> 8, 0xcf], // memory: mov ax, MEMORY_KIB; iret
  ].flat(),
);

/** From the bottom the ACPI tables, up to the top the older ones; what does not fit is not there. */
function tablePieces(target: LoadTarget): LoadPiece[] {
  if (target.cpuCount > MOST_CPUS) return [];
  const cpus = target.cpus();
  const acpi = new AcpiTables(cpus, target.platform);
  if (acpi.length > TABLES_END - TABLES) return [];
  const tables = [piece("the ACPI tables", TABLES, acpi.blockAt(TABLES))];
  const { length } = mpTables(cpus, target.platform, 0);
  const address = (TABLES_END - length) & -ALIGNMENT;
  if (address >= TABLES + acpi.length) {
    tables.push(piece("the MP tables", address, mpTables(cpus, target.platform, address)));
  }
  return tables;
}
