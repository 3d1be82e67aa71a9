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
  // 64-bit ones. Of pending flags: operands and result.
  a: 12,
  b: 13,
  result: 14,
  /** Linear address of the page that the region lies in. */
  page: 15,
  tag: 16,
  gva: 17,
  x: 18,
  y: 19,
  z: 20,
  gpr: 21,
  f32: 37,
  f64: 40,
  v128: 43,
} as const;

/** Locals from `pages` on. */
export const STATIC_PAGES = 4;

export const LOCALS: Locals = { i32: 6 + STATIC_PAGES, i64: 25, f32: 3, f64: 3, v128: 2 };
