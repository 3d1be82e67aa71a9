/**
 * The start states and memory patterns that the vector files leave out: generate/random.c, repeated bit for bit.
 *
 * Values are weighted towards what breaks arithmetic: edges of widths, powers of two, decimal digits, and for floats the
 * classes (zeros, denormals, NaNs, limits). FORMAT.md describes the method; this file is its normative text.
 */
import { CODE, PAGE_BYTES, SEGMENTS, STACK, type Mode } from "./environment.js";
import { emptyState, FX_FTW, FX_MXCSR, FX_ST, FX_XMM, type CpuState } from "./state.js";

export type Profile = "integer" | "float32" | "float64" | "packed" | "x87";

const ARITHMETIC_FLAGS = 0x8d5;
const DF = 0x400;

const EDGES = [0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000];
const EDGE_MASKS = [0xff, 0xff, 0xff, 0xffff, 0xffff, 0xffff, 0xffffffff, 0xffffffff];
const EDGE_BYTES = [0x00, 0xff, 0x80, 0x7f];

function mix(value: number): number {
  let x = value;
  x ^= x >>> 16;
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** FNV-1a of an ASCII name. */
export function hashName(name: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

let start = 0;

function next(): number {
  start = (start + 0x9e3779b9) >>> 0;
  return mix(start);
}

function edge32(): number {
  let r = next();
  let value = 0;
  switch (r & 7) {
    case 0: // small numbers around zero
      return (((r >>> 3) & 15) - 4) >>> 0;
    case 1: // around a power of two
      return ((1 << ((r >>> 3) & 31)) + ((r >>> 8) & 3) - 1) >>> 0;
    case 2: {
      // the edge of a width, with or without random bits above
      const n = (r >>> 3) & 7;
      return (EDGES[n]! | ((r >>> 6) & 1 ? next() & ~EDGE_MASKS[n]! : 0)) >>> 0;
    }
    case 3: // edge bytes
      for (let i = 0; i < 4; i++) value |= EDGE_BYTES[(r >>> (3 + 2 * i)) & 3]! << (8 * i);
      return value >>> 0;
    case 4: // decimal digits
      r = next();
      for (let i = 0; i < 32; i += 4) {
        const digit = (r >>> i) & 15;
        value |= (digit > 9 ? digit - 6 : digit) << i;
      }
      return value >>> 0;
    default:
      return next();
  }
}

/** Draws 64 bits into words [at], [at + 1]. */
function edge64(words: Uint32Array, at: number): void {
  const r = next();
  const low = edge32();
  words[at] = low;
  switch (r & 3) {
    case 0:
      words[at + 1] = low >> 31;
      return;
    case 1:
      words[at + 1] = 0;
      return;
    case 2:
      words[at + 1] = edge32();
      words[at] = (r >>> 2) & 1 ? 0xffffffff : 0;
      return;
    default:
      words[at + 1] = edge32();
  }
}

function float32(): number {
  const r = next();
  const sign = r & 0x80000000;
  let fraction = next() & 0x7fffff;
  if (r & 0x100) fraction &= 0x700007;
  const bits = (r >>> 4) & 31;
  switch (r & 15) {
    case 0:
      return sign;
    case 1:
      return sign | fraction;
    case 2:
      return sign | (r & 0x10 ? 1 : 0x7fffff);
    case 3:
      return sign | (0x3f800000 + (bits & 3) - 1);
    case 4:
      return sign | 0x7f800000;
    case 5:
      return sign | 0x7fc00000 | fraction;
    case 6:
      return sign | 0x7f800000 | (fraction & 0x3fffff) | 1;
    case 7:
      return sign | (r & 0x10 ? 0x7f7fffff : 0x00800000);
    case 8:
      return sign | ((1 + bits) << 23) | fraction;
    case 9:
      return sign | ((0xfe - bits) << 23) | fraction;
    case 10:
      return sign | ((0x94 + (bits & 15)) << 23) | fraction;
    case 11:
      return next();
    default:
      return sign | ((0x7b + (bits & 7)) << 23) | fraction;
  }
}

function float64(words: Uint32Array, at: number): void {
  const r = next();
  const sign = r & 0x80000000;
  let fraction = next() & 0xfffff;
  let low = next();
  if (r & 0x100) {
    fraction &= 0xc0001;
    low &= 0xe0000003;
  }
  const bits = (r >>> 4) & 63;
  let high = 0;
  switch (r & 15) {
    case 0:
      low = 0;
      break;
    case 1:
      high = fraction;
      break;
    case 2:
      high = r & 0x10 ? 0 : 0xfffff;
      low = r & 0x10 ? 1 : 0xffffffff;
      break;
    case 3:
      high = r & 0x20 ? 0x3fefffff : 0x3ff00000;
      low = r & 0x20 ? 0xffffffff : bits & 1;
      break;
    case 4:
      high = 0x7ff00000;
      low = 0;
      break;
    case 5:
      high = 0x7ff80000 | fraction;
      break;
    case 6:
      high = 0x7ff00000 | (fraction & 0x7ffff) | 1;
      break;
    case 7:
      high = r & 0x10 ? 0x7fefffff : 0x00100000;
      low = r & 0x10 ? 0xffffffff : 0;
      break;
    case 8:
      high = ((1 + bits) << 20) | fraction;
      break;
    case 9:
      high = ((0x7fe - bits) << 20) | fraction;
      break;
    case 10:
      high = ((0x41c + (bits & 7)) << 20) | fraction;
      break;
    case 11:
      words[at] = low;
      words[at + 1] = next();
      return;
    case 12:
      high = ((0x380 - (bits & 31) + ((r >>> 9) & 15)) << 20) | fraction;
      break;
    default:
      high = ((0x3fb + (bits & 7)) << 20) | fraction;
  }
  words[at] = low;
  words[at + 1] = sign | high;
}

function float80(to: DataView, at: number): void {
  const r = next();
  let low = next();
  let high = (next() | 0x80000000) >>> 0;
  if (r & 0x100) {
    low &= 0xc0000003;
    high &= 0xc0000100;
  }
  const bits = r >>> 9;
  const kind = r & 31;
  let exponent = 0;
  switch (kind) {
    case 0:
    case 1:
      low = high = 0;
      break;
    case 2:
      high &= 0x7fffffff;
      break;
    case 3:
      break;
    case 4:
      high = 0;
      low = 1;
      break;
    case 5:
      exponent = 0x3fff;
      high = 0x80000000;
      low = bits & 1;
      break;
    case 6:
    case 7:
      exponent = 0x7fff;
      high = 0x80000000;
      low = 0;
      break;
    case 8:
    case 9:
      exponent = 0x7fff;
      high |= 0xc0000000;
      break;
    case 10:
      exponent = 0x7fff;
      high &= 0xbfffffff;
      low |= 1;
      break;
    case 11:
      exponent = 0x7fff;
      high &= 0x7fffffff;
      break;
    case 12:
      exponent = 0x3ff0 + (bits & 31);
      high &= 0x7fffffff;
      break;
    case 13:
      exponent = 0x7ffe - (bits & 63);
      break;
    case 14:
      exponent = 1 + (bits & 63);
      break;
    case 15:
      exponent = 0x7ffe;
      high = low = 0xffffffff;
      break;
    case 16:
      exponent = 0x3fff - 0x3ff + (bits & 63) - 54;
      break;
    case 17:
      exponent = 0x3fff + 0x3ff - (bits & 7);
      break;
    case 18:
      exponent = 0x3fff - 0x7f + (bits & 31) - 24;
      break;
    case 19:
      exponent = 0x3fff + 0x7f - (bits & 3);
      break;
    case 20:
    case 21:
      exponent = 0x3fff + (bits & 127);
      break;
    case 22:
      exponent = bits & 0x7fff;
      break;
    case 23:
      exponent = 0x3fff + 13 + (bits & 7);
      break;
    case 24:
      exponent = 0x3fff + 29 + (bits & 7);
      break;
    case 25:
      exponent = 0x3fff + 61 + (bits & 7);
      break;
    case 26:
      exponent = 0x3fff + (bits & 31);
      high &= 0xf8000000;
      low = 0;
      break;
    default:
      exponent = 0x3ffb + (bits & 7);
  }
  if (exponent !== 0 && exponent !== 0x7fff && kind !== 12) high |= 0x80000000;
  to.setUint32(at, low, true);
  to.setUint32(at + 4, high, true);
  to.setUint16(at + 8, (exponent & 0x7fff) | ((r >>> 16) & 0x8000), true);
}

const laneWords = new Uint32Array(2);

/** Sixteen bytes of the kind that the profile is about. */
function lanes(to: DataView, at: number, profile: Profile): void {
  for (let i = 0; i < 16; i += 4) {
    if (profile === "float32") to.setUint32(at + i, float32(), true);
    else if (profile === "packed") to.setUint32(at + i, edge32(), true);
    else if (i % 8 === 0) {
      float64(laneWords, 0);
      to.setUint32(at + i, laneWords[0]!, true);
      to.setUint32(at + i + 4, laneWords[1]!, true);
    }
  }
}

function seedVectorUnit(fx: DataView, profile: Profile): void {
  for (let i = 0; i < 16; i++) lanes(fx, FX_XMM + 16 * i, profile);
  const r = next();
  let mxcsr = 0x1f80 | ((r >>> 6) & 1 ? r & 0x3f : 0);
  if (r & 0x80) mxcsr |= ((r >>> 8) & 3) << 13;
  if (((r >>> 10) & 7) === 0) mxcsr |= 0x8000;
  if (((r >>> 13) & 7) === 0) mxcsr |= 0x0040;
  if (((r >>> 16) & 7) === 0) mxcsr &= ~(((r >>> 19) & 0x3f) << 7);
  fx.setUint32(FX_MXCSR, mxcsr, true);
}

function seedX87(fx: DataView): void {
  for (let i = 0; i < 8; i++) float80(fx, FX_ST + 16 * i);
  const r = next();
  let control = 0x037f;
  if (r & 1) control = (control & ~0xc00) | (((r >>> 1) & 3) << 10);
  if (((r >>> 3) & 3) === 0) {
    const precision = (r >>> 5) & 3;
    control = (control & ~0x300) | ((precision === 1 ? 3 : precision) << 8);
  }
  if (((r >>> 7) & 7) === 0) control &= ~((r >>> 10) & 0x3f);
  let status = (((r >>> 16) & 7) << 11) | (((r >>> 19) & 7) << 8) | (((r >>> 22) & 1) << 14);
  if ((r >>> 23) & 1) status |= (r >>> 24) & 0x3f & control;
  let tags = 0xff;
  if ((next() & 3) === 0) tags = next() & 0xff;
  fx.setUint16(0, control, true);
  fx.setUint16(2, status, true);
  fx.setUint8(FX_FTW, tags);
}

/** The state that a form's vector starts from, before its own changes. @param seed - of the form, see `formSeed` */
export function seedState(seed: number, mode: Mode, profile: Profile, index: number): CpuState {
  const state = emptyState();
  const words = new Uint32Array(state.gpr.buffer);
  start = mix(seed ^ mix(index + 1));
  const registers = mode === 64 ? 16 : 8;
  for (let i = 0; i < registers; i++) {
    edge64(words, 2 * i);
    if (mode !== 64) words[2 * i + 1] = 0;
  }
  const r = next();
  if ((r & 7) === 0) {
    const from = (r >>> 7) & (registers - 1);
    state.gpr[(r >>> 3) & (registers - 1)] = state.gpr[from]!;
  }
  const segments = SEGMENTS[mode];
  state.gpr[4] = BigInt(STACK + 0x800 + ((r >>> 11) & 63) * 8 - segments[2]!.base);
  state.rflags = (next() & ARITHMETIC_FLAGS) | 0x202;
  if (((r >>> 24) & 15) === 0) state.rflags |= DF;
  state.rip = BigInt(CODE + 0x800 - segments[1]!.base);
  state.segments.set(segments.map((segment) => segment.selector));
  const fx = new DataView(state.fx.buffer);
  fx.setUint16(0, 0x037f, true);
  fx.setUint32(FX_MXCSR, 0x1f80, true);
  fx.setUint32(FX_MXCSR + 4, 0xffff, true);
  if (profile === "integer") return state;
  if (profile === "x87") seedX87(fx);
  else seedVectorUnit(fx, profile);
  if (profile === "packed") seedX87(fx);
  return state;
}

/** What lies in the data window (three pages) and the stack window (one page) before every vector. */
export function windowPatterns(): { data: Uint8Array; stack: Uint8Array } {
  start = 0x77777777;
  const data = new Uint8Array(3 * PAGE_BYTES);
  const view = new DataView(data.buffer);
  for (let i = 0; i < PAGE_BYTES; i += 4) view.setUint32(i, edge32(), true);
  for (let i = 0; i < 1024; i += 16) lanes(view, PAGE_BYTES + i, "float32");
  for (let i = 1024; i < 2048; i += 16) lanes(view, PAGE_BYTES + i, "float64");
  for (let i = 2048; i < 3072; i += 16) float80(view, PAGE_BYTES + i);
  for (let i = 3072; i < PAGE_BYTES; i += 4) view.setUint32(PAGE_BYTES + i, edge32(), true);
  for (let i = 0; i < PAGE_BYTES; i += 4) view.setUint32(2 * PAGE_BYTES + i, edge32(), true);
  const stack = new Uint8Array(PAGE_BYTES);
  const stackView = new DataView(stack.buffer);
  for (let i = 0; i < PAGE_BYTES; i += 4) stackView.setUint32(i, edge32(), true);
  return { data, stack };
}
