/** The locals of a region's function. */
import type { Locals } from "./module.js";

/** Operand size in bytes. */
export type Size = 1 | 2 | 4 | 8;

/** Locals of a region; the first two are its parameters. */
export const L = {
  cpu: 0,
  /** Instructions that may still retire, counted at the start of the present block. */
  left: 1,
  pending: 2,
  /** With `page`: RIP of an exit. */
  exit: 3,
  /** TLB salt, moved to its place. */
  salt: 4,
  address: 5,
  /** Scratch. */
  i: 6,
  j: 7,
  /** Host addresses of pages, or 0 (static-pages.ts). */
  pages: 8,
  // x87 (x87-stack.ts): settings and status without TOP, 16 * TOP, and one bit for each ST(i) that holds something.
  fcw: 12,
  fsw: 13,
  top: 14,
  full: 15,
  /** Not 0: x87 instructions are the interpreter's. */
  blocked: 16,
  /** With `page`: the last x87 instruction; -1: none yet. */
  fip: 17,
  /** Offset in the record of the segment of the last x87 operand; -1: none yet. */
  fds: 18,
  /** An x87 number: sign and exponent; `sig` is its significand. */
  high: 19,
  // 64-bit ones. Of pending flags: operands and result.
  a: 20,
  b: 21,
  result: 22,
  /** Linear address of the page that the region lies in. */
  page: 23,
  tag: 24,
  gva: 25,
  x: 26,
  y: 27,
  z: 28,
  gpr: 29,
  sig: 45,
  /** Offset of the last x87 operand. */
  fdp: 46,
  f32: 47,
  f64: 50,
  v128: 53,
} as const;

/** Locals from `pages` on. */
export const STATIC_PAGES = 4;

export const LOCALS: Locals = { i32: 14 + STATIC_PAGES, i64: 27, f32: 3, f64: 3, v128: 3 };
