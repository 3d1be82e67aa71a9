/** One interface to a set of local APICs, implemented by the model and by the core, so that tests drive both alike. */
import type { Mode } from "./model-types.js";

/** State that a host may set, as KVM's ioctls do. */
export interface CpuState {
  readonly mode: Mode;
  readonly xid: number;
  readonly svr: number;
  readonly ldr: number;
  readonly dfr: number;
  readonly runState: number;
}

/** One message of a LAPIC; `from` is a vcpuIndex. */
export interface Ipi {
  readonly from: number;
  readonly dest: number;
  readonly logical: number;
  readonly shorthand: number;
  readonly mode: number;
  readonly vector: number;
  readonly trigger: number;
  readonly level: number;
}

export interface Msi {
  readonly dest: number;
  readonly logical: number;
  readonly mode: number;
  readonly vector: number;
  readonly trigger: number;
  readonly level: number;
  readonly hint: number;
}

export interface Receipt {
  /** vcpuIndex of every LAPIC that accepted, in the mode in which the message arrived; ascending. */
  readonly accepted: number[];
  readonly ret: number;
  readonly path: "self" | "map" | "scan";
  /** Delivery mode on arrival. */
  readonly mode: number;
}

export interface ApicDriver {
  /** @returns vcpuIndex */
  addVcpu(apicId: number, isBsp: boolean, visible: boolean): number;
  setState(vcpuIndex: number, state: CpuState): void;
  sendIpi(ipi: Ipi): Receipt;
  sendMsi(msi: Msi): Receipt;
  /** Judges pending INIT and SIPI. @returns bit 0 INIT done, bit 1 started */
  processEvents(vcpuIndex: number): number;
  runState(vcpuIndex: number): number;
  /** Vector of the last STARTUP that counts. */
  sipiVector(vcpuIndex: number): number;
  /** NMIs that wait, 0 to 2. */
  nmis(vcpuIndex: number): number;
  readMmio(vcpuIndex: number, offset: number, size: 1 | 2 | 4): number;
  writeMmio(vcpuIndex: number, offset: number, size: 1 | 2 | 4, value: number): void;
  readMsr(vcpuIndex: number, msr: number): bigint | "#GP";
  /** @returns false for #GP */
  writeMsr(vcpuIndex: number, msr: number, value: bigint): boolean;
  writeBaseByHost(vcpuIndex: number, value: bigint): boolean;
  /** The vector that could be delivered now, or -1. */
  pending(vcpuIndex: number): number;
  /** The CPU answers INTR. @returns vector, or -1 when INTR is down or nothing answers */
  acknowledge(vcpuIndex: number): number;
  /** After an acknowledge. @returns true when the guest may skip the EOI (KVM's PV EOI) */
  offerPvEoi(vcpuIndex: number): boolean;
  /** Before the next look at the LAPIC. @param isSkipped - the guest took the offer */
  resolvePvEoi(vcpuIndex: number, isSkipped: boolean): void;
  /** Vectors whose EOI was broadcast since the last call, in order. */
  takeEois(): number[];
  reset(vcpuIndex: number, isBsp: boolean): void;
  init(vcpuIndex: number): void;
  /** Virtual time in ns, for every access that follows. */
  setNow(now: number): void;
  /** Absolute time of the next timer expiry in ns, or null. */
  deadline(vcpuIndex: number): number | null;
  /** The virtual time has reached the deadline. */
  timerExpired(vcpuIndex: number): void;
}
