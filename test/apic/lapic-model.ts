/**
 * A second model of the registers of one local APIC, plain and slow.
 *
 * Sources: SDM 3A "Advanced Programmable Interrupt Controller (APIC)", "Extended XAPIC (x2APIC)"; KVM
 * `kvm_lapic_reg_read`, `kvm_lapic_reg_write`, `kvm_x2apic_icr_write`, `kvm_apic_set_base`, `kvm_lapic_reset`.
 * Not modelled here: thermal, performance and CMCI events behind their LVT entries (the registers are).
 */
import { TimerModel } from "./timer-model.js";
import { x2apicLdr, type Lapic, type Mode } from "./model-types.js";

export interface LapicOptions {
  /** Who decides what a reserved bit does. */
  readonly reservedBits: "sdm" | "kvm";
  readonly xidWritable: boolean;
  /** IA32_APIC_BASE bits above this are reserved. */
  readonly physicalAddressBits: number;
  /** SVR[12]: not there, there without effect, or suppressing the broadcast of EOIs. Tied to `x2apic`, as in KVM. */
  readonly directedEoi: "absent" | "advertised" | "works";
  /** LVT timer bit 18: deadline mode. */
  readonly tscDeadline: boolean;
  /** CPUID.1:ECX[21]. */
  readonly x2apic: boolean;
  /** Any change of the timer mode disarms it (SDM); otherwise only to and from deadline mode (KVM). */
  readonly timerModeDisarms: boolean;
  /** Shortest period of a periodic timer, ns. */
  readonly periodMin: number;
  /** Cycle of the bus that the timer counts, ns. */
  readonly busCycle: number;
  /** LVT CMCI exists. */
  readonly cmci: boolean;
  /** ESR works, and vectors below 16 are refused. */
  readonly errors: boolean;
  /** An interrupt that TPR overtook gives the SVR vector. */
  readonly spurious: boolean;
  /** KVM_X86_QUIRK_LINT0_REENABLED: LINT0 of the BSP resets to an unmasked ExtINT. */
  readonly lint0Reenabled: boolean;
}

/** What a register write asks of the rest of the machine. */
export type Effect =
  | { readonly kind: "ipi"; readonly icrLow: number; readonly dest: number }
  | { readonly kind: "eoi"; readonly vector: number };

/** Result of an MSR write: its effects, or #GP. */
export type MsrWrite = { readonly effects: Effect[] } | "#GP";

export const APIC_BASE_BSP = 1n << 8n;
export const APIC_BASE_EXTD = 1n << 10n;
export const APIC_BASE_EN = 1n << 11n;

/** Vectors below belong to exceptions. */
const FIRST_LEGAL_VECTOR = 16;
// ESR.
const SENT_ILLEGAL_VECTOR = 0x20;
const RECEIVED_ILLEGAL_VECTOR = 0x40;
const ILLEGAL_REGISTER = 0x80;

const LVT_MASKED = 0x10000;
const ALL_ONES = 0xffffffff;
const SVR_ENABLE = 0x100;

// Offsets of the MMIO page.
export const REG = {
  ID: 0x20,
  VERSION: 0x30,
  TPR: 0x80,
  APR: 0x90,
  PPR: 0xa0,
  EOI: 0xb0,
  RRD: 0xc0,
  LDR: 0xd0,
  DFR: 0xe0,
  SVR: 0xf0,
  ISR: 0x100,
  TMR: 0x180,
  IRR: 0x200,
  ESR: 0x280,
  CMCI: 0x2f0,
  ICR: 0x300,
  ICR2: 0x310,
  TIMER: 0x320,
  THERMAL: 0x330,
  PERF: 0x340,
  LINT0: 0x350,
  LINT1: 0x360,
  ERROR: 0x370,
  TMICT: 0x380,
  TMCCT: 0x390,
  TDCR: 0x3e0,
  SELF_IPI: 0x3f0,
} as const;

/** Bits that each LVT entry holds under KVM. */
export const LVT_BITS: Readonly<Record<number, number>> = {
  [REG.TIMER]: 0x710ff, // 18:17 mode, 16 mask, 12 status, 7:0 vector
  [REG.THERMAL]: 0x117ff,
  [REG.PERF]: 0x117ff,
  [REG.LINT0]: 0x1f7ff,
  [REG.LINT1]: 0x1f7ff,
  [REG.ERROR]: 0x110ff,
  [REG.CMCI]: 0x117ff,
};

export class LapicModel {
  readonly x2id: number;
  readonly isBsp: boolean;
  readonly options: LapicOptions;
  base = 0n;
  xid = 0;
  tpr = 0;
  ldr = 0;
  dfr = ALL_ONES;
  svr = 0xff;
  icrLow = 0;
  /** ICR bits 63:56 in xAPIC mode, as the register 310H holds them. */
  icr2 = 0;
  /** ICR bits 63:32 in x2APIC mode. */
  icrDest = 0;
  readonly isr = new Set<number>();
  readonly irr = new Set<number>();
  readonly tmr = new Set<number>();
  readonly lvt = new Map<number, number>();
  readonly timer: TimerModel;
  /** Errors since the last write to ESR, and what that write made visible. */
  errorLatch = 0;
  errorVisible = 0;
  /** The INTR line. Under `spurious` it stays up when its cause goes. */
  intr = false;
  /** MSR 4B564D04H, and whether the guest may skip the EOI of what it serves. */
  pvEoiMsr = 0n;
  isPvEoiOffered = false;

  constructor(x2id: number, isBsp: boolean, options: LapicOptions) {
    this.x2id = x2id;
    this.isBsp = isBsp;
    this.options = options;
    this.timer = new TimerModel(options.timerModeDisarms, options.periodMin, options.busCycle);
    this.reset();
  }

  get mode(): Mode {
    if ((this.base & APIC_BASE_EN) === 0n) return "off";
    return (this.base & APIC_BASE_EXTD) === 0n ? "x" : "x2";
  }

  get isSoftwareEnabled(): boolean {
    return (this.svr & SVR_ENABLE) !== 0;
  }

  /** What the destination decision sees of this LAPIC. */
  get view(): Lapic {
    const { x2id, mode, xid, ldr, dfr, tpr } = this;
    return {
      x2id,
      mode,
      xid,
      sw: this.isSoftwareEnabled,
      ldr,
      dfr,
      tpr,
      mapped: true,
      arbitration: 0,
    };
  }

  /** Power-up and RESET. */
  reset(): void {
    this.base = 0xfee00000n | APIC_BASE_EN | (this.isBsp ? APIC_BASE_BSP : 0n);
    this.xid = this.x2id & 0xff;
    this.init();
  }

  /** INIT: keeps the mode, the base address and the ID; x2APIC keeps its LDR, which follows from the ID. */
  init(): void {
    if (this.mode !== "x2") this.ldr = 0;
    this.tpr = 0;
    this.dfr = ALL_ONES;
    this.svr = 0xff;
    this.icrLow = this.icr2 = this.icrDest = 0;
    this.isr.clear();
    this.irr.clear();
    this.tmr.clear();
    for (const offset of Object.keys(LVT_BITS)) this.lvt.set(Number(offset), LVT_MASKED);
    const isBsp = (this.base & APIC_BASE_BSP) !== 0n;
    if (isBsp && this.options.lint0Reenabled) this.lvt.set(REG.LINT0, 0x700);
    this.errorLatch = this.errorVisible = 0;
    this.pvEoiMsr = 0n;
    this.isPvEoiOffered = false;
    this.timer.reset();
    this.intr = false;
  }

  /**
   * Write to IA32_APIC_BASE.
   *
   * @param byHost - the VMM may make the two transitions that a guest may not
   * @returns false for #GP
   */
  writeBase(value: bigint, byHost = false): boolean {
    if (value === this.base) return true;
    const isReserved =
      (value & 0x2ffn) !== 0n || value >> BigInt(this.options.physicalAddressBits) !== 0n;
    const enabled = (value & APIC_BASE_EN) !== 0n;
    const extended = (value & APIC_BASE_EXTD) !== 0n;
    if (isReserved || (extended && (!enabled || !this.options.x2apic))) return false;
    if (!byHost && this.mode === "x2" && enabled && !extended) return false;
    if (!byHost && this.mode === "off" && extended) return false;
    const before = this.mode;
    this.base = value;
    if (this.mode === "x2" && before !== "x2") this.ldr = x2apicLdr(this.x2id);
    if (this.mode === "x" && before !== "x") this.xid = this.x2id & 0xff;
    this.updateIntr();
    return true;
  }

  // Interrupts.

  /** SDM 3A "Task and Processor Priorities". */
  get ppr(): number {
    const served = this.isr.size === 0 ? 0 : Math.max(...this.isr);
    return this.tpr >> 4 >= served >> 4 ? this.tpr : served & 0xf0;
  }

  /** The vector that would be delivered now, or null. */
  get pending(): number | null {
    if (this.mode === "off" || this.irr.size === 0) return null;
    const highest = Math.max(...this.irr);
    return highest >> 4 > this.ppr >> 4 ? highest : null;
  }

  private updateIntr(): void {
    if (this.pending !== null) this.intr = true;
    else if (!this.options.spurious) this.intr = false;
  }

  /** A fixed interrupt arrives. @returns false when the LAPIC is disabled and drops it, or the vector is illegal */
  accept(vector: number, levelTriggered: boolean): boolean {
    if (this.mode === "off" || !this.isSoftwareEnabled) return false;
    if (this.options.errors && vector < FIRST_LEGAL_VECTOR) {
      this.raiseError(RECEIVED_ILLEGAL_VECTOR);
      return false;
    }
    if (levelTriggered) this.tmr.add(vector);
    else this.tmr.delete(vector);
    this.irr.add(vector);
    this.updateIntr();
    return true;
  }

  /** The CPU answers INTR. @returns null when INTR is down, or nothing answers */
  acknowledge(): number | null {
    if (!this.intr) return null;
    this.intr = false;
    const vector = this.pending;
    if (vector !== null) {
      this.irr.delete(vector);
      this.isr.add(vector);
      return vector;
    }
    return this.options.spurious && this.mode !== "off" ? this.svr & 0xff : null;
  }

  /** The timer has run out: an interrupt, unless the LVT entry is masked. */
  timerInterrupt(): void {
    this.localInterrupt(REG.TIMER);
  }

  /** An entry of the LVT that can only be Fixed and edge-triggered. */
  private localInterrupt(offset: number): void {
    const entry = this.lvt.get(offset)!;
    if (this.mode !== "off" && (entry & LVT_MASKED) === 0) this.accept(entry & 0xff, false);
  }

  /** SDM 3A "Error Handling": the first error since the last write to ESR interrupts. */
  private raiseError(bit: number): void {
    if (!this.options.errors) return;
    const isFirst = this.errorLatch === 0;
    this.errorLatch |= bit;
    if (isFirst) this.localInterrupt(REG.ERROR);
  }

  private endOfInterrupt(): Effect[] {
    if (this.isr.size === 0) return [];
    const vector = Math.max(...this.isr);
    this.isr.delete(vector);
    this.updateIntr();
    const isSuppressed = this.options.directedEoi === "works" && (this.svr & 0x1000) !== 0;
    return this.tmr.has(vector) && !isSuppressed ? [{ kind: "eoi", vector }] : [];
  }

  // KVM's paravirtual EOI.

  /** After an acknowledge: may the guest skip the EOI? Only when nobody waits for it. */
  offerPvEoi(): boolean {
    if ((this.pvEoiMsr & 1n) === 0n || this.irr.size > 0 || this.isr.size === 0) return false;
    if (this.tmr.has(Math.max(...this.isr))) return false;
    this.isPvEoiOffered = true;
    return true;
  }

  /** Before the next look at the LAPIC. @param isSkipped - the guest took the offer */
  resolvePvEoi(isSkipped: boolean): Effect[] {
    if (!this.isPvEoiOffered) return [];
    this.isPvEoiOffered = false;
    return isSkipped ? this.endOfInterrupt() : [];
  }

  // Register access.

  /** Read from the register page. Where the manual leaves the result open: 0, as KVM's caller mostly sees. */
  mmioRead(offset: number, size: 1 | 2 | 4): number {
    if (this.mode !== "x") return size === 4 ? ALL_ONES : (1 << (size * 8)) - 1;
    const within = offset & 0xf;
    const value = this.read(offset & 0xff0);
    if (within + size > 4 || value === null) {
      if (!this.isListed(offset & 0xff0)) this.raiseError(ILLEGAL_REGISTER);
      return 0;
    }
    const shifted = value >>> (within * 8);
    return size === 4 ? shifted : shifted & ((1 << (size * 8)) - 1);
  }

  mmioWrite(offset: number, size: 1 | 2 | 4, value: number): Effect[] {
    if (this.mode !== "x" || size !== 4 || (offset & 0xf) !== 0) return [];
    const effects = this.write(offset, value >>> 0);
    if (effects !== "#GP") return effects;
    if (!this.isListed(offset)) this.raiseError(ILLEGAL_REGISTER);
    return [];
  }

  /** The manual's register table has it; two of its registers cannot be read. */
  private isListed(offset: number): boolean {
    return offset === REG.EOI || offset === REG.RRD || this.read(offset) !== null;
  }

  /** @param msr - 0x800..0x8ff @returns "#GP" when refused */
  rdmsr(msr: number): bigint | "#GP" {
    if (this.mode !== "x2") return "#GP";
    const offset = (msr - 0x800) << 4;
    if (offset === REG.ICR) return (BigInt(this.icrDest) << 32n) | BigInt(this.icrLow);
    const value = this.read(offset);
    return value === null ? "#GP" : BigInt(value);
  }

  wrmsr(msr: number, value: bigint): MsrWrite {
    if (this.mode !== "x2") return "#GP";
    const offset = (msr - 0x800) << 4;
    const low = Number(value & 0xffffffffn);
    const high = Number(value >> 32n);
    if (offset === REG.ICR) return this.writeLongIcr(low, high);
    if (high !== 0) return "#GP";
    if (this.options.reservedBits === "sdm" && this.hasReservedBit(offset, low)) return "#GP";
    const effects = this.write(offset, low);
    return effects === "#GP" ? "#GP" : { effects };
  }

  private writeLongIcr(low: number, high: number): MsrWrite {
    // Bits 31:20, 17:16 and 13 are reserved; bit 12 was the busy bit.
    if ((low & 0xfff32000) !== 0) return "#GP";
    this.icrLow = (low & ~0x1000) >>> 0;
    this.icrDest = high;
    return { effects: this.send(this.icrLow, high) };
  }

  /** A Fixed or lowest-priority message with an illegal vector is not sent. */
  private send(icrLow: number, dest: number): Effect[] {
    const isFixed = ((icrLow >> 8) & 7) <= 1;
    if (this.options.errors && isFixed && (icrLow & 0xff) < FIRST_LEGAL_VECTOR) {
      this.raiseError(SENT_ILLEGAL_VECTOR);
      return [];
    }
    return [{ kind: "ipi", icrLow, dest }];
  }

  private get hasDirectedEoi(): boolean {
    return this.options.directedEoi !== "absent" && this.options.x2apic;
  }

  /** Bits that fault in x2APIC mode by the manual and that KVM masks off. */
  private hasReservedBit(offset: number, value: number): boolean {
    switch (offset) {
      case REG.EOI:
        return value !== 0;
      case REG.TPR:
        return (value & ~0xff) !== 0;
      case REG.SVR:
        return (value & ~(this.hasDirectedEoi ? 0x13ff : 0x3ff)) !== 0;
      case REG.TDCR:
        return (value & ~0xb) !== 0;
      default: {
        const bits = this.lvtBits(offset);
        return bits !== undefined && (value & ~bits) !== 0;
      }
    }
  }

  private lvtBits(offset: number): number | undefined {
    const bits = LVT_BITS[offset];
    return offset === REG.TIMER && !this.options.tscDeadline ? bits! & ~0x40000 : bits;
  }

  /** @returns null where nothing can be read */
  private read(offset: number): number | null {
    const isLong = this.mode === "x2";
    if (offset >= REG.ISR && offset < REG.ESR) {
      const sets = [this.isr, this.tmr, this.irr];
      const set = sets[(offset - REG.ISR) >> 7]!;
      const word = ((offset - REG.ISR) >> 4) & 7;
      let bits = 0;
      for (const vector of set) if (vector >> 5 === word) bits |= 1 << (vector & 31);
      return bits >>> 0;
    }
    switch (offset) {
      case REG.ID:
        return isLong ? this.x2id : (this.xid << 24) >>> 0;
      case REG.VERSION:
        return 0x14 | ((this.options.cmci ? 6 : 5) << 16) | (this.hasDirectedEoi ? 1 << 24 : 0);
      case REG.TPR:
        return this.tpr;
      case REG.APR:
        return isLong ? null : 0;
      case REG.PPR:
        return this.ppr;
      case REG.LDR:
        return this.ldr;
      case REG.DFR:
        return isLong ? null : this.dfr;
      case REG.SVR:
        return this.svr;
      case REG.ESR:
        return this.errorVisible;
      case REG.ICR:
        return this.icrLow;
      case REG.ICR2:
        return isLong ? null : this.icr2;
      case REG.TMICT:
        return this.timer.initialCount;
      case REG.TMCCT:
        return this.timer.currentCount;
      case REG.TDCR:
        return this.timer.divideConfiguration;
      case REG.CMCI:
        return this.options.cmci ? this.lvt.get(REG.CMCI)! : null;
      default:
        return this.lvt.get(offset) ?? null;
    }
  }

  private write(offset: number, value: number): Effect[] | "#GP" {
    const isLong = this.mode === "x2";
    switch (offset) {
      case REG.ID:
        if (isLong) return "#GP";
        if (this.options.xidWritable) this.xid = value >>> 24;
        return [];
      case REG.TPR:
        this.tpr = value & 0xff;
        this.updateIntr();
        return [];
      case REG.EOI:
        return this.endOfInterrupt();
      case REG.LDR:
        if (isLong) return "#GP";
        this.ldr = (value & 0xff000000) >>> 0;
        return [];
      case REG.DFR:
        if (isLong) return "#GP";
        this.dfr = (value | 0x0fffffff) >>> 0;
        return [];
      case REG.SVR:
        this.writeSvr(value);
        return [];
      case REG.ESR:
        if (isLong && value !== 0) return "#GP";
        this.errorVisible = this.errorLatch;
        this.errorLatch = 0;
        return [];
      case REG.ICR:
        this.icrLow = (value & ~0x1000) >>> 0;
        return this.send(this.icrLow, this.icr2 >>> 24);
      case REG.ICR2:
        if (isLong) return "#GP";
        this.icr2 = (value & 0xff000000) >>> 0;
        return [];
      case REG.TMICT:
        this.timer.writeInitialCount(value);
        return [];
      case REG.TDCR:
        this.timer.writeDivide(value & 0xb);
        return [];
      case REG.SELF_IPI:
        if (!isLong || (value & ~0xff) !== 0) return "#GP";
        return this.send(0x40000 | value, 0);
      default:
        return this.writeLvt(offset, value);
    }
  }

  private writeSvr(value: number): void {
    this.svr = value & (this.hasDirectedEoi ? 0x13ff : 0x3ff);
    if (this.isSoftwareEnabled) return;
    for (const [offset, entry] of this.lvt) this.lvt.set(offset, entry | LVT_MASKED);
  }

  private writeLvt(offset: number, value: number): Effect[] | "#GP" {
    const bits = this.lvtBits(offset);
    if (bits === undefined || (offset === REG.CMCI && !this.options.cmci)) return "#GP";
    const masked = this.isSoftwareEnabled ? value : value | LVT_MASKED;
    // Delivery status and remote IRR are read-only by the manual; KVM stores them.
    const stored = this.options.reservedBits === "sdm" ? bits & ~0x5000 : bits;
    this.lvt.set(offset, (masked & stored) >>> 0);
    if (offset === REG.TIMER) this.timer.writeMode((this.lvt.get(offset)! >> 17) & 3);
    return [];
  }
}
