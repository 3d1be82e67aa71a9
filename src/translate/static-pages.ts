/**
 * Pages of data that a region reaches by constant addresses, or such relative to RIP: where they lie in host memory.
 *
 * What an entry of the TLB allows does not change while a region runs, unless the core executes an instruction for it.
 * Where a path first needs a page, or before a loop that does, a local gets its host address, or 0 where the TLB does
 * not have it.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import { L, STATIC_PAGES } from "./locals.js";
import type { MicroOp } from "./micro-op.js";

export interface Page {
  /** Number among those of the region. */
  readonly number: number;
  /** Holds the host address, or 0. */
  readonly local: number;
  /** An operand at the start of the page. */
  readonly start: MicroOp;
  readonly isWrite: boolean;
}

/** Where an operand lies. */
export interface Place {
  readonly page: Page;
  readonly offset: number;
}

const PAGE = 0x1000;

export class StaticPages {
  /** By distance from the region's page, kind of address and of access. */
  readonly #pages = new Map<string, Page>();

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
    const key = `${isRelative} ${micro.kind} ${address - offset} ${isWrite}`;
    const page = this.#pages.get(key) ?? this.#add(key, micro, address - offset, isWrite);
    return page && { page, offset };
  }

  #add(key: string, micro: MicroOp, disp: number, isWrite: boolean): Page | undefined {
    const number = this.#pages.size;
    if (number === STATIC_PAGES) return undefined;
    const page = { number, local: L.pages + number, start: { ...micro, disp }, isWrite };
    this.#pages.set(key, page);
    return page;
  }

  /** Those of a mask with a bit for each. */
  *among(mask: number): Iterable<Page> {
    for (const page of this.#pages.values()) if ((mask >> page.number) & 1) yield page;
  }
}
