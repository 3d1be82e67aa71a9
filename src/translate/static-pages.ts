/**
 * Pages of data that a region reaches by constant addresses, or such relative to RIP: where they lie in host memory, once that is found.
 *
 * What an entry of the TLB allows does not change while a region runs, unless the core executes an instruction for it.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Code } from "./code.js";
import { L, STATIC_PAGES } from "./locals.js";
import type { MicroOp } from "./micro-op.js";

/** Where an operand lies: `offset` in the page whose host address a local holds, or 0 while it is not known. */
export interface Place {
  readonly local: number;
  readonly offset: number;
}

const PAGE = 0x1000;

export class StaticPages {
  /** Local of each page, by distance from the region's page and kind of access. */
  readonly #locals = new Map<string, number>();

  /** @param blockOffset - of the present block in its page @returns undefined: not such an operand, or no local is left */
  placeOf(micro: MicroOp, blockOffset: number, size: number, isWrite: boolean): Place | undefined {
    const isRelative = micro.base === abi.VCPU_RIP;
    const isStatic =
      (isRelative || micro.base === abi.VCPU_ZERO) &&
      micro.index === abi.VCPU_ZERO &&
      (micro.kind === op.ADDRESS_64 || micro.kind === op.ADDRESS_32);
    const address = isRelative ? blockOffset + micro.disp : micro.disp;
    const offset = address & (PAGE - 1);
    if (!isStatic || offset + size > PAGE) return undefined;
    const page = `${isRelative} ${Math.floor(address / PAGE)} ${isWrite}`;
    let local = this.#locals.get(page);
    if (local === undefined) {
      if (this.#locals.size === STATIC_PAGES) return undefined;
      local = L.pages + this.#locals.size;
      this.#locals.set(page, local);
    }
    return { local, offset };
  }

  /** After an instruction that the core executed: the TLB may have changed. */
  forget(code: Code): void {
    for (let i = 0; i < STATIC_PAGES; i++) code.i32(0).set(L.pages + i);
  }
}
