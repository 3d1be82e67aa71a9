/**
 * A set of local APICs without guests, for scripted experiments: CPUs are added, registers written, messages sent, and
 * what happened is told in words.
 */
import * as abi from "../../assembly/abi.js";
import type { ApicCore } from "../apic-exports.js";
import { hex } from "../errors.js";

/** Delivery modes, ICR[10:8]. */
export const FIXED = 0;
export const LOWEST_PRIORITY = 1;
export const NMI = 4;
export const INIT = 5;
export const STARTUP = 6;

/** Shorthand all but self, ICR[19:18]. */
const ALL_EXCLUDING_SELF = 3;

// xAPIC page offsets.
const APIC_ID = 0x20;
const EOI = 0xb0;
const SVR = 0xf0;
const LDR = 0xd0;

const MSR_APIC_BASE = 0x1b;
const MSR_X2APIC_ID = 0x802;
const BASE = 0xfee00000;
const BASE_BSP = 0x100;
const BASE_EN = 0x800;
const BASE_EXTD = 0x400;
const SVR_ON = 0x1ff;

/** In the ISR, TMR and IRR: 32 vectors a register. */
const ISR = 0x100;
const IRR = 0x200;

export type BootMode = "xapic" | "x2apic";

export interface Sent {
  readonly dest: number;
  readonly mode: number;
  readonly vector?: number;
  readonly logical?: boolean;
  readonly shorthand?: number;
}

/** Sets the knobs of a policy. */
export type ApplyPolicy = (setKnob: (knob: number, value: number) => void) => void;

export class Lab {
  private readonly core: ApicCore;
  /** x2APIC IDs by vcpuIndex. */
  private readonly ids: number[] = [];

  /** Empties the core and sets the policy. */
  constructor(core: ApicCore, applyPolicy: ApplyPolicy) {
    this.core = core;
    core.exports.apicClear();
    applyPolicy((knob, value) => core.exports.apicSetKnob(knob, value));
  }

  /** A CPU that runs with its LAPIC enabled, as software leaves it. The first one is the bootstrap processor. */
  boot(apicId: number, mode: BootMode = "x2apic"): void {
    const vcpuIndex = this.add(apicId);
    this.write(apicId, SVR, SVR_ON);
    if (mode === "xapic") this.write(apicId, LDR, ((1 << (vcpuIndex & 7)) << 24) >>> 0);
    else this.enterX2apic(apicId);
    this.setRunState(vcpuIndex, abi.RUNNABLE);
  }

  /** A CPU as hotplug brings it: power-up state, in the mode that the policy's VMM gives it. */
  hotAdd(apicId: number): void {
    this.add(apicId);
    this.chooseMode(apicId);
  }

  /** What the VMM does with a CPU that it adds, before it first runs. */
  private chooseMode(apicId: number): void {
    if (this.core.exports.apicKnob(abi.KNOB_HOTPLUG_X2APIC) === 0) return;
    this.core.exports.apicHostWriteBase(this.indexOf(apicId), BASE | BASE_EN | BASE_EXTD, 0);
  }

  private add(apicId: number): number {
    const isBsp = this.ids.length === 0 ? 1 : 0;
    const vcpuIndex = this.core.exports.apicAddVcpu(apicId, isBsp, 1);
    if (vcpuIndex < 0) throw new Error(`no vCPU ${hex(apicId)}: ${vcpuIndex}`);
    this.ids.push(apicId);
    return vcpuIndex;
  }

  /** The usual cast: 0x00 and 0x23 run, 0x123 is new. */
  usual(mode: BootMode = "x2apic"): void {
    this.boot(0x00);
    this.boot(0x23, mode);
    this.hotAdd(0x123);
  }

  unplug(apicId: number): void {
    this.core.exports.removeVcpu(this.indexOf(apicId));
  }

  /** The slot of a removed CPU is used again, with a LAPIC as after power-up. */
  replug(apicId: number): void {
    const vcpuIndex = this.indexOf(apicId);
    this.core.exports.apicReset(vcpuIndex, 0);
    this.chooseMode(apicId);
    this.setRunState(vcpuIndex, abi.UNINITIALIZED);
  }

  setKnob(knob: number, value: number): void {
    this.core.exports.apicSetKnob(knob, value);
  }

  // Messages. Each gives the IDs of the LAPICs that accepted.

  ipi(from: number, message: Sent): number[] {
    const { dest, mode, vector = 0, logical = false, shorthand = 0 } = message;
    const destMode = logical ? 1 : 0;
    this.core.exports.apicSend(this.indexOf(from), dest, destMode, shorthand, mode, vector, 0, 1);
    return this.accepted();
  }

  allButSelf(from: number, mode: number, vector = 0): number[] {
    return this.ipi(from, { dest: 0, mode, vector, shorthand: ALL_EXCLUDING_SELF });
  }

  /** An MSI in the format of KVM's API, physical. */
  msi(dest: number, mode: number, vector = 0): number[] {
    const low = BASE | ((dest & 0xff) << 12);
    this.core.exports.apicSignalMsi(low, dest & 0xffffff00, vector | (mode << 8));
    return this.accepted();
  }

  /** KVM's hypercall: one ID, in the high bitmap word. @returns LAPICs that accepted, or a negative error */
  pvSendIpi(lowest: number, mode: number, vector: number): number {
    return this.core.exports.apicPvSendIpi(0, 0, 1, 0, lowest, vector | (mode << 8) | 0x4000, 1);
  }

  private accepted(): number[] {
    return this.ids.filter((_, vcpuIndex) => this.core.exports.apicAccepted(vcpuIndex) === 1);
  }

  // CPUs and their registers.

  /** Has every CPU look at its pending INIT and STARTUP. @returns what became of them, in words */
  process(): string {
    const words: string[] = [];
    this.ids.forEach((apicId, vcpuIndex) => {
      const ran = this.runState(vcpuIndex) === abi.RUNNABLE;
      const happened = this.core.exports.apicProcessEvents(vcpuIndex);
      const runs = this.runState(vcpuIndex) === abi.RUNNABLE;
      const [isInit, isStart] = [(happened & 1) !== 0, (happened & 2) !== 0];
      if (isStart) words.push(`${hex2(apicId)} ${ran ? "restarts" : "starts"}`);
      else if (isInit) words.push(`${hex2(apicId)} ${runs ? "is reset" : ran ? "stops" : "waits"}`);
    });
    return words.length === 0 ? "nobody" : words.join(", ");
  }

  /** Address at which a CPU was started. */
  startAddress(apicId: number): number {
    return this.field(this.indexOf(apicId), abi.VCPU_SIPI_VECTOR) << 12;
  }

  hasNmi(apicId: number): boolean {
    return (this.field(this.indexOf(apicId), abi.VCPU_REQUEST) & abi.REQ_NMI) !== 0;
  }

  isRunning(apicId: number): boolean {
    return this.runState(this.indexOf(apicId)) === abi.RUNNABLE;
  }

  /** Takes the pending interrupt. @returns vector or -1 */
  acknowledge(apicId: number): number {
    return this.core.exports.apicAcknowledge(this.indexOf(apicId));
  }

  eoi(apicId: number): void {
    this.write(apicId, EOI, 0);
  }

  setEnabled(apicId: number, isEnabled: boolean): void {
    this.writeBase(apicId, isEnabled ? BASE | BASE_EN : BASE);
  }

  enterX2apic(apicId: number): void {
    this.writeBase(apicId, BASE | BASE_EN | BASE_EXTD);
  }

  /** Switches the LAPIC off and on by SVR[8]. */
  toggleSvr(apicId: number): void {
    this.write(apicId, SVR, 0xff);
    this.write(apicId, SVR, SVR_ON);
  }

  /** Writes the 8-bit ID, where the policy lets it be written. */
  writeXid(apicId: number, xid: number): void {
    this.write(apicId, APIC_ID, (xid << 24) >>> 0);
  }

  /** The ID register as a 32-bit read of the page shows it. */
  pageId(apicId: number): number {
    return this.core.exports.apicReadMmio(this.indexOf(apicId), APIC_ID, 4, 0, 0) >>> 0;
  }

  /** MSR 802H. @returns null for #GP */
  msrId(apicId: number): number | null {
    const { exports } = this.core;
    const isRead = exports.apicReadMsr(this.indexOf(apicId), MSR_X2APIC_ID, 0, 0) !== 0;
    return isRead ? exports.apicMsrLow() >>> 0 : null;
  }

  /** Vectors in IRR and ISR, together. */
  pendingVectors(apicId: number): number {
    let count = 0;
    for (const first of [ISR, IRR]) {
      for (let n = 0; n < 8; n++) count += bitCount(this.read(apicId, first + (n << 4)));
    }
    return count;
  }

  /** Through the page in xAPIC mode, by MSR in x2APIC mode. */
  private write(apicId: number, offset: number, value: number): void {
    const vcpuIndex = this.indexOf(apicId);
    if (this.msrId(apicId) === null) {
      this.core.exports.apicWriteMmio(vcpuIndex, offset, 4, value, 0, 0);
    } else {
      this.core.exports.apicWriteMsr(vcpuIndex, 0x800 + (offset >> 4), value, 0, 0, 0);
    }
  }

  private read(apicId: number, offset: number): number {
    const { exports } = this.core;
    const vcpuIndex = this.indexOf(apicId);
    if (this.msrId(apicId) === null) return exports.apicReadMmio(vcpuIndex, offset, 4, 0, 0) >>> 0;
    exports.apicReadMsr(vcpuIndex, 0x800 + (offset >> 4), 0, 0);
    return exports.apicMsrLow() >>> 0;
  }

  private writeBase(apicId: number, value: number): void {
    const vcpuIndex = this.indexOf(apicId);
    const bsp = vcpuIndex === 0 ? BASE_BSP : 0;
    this.core.exports.apicWriteMsr(vcpuIndex, MSR_APIC_BASE, (value | bsp) >>> 0, 0, 0, 0);
  }

  private indexOf(apicId: number): number {
    const vcpuIndex = this.ids.indexOf(apicId);
    if (vcpuIndex < 0) throw new Error(`no vCPU ${hex(apicId)}`);
    return vcpuIndex;
  }

  private runState(vcpuIndex: number): number {
    return this.field(vcpuIndex, abi.VCPU_RUN_STATE);
  }

  private setRunState(vcpuIndex: number, state: number): void {
    const record = this.core.exports.vcpuAddress(vcpuIndex) >>> 0;
    this.core.view.setUint32(record + abi.VCPU_RUN_STATE, state, true);
  }

  private field(vcpuIndex: number, offset: number): number {
    return this.core.view.getUint32(
      (this.core.exports.vcpuAddress(vcpuIndex) >>> 0) + offset,
      true,
    );
  }
}

/** APIC IDs as a sentence has them. */
export function names(apicIds: readonly number[]): string {
  return apicIds.length === 0 ? "nobody" : apicIds.map(hex2).join(", ");
}

function hex2(apicId: number): string {
  return hex(apicId, 2);
}

function bitCount(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count++;
  return count;
}
