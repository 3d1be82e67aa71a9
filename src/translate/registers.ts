/**
 * General registers in locals: which of them the present path has loaded, and which it has changed since. All others
 * are in the record. So a way out stores only what the record lacks, and what a path does not use is not loaded.
 */
import * as abi from "../../assembly/abi.js";
import type { Code } from "./code.js";
import { L, STATIC_PAGES } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { M, W } from "./wasm.js";

/** Number of what the TLB's tags and places depend on, two locals that are loaded as a register is. */
export const TLB = 16;
/** Number of the first of the region's pages of data (static-pages.ts). */
export const PAGES = 17;
const ALL_PAGES = ((1 << STATIC_PAGES) - 1) << PAGES;
/** All of these. */
export const ALL = ((1 << PAGES) - 1) | ALL_PAGES;

/** Masks with a bit for each register. */
export interface Held {
  /** In locals. */
  readonly loaded: number;
  /** In locals only; some of `loaded`. */
  readonly dirty: number;
}

/** What an instruction does with registers. */
export interface Use {
  /** Those that it needs in locals: read, or written on one of its paths only. */
  reads: number;
  writes: number;
  /** It is executed in the core: behind it no local holds a register. */
  forgets: boolean;
}

export type Uses = Map<MicroOp, Use>;

export const NOTHING: Held = { loaded: 0, dirty: 0 };

/** What is held behind an instruction. */
export function after({ loaded, dirty }: Held, { reads, writes, forgets }: Use): Held {
  return forgets ? NOTHING : { loaded: loaded | reads | writes, dirty: dirty | writes };
}

export class Registers {
  held = NOTHING;
  readonly #code: Code;
  readonly #uses: Uses;
  readonly #loadPages: (mask: number) => void;
  /** The uses are being learned. */
  readonly #isDraft: boolean;
  #use: Use = { reads: 0, writes: 0, forgets: false };
  #depth = 0;

  /** @param loadPages - gives the locals of some pages what the TLB has of them */
  constructor(code: Code, uses: Uses, isDraft: boolean, loadPages: (mask: number) => void) {
    this.#code = code;
    this.#loadPages = loadPages;
    this.#uses = uses;
    this.#isDraft = isDraft;
  }

  /** Before each instruction: loads what it needs, here where all of its paths come by. */
  begin(micro: MicroOp): void {
    this.#depth = this.#code.depth;
    if (this.#isDraft) {
      this.#use = { reads: 0, writes: 0, forgets: false };
      this.#uses.set(micro, this.#use);
    } else this.load(this.#uses.get(micro)!.reads & ~ALL_PAGES);
  }

  /** The present instruction needs a register in its local. */
  read(number: number): void {
    const bit = 1 << number;
    if ((this.#use.writes & bit) === 0) this.#use.reads |= bit;
  }

  /** The present instruction has changed the local of a register. */
  wrote(number: number): void {
    const bit = 1 << number;
    if (this.#code.depth > this.#depth) this.read(number);
    this.#use.writes |= bit;
    this.held = { loaded: this.held.loaded | bit, dirty: this.held.dirty | bit };
  }

  /**
   * The present instruction needs a page.
   *
   * @returns true where its local has it; false where it is to get it now, as all paths from here rely on
   */
  page(number: number): boolean | undefined {
    const bit = 1 << (PAGES + number);
    this.#use.reads |= bit;
    if (this.held.loaded & bit) return true;
    if (this.#code.depth > this.#depth) return undefined;
    this.held = { ...this.held, loaded: this.held.loaded | bit };
    return false;
  }

  /** The record has the latest of all registers, and may change. */
  forget(): void {
    if (this.#code.depth === this.#depth) this.#use.forgets = true;
    this.held = NOTHING;
  }

  /** Loads those of `mask` that are not in locals yet. */
  load(mask: number): void {
    const code = this.#code;
    const missing = mask & ~this.held.loaded;
    if (missing === 0) return;
    for (const number of numbers(missing)) {
      code
        .get(L.cpu)
        .memory(M.i64Load, abi.VCPU_GPR + number * 8)
        .set(L.gpr + number);
    }
    if (missing & (1 << TLB)) {
      code.get(L.cpu).memory(M.i64Load32U, abi.VCPU_TLB_TAG).set(L.tag);
      code.get(L.cpu).memory(M.i32Load, abi.VCPU_TLB_SALT).i32(4).op(W.i32Shl).set(L.salt);
    }
    this.held = { ...this.held, loaded: this.held.loaded | missing };
    if (missing & ALL_PAGES) this.#loadPages(missing >> PAGES);
  }

  /** Stores what the record lacks of some registers. The path may go on: nothing is taken as stored. */
  store(mask = -1): void {
    for (const number of numbers(this.held.dirty & mask)) {
      this.#code
        .get(L.cpu)
        .get(L.gpr + number)
        .memory(M.i64Store, abi.VCPU_GPR + number * 8);
    }
  }
}

/** General registers among them. */
export function numbers(mask: number): number[] {
  return [...Array(TLB).keys()].filter((number) => (mask >> number) & 1);
}
