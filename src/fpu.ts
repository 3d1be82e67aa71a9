/** x87 and SSE state of one vCPU, read and written in place in the core's memory. */
import * as abi from "../assembly/abi.js";
import type { Core } from "./core.js";
import { X2vmError } from "./errors.js";

/** An 80-bit extended-precision number as it is stored. */
export interface ExtendedValue {
  /** 64 bits, integer bit included. */
  significand: bigint;
  /** Sign in bit 15, biased exponent in bits 14:0. */
  signExponent: number;
}

export class Fpu {
  readonly #core: Core;
  readonly #base: number;

  /** @param base - linear address of the state */
  constructor(core: Core, base: number) {
    this.#core = core;
    this.#base = base;
  }

  /** x87 control word. */
  get fcw(): number {
    return this.#view.getUint16(this.#base + abi.FPU_FCW, true);
  }

  set fcw(value: number) {
    this.#view.setUint16(this.#base + abi.FPU_FCW, value, true);
  }

  /** x87 status word, TOP in bits 13:11. */
  get fsw(): number {
    return this.#view.getUint16(this.#base + abi.FPU_FSW, true);
  }

  set fsw(value: number) {
    this.#view.setUint16(this.#base + abi.FPU_FSW, value, true);
  }

  /** x87 tags as FXSAVE stores them: one bit for each physical register, 1 = not empty. */
  get ftw(): number {
    return this.#view.getUint8(this.#base + abi.FPU_FTW);
  }

  set ftw(value: number) {
    this.#view.setUint8(this.#base + abi.FPU_FTW, value);
  }

  get mxcsr(): number {
    return this.#view.getUint32(this.#base + abi.FPU_MXCSR, true);
  }

  set mxcsr(value: number) {
    this.#view.setUint32(this.#base + abi.FPU_MXCSR, value, true);
  }

  /** Opcode and addresses of the last x87 instruction. */
  get last(): { fop: number; fip: bigint; fdp: bigint; fcs: number; fds: number } {
    const view = this.#view;
    return {
      fop: view.getUint16(this.#base + abi.FPU_FOP, true),
      fip: view.getBigUint64(this.#base + abi.FPU_FIP, true),
      fdp: view.getBigUint64(this.#base + abi.FPU_FDP, true),
      fcs: view.getUint16(this.#base + abi.FPU_FCS, true),
      fds: view.getUint16(this.#base + abi.FPU_FDS, true),
    };
  }

  set last(value: { fop: number; fip: bigint; fdp: bigint; fcs: number; fds: number }) {
    const view = this.#view;
    view.setUint16(this.#base + abi.FPU_FOP, value.fop, true);
    view.setBigUint64(this.#base + abi.FPU_FIP, value.fip, true);
    view.setBigUint64(this.#base + abi.FPU_FDP, value.fdp, true);
    view.setUint16(this.#base + abi.FPU_FCS, value.fcs, true);
    view.setUint16(this.#base + abi.FPU_FDS, value.fds, true);
  }

  /** A physical x87 register: R0..R7, not relative to TOP. @param n - 0..7 */
  st(n: number): ExtendedValue {
    const at = this.#register(n, 8, abi.FPU_ST);
    return {
      significand: this.#view.getBigUint64(at, true),
      signExponent: this.#view.getUint16(at + 8, true),
    };
  }

  /** @param n - physical register 0..7 */
  setSt(n: number, { significand, signExponent }: ExtendedValue): void {
    const at = this.#register(n, 8, abi.FPU_ST);
    this.#view.setBigUint64(at, significand, true);
    this.#view.setUint16(at + 8, signExponent, true);
  }

  /** An SSE register as one 128-bit number. @param n - 0..15 */
  xmm(n: number): bigint {
    const at = this.#register(n, 16, abi.FPU_XMM);
    return this.#view.getBigUint64(at, true) | (this.#view.getBigUint64(at + 8, true) << 64n);
  }

  /** @param n - 0..15 */
  setXmm(n: number, value: bigint): void {
    const at = this.#register(n, 16, abi.FPU_XMM);
    this.#view.setBigUint64(at, value, true); // takes the low 64 bits
    this.#view.setBigUint64(at + 8, value >> 64n, true);
  }

  get #view(): DataView {
    return this.#core.view;
  }

  #register(n: number, count: number, offset: number): number {
    if (!Number.isInteger(n) || n < 0 || n >= count) {
      throw new X2vmError("BAD_OPTION", `${n} is not a register number below ${count}.`);
    }
    return this.#base + offset + n * 16;
  }
}
