/**
 * Holds an interactive guest's virtual clock to the clock on the wall: while it waits for a key, its time passes as
 * ours does. A guest that computes more than it gets done falls behind, and does not race to catch up.
 */

/** Less is not worth a call of the machine. */
const LEAST_NS = 1e6;
/** After a long computation or a stopped process, the guest's time goes on from where it is. */
const MOST_NS = 100e6;
/** How long to wait, at most, before the guest's time is moved on, ms. */
export const PACE_MS = 10;

export class Pace {
  readonly #now: () => number;
  #last: number;

  /** @param now - wall time in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#last = now();
  }

  /** Virtual time that may pass until the next call, ns: the wall time since the last one. */
  allowance(): number {
    const now = this.#now();
    const passed = (now - this.#last) * 1e6;
    this.#last = now;
    return Math.min(Math.max(passed, LEAST_NS), MOST_NS);
  }
}
