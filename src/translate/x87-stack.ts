/**
 * The x87 register stack in translated code: status, TOP and tags are locals, the registers stay in the record.
 *
 * Tags are kept relative to TOP, so that what is known of ST(i) inside a block is known without looking.
 */
import * as abi from "../../assembly/abi.js";
import type { Code } from "./code.js";
import { L } from "./locals.js";
import { M, W } from "./wasm.js";

/** What the code so far has made sure of: masks with a bit for each ST(i). */
interface Known {
  readonly full: number;
  readonly empty: number;
  /** x87 instructions are available, no exception is pending, the inexact one is masked. */
  readonly isReady: boolean;
}

const NOTHING: Known = { full: 0, empty: 0, isReady: false };

const FPU = abi.VCPU_FPU;
/** Of a register in the record: sign and exponent. */
const HIGH = 8;
const TOP_MASK = 0x70;
/** From TOP in the status word to the local `top`. */
const TOP_SHIFT = 7;
const FSW_TOP = 0x3800;
const FSW_ES = 0x80;
const FCW_PM = 0x20;
/** CR0.EM and CR0.TS. */
const CR0_NO_X87 = 0x0c;

export class Stack {
  known = NOTHING;
  readonly #code: Code;

  constructor(code: Code) {
    this.#code = code;
  }

  forget(): void {
    this.known = NOTHING;
  }

  /**
   * Pushes whether it is not so that x87 instructions can be done, and registers are full and empty; from now on it is
   * known. The masks have a bit for each ST(i).
   *
   * @returns false: it was known before, nothing is pushed
   */
  lacks(full: number, empty: number): boolean {
    const { known } = this;
    const code = this.#code;
    const newFull = full & ~known.full;
    const new_ = newFull | (empty & ~known.empty);
    this.known = { full: full | known.full, empty: empty | known.empty, isReady: true };
    if (!known.isReady) code.get(L.blocked);
    if (new_ !== 0) {
      code.get(L.full).i32(new_).op(W.i32And).i32(newFull).op(W.i32Ne);
      if (!known.isReady) code.op(W.i32Or);
    }
    return !known.isReady || new_ !== 0;
  }

  /** Pushes the address of ST(i) without the constant `FPU`. */
  #place(i: number): Code {
    const code = this.#code;
    code.get(L.cpu).get(L.top);
    if (i !== 0)
      code
        .i32(i * 16)
        .op(W.i32Add)
        .i32(TOP_MASK)
        .op(W.i32And);
    return code.op(W.i32Add);
  }

  /** Pushes the host address of ST(i). */
  address(i: number): Code {
    return this.#place(i).i32(FPU).op(W.i32Add);
  }

  /** Pushes sign and exponent of ST(i). */
  high(i: number): Code {
    return this.#place(i).memory(M.i32Load16U, FPU + HIGH);
  }

  /** Pushes the significand of ST(i). */
  sig(i: number): Code {
    return this.#place(i).memory(M.i64Load, FPU);
  }

  /** Stores to ST(i) what two functions push. */
  put(i: number, high: () => Code, sig: () => Code): void {
    this.#place(i);
    high().memory(M.i32Store16, FPU + HIGH);
    this.#place(i);
    sig().memory(M.i64Store, FPU);
  }

  /** ST(i) holds something. */
  fill(i: number): void {
    const { known } = this;
    const bit = 1 << i;
    this.#code.get(L.full).i32(bit).op(W.i32Or).set(L.full);
    this.known = { ...known, full: known.full | bit, empty: known.empty & ~bit };
  }

  /** ST(i) becomes empty. */
  free(i: number): void {
    const { known } = this;
    const bit = 1 << i;
    this.#code.get(L.full).i32(~bit).op(W.i32And).set(L.full);
    this.known = { ...known, full: known.full & ~bit, empty: known.empty | bit };
  }

  /** Makes room for a new ST(0), which counts as full; the last register was empty. */
  push(): void {
    const { known } = this;
    const code = this.#code;
    code.get(L.top).i32(16).op(W.i32Sub).i32(TOP_MASK).op(W.i32And).set(L.top);
    code.get(L.full).i32(1).op(W.i32Shl).i32(1).op(W.i32Or).set(L.full);
    this.known = {
      ...known,
      full: ((known.full << 1) | 1) & 0xff,
      empty: (known.empty << 1) & 0xff,
    };
  }

  /** ST(0), which is full, goes. */
  pop(): void {
    const { known } = this;
    const code = this.#code;
    code.get(L.top).i32(16).op(W.i32Add).i32(TOP_MASK).op(W.i32And).set(L.top);
    code.get(L.full).i32(1).op(W.i32ShrU).set(L.full);
    this.known = { ...known, full: known.full >> 1, empty: (known.empty >> 1) | 0x80 };
  }

  /** Pushes the status word. */
  status(): Code {
    return this.#code.get(L.fsw).get(L.top).i32(TOP_SHIFT).op(W.i32Shl, W.i32Or);
  }

  /** Loads the locals from the record. */
  load(): void {
    const code = this.#code;
    code
      .get(L.cpu)
      .memory(M.i32Load16U, FPU + abi.FPU_FCW)
      .set(L.fcw);
    code
      .get(L.cpu)
      .memory(M.i32Load16U, FPU + abi.FPU_FSW)
      .tee(L.fsw);
    code.i32(TOP_SHIFT).op(W.i32ShrU).i32(TOP_MASK).op(W.i32And).set(L.top);
    code.get(L.fsw).i32(~FSW_TOP).op(W.i32And).set(L.fsw);
    code
      .get(L.cpu)
      .memory(M.i32Load8U, FPU + abi.FPU_FTW)
      .i32(0x101)
      .op(W.i32Mul);
    code.get(L.top).i32(4).op(W.i32ShrU, W.i32ShrU).i32(0xff).op(W.i32And).set(L.full);
    code.get(L.cpu).memory(M.i32Load, abi.VCPU_CR0).i32(CR0_NO_X87).op(W.i32And);
    code.get(L.fsw).i32(FSW_ES).op(W.i32And, W.i32Or);
    code.get(L.fcw).i32(-1).op(W.i32Xor).i32(FCW_PM).op(W.i32And, W.i32Or).set(L.blocked);
    code.i32(-1).set(L.fip).i32(-1).set(L.fds);
  }

  /** Stores them to the record. */
  store(): void {
    const code = this.#code;
    code
      .get(L.cpu)
      .get(L.fcw)
      .memory(M.i32Store16, FPU + abi.FPU_FCW);
    code.get(L.cpu);
    this.status().memory(M.i32Store16, FPU + abi.FPU_FSW);
    code.get(L.cpu).get(L.full).i32(0xff).op(W.i32And).i32(0x101).op(W.i32Mul);
    code.get(L.top).i32(4).op(W.i32ShrU, W.i32Shl).i32(8).op(W.i32ShrU);
    code.memory(M.i32Store8, FPU + abi.FPU_FTW);
    this.storePointers();
  }

  /** Stores the addresses of the last instruction and operand, with the selectors that are there now. */
  storePointers(): void {
    const code = this.#code;
    const selector = abi.SEGMENT_SELECTOR;
    code.get(L.fip).i32(0).op(W.i32GeS).if();
    code.get(L.cpu).get(L.page).get(L.fip).op(W.i64ExtendI32S, W.i64Add);
    code
      .memory(M.i64Store, FPU + abi.FPU_FIP)
      .get(L.cpu)
      .get(L.cpu);
    code.memory(M.i32Load16U, abi.VCPU_SEGMENT + abi.CS * abi.SEGMENT_BYTES + selector);
    code.memory(M.i32Store16, FPU + abi.FPU_FCS).end();
    code.get(L.fds).i32(0).op(W.i32GeS).if();
    code
      .get(L.cpu)
      .get(L.fdp)
      .memory(M.i64Store, FPU + abi.FPU_FDP);
    code.get(L.cpu).get(L.cpu).get(L.fds).op(W.i32Add).memory(M.i32Load16U, selector);
    code.memory(M.i32Store16, FPU + abi.FPU_FDS).end();
    code.i32(-1).set(L.fip).i32(-1).set(L.fds);
  }
}
