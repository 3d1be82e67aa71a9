/** Who listens to the APICs: the core is asked for the events that somebody wants, and for no others. */
import {
  TRACE_MESSAGES,
  TRACE_OTHERS,
  TRACE_TARGETS,
  decodeApicEvent,
  isApicEvent,
  type ApicEvent,
} from "./apic.js";

export type TraceListener = (event: ApicEvent) => void;

export class TraceSubscriptions {
  readonly #masks = new Map<TraceListener, number>();
  readonly #setMask: (mask: number) => void;

  /** @param setMask - tells the core: bit n asks for events of kind n */
  constructor(setMask: (mask: number) => void) {
    this.#setMask = setMask;
  }

  /** @param others - also CPUs that a message does not select @returns ends the subscription */
  add(listener: TraceListener, others: boolean): () => void {
    this.#masks.set(listener, TRACE_MESSAGES | TRACE_TARGETS | (others ? TRACE_OTHERS : 0));
    this.#update();
    return () => {
      this.#masks.delete(listener);
      this.#update();
    };
  }

  /** @param view - linear memory; @param record - address of the event in it */
  tell(kind: number, view: DataView, record: number): void {
    if (!isApicEvent(kind)) return;
    const event = decodeApicEvent(kind, view, record);
    for (const [listener, mask] of this.#masks) {
      if ((mask & (1 << kind)) !== 0) listener(event);
    }
  }

  clear(): void {
    this.#masks.clear();
    this.#update();
  }

  #update(): void {
    let mask = 0;
    for (const wanted of this.#masks.values()) mask |= wanted;
    this.#setMask(mask);
  }
}
