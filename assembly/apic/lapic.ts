/**
 * The local APIC of one vCPU, as a view over linear memory.
 *
 * Source: SDM 3A "Advanced Programmable Interrupt Controller (APIC)"; KVM `struct kvm_lapic`.
 *
 *       0  irr, 8 words                                        what a delivery touches: one cache line
 *      32  flags · ldr · pvEoiPending kicked
 *      48  tpr ppr xid tmrUsed · map entry (4 bytes) · acceptedMessage · arbitration
 *      64  isr, 8 words · tmr, 8 words
 *     128  apicBase · deadline · tscDeadline · period · pvEoiMsr
 *     168  icrLow icrHigh icr2 · tmict tdcr · esr errors · lvt, 7 words · dfr · svr
 *
 * `flags` mirrors APIC_BASE and SVR so that a delivery reads one word; `ppr` is always up to date.
 */
import { LAPIC_BYTES, VCPU_LAPIC } from "../abi";
import { vcpuAt } from "../layout";
import { Vcpu } from "../vcpu";
import { APIC_LVT_TIMER, LVT_TIMER_MODE } from "../x86/apicdef";
import { highestVector } from "./vectors";

/** IA32_APIC_BASE.EN, and the CPU is there. Clear: takes no message (KVM `kvm_apic_present`). */
export const PRESENT: u32 = 1;
export const X2APIC_MODE: u32 = 2;
/** SVR[8]. */
export const SOFTWARE_ENABLED: u32 = 4;
/** The CPU was removed and its LAPIC with it (knob UNPLUGGED_IGNORES). */
export const REMOVED: u32 = 8;

/** Bits 7:4 of a vector or priority: its class. */
export const CLASS: u32 = 0xf0;

/** `deadline` of a LAPIC whose timer is not armed. */
export const NO_DEADLINE: u64 = 0xffffffffffffffff;

@unmanaged
export class Lapic {
  private irr0: u64;
  private irr1: u64;
  private irr2: u64;
  private irr3: u64;
  /** PRESENT, X2APIC_MODE, SOFTWARE_ENABLED, REMOVED. */
  flags: u32;
  /** As held in the register; in x2APIC mode the derived 32-bit logical ID. */
  ldr: u32;
  /** Bit 0 of the guest's PV EOI word is set by us and the guest may clear it instead of writing EOI. */
  pvEoiPending: u32;
  /** 1 after a kick that no HLT has used up yet: the next HLT is over at once (KVM `pv_unhalted`). */
  kicked: u32;
  tpr: u8;
  ppr: u8;
  /** 8-bit APIC ID, APIC_ID[31:24]; of no meaning in x2APIC mode. */
  xid: u8;
  /** 0 while no TMR bit can be set: a delivery then need not look at TMR. */
  tmrUsed: u8;
  /** What the destination map holds of this LAPIC (map.ts). */
  mapMode: u8;
  mapXid: u8;
  mapLogical: u8;
  mapLogicalId: u8;
  /** Number of the last message that this LAPIC accepted (fabric.ts). */
  acceptedMessage: u32;
  /** Lowest-priority messages won: KVM `apic_arb_prio`. */
  arbitration: u32;
  private isr0: u64;
  private isr1: u64;
  private isr2: u64;
  private isr3: u64;
  private tmr0: u64;
  private tmr1: u64;
  private tmr2: u64;
  private tmr3: u64;
  /** IA32_APIC_BASE. */
  apicBase: u64;
  /** Next expiry of the LVT timer, ns of the virtual clock, or NO_DEADLINE. */
  deadline: u64;
  /** IA32_TSC_DEADLINE, 0 when not armed. */
  tscDeadline: u64;
  /** TMICT times divisor, ns; 0 when no count runs. */
  period: u64;
  /** MSR 4B564D04H. */
  pvEoiMsr: u64;
  icrLow: u32;
  /** ICR[63:32] in x2APIC mode. */
  icrHigh: u32;
  /** The xAPIC register ICR high: apart, since a change of mode carries neither into the other; both are kept. */
  icr2: u32;
  tmict: u32;
  tdcr: u32;
  /** ESR as software reads it. */
  esr: u32;
  /** Errors since the last write of ESR. */
  errors: u32;
  private lvtCmci: u32;
  private lvtTimer: u32;
  private lvtThermal: u32;
  private lvtPerf: u32;
  private lvtLint0: u32;
  private lvtLint1: u32;
  private lvtError: u32;
  dfr: u32;
  svr: u32;

  @inline
  static at(vcpuIndex: u32): Lapic {
    return changetype<Lapic>(vcpuAt(vcpuIndex) + VCPU_LAPIC);
  }

  @inline
  static of(cpu: Vcpu): Lapic {
    return changetype<Lapic>(changetype<usize>(cpu) + VCPU_LAPIC);
  }

  /** The vCPU that this LAPIC belongs to. */
  @inline
  get cpu(): Vcpu {
    return changetype<Vcpu>(changetype<usize>(this) - VCPU_LAPIC);
  }

  /** Host offsets of the vector registers, for vectors.ts. */
  @inline
  get irr(): usize {
    return changetype<usize>(this);
  }

  @inline
  get isr(): usize {
    return changetype<usize>(this) + offsetof<Lapic>("isr0");
  }

  @inline
  get tmr(): usize {
    return changetype<usize>(this) + offsetof<Lapic>("tmr0");
  }

  @inline
  get isPresent(): bool {
    return (this.flags & PRESENT) !== 0;
  }

  /** Gone with its CPU. */
  get isRemoved(): bool {
    return (this.flags & REMOVED) !== 0;
  }

  @inline
  get isX2apic(): bool {
    return (this.flags & X2APIC_MODE) !== 0;
  }

  @inline
  get isSoftwareEnabled(): bool {
    return (this.flags & SOFTWARE_ENABLED) !== 0;
  }

  /** Present and software-enabled: takes Fixed interrupts. */
  @inline
  get acceptsFixed(): bool {
    const both = PRESENT | SOFTWARE_ENABLED;
    return (this.flags & both) === both;
  }

  /** The vector that may be delivered now, or -1 (priority.ts, `highestPending`). */
  @inline
  get deliverable(): i32 {
    if (!this.isPresent) return -1;
    const vector = highestVector(this.irr);
    // Signed: -1, no vector, is below every class.
    return vector >> 4 > <i32>(<u32>this.ppr >> 4) ? vector : -1;
  }

  /** LVT_TIMER_* of x86/apicdef.ts; 3 << 17 is reserved and runs no timer. */
  get timerMode(): u32 {
    return this.lvtTimer & LVT_TIMER_MODE;
  }

  /** @param register - APIC_LVT_TIMER..APIC_LVT_ERROR, or APIC_LVT_CMCI */
  lvt(register: u32): u32 {
    return load<u32>(this.lvtAddress(register));
  }

  setLvt(register: u32, value: u32): void {
    store<u32>(this.lvtAddress(register), value);
  }

  private lvtAddress(register: u32): usize {
    // CMCI, the only entry apart from the row, sits before the timer.
    const entry = register < APIC_LVT_TIMER ? 0 : register - APIC_LVT_TIMER + 1;
    return changetype<usize>(this) + offsetof<Lapic>("lvtCmci") + (entry << 2);
  }
}

if (offsetof<Lapic>("flags") !== 32) ERROR("Lapic.flags");
if (offsetof<Lapic>("isr0") !== 64) ERROR("Lapic.isr: a second cache line");
if (offsetof<Lapic>("lvtTimer") - offsetof<Lapic>("lvtCmci") !== 4) ERROR("Lapic.lvt");
if (<i32>offsetof<Lapic>() > LAPIC_BYTES) ERROR("Lapic: larger than its place in the vCPU record");
