/**
 * One virtual CPU, register by register, read and written in place in the core's memory.
 *
 * A 64-bit register is a bigint; writes take the low bits of what they are given. Registers may be touched between runs
 * and inside `Machine.at` actions, not while the machine runs.
 */
import * as abi from "../assembly/abi.js";
import type { Core } from "./core.js";
import { X2vmError, hex } from "./errors.js";
import { Fpu } from "./fpu.js";
import { LocalApic } from "./local-apic.js";

/** General-purpose registers in encoding order. */
export const GPR_NAMES = [
  "rax",
  "rcx",
  "rdx",
  "rbx",
  "rsp",
  "rbp",
  "rsi",
  "rdi",
  "r8",
  "r9",
  "r10",
  "r11",
  "r12",
  "r13",
  "r14",
  "r15",
] as const;
export type GprName = (typeof GPR_NAMES)[number];

/** Segment registers and the two system segments, in the core's order. */
export const SEGMENT_NAMES = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"] as const;
export type SegmentName = (typeof SEGMENT_NAMES)[number];

/** What a vCPU does: the states of KVM_MP_STATE, and two of our own. */
export const RUN_STATES = [
  "runnable",
  "uninitialized", // a new application processor: waits for INIT
  "wait-for-sipi",
  "halted",
  "shutdown", // after a triple fault
  "absent", // removed
] as const;
export type RunState = (typeof RUN_STATES)[number];

/** Control and extended control registers that live in the record. */
const CONTROL_OFFSETS = {
  cr0: abi.VCPU_CR0,
  cr2: abi.VCPU_CR2,
  cr3: abi.VCPU_CR3,
  cr4: abi.VCPU_CR4,
  efer: abi.VCPU_EFER,
  xcr0: abi.VCPU_XCR0,
} as const;

const DEBUG_NAMES = ["dr0", "dr1", "dr2", "dr3", "dr6", "dr7"] as const;

/** A segment register with its hidden part. */
export interface SegmentValue {
  selector: number;
  base: bigint;
  /** Bytes, granularity applied: the last valid offset. */
  limit: number;
  /** As in the VMX guest state: type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
  accessRights: number;
}

/** GDTR or IDTR. */
export interface TableValue {
  base: bigint;
  limit: number;
}

/** A register file whose members are read and written like fields: `vcpu.gpr.rax = 1n`. */
export type Registers<Name extends string> = { [name in Name]: bigint };

type ControlName = keyof typeof CONTROL_OFFSETS;
type DebugName = (typeof DEBUG_NAMES)[number];

export class Vcpu {
  /** Position in the machine's `vcpus`: not an APIC ID. */
  readonly vcpuIndex: number;
  readonly #core: Core;
  readonly #base: number;
  #gpr: Registers<GprName> | undefined;
  #control: Registers<ControlName> | undefined;
  #debug: Registers<DebugName> | undefined;
  #fpu: Fpu | undefined;

  /** Machines make these. */
  constructor(core: Core, vcpuIndex: number) {
    this.#core = core;
    this.#base = core.vcpuAddress(vcpuIndex);
    this.vcpuIndex = vcpuIndex;
  }

  /** General-purpose registers. */
  get gpr(): Registers<GprName> {
    return (this.#gpr ??= this.#registers(GPR_NAMES, (_, i) => abi.VCPU_GPR + i * 8, false));
  }

  /** CR0, CR2, CR3, CR4, EFER and XCR0. What depends on them (mode, privilege, TLB) follows at once. */
  get control(): Registers<ControlName> {
    const names = Object.keys(CONTROL_OFFSETS) as ControlName[];
    return (this.#control ??= this.#registers(names, (name) => CONTROL_OFFSETS[name], true));
  }

  /** DR0 to DR3, DR6, DR7. */
  get debug(): Registers<DebugName> {
    return (this.#debug ??= this.#registers(DEBUG_NAMES, (_, i) => abi.VCPU_DR + i * 8, true));
  }

  /** x87 and SSE state. */
  get fpu(): Fpu {
    return (this.#fpu ??= new Fpu(this.#core, this.#base + abi.VCPU_FPU));
  }

  /** Its local APIC as one piece; register by register it is in its MSRs. */
  get lapic(): LocalApic {
    return new LocalApic(this.#core, this.vcpuIndex);
  }

  /** x2APIC ID, 32 bits. */
  get apicId(): number {
    return this.#u32(abi.VCPU_APIC_ID);
  }

  get runState(): RunState {
    return RUN_STATES[this.#u32(abi.VCPU_RUN_STATE)] ?? "absent";
  }

  /** The instruction to run next. */
  get rip(): bigint {
    return this.#u64(abi.VCPU_RIP);
  }

  set rip(value: bigint) {
    this.#setU64(abi.VCPU_RIP, value);
  }

  get rflags(): bigint {
    return BigInt(this.#core.exports.getRflags(this.vcpuIndex) >>> 0);
  }

  set rflags(value: bigint) {
    this.#core.exports.setRflags(this.vcpuIndex, Number(BigInt.asUintN(32, value)));
  }

  /** Current privilege level, 0..3. */
  get cpl(): number {
    return this.#u32(abi.VCPU_CPL);
  }

  /** Instructions retired since the machine was made. */
  get retired(): bigint {
    return this.#u64(abi.VCPU_RETIRED);
  }

  /** What led to the state "shutdown": the first exception, and the one that hit its delivery. */
  get shutdownCause(): { first: number; second: number } {
    const cause = this.#u32(abi.VCPU_SHUTDOWN_CAUSE);
    return { first: cause & 0xff, second: (cause >> 8) & 0xff };
  }

  /** A segment register with its hidden part. */
  segment(name: SegmentName): SegmentValue {
    const at = this.#segmentOffset(name);
    return {
      selector: this.#view().getUint16(this.#base + at + abi.SEGMENT_SELECTOR, true),
      base: this.#u64(at + abi.SEGMENT_BASE),
      limit: this.#u32(at + abi.SEGMENT_LIMIT),
      accessRights: this.#u32(at + abi.SEGMENT_AR),
    };
  }

  /** Sets the parts that are given, without any check that a guest's load would make. */
  setSegment(name: SegmentName, value: Partial<SegmentValue>): void {
    const at = this.#segmentOffset(name);
    const view = this.#view();
    if (value.selector !== undefined)
      view.setUint16(this.#base + at + abi.SEGMENT_SELECTOR, value.selector, true);
    if (value.base !== undefined) this.#setU64(at + abi.SEGMENT_BASE, value.base);
    if (value.limit !== undefined) this.#setU32(at + abi.SEGMENT_LIMIT, value.limit);
    if (value.accessRights !== undefined) this.#setU32(at + abi.SEGMENT_AR, value.accessRights);
    this.#core.exports.syncVcpu(this.vcpuIndex);
  }

  get gdtr(): TableValue {
    return this.#table(abi.VCPU_GDTR);
  }

  set gdtr(value: TableValue) {
    this.#setTable(abi.VCPU_GDTR, value);
  }

  get idtr(): TableValue {
    return this.#table(abi.VCPU_IDTR);
  }

  set idtr(value: TableValue) {
    this.#setTable(abi.VCPU_IDTR, value);
  }

  /**
   * Reads an MSR as the host sees it.
   *
   * @param msr - 32-bit number
   * @returns the value, or undefined where the guest's RDMSR would raise #GP
   */
  readMsr(msr: number): bigint | undefined {
    if (this.#core.exports.readMsr(this.vcpuIndex, msr) === 0) return undefined;
    return this.#view().getBigUint64(this.#core.exchangeAddress(), true);
  }

  /** Writes an MSR. @returns false, and nothing is written, where the guest's WRMSR would raise #GP */
  writeMsr(msr: number, value: bigint): boolean {
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(BigInt.asUintN(32, value >> 32n));
    return this.#core.exports.writeMsr(this.vcpuIndex, msr, low, high) !== 0;
  }

  /**
   * Translates a linear address with the vCPU's present paging, without touching accessed bits.
   *
   * @returns the guest-physical address, or undefined when nothing is mapped there
   */
  translate(linearAddress: bigint): bigint | undefined {
    const low = Number(BigInt.asUintN(32, linearAddress));
    const high = Number(BigInt.asUintN(32, linearAddress >> 32n));
    const gpa = this.#core.exports.translate(this.vcpuIndex, low, high);
    return gpa < 0 ? undefined : BigInt(gpa);
  }

  #view(): DataView {
    return this.#core.view;
  }

  #u32(offset: number): number {
    return this.#view().getUint32(this.#base + offset, true);
  }

  #setU32(offset: number, value: number): void {
    this.#view().setUint32(this.#base + offset, value, true);
  }

  #u64(offset: number): bigint {
    return this.#view().getBigUint64(this.#base + offset, true);
  }

  #setU64(offset: number, value: bigint): void {
    this.#view().setBigUint64(this.#base + offset, value, true);
  }

  #segmentOffset(name: SegmentName): number {
    const number = SEGMENT_NAMES.indexOf(name);
    if (number < 0) throw new X2vmError("BAD_OPTION", `"${name}" is not a segment register.`);
    return abi.VCPU_SEGMENT + number * abi.SEGMENT_BYTES;
  }

  #table(offset: number): TableValue {
    return { base: this.#u64(offset), limit: this.#u32(offset + 8) };
  }

  #setTable(offset: number, { base, limit }: TableValue): void {
    if (limit < 0 || limit > 0xffff)
      throw new X2vmError("BAD_OPTION", `${hex(limit)} is not a 16-bit table limit.`);
    this.#setU64(offset, base);
    this.#setU32(offset + 8, limit);
  }

  /** An object with one accessor for each register. @param isDerived - others depend on the value: tell the core */
  #registers<Name extends string>(
    names: readonly Name[],
    offsetOf: (name: Name, position: number) => number,
    isDerived: boolean,
  ): Registers<Name> {
    const file = {} as Registers<Name>;
    names.forEach((name, position) => {
      const offset = offsetOf(name, position);
      Object.defineProperty(file, name, {
        enumerable: true,
        get: () => this.#u64(offset),
        set: (value: bigint) => {
          this.#setU64(offset, value);
          if (isDerived) this.#core.exports.syncVcpu(this.vcpuIndex);
        },
      });
    });
    return Object.freeze(file);
  }
}
