/** The exports of the core that drive its APICs without a guest (assembly/apic/exports.ts). */

export interface ApicExports {
  /** TRACE_* bits. */
  setTraceMask(mask: number): void;
  apicClear(): void;
  /** @returns 0 for an unknown knob or value */
  apicSetKnob(knob: number, value: number): number;
  apicKnob(knob: number): number;
  /** @returns vcpuIndex or ERROR_* */
  apicAddVcpu(apicId: number, isBsp: number, visible: number): number;
  apicSetState(
    vcpuIndex: number,
    mode: number,
    xid: number,
    svr: number,
    ldr: number,
    dfr: number,
    runState: number,
  ): void;
  apicSend(
    from: number,
    dest: number,
    destMode: number,
    shorthand: number,
    deliveryMode: number,
    vector: number,
    trigger: number,
    level: number,
  ): number;
  apicSignalMsi(addressLow: number, addressHigh: number, data: number): number;
  /** KVM's hypercall 10. @returns LAPICs that accepted, or a negative error */
  apicPvSendIpi(
    bitmap0: number,
    bitmap1: number,
    bitmap2: number,
    bitmap3: number,
    lowest: number,
    icr: number,
    is64: number,
  ): number;
  /** KVM's hypercall 5. */
  apicPvKick(apicId: number): number;
  apicAccepted(vcpuIndex: number): number;
  apicDeliveredMode(): number;
  apicPath(): number;
  apicProcessEvents(vcpuIndex: number): number;
  apicReadMmio(
    vcpuIndex: number,
    offset: number,
    size: number,
    nowLow: number,
    nowHigh: number,
  ): number;
  apicWriteMmio(
    vcpuIndex: number,
    offset: number,
    size: number,
    value: number,
    nowLow: number,
    nowHigh: number,
  ): void;
  apicReadMsr(vcpuIndex: number, msr: number, nowLow: number, nowHigh: number): number;
  apicMsrLow(): number;
  apicMsrHigh(): number;
  apicWriteMsr(
    vcpuIndex: number,
    msr: number,
    low: number,
    high: number,
    nowLow: number,
    nowHigh: number,
  ): number;
  apicHostWriteBase(vcpuIndex: number, low: number, high: number): number;
  apicAcknowledge(vcpuIndex: number): number;
  apicHighestPending(vcpuIndex: number): number;
  apicEoi(vcpuIndex: number): number;
  apicDeadlineLow(vcpuIndex: number): number;
  apicDeadlineHigh(vcpuIndex: number): number;
  apicTimerExpired(vcpuIndex: number, nowLow: number, nowHigh: number): void;
  apicWantsPvEoi(vcpuIndex: number): number;
  apicResolvePvEoi(vcpuIndex: number, wasSet: number): void;
  apicReset(vcpuIndex: number, isBsp: number): void;
  apicInit(vcpuIndex: number): void;
}

/** An instance of the core whose APICs can be driven. */
export interface ApicCore {
  readonly exports: ApicExports & {
    vcpuAddress(vcpuIndex: number): number;
    removeVcpu(vcpuIndex: number): number;
  };
  /** Linear memory. */
  readonly view: DataView;
  /** Gets the trace events that the mask asks for; the record is valid during the call. */
  onTrace: ((kind: number, record: number) => void) | undefined;
  /** Gets the vectors whose end I/O APICs have to know. */
  onEoiBroadcast: ((vector: number) => void) | undefined;
}
