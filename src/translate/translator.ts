/**
 * Translates hot code: from the micro-ops of the core's block cache to WebAssembly functions that the core enters instead
 * of interpreting. The guest cannot tell: a region retires the same instructions to the same state.
 */
import type { Core } from "../core.js";
import { emitRegion } from "./function.js";
import { LOCALS } from "./locals.js";
import { moduleOf } from "./module.js";
import { selectRegion } from "./region.js";

// Vcpu.mode (assembly/cpu/mode.ts).
const MODE_64 = 1;
const MODE_SSE = 32;
/** Functions that are kept at a time; when there are as many, all are forgotten. */
const MAX_REGIONS = 2048;
const REFUSED = -1;

export class Translator {
  readonly #core: Core;
  #regions = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Forgets all regions when there are too many; only between two calls of `run`. */
  makeRoom(): void {
    if (this.#regions < MAX_REGIONS) return;
    this.#core.exports.forgetBlocks();
    this.#regions = 0;
  }

  /** @param block - address of the header of a block @returns index in the core's table, or -1: not to be translated */
  translate(block: number): number {
    if (this.#regions >= MAX_REGIONS) return REFUSED;
    const { exports, view } = this.#core;
    const region = selectRegion(view, block, (gpa, mode) => exports.blockAt(gpa, mode) >>> 0);
    if (region === undefined) return REFUSED;
    const body = emitRegion(region, {
      tlbRead: exports.tlbReadAddress() >>> 0,
      tlbWrite: exports.tlbWriteAddress() >>> 0,
      is64: (region.first.block.mode & MODE_64) !== 0,
      hasSse: (region.first.block.mode & MODE_SSE) !== 0 && exports.offersSse2() !== 0,
    });
    if (body === undefined) return REFUSED;
    const index = this.#core.addRegion(this.#regions, moduleOf(body, LOCALS));
    if (index >= 0) this.#regions++;
    return index;
  }
}
