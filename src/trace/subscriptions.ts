/** Who listens to the core's trace: it is asked for the events that somebody wants, and for no others. */
import {
  TRACE_MESSAGES,
  TRACE_OTHERS,
  TRACE_TARGETS,
  decodeApicEvent,
  isApicEvent,
  type ApicEvent,
} from "./apic.js";
import { TRACE_CPUS, decodeCpuEvent, isCpuEvent, type CpuEvent } from "./cpu.js";

type Tell = (kind: number, view: DataView, record: number) => void;

export class TraceSubscriptions {
  /** What each subscriber asks for: bit n for events of kind n. */
  readonly #masks = new Map<Tell, number>();
  readonly #setMask: (mask: number) => void;

  /** @param setMask - tells the core: bit n asks for events of kind n */
  constructor(setMask: (mask: number) => void) {
    this.#setMask = setMask;
  }

  /** @param others - also CPUs that a message does not select @returns ends the subscription */
  add(listener: (event: ApicEvent) => void, others: boolean): () => void {
    const mask = TRACE_MESSAGES | TRACE_TARGETS | (others ? TRACE_OTHERS : 0);
    return this.#subscribe(mask, (kind, view, record) => {
      if (isApicEvent(kind)) listener(decodeApicEvent(kind, view, record));
    });
  }

  /** The life of the CPUs. @returns ends the subscription */
  addCpus(listener: (event: CpuEvent) => void): () => void {
    return this.#subscribe(TRACE_CPUS, (kind, view, record) => {
      if (isCpuEvent(kind)) listener(decodeCpuEvent(kind, view, record));
    });
  }

  /** @param view - linear memory; @param record - address of the event in it */
  tell(kind: number, view: DataView, record: number): void {
    for (const [tell, mask] of this.#masks) {
      if ((mask & (1 << kind)) !== 0) tell(kind, view, record);
    }
  }

  clear(): void {
    this.#masks.clear();
    this.#update();
  }

  #subscribe(mask: number, tell: Tell): () => void {
    this.#masks.set(tell, mask);
    this.#update();
    return () => {
      this.#masks.delete(tell);
      this.#update();
    };
  }

  #update(): void {
    let mask = 0;
    for (const wanted of this.#masks.values()) mask |= wanted;
    this.#setMask(mask);
  }
}
