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
  // 64-bit ones. Of pending flags: operands and result.
  a: 8,
  b: 9,
  result: 10,
  /** Linear address of the page that the region lies in. */
  page: 11,
  tag: 12,
  gva: 13,
  x: 14,
  y: 15,
  z: 16,
  gpr: 17,
  f32: 33,
  f64: 36,
  v128: 39,
} as const;

export const LOCALS: Locals = { i32: 6, i64: 25, f32: 3, f64: 3, v128: 2 };
