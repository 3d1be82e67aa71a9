/**
 * A second model of a whole set of local APICs: registers, delivery, pending INIT and SIPI, timers.
 *
 * Sources: KVM `kvm_apic_accept_events`, `__apic_accept_irq`; SDM 3A "INIT, STARTUP".
 */
import type { ApicDriver, CpuState, Ipi, Msi, Receipt } from "./driver.js";
import { APIC_BASE_BSP, APIC_BASE_EN, APIC_BASE_EXTD, LapicModel } from "./lapic-model.js";
import type { Effect, LapicOptions } from "./lapic-model.js";
import { deliver } from "./model.js";
import { FIXED, INIT, KICK, LOWEST, NMI, STARTUP, x2apicLdr } from "./model-types.js";
import type { Lapic, Message, Policy } from "./model-types.js";
import { TSC_DEADLINE } from "./timer-model.js";

export const RUNNABLE = 0;
export const UNINITIALIZED = 1;
export const WAIT_FOR_SIPI = 2;
export const HALTED = 3;

const IA32_APIC_BASE = 0x1b;
const IA32_TSC_DEADLINE = 0x6e0;
const KVM_PV_EOI = 0x4b564d04;
const NONE = -1;

interface ModelCpu {
  readonly lapic: LapicModel;
  runState: number;
  isInitPending: boolean;
  isSipiPending: boolean;
  sipiVector: number;
  nmis: number;
  isMapped: boolean;
  arbitration: number;
}

export class MachineModel implements ApicDriver {
  private readonly cpus: ModelCpu[] = [];
  private readonly policy: Policy;
  private readonly options: LapicOptions;
  private readonly firstSipi: boolean;
  private eois: number[] = [];
  private now = 0;

  /** @param firstSipi - of two SIPIs before the target runs the first one counts, not the last */
  constructor(policy: Policy, options: LapicOptions, firstSipi = false) {
    this.policy = { ...policy, errors: options.errors };
    this.options = options;
    this.firstSipi = firstSipi;
  }

  addVcpu(apicId: number, isBsp: boolean, visible: boolean): number {
    this.rebuild(); // creating a vCPU redraws the map before the vCPU itself can be seen
    this.cpus.push({
      lapic: new LapicModel(apicId, isBsp, this.options),
      runState: isBsp ? RUNNABLE : UNINITIALIZED,
      isInitPending: false,
      isSipiPending: false,
      sipiVector: 0,
      nmis: 0,
      isMapped: false,
      arbitration: 0,
    });
    if (visible) this.rebuild();
    return this.cpus.length - 1;
  }

  setState(vcpuIndex: number, state: CpuState): void {
    const cpu = this.cpus[vcpuIndex]!;
    const { lapic } = cpu;
    const bits = { off: 0n, x: APIC_BASE_EN, x2: APIC_BASE_EN | APIC_BASE_EXTD }[state.mode];
    lapic.base = (lapic.base & ~(APIC_BASE_EN | APIC_BASE_EXTD)) | bits;
    lapic.xid = state.xid;
    lapic.svr = state.svr;
    lapic.dfr = state.dfr;
    lapic.ldr = state.mode === "x2" ? x2apicLdr(lapic.x2id) : state.ldr;
    cpu.runState = state.runState;
    this.rebuild();
  }

  sendIpi(ipi: Ipi): Receipt {
    return this.route({
      from: ipi.from,
      dest: ipi.dest,
      logical: ipi.logical === 1,
      shorthand: ipi.shorthand,
      mode: ipi.mode,
      vector: ipi.vector,
      levelTriggered: ipi.trigger === 1,
      assert: ipi.level === 1,
      hint: false,
    });
  }

  sendMsi(msi: Msi): Receipt {
    return this.route({
      from: null,
      dest: msi.dest,
      logical: msi.logical === 1,
      shorthand: 0,
      mode: msi.mode,
      vector: msi.vector,
      levelTriggered: msi.trigger === 1,
      assert: msi.level === 1,
      hint: msi.hint === 1,
    });
  }

  processEvents(vcpuIndex: number): number {
    const cpu = this.cpus[vcpuIndex]!;
    let happened = 0;
    if (cpu.isInitPending) {
      cpu.isInitPending = false;
      this.init(vcpuIndex);
      cpu.nmis = 0;
      const isBsp = (cpu.lapic.base & APIC_BASE_BSP) !== 0n;
      cpu.runState = isBsp ? RUNNABLE : WAIT_FOR_SIPI;
      happened |= 1;
    }
    if (cpu.isSipiPending) {
      cpu.isSipiPending = false;
      if (cpu.runState === WAIT_FOR_SIPI) {
        cpu.runState = RUNNABLE;
        happened |= 2;
      }
    }
    return happened;
  }

  runState(vcpuIndex: number): number {
    return this.cpus[vcpuIndex]!.runState;
  }

  sipiVector(vcpuIndex: number): number {
    return this.cpus[vcpuIndex]!.sipiVector;
  }

  nmis(vcpuIndex: number): number {
    return this.cpus[vcpuIndex]!.nmis;
  }

  readMmio(vcpuIndex: number, offset: number, size: 1 | 2 | 4): number {
    return this.cpus[vcpuIndex]!.lapic.mmioRead(offset, size);
  }

  writeMmio(vcpuIndex: number, offset: number, size: 1 | 2 | 4, value: number): void {
    this.change(vcpuIndex, (lapic) => this.act(vcpuIndex, lapic.mmioWrite(offset, size, value)));
  }

  readMsr(vcpuIndex: number, msr: number): bigint | "#GP" {
    const { lapic } = this.cpus[vcpuIndex]!;
    if (msr === IA32_APIC_BASE) return lapic.base;
    if (msr === KVM_PV_EOI) return lapic.pvEoiMsr;
    if (msr === IA32_TSC_DEADLINE) {
      if (!this.options.tscDeadline) return "#GP";
      return lapic.mode === "off" ? 0n : lapic.timer.deadline;
    }
    return lapic.rdmsr(msr);
  }

  writeMsr(vcpuIndex: number, msr: number, value: bigint): boolean {
    return this.change(vcpuIndex, (lapic) => {
      if (msr === IA32_APIC_BASE) return lapic.writeBase(value);
      if (msr === IA32_TSC_DEADLINE) {
        if (this.options.tscDeadline) this.writeDeadline(lapic, value);
        return this.options.tscDeadline;
      }
      if (msr === KVM_PV_EOI) {
        if ((value & 2n) !== 0n) return false; // the word is aligned to 4 bytes
        lapic.pvEoiMsr = value;
        lapic.isPvEoiOffered = false;
        return true;
      }
      const written = lapic.wrmsr(msr, value);
      if (written === "#GP") return false;
      this.act(vcpuIndex, written.effects);
      return true;
    });
  }

  /** The TSC is the virtual time in ns. A deadline in the past fires at once. */
  private writeDeadline(lapic: LapicModel, tsc: bigint): void {
    if (lapic.mode === "off" || lapic.timer.mode !== TSC_DEADLINE) return;
    lapic.timer.writeDeadline(tsc);
    if (tsc === 0n || tsc > BigInt(this.now)) return;
    lapic.timer.expire();
    lapic.timerInterrupt();
  }

  writeBaseByHost(vcpuIndex: number, value: bigint): boolean {
    return this.change(vcpuIndex, (lapic) => lapic.writeBase(value, true));
  }

  pending(vcpuIndex: number): number {
    return this.cpus[vcpuIndex]!.lapic.pending ?? NONE;
  }

  acknowledge(vcpuIndex: number): number {
    return this.cpus[vcpuIndex]!.lapic.acknowledge() ?? NONE;
  }

  offerPvEoi(vcpuIndex: number): boolean {
    return this.cpus[vcpuIndex]!.lapic.offerPvEoi();
  }

  resolvePvEoi(vcpuIndex: number, isSkipped: boolean): void {
    this.act(vcpuIndex, this.cpus[vcpuIndex]!.lapic.resolvePvEoi(isSkipped));
  }

  takeEois(): number[] {
    const taken = this.eois;
    this.eois = [];
    return taken;
  }

  reset(vcpuIndex: number): void {
    const cpu = this.cpus[vcpuIndex]!;
    cpu.lapic.reset();
    cpu.arbitration = 0;
    this.rebuild();
  }

  init(vcpuIndex: number): void {
    const cpu = this.cpus[vcpuIndex]!;
    cpu.lapic.init();
    cpu.arbitration = 0;
    this.rebuild();
  }

  setNow(now: number): void {
    for (const { lapic } of this.cpus) lapic.timer.count(now - this.now);
    this.now = now;
  }

  deadline(vcpuIndex: number): number | null {
    const { timer } = this.cpus[vcpuIndex]!.lapic;
    if (timer.mode === TSC_DEADLINE) return timer.deadline === 0n ? null : Number(timer.deadline);
    return timer.remaining === null ? null : this.now + timer.remaining;
  }

  timerExpired(vcpuIndex: number): void {
    const { lapic } = this.cpus[vcpuIndex]!;
    const deadline = this.deadline(vcpuIndex);
    if (deadline === null || deadline > this.now) return;
    lapic.timer.expire();
    lapic.timerInterrupt();
  }

  /** What the destination decision sees, in creation order. */
  private get views(): Lapic[] {
    return this.cpus.map(({ lapic, isMapped, arbitration }) => ({
      ...lapic.view,
      mapped: isMapped,
      arbitration,
    }));
  }

  /** Runs a register access; a change that the destination map depends on redraws it. */
  private change<T>(vcpuIndex: number, access: (lapic: LapicModel) => T): T {
    const { lapic } = this.cpus[vcpuIndex]!;
    const relevant = (): string => JSON.stringify({ ...lapic.view, tpr: 0 });
    const before = relevant();
    const result = access(lapic);
    if (relevant() !== before) this.rebuild();
    return result;
  }

  private rebuild(): void {
    for (const cpu of this.cpus) cpu.isMapped = true;
  }

  /** Carries out what a register write asked for. */
  private act(vcpuIndex: number, effects: Effect[]): void {
    for (const effect of effects) {
      if (effect.kind === "eoi") {
        this.eois.push(effect.vector);
        continue;
      }
      const low = effect.icrLow;
      this.route({
        from: vcpuIndex,
        dest: effect.dest,
        logical: (low & 0x800) !== 0,
        shorthand: (low >> 18) & 3,
        mode: (low >> 8) & 7,
        vector: low & 0xff,
        levelTriggered: (low & 0x8000) !== 0,
        assert: (low & 0x4000) !== 0,
        hint: false,
      });
    }
  }

  private route(message: Message): Receipt {
    const views = this.views;
    const { selected, arrived, ret, path, mode } = deliver(views, message, this.policy);
    views.forEach((view, n) => (this.cpus[n]!.arbitration = view.arbitration));
    // A LAPIC that refuses a vector below 16 records an error.
    const isFixed = mode === FIXED || mode === LOWEST;
    const isDeasserted = message.from !== null && message.levelTriggered && !message.assert;
    const reached = isFixed && !isDeasserted ? selected : arrived;
    for (const position of reached) this.arrive(this.cpus[position]!, message, mode);
    return { accepted: [...arrived].sort((a, b) => a - b), ret, path, mode };
  }

  private arrive(cpu: ModelCpu, message: Message, mode: number): void {
    switch (mode) {
      case FIXED:
      case LOWEST:
        cpu.lapic.accept(message.vector, message.levelTriggered);
        break;
      case NMI:
        cpu.nmis = Math.min(2, cpu.nmis + 1);
        break;
      case INIT: // erases a SIPI that waits
        cpu.isInitPending = true;
        cpu.isSipiPending = false;
        break;
      case STARTUP:
        if (!(this.firstSipi && cpu.isSipiPending)) cpu.sipiVector = message.vector;
        cpu.isSipiPending = true;
        break;
      case KICK:
        if (cpu.runState === HALTED) cpu.runState = RUNNABLE;
        break;
    }
  }
}
