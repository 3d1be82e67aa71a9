/**
 * An oscillator on the virtual clock: nanoseconds to ticks and back, exact for as long as a machine runs.
 *
 * The product of both would pass 2^53 after some seconds, so whole seconds and the rest are converted apart.
 */
const SECOND_NS = 1e9;

export class Oscillator {
  readonly hertz: number;

  /** @param hertz - 1 .. 9,000,000 */
  constructor(hertz: number) {
    this.hertz = hertz;
  }

  /** Ticks that are over at a moment. @param ns - virtual time, 0 .. 2^53-1 */
  ticks(ns: number): number {
    const seconds = Math.floor(ns / SECOND_NS);
    const rest = ns - seconds * SECOND_NS;
    return seconds * this.hertz + Math.floor((rest * this.hertz) / SECOND_NS);
  }

  /** The first nanosecond at which so many ticks are over: `ticks(ns(n)) === n`. */
  ns(ticks: number): number {
    const seconds = Math.floor(ticks / this.hertz);
    const rest = ticks - seconds * this.hertz;
    return seconds * SECOND_NS + Math.ceil((rest * SECOND_NS) / this.hertz);
  }
}
