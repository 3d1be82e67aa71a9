/**
 * One CPU at the start of a program in any mode and ring, with handlers that make the program go on.
 *
 *     1000 page tables   8000 IDT   9000 GDT   A000 TSS   B000 handlers   F000 end of the ring 0 stack
 *     10000 code         20000 data, and stack below 28000
 *
 * An exception skips the first byte of what raised it. Ring 3 may use code, data and stack; all else is supervisor's.
 * 16-bit code has CS at 10000H and the other segments at 20000H; all other code is flat.
 */
import { Machine, type MachineOptions, type SegmentValue, type Vcpu } from "../../src/index.js";
import { hex, writeU64, type Build } from "./machine.js";

export const CODE = 0x10000;
export const DATA = 0x20000;
/** Size of the data with the stack at its end. */
export const DATA_BYTES = 0x8000;
const IVT = 0;
const PML4 = 0x1000;
const PDPT = 0x2000;
const PD = 0x3000;
export const PT = 0x4000;
/** The four entries of PAE paging. */
const PDPT_PAE = 0x5000;
export const IDT = 0x8000;
export const GDT = 0x9000;
export const TSS = 0xa000;
export const HANDLERS = 0xb000;
export const HANDLER_BYTES = 16;
/** What external interrupts and NMIs run: push rax; pushf; xor eax, eax; stc; popf; pop rax; iret. */
const INTERRUPT_HANDLER = 0xbc00;
const KERNEL_STACK = 0xf000;
const NMI_STACK = 0xe000;
/** Vector of `interrupt`. */
const INTERRUPT_VECTOR = 0x40;
const NMI_VECTOR = 2;

export const WORLDS = [
  "real",
  "v86",
  "16-bit ring 0",
  "16-bit ring 3",
  "32-bit ring 0",
  "32-bit ring 3",
  "compatibility ring 0",
  "compatibility ring 3",
  "64-bit ring 0",
  "64-bit ring 3",
] as const;
export type WorldName = (typeof WORLDS)[number];

const isLong = (name: WorldName) => name.startsWith("64") || name.startsWith("compat");
const ringOf = (name: WorldName) => (name.endsWith("3") || name === "v86" ? 3 : 0);

// Descriptors: code of 64, 32 and 16 bits and data of 32 and 16 bits, first for ring 0, then (+ 28H) for ring 3.
const DESCRIPTORS = [
  0x00af9b000000ffffn,
  0x00cf9b000000ffffn,
  0x00009b010000ffffn,
  0x00cf93000000ffffn,
  0x000093020000ffffn,
];
const [CODE_64, CODE_32, CODE_16, DATA_32, DATA_16] = [0x08, 0x10, 0x18, 0x20, 0x28] as const;
const RING_3 = 0x28;
const TSS_SELECTOR = 0x60;
const DPL_3 = 3n << 45n;

/** Vectors whose frame has an error code. */
const HAS_ERROR = new Set([8, 10, 11, 12, 13, 14, 17]);

function tables(target: Machine): void {
  writeU64(target, PML4, BigInt(PDPT) | 7n);
  writeU64(target, PDPT, BigInt(PD) | 7n);
  writeU64(target, PDPT_PAE, BigInt(PD) | 1n);
  writeU64(target, PD, BigInt(PT) | 7n);
  for (let page = 0; page < 512; page++) {
    const at = page * 4096;
    const isUser = at === CODE || (at >= DATA && at < DATA + DATA_BYTES);
    writeU64(target, PT + page * 8, BigInt(at) | (isUser ? 7n : 3n));
  }
  DESCRIPTORS.forEach((raw, i) => {
    writeU64(target, GDT + CODE_64 + i * 8, raw);
    writeU64(target, GDT + CODE_64 + RING_3 + i * 8, raw | DPL_3);
  });
  const tss = new Uint8Array(0x68);
  const view = new DataView(tss.buffer);
  view.setUint32(4, KERNEL_STACK, true); // ESP0, RSP0
  view.setUint16(8, DATA_32, true); // SS0; part of RSP0 in IA-32e mode, see below
  view.setUint16(0x66, 0xffff, true);
  target.writeMemory(TSS, tss);
}

/** The handlers, and the table that leads to them. */
function handlers(target: Machine, name: WorldName): void {
  const codes = isLong(name)
    ? { skip: "48 ff 04 24 48 cf", drop: "48 83 c4 08", idle: "50 9c 31 c0 f9 9d 58 48 cf" }
    : { skip: "ff 04 24 cf", drop: "83 c4 04", idle: "50 9c 31 c0 f9 9d 58 cf" };
  // push bp; mov bp, sp; inc word [bp+2]; pop bp; iret
  if (name === "real") codes.skip = "55 89 e5 ff 46 02 5d cf";
  for (let vector = 0; vector < 32; vector++) {
    const drops = HAS_ERROR.has(vector) && name !== "real";
    const code = hex(drops ? `${codes.drop} ${codes.skip}` : codes.skip);
    target.writeMemory(HANDLERS + vector * HANDLER_BYTES, code);
  }
  target.writeMemory(INTERRUPT_HANDLER, hex(codes.idle));
  const entryOf = (vector: number) =>
    vector === NMI_VECTOR || vector >= 32 ? INTERRUPT_HANDLER : HANDLERS + vector * HANDLER_BYTES;
  for (let vector = 0; vector <= INTERRUPT_VECTOR; vector++)
    gate(target, name, vector, entryOf(vector));
}

function gate(target: Machine, name: WorldName, vector: number, entry: number): void {
  if (name === "real") {
    const pointer = new Uint8Array(4);
    new DataView(pointer.buffer).setUint32(0, ((HANDLERS >> 4) << 16) | (entry - HANDLERS), true);
    target.writeMemory(IVT + vector * 4, pointer);
    return;
  }
  const long = isLong(name);
  const dpl = vector === 3 || vector === 4 ? 3n : 0n;
  const selector = BigInt(long ? CODE_64 : CODE_32);
  // Exceptions of ring 0 get a stack of their own where the mode has that, since the program's may be anywhere; so do
  // NMIs, which can come while an exception is handled.
  const ist = long ? (vector === NMI_VECTOR ? 2n : 1n) : 0n;
  const raw = BigInt(entry) | (selector << 16n) | (ist << 32n) | ((0x8en | (dpl << 5n)) << 40n);
  writeU64(target, IDT + vector * (long ? 16 : 8), raw);
  if (long) writeU64(target, IDT + vector * 16 + 8, 0n);
}

const CODE_AR = 0x9b;
const DATA_AR = 0x93;

function segments(vcpu: Vcpu, name: WorldName): void {
  const ring = ringOf(name);
  const set = (which: "cs" | "ss" | "ds" | "es" | "fs" | "gs", value: SegmentValue) =>
    vcpu.setSegment(which, value);
  const others = ["ss", "ds", "es", "fs", "gs"] as const;
  if (name === "real" || name === "v86") {
    const dpl = name === "v86" ? 0x60 : 0;
    const of = (base: number, ar: number) => ({
      selector: base >> 4,
      base: BigInt(base),
      limit: 0xffff,
      accessRights: ar | dpl,
    });
    set("cs", of(CODE, name === "v86" ? DATA_AR : CODE_AR));
    for (const which of others) set(which, of(DATA, DATA_AR));
    return;
  }
  const is16 = name.startsWith("16");
  const selector = (first: number) => (ring === 3 ? (first + RING_3) | 3 : first);
  const code = is16 ? CODE_16 : name.startsWith("64") ? CODE_64 : CODE_32;
  const [codeFlags, dataFlags] = is16 ? [0, 0] : [name.startsWith("64") ? 0xa000 : 0xc000, 0xc000];
  const limit = is16 ? 0xffff : 0xffffffff;
  const base = (address: number) => BigInt(is16 ? address : 0);
  const dpl = ring << 5;
  set("cs", {
    selector: selector(code),
    base: base(CODE),
    limit,
    accessRights: CODE_AR | dpl | codeFlags,
  });
  for (const which of others)
    set(which, {
      selector: selector(is16 ? DATA_16 : DATA_32),
      base: base(DATA),
      limit,
      accessRights: DATA_AR | dpl | dataFlags,
    });
}

/** A CPU that is about to run `program` at the start of its code page. The rest of that page holds INT3. */
export async function worldOf(
  build: Build,
  name: WorldName,
  program: Uint8Array,
  options: MachineOptions = {},
): Promise<Machine> {
  const target = await Machine.create({ build, memoryBytes: 1 << 20, ...options });
  const vcpu = target.vcpus[0]!;
  tables(target);
  if (isLong(name)) {
    writeU64(target, TSS + 4, BigInt(KERNEL_STACK));
    writeU64(target, TSS + 0x24, BigInt(KERNEL_STACK)); // IST1
    writeU64(target, TSS + 0x2c, BigInt(NMI_STACK)); // IST2
  }
  handlers(target, name);
  const long = isLong(name);
  const isProtected = name !== "real";
  vcpu.gdtr = { base: BigInt(GDT), limit: 0x67 };
  vcpu.idtr = isProtected
    ? { base: BigInt(IDT), limit: (INTERRUPT_VECTOR + 1) * (long ? 16 : 8) - 1 }
    : { base: BigInt(IVT), limit: 0x3ff };
  vcpu.control.cr4 = 0x620n; // PAE OSFXSR OSXMMEXCPT
  if (long) vcpu.control.efer = 0xd00n; // without SYSCALL, whose segments are no descriptors
  if (isProtected) {
    vcpu.control.cr3 = BigInt(long ? PML4 : PDPT_PAE);
    vcpu.control.cr0 = 0x80040033n; // AM
    vcpu.setSegment("tr", {
      selector: TSS_SELECTOR,
      base: BigInt(TSS),
      limit: 0x67,
      accessRights: 0x8b,
    });
  }
  vcpu.rflags = name === "v86" ? 0x23202n : 0x202n;
  segments(vcpu, name);
  const isShort = name === "real" || name === "v86" || name.startsWith("16");
  vcpu.rip = isShort ? 0n : BigInt(CODE);
  const data = isShort ? 0 : DATA;
  vcpu.gpr.rsp = BigInt(data + DATA_BYTES - 0x800);
  const pointers = ["rbx", "rbp", "rsi", "rdi"] as const;
  pointers.forEach((register, i) => (vcpu.gpr[register] = BigInt(data + 0x100 + i * 0x1550)));
  vcpu.gpr.rcx = 5n;
  target.writeMemory(CODE, new Uint8Array(4096).fill(0xcc));
  target.writeMemory(CODE, program);
  target.writeMemory(
    DATA,
    Uint8Array.from({ length: DATA_BYTES }, (_, i) => (i * 167 + (i >> 8) * 89) & 0xff),
  );
  vcpu.writeMsr(0x1b, vcpu.readMsr(0x1b)! | 0xc00n); // x2APIC mode
  vcpu.writeMsr(0x80f, 0x1ffn);
  return target;
}

/** Puts the CPU of a world of ring 0 into another ring. */
export function enterRing(vcpu: Vcpu, ring: number): void {
  for (const name of ["cs", "ss"] as const) {
    const { selector, accessRights } = vcpu.segment(name);
    vcpu.setSegment(name, {
      selector: (selector & ~3) | ring,
      accessRights: (accessRights & ~0x60) | (ring << 5),
    });
  }
}

/** Makes an interrupt or an NMI pending on the CPU of a world. */
export function interrupt(target: Machine, kind: "interrupt" | "nmi"): void {
  const vcpu = target.vcpus[0]!;
  if (kind === "nmi") vcpu.writeMsr(0x830, 0x4400n);
  else vcpu.writeMsr(0x83f, BigInt(INTERRUPT_VECTOR));
}

/** Tells the APIC that the interrupt was handled: the handler leaves that to the host. */
export function endInterrupt(target: Machine): void {
  target.vcpus[0]!.writeMsr(0x80b, 0n);
}

/** True while the CPU is in the interrupt handler. */
export function inInterruptHandler(vcpu: Vcpu): boolean {
  const at = Number(BigInt.asUintN(53, vcpu.rip + vcpu.segment("cs").base));
  return at >= INTERRUPT_HANDLER && at < INTERRUPT_HANDLER + 16;
}
