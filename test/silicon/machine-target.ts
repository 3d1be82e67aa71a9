/**
 * Runs silicon vectors on a Machine: long mode with a 64-bit ring 0 that only receives exceptions, the windows identity
 * mapped at their own addresses, everything of ring 0 at 48 MiB where no vector points.
 */
import { Machine } from "../../src/machine.js";
import { GPR_NAMES, SEGMENT_NAMES, type Vcpu } from "../../src/vcpu.js";
import { LDT, PAGE_BYTES, segmentsOf, WINDOWS, type Mode, type Segment } from "./environment.js";
import type { Trap } from "./reader.js";
import type { SiliconTarget } from "./runner.js";
import {
  emptyState,
  FX_FCW,
  FX_FSW,
  FX_FTW,
  FX_MXCSR,
  FX_ST,
  FX_XMM,
  type CpuState,
} from "./state.js";

const SYSTEM = 0x03000000;
const PML4 = SYSTEM;
const PDPT = SYSTEM + 0x1000;
const PD = SYSTEM + 0x2000;
const PAGE_TABLES = SYSTEM + 0x3000;
const GDT = SYSTEM + 0x10000;
const IDT = SYSTEM + 0x11000;
const TSS = SYSTEM + 0x12000;
const LDT_ADDRESS = SYSTEM + 0x13000;
export const HANDLER = SYSTEM + 0x18000;
export const HANDLER_BYTES = 16;
const STACK_TOP = SYSTEM + 0x20000;

const KERNEL_CS = 0x08;
const TSS_SELECTOR = 0x40;
const LDT_SELECTOR = 0x50;
const GDT_LIMIT = 0x7f;
const TSS_LIMIT = 0x67;
const IO_MAP_ABSENT = 0xffff;

const PRESENT = 1n;
const WRITABLE = 2n;
const USER = 4n;
const LARGE = 0x80n;
const NX = 1n << 63n;
const LARGE_BYTES = 0x200000;

const CR0 = 0x80050033n; // PE MP ET NE WP AM PG
const CR4 = 0x40620n; // PAE OSFXSR OSXMMEXCPT OSXSAVE
const XCR0 = 3n; // x87 SSE
const EFER = 0xd00n; // LME LMA NXE

function bytesOf(values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setBigUint64(i * 8, BigInt.asUintN(64, value), true));
  return bytes;
}

/** Page tables: the windows for ring 3, one large page for ring 0. */
function pageTables(): [address: number, entries: bigint[]][] {
  const tables = new Map<number, bigint[]>();
  for (const { address, length, writable, executable } of WINDOWS) {
    for (let at = address; at < address + length; at += PAGE_BYTES) {
      const region = Math.floor(at / LARGE_BYTES);
      let table = tables.get(region);
      if (!table) tables.set(region, (table = Array.from({ length: 512 }, () => 0n)));
      table[(at / PAGE_BYTES) % 512] =
        BigInt(at) | PRESENT | USER | (writable ? WRITABLE : 0n) | (executable ? 0n : NX);
    }
  }
  const directory = Array.from({ length: 512 }, () => 0n);
  directory[SYSTEM / LARGE_BYTES] = BigInt(SYSTEM) | PRESENT | WRITABLE | LARGE;
  const pages: [number, bigint[]][] = [...tables].map(([region, entries], i) => {
    const address = PAGE_TABLES + i * PAGE_BYTES;
    directory[region] = BigInt(address) | PRESENT | WRITABLE | USER;
    return [address, entries];
  });
  const link = PRESENT | WRITABLE | USER;
  return [[PML4, [BigInt(PDPT) | link]], [PDPT, [BigInt(PD) | link]], [PD, directory], ...pages];
}

/** A 64-bit interrupt gate: every vector has an entry point of its own. DPL 3 where INT3 and INTO may go through. */
function gate(vector: number): bigint[] {
  const offset = BigInt(HANDLER + vector * HANDLER_BYTES);
  const dpl = vector === 3 || vector === 4 ? 3 : 0;
  const low =
    (offset & 0xffffn) |
    (BigInt(KERNEL_CS) << 16n) |
    (BigInt(0x8e | (dpl << 5)) << 40n) |
    (((offset >> 16n) & 0xffffn) << 48n);
  return [low, 0n];
}

function descriptorTable(): bigint[] {
  const gdt = Array.from({ length: (GDT_LIMIT + 1) / 8 }, () => 0n);
  gdt[KERNEL_CS / 8] = 0x00af9b000000ffffn;
  gdt[5] = 0x00cff3000000ffffn; // 2b: user data
  gdt[6] = 0x00affb000000ffffn; // 33: user code, 64-bit
  return gdt;
}

function taskState(): Uint8Array {
  const tss = new Uint8Array(TSS_LIMIT + 1);
  const view = new DataView(tss.buffer);
  view.setBigUint64(4, BigInt(STACK_TOP), true);
  view.setUint16(0x66, IO_MAP_ABSENT, true);
  return tss;
}

export class MachineTarget implements SiliconTarget {
  protected readonly machine: Machine;
  protected readonly vcpu: Vcpu;
  protected mode: Mode = 64;
  /** The segments that the last vector started with. */
  private start: readonly Segment[] = [];
  /** Segments are not those any more: an exception was delivered, or a vector loaded one. */
  private segmentsMoved = true;
  protected frame: Uint8Array | undefined;

  protected constructor(machine: Machine) {
    this.machine = machine;
    this.vcpu = machine.vcpus[0]!;
  }

  /** @param build - which core */
  static async create(build: "release" | "debug"): Promise<MachineTarget> {
    const machine = await Machine.create({ memoryBytes: 64 * 2 ** 20, build });
    return new MachineTarget(machine);
  }

  load(mode: Mode): void {
    this.mode = mode;
    const { machine, vcpu } = this;
    for (const [address, entries] of pageTables()) machine.writeMemory(address, bytesOf(entries));
    machine.writeMemory(GDT, bytesOf(descriptorTable()));
    const gates = Array.from({ length: 256 }, (_, vector) => gate(vector)).flat();
    machine.writeMemory(IDT, bytesOf(gates));
    machine.writeMemory(TSS, taskState());
    machine.writeMemory(LDT_ADDRESS, bytesOf(LDT));
    vcpu.control.efer = EFER;
    vcpu.control.cr4 = CR4;
    vcpu.control.xcr0 = XCR0;
    vcpu.control.cr3 = BigInt(PML4);
    vcpu.control.cr0 = CR0;
    vcpu.gdtr = { base: BigInt(GDT), limit: GDT_LIMIT };
    vcpu.idtr = { base: BigInt(IDT), limit: 0xfff };
    vcpu.setSegment("tr", {
      selector: TSS_SELECTOR,
      base: BigInt(TSS),
      limit: TSS_LIMIT,
      accessRights: 0x8b,
    });
    vcpu.setSegment("ldtr", {
      selector: LDT_SELECTOR,
      base: BigInt(LDT_ADDRESS),
      limit: LDT.length * 8 - 1,
      accessRights: 0x82,
    });
    this.segmentsMoved = true;
  }

  setState(state: CpuState): void {
    const { vcpu } = this;
    const moved = this.start.some(({ selector }, i) => selector !== state.segments[i]);
    if (this.segmentsMoved || moved) this.setSegments(state.segments);
    GPR_NAMES.forEach((name, i) => (vcpu.gpr[name] = state.gpr[i]!));
    vcpu.rip = state.rip;
    vcpu.rflags = BigInt(state.rflags);
    this.frame = undefined;
    this.setFloats(state.fx);
  }

  private setSegments(selectors: Uint16Array): void {
    this.start = segmentsOf(this.mode, selectors);
    this.start.forEach(({ selector, base, limit, ar }, i) => {
      const name = SEGMENT_NAMES[i]!;
      this.vcpu.setSegment(name, { selector, base: BigInt(base), limit, accessRights: ar });
    });
    this.segmentsMoved = false;
  }

  private setFloats(fx: Uint8Array): void {
    const view = new DataView(fx.buffer, fx.byteOffset);
    const { fpu } = this.vcpu;
    fpu.fcw = view.getUint16(FX_FCW, true);
    fpu.fsw = view.getUint16(FX_FSW, true);
    fpu.ftw = view.getUint8(FX_FTW);
    fpu.mxcsr = view.getUint32(FX_MXCSR, true);
    fpu.last = { fop: 0, fip: 0n, fdp: 0n, fcs: 0, fds: 0 };
    for (let i = 0; i < 8; i++) {
      const at = FX_ST + 16 * i;
      fpu.setSt(i, {
        significand: view.getBigUint64(at, true),
        signExponent: view.getUint16(at + 8, true),
      });
    }
    for (let i = 0; i < 16; i++) {
      const at = FX_XMM + 16 * i;
      fpu.setXmm(i, view.getBigUint64(at, true) | (view.getBigUint64(at + 8, true) << 64n));
    }
  }

  writeMemory(address: number, bytes: Uint8Array): void {
    this.machine.writeMemory(address, bytes);
  }

  readMemory(address: number, length: number): Uint8Array {
    return this.machine.readMemory(address, length);
  }

  step(): { trap?: Trap } {
    const { reason } = this.machine.step(0);
    if (reason !== "stepped") throw new Error(`the machine stopped: ${reason}`);
    return this.outcome();
  }

  /** The trap that brought the CPU to ring 0, if it is there. */
  protected outcome(): { trap?: Trap } {
    if (this.vcpu.cpl !== 0) return {};
    const vector = (Number(this.vcpu.rip) - HANDLER) / HANDLER_BYTES;
    const frameAt = Number(this.vcpu.gpr.rsp);
    const hasErrorCode = STACK_TOP - frameAt === 48;
    this.segmentsMoved = true;
    this.frame = this.machine.readMemory(frameAt, STACK_TOP - frameAt);
    const errorCode = hasErrorCode ? new DataView(this.frame.buffer).getUint16(0, true) : 0;
    if (hasErrorCode) this.frame = this.frame.slice(8);
    const cr2 = vector === 14 ? { cr2: this.vcpu.control.cr2 } : {};
    return { trap: { vector, errorCode, ...cr2 } };
  }

  getState(): CpuState {
    const { vcpu, frame } = this;
    const state = emptyState();
    GPR_NAMES.forEach((name, i) => (state.gpr[i] = vcpu.gpr[name]));
    SEGMENT_NAMES.slice(0, 6).forEach((name, i) => {
      const { selector } = vcpu.segment(name);
      // The recording was read after a return to ring 3, which turns the null selectors 1..3 into 0.
      state.segments[i] = selector < 4 ? 0 : selector;
    });
    state.rip = vcpu.rip;
    state.rflags = Number(vcpu.rflags);
    if (frame) {
      const view = new DataView(frame.buffer);
      state.rip = view.getBigUint64(0, true);
      state.segments[1] = view.getUint16(8, true);
      state.rflags = view.getUint32(16, true);
      state.gpr[4] = view.getBigUint64(24, true);
      state.segments[2] = view.getUint16(32, true);
    }
    const moved = this.start.some(({ selector, base }, i) => {
      const now = vcpu.segment(SEGMENT_NAMES[i]!);
      return selector !== now.selector || BigInt(base) !== now.base;
    });
    if (moved) this.segmentsMoved = true;
    this.getFloats(state.fx);
    return state;
  }

  private getFloats(fx: Uint8Array): void {
    const view = new DataView(fx.buffer, fx.byteOffset);
    const { fpu } = this.vcpu;
    view.setUint16(FX_FCW, fpu.fcw, true);
    view.setUint16(FX_FSW, fpu.fsw, true);
    view.setUint8(FX_FTW, fpu.ftw);
    view.setUint32(FX_MXCSR, fpu.mxcsr, true);
    for (let i = 0; i < 8; i++) {
      const { significand, signExponent } = fpu.st(i);
      view.setBigUint64(FX_ST + 16 * i, significand, true);
      view.setUint16(FX_ST + 16 * i + 8, signExponent, true);
    }
    for (let i = 0; i < 16; i++) {
      const value = fpu.xmm(i);
      view.setBigUint64(FX_XMM + 16 * i, value & 0xffffffffffffffffn, true);
      view.setBigUint64(FX_XMM + 16 * i + 8, value >> 64n, true);
    }
  }
}
