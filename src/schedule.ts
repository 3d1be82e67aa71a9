/** Actions of the host that wait for a moment of virtual time. */

interface Entry {
  readonly ns: number;
  readonly action: () => void;
}

/** Ordered by time; actions of the same moment keep the order in which they were added. */
export class Schedule {
  readonly #entries: Entry[] = [];

  /** @param ns - virtual time in nanoseconds; a moment that has passed is due at once */
  add(ns: number, action: () => void): void {
    let position = this.#entries.length;
    while (position > 0 && this.#entries[position - 1]!.ns > ns) position--;
    this.#entries.splice(position, 0, { ns, action });
  }

  /** Virtual time of the next action, in nanoseconds; Infinity when none waits. */
  get nextNs(): number {
    return this.#entries[0]?.ns ?? Infinity;
  }

  /** Removes and returns the next action that is due at `ns`, or undefined. */
  takeDue(ns: number): (() => void) | undefined {
    return this.nextNs <= ns ? this.#entries.shift()!.action : undefined;
  }
}
