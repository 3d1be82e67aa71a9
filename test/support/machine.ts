/**
 * Machines for tests of the core: one CPU in a chosen mode, with code and page tables put in place by hand.
 *
 * Memory map: page tables 1000H-7FFFH, IDT 8000H, GDT 9000H, TSS A000H, stack below 80000H, code at CODE.
 */
import { Machine, type MachineOptions, type Vcpu } from "../../src/index.js";

export const BUILDS = ["debug", "release"] as const;
export type Build = (typeof BUILDS)[number];

export const CODE = 0x10000;
export const STACK = 0x80000;
export const PML4 = 0x1000;
export const PDPT = 0x2000;
export const PD = 0x3000;
/** Page table of the first 2 MiB, 4 KiB pages. */
export const PT = 0x4000;
export const IDT = 0x8000;
export const GDT = 0x9000;

export const CODE64 = 0x08;
export const DATA = 0x10;
export const CODE32 = 0x18;

const CR0_PE_PG = 0x80000011n;
const CR4_PAE = 0x20n;
const EFER_LME_LMA = 0x500n;

export async function machine(build: Build, options: MachineOptions = {}): Promise<Machine> {
  return Machine.create({ build, memoryBytes: 4 << 20, ...options });
}

export function writeU64(target: Machine, gpa: number, value: bigint): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  target.writeMemory(gpa, bytes);
}

export function readU64(target: Machine, gpa: number): bigint {
  return new DataView(target.readMemory(gpa, 8).buffer).getBigUint64(0, true);
}

/** "48 89 c8" as bytes. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16));
}

/** Sets one flat segment by its descriptor's access rights. */
function flat(
  vcpu: Vcpu,
  name: "cs" | "ds" | "es" | "ss" | "fs" | "gs",
  selector: number,
  accessRights: number,
): void {
  vcpu.setSegment(name, { selector, base: 0n, limit: 0xffffffff, accessRights });
}

/** Identity-maps the first 4 MiB: 4 KiB pages below 2 MiB, one 2 MiB page above. */
export function identityMap(target: Machine): void {
  writeU64(target, PML4, BigInt(PDPT) | 7n);
  writeU64(target, PDPT, BigInt(PD) | 7n);
  writeU64(target, PD, BigInt(PT) | 7n);
  writeU64(target, PD + 8, 0x200000n | 0x87n);
  for (let page = 0; page < 512; page++) writeU64(target, PT + page * 8, BigInt(page * 4096) | 7n);
}

/** GDT with CODE64, DATA and CODE32, all flat, ring 0. */
function writeGdt(target: Machine): void {
  writeU64(target, GDT + CODE64, 0x00af9b000000ffffn);
  writeU64(target, GDT + DATA, 0x00cf93000000ffffn);
  writeU64(target, GDT + CODE32, 0x00cf9b000000ffffn);
}

/** A 64-bit interrupt gate of ring 0. */
export function setGate64(target: Machine, vector: number, handler: number): void {
  const low =
    BigInt(handler & 0xffff) |
    (BigInt(CODE64) << 16n) |
    (0x8e00n << 32n) |
    (BigInt(handler >>> 16) << 48n);
  writeU64(target, IDT + vector * 16, low);
  writeU64(target, IDT + vector * 16 + 8, 0n);
}

/** Puts a CPU in 64-bit mode at CODE, with paging on, an IDT of the gates set so far, and interrupts off. */
export function enterLongMode(target: Machine, vcpu: Vcpu, rip: number = CODE): void {
  identityMap(target);
  writeGdt(target);
  vcpu.gdtr = { base: BigInt(GDT), limit: 0x1f };
  vcpu.idtr = { base: BigInt(IDT), limit: 0xfff };
  vcpu.control.efer = EFER_LME_LMA;
  vcpu.control.cr4 = CR4_PAE;
  vcpu.control.cr3 = BigInt(PML4);
  vcpu.control.cr0 = CR0_PE_PG;
  flat(vcpu, "cs", CODE64, 0xa09b);
  for (const name of ["ds", "es", "ss", "fs", "gs"] as const) flat(vcpu, name, DATA, 0xc093);
  vcpu.rip = BigInt(rip);
  vcpu.gpr.rsp = BigInt(STACK);
}

/** One CPU in 64-bit mode that is about to run `code`. */
export async function longMode(
  build: Build,
  code: string,
  options: MachineOptions = {},
): Promise<Machine> {
  const target = await machine(build, options);
  enterLongMode(target, target.vcpus[0]!);
  target.writeMemory(CODE, hex(code));
  return target;
}
