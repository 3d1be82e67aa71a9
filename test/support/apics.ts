/** Local APICs of the core, driven by hand, with the trace decoded: for tests of assembly/apic. */
import * as abi from "../../assembly/abi.js";
import type { ApicExports } from "../../src/apic-exports.js";
import { loadCore, type CoreBuild } from "../../src/core-source.js";
import { Core, type CoreImports } from "../../src/core.js";
import { applyPolicy, parsePolicy } from "../../src/policies.js";
import { decodeApicEvent, isApicEvent, type ApicEvent } from "../../src/trace/apic.js";

/** Exports that only tests of the core use. */
interface MoreExports extends ApicExports {
  setTraceMask(mask: number): void;
  apicDeviceMsi(address: number, data: number): number;
  apicSignalRte(low: number, high: number): number;
  apicPvSendIpi(
    bitmap0: number,
    bitmap1: number,
    bitmap2: number,
    bitmap3: number,
    lowest: number,
    icr: number,
    is64: number,
  ): number;
  apicPvKick(apicId: number): number;
  apicWantsPvEoi(vcpuIndex: number): number;
  apicPvEoiAddress(vcpuIndex: number): number;
  apicResolvePvEoi(vcpuIndex: number, wasSet: number): void;
  apicInject(
    action: number,
    filters: number,
    sender: number,
    modes: number,
    vector: number,
    dest: number,
    first: number,
    every: number,
    chance: number,
    argumentLow: number,
    argumentHigh: number,
  ): number;
  apicInjectSeed(low: number, high: number): void;
  apicClearRules(): void;
  apicFabricDeadlineLow(): number;
  apicFabricDeadlineHigh(): number;
  apicFabricExpired(nowLow: number, nowHigh: number): void;
  apicRemove(vcpuIndex: number): void;
  apicRaiseLint(vcpuIndex: number, pin: number): number;
  apicAcceptsPic(vcpuIndex: number): number;
  apicDriveUnicast(count: number, vector: number): number;
  apicDriveBroadcast(vector: number): number;
}

export interface CpuSetup {
  readonly mode?: "off" | "x" | "x2";
  readonly xid?: number;
  /** SVR; default 0x1ff: enabled. */
  readonly svr?: number;
  /** LDR[31:24]. */
  readonly logicalId?: number;
  readonly dfr?: number;
  readonly runState?: number;
}

export interface Ipi {
  readonly mode?: number;
  readonly vector?: number;
  readonly logical?: boolean;
  readonly shorthand?: number;
  readonly level?: number;
  readonly trigger?: number;
}

export const FIXED = 0;
export const LOWEST = 1;
export const SMI = 2;
export const KICK = 3;
export const NMI = 4;
export const INIT = 5;
export const STARTUP = 6;
export const EXTINT = 7;

const MODES = { off: 0, x: 1, x2: 2 } as const;
const ALL_ONES = 0xffffffffffffffffn;

const low = (value: bigint): number => Number(value & 0xffffffffn);
const high = (value: bigint): number => Number(value >> 32n);

export class Apics {
  readonly x: MoreExports;
  /** Events since `clear`, while a trace mask asks for them. */
  readonly events: ApicEvent[] = [];
  /** Vectors whose end was announced to the I/O APICs since `clear`. */
  readonly eois: number[] = [];
  /** Virtual time of every access, ns. */
  now = 0n;
  readonly #core: Core;
  #count = 0;

  private constructor(core: Core) {
    this.#core = core;
    this.x = core.exports as unknown as MoreExports;
  }

  static async create(capacity = 64, build: CoreBuild = "release"): Promise<Apics> {
    const unused = (): number => 0;
    const imports: CoreImports = {
      ioRead: unused,
      ioWrite: unused,
      mmioRead: unused,
      mmioWrite: unused,
      acknowledgeExtInt: unused,
      eoiBroadcast: (vector) => apics.eois.push(vector),
      traceEvent: (kind, record) => {
        if (isApicEvent(kind)) apics.events.push(decodeApicEvent(kind, core.view, record));
      },
    };
    const core = await Core.instantiate(await loadCore(undefined, build), () => imports);
    const apics = new Apics(core);
    if (core.exports.create(capacity, 65536, 0) === 0) throw new Error("no memory for the core");
    return apics;
  }

  /** A machine without CPUs under a policy. */
  clear(policy = "kvm"): this {
    this.x.apicClear();
    this.#count = 0;
    applyPolicy(parsePolicy(policy), (knob, value) => {
      if (this.x.apicSetKnob(knob, value) !== 1) throw new Error(`knob ${knob} = ${value}`);
    });
    this.x.setTraceMask(0);
    this.events.length = 0;
    this.eois.length = 0;
    this.now = 0n;
    return this;
  }

  /** Adds a CPU; the one with ID 0 is the BSP. @returns vcpuIndex */
  add(apicId: number, setup: CpuSetup = {}): number {
    const index = this.addFresh(apicId);
    const {
      mode = "x2",
      xid = apicId & 0xff,
      svr = 0x1ff,
      logicalId = 0,
      dfr = 0xffffffff,
    } = setup;
    const ldr = (logicalId << 24) >>> 0;
    this.x.apicSetState(index, MODES[mode], xid, svr, ldr, dfr, setup.runState ?? 0);
    return index;
  }

  /** A CPU in its power-up state: xAPIC mode, software-disabled. @param visible - the map knows it */
  addFresh(apicId: number, visible = true): number {
    const index = this.x.apicAddVcpu(apicId, apicId === 0 ? 1 : 0, visible ? 1 : 0);
    if (index < 0) throw new Error(`addVcpu: ${index}`);
    this.#count++;
    return index;
  }

  /** Sends a message. @returns x2APIC IDs of those that accepted, in creation order */
  send(from: number, dest: number, ipi: Ipi = {}): number[] {
    const { mode = FIXED, vector = 0x40, shorthand = 0, level = 1, trigger = 0 } = ipi;
    const logical = ipi.logical === true ? 1 : 0;
    this.x.apicSend(from, dest, logical, shorthand, mode, vector, trigger, level);
    return this.accepted();
  }

  /** x2APIC IDs of those that accepted the last message. */
  accepted(): number[] {
    const ids: number[] = [];
    for (let n = 0; n < this.#count; n++) {
      if (this.x.apicAccepted(n) === 1) ids.push(this.apicId(n));
    }
    return ids;
  }

  apicId(vcpuIndex: number): number {
    return this.field(vcpuIndex, abi.VCPU_APIC_ID);
  }

  request(vcpuIndex: number): number {
    return this.field(vcpuIndex, abi.VCPU_REQUEST);
  }

  runState(vcpuIndex: number): number {
    return this.field(vcpuIndex, abi.VCPU_RUN_STATE);
  }

  setRunState(vcpuIndex: number, state: number): void {
    this.#core.view.setUint32(this.#record(vcpuIndex) + abi.VCPU_RUN_STATE, state, true);
  }

  /** @param offset - of a u32 in the vCPU record */
  field(vcpuIndex: number, offset: number): number {
    return this.#core.view.getUint32(this.#record(vcpuIndex) + offset, true);
  }

  setField(vcpuIndex: number, offset: number, value: number): void {
    this.#core.view.setUint32(this.#record(vcpuIndex) + offset, value, true);
  }

  setField64(vcpuIndex: number, offset: number, value: bigint): void {
    this.#core.view.setBigUint64(this.#record(vcpuIndex) + offset, value, true);
  }

  #record(vcpuIndex: number): number {
    return this.#core.exports.vcpuAddress(vcpuIndex) >>> 0;
  }

  msr(vcpuIndex: number, msr: number): bigint | "#GP" {
    if (this.x.apicReadMsr(vcpuIndex, msr, low(this.now), high(this.now)) === 0) return "#GP";
    return (BigInt(this.x.apicMsrHigh() >>> 0) << 32n) | BigInt(this.x.apicMsrLow() >>> 0);
  }

  /** @returns "#GP" or "ok" */
  setMsr(vcpuIndex: number, msr: number, value: bigint): "#GP" | "ok" {
    const done = this.x.apicWriteMsr(
      vcpuIndex,
      msr,
      low(value),
      high(value),
      low(this.now),
      high(this.now),
    );
    return done === 1 ? "ok" : "#GP";
  }

  hostBase(vcpuIndex: number, value: bigint): boolean {
    return this.x.apicHostWriteBase(vcpuIndex, low(value), high(value)) === 1;
  }

  read(vcpuIndex: number, offset: number, size = 4): number {
    return this.x.apicReadMmio(vcpuIndex, offset, size, low(this.now), high(this.now)) >>> 0;
  }

  write(vcpuIndex: number, offset: number, value: number, size = 4): void {
    this.x.apicWriteMmio(vcpuIndex, offset, size, value, low(this.now), high(this.now));
  }

  /** Absolute time of the next timer expiry, ns; null when none. */
  deadline(vcpuIndex: number): bigint | null {
    const value = this.#wide(this.x.apicDeadlineLow(vcpuIndex), this.x.apicDeadlineHigh(vcpuIndex));
    return value === ALL_ONES ? null : value;
  }

  fabricDeadline(): bigint | null {
    const value = this.#wide(this.x.apicFabricDeadlineLow(), this.x.apicFabricDeadlineHigh());
    return value === ALL_ONES ? null : value;
  }

  #wide(lowHalf: number, highHalf: number): bigint {
    return (BigInt(highHalf >>> 0) << 32n) | BigInt(lowHalf >>> 0);
  }

  /** Moves the clock and fires the vCPU's timer if it is due. */
  advance(vcpuIndex: number, ns: bigint): void {
    this.now += ns;
    this.x.apicTimerExpired(vcpuIndex, low(this.now), high(this.now));
  }

  releaseHeld(): void {
    this.x.apicFabricExpired(low(this.now), high(this.now));
  }
}
