/** The core as a set of local APICs that tests drive like the model. */
import * as abi from "../../assembly/abi.js";
import type { ApicCore } from "../../src/apic-exports.js";
import type { ApicDriver, CpuState, Ipi, Msi, Receipt } from "./driver.js";
import type { LapicOptions } from "./lapic-model.js";
import type { Policy } from "./model-types.js";

/** The knobs of the core that make a policy of the model. */
export function knobsOf(policy: Policy): [number, number][] {
  const flag = (value: boolean): number => (value ? 1 : 0);
  return [
    [
      abi.KNOB_SLOT,
      { none: abi.SLOT_SCAN, both: abi.SLOT_MAP_BOTH, mode: abi.SLOT_MAP_MODE }[policy.map],
    ],
    [abi.KNOB_LOW, { all: abi.LOW_ALL, owner: abi.LOW_OWNER, last: abi.LOW_LAST }[policy.low]],
    [
      abi.KNOB_HIGH,
      { hack: abi.HIGH_HACK, drop: abi.HIGH_DROP, trunc: abi.HIGH_TRUNCATE }[policy.high],
    ],
    [abi.KNOB_BROADCAST32, flag(policy.bc32)],
    [abi.KNOB_BROADCAST8, flag(policy.bc8x2)],
    [abi.KNOB_QUIRK, flag(policy.quirk)],
    [abi.KNOB_IDS32, flag(policy.msi32)],
    [abi.KNOB_FOLLOW_IDS32, 0],
    [abi.KNOB_SENDER_FORMAT, flag(policy.senderFormat)],
    [abi.KNOB_MAP_FORM, policy.mapForm === "6" ? abi.MAP_KVM_6 : abi.MAP_KVM_4_9],
    [abi.KNOB_TRUNCATED_BROADCAST, flag(policy.truncBroadcast)],
    [
      abi.KNOB_LOWEST,
      { hash: abi.LOWEST_VECTOR_HASH, counter: abi.LOWEST_COUNTER, tpr: abi.LOWEST_TPR }[
        policy.lowest
      ],
    ],
  ];
}

const DIRECTED_EOI = {
  absent: abi.DIRECTED_EOI_ABSENT,
  advertised: abi.DIRECTED_EOI_ADVERTISED,
  works: abi.DIRECTED_EOI_WORKS,
} as const;

export function lapicKnobsOf(options: LapicOptions, firstSipi: boolean): [number, number][] {
  const flag = (value: boolean): number => (value ? 1 : 0);
  return [
    [abi.KNOB_XID_WRITABLE, flag(options.xidWritable)],
    [abi.KNOB_RESERVED_BITS, options.reservedBits === "sdm" ? abi.RESERVED_SDM : abi.RESERVED_KVM],
    [abi.KNOB_ERRORS, flag(options.errors)],
    [abi.KNOB_SPURIOUS, flag(options.spurious)],
    [abi.KNOB_FIRST_SIPI, flag(firstSipi)],
    [abi.KNOB_TIMER_MODE_DISARMS, flag(options.timerModeDisarms)],
    [abi.KNOB_PERIOD_MIN, options.periodMin],
    [abi.KNOB_BUS_CYCLE, options.busCycle],
    [abi.KNOB_DIRECTED_EOI, DIRECTED_EOI[options.directedEoi]],
    [abi.KNOB_LVT_CMCI, flag(options.cmci)],
    [abi.KNOB_TSC_DEADLINE, flag(options.tscDeadline)],
    [abi.KNOB_X2APIC, flag(options.x2apic)],
    [abi.KNOB_MAXPHYADDR, options.physicalAddressBits],
    [abi.KNOB_LINT0_REENABLED, flag(options.lint0Reenabled)],
    [abi.KNOB_MMIO_HOLE, 1],
    [abi.KNOB_MSI_EXT_DEST, 0],
  ];
}

const PATHS = { [abi.PATH_SELF]: "self", [abi.PATH_MAP]: "map", [abi.PATH_SCAN]: "scan" } as const;

export class CoreDriver implements ApicDriver {
  private readonly core: ApicCore;
  private count = 0;
  private eois: number[] = [];
  private nowLow = 0;
  private nowHigh = 0;

  /** Empties the machine and sets the knobs. */
  constructor(core: ApicCore, knobs: readonly (readonly [number, number])[]) {
    this.core = core;
    core.onEoiBroadcast = (vector) => this.eois.push(vector);
    core.exports.apicClear();
    for (const [knob, value] of knobs) {
      if (core.exports.apicSetKnob(knob, value) !== 1)
        throw new Error(`knob ${knob} refuses ${value}`);
    }
  }

  addVcpu(apicId: number, isBsp: boolean, visible: boolean): number {
    const vcpuIndex = this.core.exports.apicAddVcpu(apicId, isBsp ? 1 : 0, visible ? 1 : 0);
    if (vcpuIndex < 0) throw new Error(`apicAddVcpu: ${vcpuIndex}`);
    this.count++;
    return vcpuIndex;
  }

  setState(vcpuIndex: number, state: CpuState): void {
    const mode = { off: 0, x: 1, x2: 2 }[state.mode];
    const { xid, svr, ldr, dfr, runState } = state;
    this.core.exports.apicSetState(vcpuIndex, mode, xid, svr, ldr, dfr, runState);
  }

  sendIpi(ipi: Ipi): Receipt {
    const { from, dest, logical, shorthand, mode, vector, trigger, level } = ipi;
    return this.receipt(
      this.core.exports.apicSend(from, dest, logical, shorthand, mode, vector, trigger, level),
    );
  }

  sendMsi(msi: Msi): Receipt {
    const addressLow =
      0xfee00000 | ((msi.dest & 0xff) << 12) | (msi.hint << 3) | (msi.logical << 2);
    const data = msi.vector | (msi.mode << 8) | (msi.level << 14) | (msi.trigger << 15);
    return this.receipt(this.core.exports.apicSignalMsi(addressLow, msi.dest & 0xffffff00, data));
  }

  private receipt(ret: number): Receipt {
    const { exports } = this.core;
    const accepted: number[] = [];
    const mode = exports.apicDeliveredMode();
    for (let n = 0; n < this.count; n++) if (exports.apicAccepted(n) === 1) accepted.push(n);
    const path = PATHS[exports.apicPath() as keyof typeof PATHS];
    if (path === undefined) throw new Error(`no path: ${exports.apicPath()}`);
    return { accepted, ret, path, mode };
  }

  processEvents(vcpuIndex: number): number {
    return this.core.exports.apicProcessEvents(vcpuIndex);
  }

  runState(vcpuIndex: number): number {
    // A halted vCPU that was kicked reads RUNNABLE, as KVM_GET_MP_STATE tells it.
    const state = this.field(vcpuIndex, abi.VCPU_RUN_STATE);
    const isKicked = (this.field(vcpuIndex, abi.VCPU_REQUEST) & abi.REQ_KICK) !== 0;
    return state === abi.HALTED && isKicked ? abi.RUNNABLE : state;
  }

  sipiVector(vcpuIndex: number): number {
    return this.field(vcpuIndex, abi.VCPU_SIPI_VECTOR);
  }

  private field(vcpuIndex: number, offset: number): number {
    return this.core.view.getUint32(
      (this.core.exports.vcpuAddress(vcpuIndex) >>> 0) + offset,
      true,
    );
  }

  readMmio(vcpuIndex: number, offset: number, size: 1 | 2 | 4): number {
    return this.core.exports.apicReadMmio(vcpuIndex, offset, size, this.nowLow, this.nowHigh) >>> 0;
  }

  writeMmio(vcpuIndex: number, offset: number, size: 1 | 2 | 4, value: number): void {
    this.core.exports.apicWriteMmio(vcpuIndex, offset, size, value, this.nowLow, this.nowHigh);
  }

  readMsr(vcpuIndex: number, msr: number): bigint | "#GP" {
    const { exports } = this.core;
    if (exports.apicReadMsr(vcpuIndex, msr, this.nowLow, this.nowHigh) === 0) return "#GP";
    return (BigInt(exports.apicMsrHigh() >>> 0) << 32n) | BigInt(exports.apicMsrLow() >>> 0);
  }

  writeMsr(vcpuIndex: number, msr: number, value: bigint): boolean {
    const low = Number(value & 0xffffffffn);
    const high = Number(value >> 32n);
    return (
      this.core.exports.apicWriteMsr(vcpuIndex, msr, low, high, this.nowLow, this.nowHigh) !== 0
    );
  }

  writeBaseByHost(vcpuIndex: number, value: bigint): boolean {
    const low = Number(value & 0xffffffffn);
    return this.core.exports.apicHostWriteBase(vcpuIndex, low, Number(value >> 32n)) !== 0;
  }

  pending(vcpuIndex: number): number {
    return this.core.exports.apicHighestPending(vcpuIndex);
  }

  nmis(vcpuIndex: number): number {
    return this.field(vcpuIndex, abi.VCPU_NMI) >> 8;
  }

  offerPvEoi(vcpuIndex: number): boolean {
    return this.core.exports.apicWantsPvEoi(vcpuIndex) === 1;
  }

  resolvePvEoi(vcpuIndex: number, isSkipped: boolean): void {
    this.core.exports.apicResolvePvEoi(vcpuIndex, isSkipped ? 0 : 1);
  }

  takeEois(): number[] {
    const taken = this.eois;
    this.eois = [];
    return taken;
  }

  acknowledge(vcpuIndex: number): number {
    if ((this.field(vcpuIndex, abi.VCPU_REQUEST) & abi.REQ_INTERRUPT) === 0) return -1;
    return this.core.exports.apicAcknowledge(vcpuIndex);
  }

  reset(vcpuIndex: number, isBsp: boolean): void {
    this.core.exports.apicReset(vcpuIndex, isBsp ? 1 : 0);
  }

  init(vcpuIndex: number): void {
    this.core.exports.apicInit(vcpuIndex);
  }

  setNow(now: number): void {
    this.nowLow = now >>> 0;
    this.nowHigh = Math.floor(now / 2 ** 32);
  }

  deadline(vcpuIndex: number): number | null {
    const { exports } = this.core;
    const low = exports.apicDeadlineLow(vcpuIndex) >>> 0;
    const high = exports.apicDeadlineHigh(vcpuIndex) >>> 0;
    return low === 0xffffffff && high === 0xffffffff ? null : high * 2 ** 32 + low;
  }

  timerExpired(vcpuIndex: number): void {
    this.core.exports.apicTimerExpired(vcpuIndex, this.nowLow, this.nowHigh);
  }
}
