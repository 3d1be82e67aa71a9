/**
 * The timer of one local APIC, driven by explicit times and TSC values.
 *
 * Sources: SDM 3A "APIC Timer", "TSC-Deadline Mode"; KVM `apic_update_lvtt`, `update_target_expiration`,
 * `kvm_set_lapic_tscdeadline_msr`.
 */

export const ONE_SHOT = 0;
export const PERIODIC = 1;
export const TSC_DEADLINE = 2;
/** Reserved: nothing can be started, and what runs already runs out, as in KVM. */
export const RESERVED = 3;

/** Divisor for TDCR[3,1,0]. */
export function divisorOf(tdcr: number): number {
  const code = (tdcr & 3) | ((tdcr >> 1) & 4);
  return code === 7 ? 1 : 2 << code;
}

export class TimerModel {
  mode = ONE_SHOT;
  initialCount = 0;
  divideConfiguration = 0;
  /** ns to the next expiry; null when the counter is stopped. */
  remaining: number | null = null;
  /** TSC value at which deadline mode fires; 0n when disarmed. */
  deadline = 0n;
  private readonly modeDisarms: boolean;
  private readonly periodMin: number;
  /** ns of a cycle of the bus; times here are ns. */
  private readonly cycle: number;

  /**
   * @param modeDisarms - every change of mode disarms; otherwise only to and from deadline mode
   * @param periodMin - shortest period of periodic mode, ns
   */
  constructor(modeDisarms = false, periodMin = 0, cycle = 1) {
    this.cycle = cycle;
    this.modeDisarms = modeDisarms;
    this.periodMin = periodMin;
  }

  reset(): void {
    this.mode = ONE_SHOT;
    this.initialCount = this.divideConfiguration = 0;
    this.remaining = null;
    this.deadline = 0n;
  }

  get divisor(): number {
    return divisorOf(this.divideConfiguration);
  }

  get currentCount(): number {
    if (this.mode === TSC_DEADLINE || this.remaining === null) return 0;
    return Math.floor(Math.max(0, this.remaining) / (this.divisor * this.cycle));
  }

  private get period(): number {
    const period = this.initialCount * this.divisor * this.cycle;
    return this.mode === PERIODIC ? Math.max(period, this.periodMin) : period;
  }

  writeInitialCount(count: number): void {
    if (this.mode === TSC_DEADLINE) return;
    this.initialCount = count;
    this.remaining = count === 0 || this.mode === RESERVED ? null : this.period;
  }

  /** A new divisor leaves the count where it is: the ticks to go scale with it. */
  writeDivide(value: number): void {
    const before = this.divisor;
    this.divideConfiguration = value;
    if (this.remaining !== null)
      this.remaining = Math.floor(this.remaining * (this.divisor / before)); // a power of two: exact
  }

  writeMode(mode: number): void {
    const isDisarmed = this.modeDisarms
      ? mode !== this.mode
      : (mode === TSC_DEADLINE) !== (this.mode === TSC_DEADLINE);
    if (isDisarmed) {
      this.initialCount = 0;
      this.remaining = null;
      this.deadline = 0n;
    }
    this.mode = mode;
  }

  writeDeadline(tsc: bigint): void {
    if (this.mode === TSC_DEADLINE) this.deadline = tsc;
  }

  /** Lets time pass, ns; an expiry is told by `expire`. */
  count(ticks: number): void {
    if (this.remaining !== null) this.remaining -= ticks;
  }

  /** The counter has reached 0, or the TSC the deadline. */
  expire(): void {
    if (this.mode === TSC_DEADLINE) this.deadline = 0n;
    else this.remaining = this.mode === PERIODIC ? this.remaining! + this.period : null;
  }
}
