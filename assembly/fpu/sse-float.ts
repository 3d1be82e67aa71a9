/**
 * One element of SSE arithmetic, in single and double precision: result and exception flags.
 *
 * Source: SDM 1 "SSE and SSE2 Exceptions", "Operating on NaNs". WASM rounds to nearest as IEEE says, so its operators
 * give the result while MXCSR rounds to nearest, everything is masked, and operands and result are normal numbers; what
 * is left is to know whether the result is exact. Everything else is computed in soft.ts.
 */
import { raise } from "../fault";
import { Vcpu } from "../vcpu";
import { CR4_OSXMMEXCPT } from "../x86/cr";
import { UD, XM } from "../x86/exception";
import {
  A,
  add,
  B,
  clearFlags,
  convert,
  DE,
  divide,
  flags,
  format32,
  format64,
  fromInteger,
  IE,
  multiply,
  NORMAL,
  pack32,
  pack64,
  PE,
  QNAN,
  QUIET,
  R,
  raiseFlags,
  resultOf,
  roundToIntegral,
  setEnvironment,
  setRounding,
  SNAN,
  Soft,
  squareRoot,
  unpack32,
  unpack64,
  ZE,
  ZERO,
} from "./soft";
import { Fpu, MXCSR_DAZ, MXCSR_FTZ, MXCSR_MASK_SHIFT, MXCSR_RC_SHIFT } from "./state";

export const ADD: u32 = 0;
export const SUB: u32 = 1;
export const MUL: u32 = 2;
export const DIV: u32 = 3;
export const SQRT: u32 = 4;

const BEFORE: u32 = IE | DE | ZE;
const MASKS_AND_RC: u32 = 0x7f80;
const ALL_MASKED_NEAREST: u32 = 0x1f80;

let mxcsr: u32 = 0;
/** WASM's operators may be used. */
let fast = false;
/** Flags of all elements so far: found before the operation, and after. */
let before: u32 = 0;
let after: u32 = 0;

/** To be called once an instruction, before its elements. */
export function beginSse(fpu: Fpu): void {
  mxcsr = fpu.mxcsr();
  fast = (mxcsr & MASKS_AND_RC) === ALL_MASKED_NEAREST;
  before = 0;
  after = 0;
  const masks = (mxcsr >> MXCSR_MASK_SHIFT) & 0x3f;
  setEnvironment((mxcsr >> MXCSR_RC_SHIFT) & 3, masks, (mxcsr & MXCSR_FTZ) !== 0, 0);
}

/** Rounds as an immediate says instead of MXCSR.RC (ROUNDSS ...). */
export function overrideRounding(rc: u32): void {
  setRounding(rc);
  fast = false;
}

/** Drops #P: ROUNDSS with bit 3 of its immediate. */
export function suppressInexact(): void {
  after &= ~PE;
}

/**
 * Enters the flags into MXCSR.
 *
 * @returns false when an exception is unmasked: #XM is raised (#UD without CR4.OSXMMEXCPT), and no result is stored
 */
export function endSse(cpu: Vcpu, fpu: Fpu): bool {
  const masks = (mxcsr >> MXCSR_MASK_SHIFT) & 0x3f;
  const set = before & ~masks ? before : before | after;
  if (set === 0) return true;
  fpu.setMxcsr(mxcsr | set);
  if (!(set & ~masks)) return true;
  raise(cpu, cpu.cr4 & CR4_OSXMMEXCPT ? XM : UD);
  return false;
}

function isNormal64(bits: u64): bool {
  return (<u32>(bits >> 52) & 0x7ff) - 1 < 0x7fe;
}

function isNormal32(bits: u32): bool {
  return ((bits >> 23) & 0xff) - 1 < 0xfe;
}

/** A normal result above the least normal number: that one may have been tiny before it was rounded, which is #U. */
function isOrdinary64(bits: u64): bool {
  return (<u32>(bits >> 52) & 0x7ff) - 2 < 0x7fd;
}

function isOrdinary32(bits: u32): bool {
  return ((bits >> 23) & 0xff) - 2 < 0xfd;
}

/** Length of a significand without its trailing zeros. */
function length64(bits: u64): u32 {
  return 53 - min<u32>(<u32>ctz<u64>(bits), 52);
}

const EXACT: u32 = 0;
const INEXACT: u32 = 1;
const UNKNOWN: u32 = 2;

/** Whether x * y, both normal, has at most 53 significant bits. */
function productExactness(x: u64, y: u64): u32 {
  const length = length64(x) + length64(y);
  return length <= 53 ? EXACT : length > 54 ? INEXACT : UNKNOWN;
}

/** Whether r = a op b is exact: all normal, rounded to nearest. */
function exactness64(operation: u32, a: f64, b: f64, r: f64): u32 {
  if (operation <= SUB) {
    const y = operation === ADD ? b : -b;
    const bb = r - a;
    return a - (r - bb) + (y - bb) === 0 ? EXACT : INEXACT;
  }
  if (operation === MUL) return productExactness(reinterpret<u64>(a), reinterpret<u64>(b));
  const divisor = operation === DIV ? b : r;
  const known = productExactness(reinterpret<u64>(r), reinterpret<u64>(divisor));
  if (known !== EXACT) return known;
  return r * divisor === (operation === DIV ? a : b) ? EXACT : INEXACT;
}

/** One double-precision element: a op b (SQRT: of b). */
export function arithmetic64(operation: u32, a: u64, b: u64): u64 {
  if (fast && isNormal64(b) && (operation === SQRT ? !(b >> 63) : isNormal64(a))) {
    const x = reinterpret<f64>(a);
    const y = reinterpret<f64>(b);
    let r: f64;
    if (operation === ADD) r = x + y;
    else if (operation === SUB) r = x - y;
    else if (operation === MUL) r = x * y;
    else if (operation === DIV) r = x / y;
    else r = sqrt<f64>(y);
    if (isOrdinary64(reinterpret<u64>(r))) {
      if (mxcsr & PE) return reinterpret<u64>(r);
      const known = exactness64(operation, x, y, r);
      if (known !== UNKNOWN) {
        if (known === INEXACT) after |= PE;
        return reinterpret<u64>(r);
      }
    }
  }
  if (operation === SQRT) unpack64(A, b);
  else {
    unpack64(A, a);
    unpack64(B, b);
  }
  format64();
  operate(operation);
  return pack64();
}

/** Whether r = a op b is exact in single precision: products of two are exact in double precision. */
function isExact32(operation: u32, a: f32, b: f32, r: f32): bool {
  if (operation <= SUB) {
    const y = operation === ADD ? b : -b;
    const bb = r - a;
    return a - (r - bb) + (y - bb) === 0;
  }
  if (operation === MUL) return <f64>a * <f64>b === <f64>r;
  if (operation === DIV) return <f64>r * <f64>b === <f64>a;
  return <f64>r * <f64>r === <f64>b;
}

/** One single-precision element: a op b (SQRT: of b). */
export function arithmetic32(operation: u32, a: u32, b: u32): u32 {
  if (fast && isNormal32(b) && (operation === SQRT ? !(b >> 31) : isNormal32(a))) {
    const x = reinterpret<f32>(a);
    const y = reinterpret<f32>(b);
    let r: f32;
    if (operation === ADD) r = x + y;
    else if (operation === SUB) r = x - y;
    else if (operation === MUL) r = x * y;
    else if (operation === DIV) r = x / y;
    else r = sqrt<f32>(y);
    if (isOrdinary32(reinterpret<u32>(r))) {
      if (!(mxcsr & PE) && !isExact32(operation, x, y, r)) after |= PE;
      return reinterpret<u32>(r);
    }
  }
  if (operation === SQRT) unpack32(A, b);
  else {
    unpack32(A, a);
    unpack32(B, b);
  }
  format32();
  operate(operation);
  return pack32();
}

/** Denormal operands are zeros under DAZ. */
function denormalsAreZero(u: Soft): void {
  if (u.kind === NORMAL && u.denormal && mxcsr & MXCSR_DAZ) {
    u.kind = ZERO;
    u.sig = 0;
  }
}

function isNan(u: Soft): bool {
  return u.kind >= QNAN;
}

/** R := u as a quiet NaN. */
function quiet(u: Soft): void {
  resultOf(u);
  R.kind = QNAN;
  R.sig = u.sig | QUIET;
}

/** A op B to R with its flags; the environment and the format are set. */
function operate(operation: u32): void {
  clearFlags();
  const two = operation !== SQRT;
  denormalsAreZero(A);
  if (two) denormalsAreZero(B);
  if (isNan(A) || (two && isNan(B))) {
    if (A.kind === SNAN || (two && B.kind === SNAN)) raiseFlags(IE);
    quiet(isNan(A) ? A : B);
    before |= flags;
    return;
  }
  // A zero divisor is reported before a denormal dividend, a negative root before a denormal one.
  const byZero = operation === DIV && B.kind === ZERO && A.kind === NORMAL;
  const negative = !two && A.sign !== 0;
  if (!byZero && !negative) {
    if (A.kind === NORMAL && A.denormal) before |= DE;
    if (two && B.kind === NORMAL && B.denormal) before |= DE;
  }
  if (operation === ADD || operation === SUB) add(operation === SUB);
  else if (operation === MUL) multiply();
  else if (operation === DIV) divide();
  else squareRoot();
  before |= flags & BEFORE;
  after |= flags & ~BEFORE;
}

// Relations of two elements.
export const LESS: u32 = 0;
export const EQUAL: u32 = 1;
export const GREATER: u32 = 2;
export const UNORDERED: u32 = 3;

/** Compares doubles. @param signals - quiet NaNs are invalid too */
export function compare64(a: u64, b: u64, signals: bool): u32 {
  const x = operand64(a);
  const y = operand64(b);
  if (x !== x || y !== y) {
    if (signals || isSignaling64(a) || isSignaling64(b)) before |= IE;
    return UNORDERED;
  }
  if (isDenormal64(a) || isDenormal64(b)) noteDenormal();
  return x < y ? LESS : x > y ? GREATER : EQUAL;
}

/** Compares singles. */
export function compare32(a: u32, b: u32, signals: bool): u32 {
  const x = operand32(a);
  const y = operand32(b);
  if (x !== x || y !== y) {
    if (signals || isSignaling32(a) || isSignaling32(b)) before |= IE;
    return UNORDERED;
  }
  if (isDenormal32(a) || isDenormal32(b)) noteDenormal();
  return x < y ? LESS : x > y ? GREATER : EQUAL;
}

function noteDenormal(): void {
  if (!(mxcsr & MXCSR_DAZ)) before |= DE;
}

function isDenormal64(bits: u64): bool {
  return !(bits & 0x7ff0000000000000) && (bits & 0xfffffffffffff) !== 0;
}
function isDenormal32(bits: u32): bool {
  return !(bits & 0x7f800000) && (bits & 0x7fffff) !== 0;
}
function isSignaling64(bits: u64): bool {
  return (bits & 0x7ff8000000000000) === 0x7ff0000000000000 && (bits & 0x7ffffffffffff) !== 0;
}
function isSignaling32(bits: u32): bool {
  return (bits & 0x7fc00000) === 0x7f800000 && (bits & 0x3fffff) !== 0;
}
function operand64(bits: u64): f64 {
  if (mxcsr & MXCSR_DAZ && isDenormal64(bits)) return reinterpret<f64>(bits & ((<u64>1) << 63));
  return reinterpret<f64>(bits);
}
function operand32(bits: u32): f32 {
  if (mxcsr & MXCSR_DAZ && isDenormal32(bits)) return reinterpret<f32>(bits & 0x80000000);
  return reinterpret<f32>(bits);
}

/** MIN or MAX of doubles: the second operand when they are equal or one is a NaN. */
export function extreme64(a: u64, b: u64, isMax: bool): u64 {
  const order = compare64(a, b, true);
  const first = order === (isMax ? GREATER : LESS);
  return flushed64(first ? a : b);
}

export function extreme32(a: u32, b: u32, isMax: bool): u32 {
  const order = compare32(a, b, true);
  const first = order === (isMax ? GREATER : LESS);
  return flushed32(first ? a : b);
}

/** What DAZ makes of an operand that is passed on. */
function flushed64(bits: u64): u64 {
  return mxcsr & MXCSR_DAZ && isDenormal64(bits) ? bits & ((<u64>1) << 63) : bits;
}
function flushed32(bits: u32): u32 {
  return mxcsr & MXCSR_DAZ && isDenormal32(bits) ? bits & 0x80000000 : bits;
}

/** CMPPS and relatives. @param predicate - 0..7: EQ LT LE UNORD NEQ NLT NLE ORD */
export function holds(predicate: u32, order: u32): bool {
  let met: bool;
  switch (predicate & 3) {
    case 0:
      met = order === EQUAL;
      break;
    case 1:
      met = order === LESS;
      break;
    case 2:
      met = order === LESS || order === EQUAL;
      break;
    default:
      met = order === UNORDERED;
      break;
  }
  return predicate & 4 ? !met : met;
}

/** Whether a predicate makes quiet NaNs invalid. */
export function signalsQuiet(predicate: u32): bool {
  const kind = predicate & 3;
  return kind === 1 || kind === 2;
}

/** Enters what a conversion through soft.ts found. */
function collect(): void {
  before |= flags & BEFORE;
  after |= flags & ~BEFORE;
}

/** Unpacked operand A of a conversion: DAZ, DE, NaNs. @returns true when R is the answer already */
function prepareConversion(): bool {
  clearFlags();
  denormalsAreZero(A);
  if (isNan(A)) {
    if (A.kind === SNAN) raiseFlags(IE);
    quiet(A);
    collect();
    return true;
  }
  if (A.kind === NORMAL && A.denormal) before |= DE;
  return false;
}

/** CVTSD2SS. */
export function doubleToSingle(bits: u64): u32 {
  unpack64(A, bits);
  format32();
  if (!prepareConversion()) {
    convert();
    collect();
  }
  return pack32();
}

/** CVTSS2SD. */
export function singleToDouble(bits: u32): u64 {
  if (isNormal32(bits)) return reinterpret<u64>(<f64>reinterpret<f32>(bits));
  unpack32(A, bits);
  format64();
  if (!prepareConversion()) {
    convert();
    collect();
  }
  return pack64();
}

/** Integer to double. */
export function integerToDouble(value: i64): u64 {
  if (value === <i64>(<i32>value)) return reinterpret<u64>(<f64>(<i32>value));
  clearFlags();
  fromInteger(value);
  format64();
  convert();
  collect();
  return pack64();
}

/** Integer to single. */
export function integerToSingle(value: i64): u32 {
  clearFlags();
  fromInteger(value);
  format32();
  convert();
  collect();
  return pack32();
}

/**
 * Double to a signed integer.
 *
 * @param bits - 32 or 64 @returns the value, or the most negative one with IE
 */
export function doubleToInteger(value: u64, bits: u32, truncate: bool): i64 {
  return toInteger(operand64(value), bits, truncate);
}

export function singleToInteger(value: u32, bits: u32, truncate: bool): i64 {
  return toInteger(<f64>operand32(value), bits, truncate);
}

function toInteger(x: f64, bits: u32, shouldTruncate: bool): i64 {
  const rc = shouldTruncate ? 3 : (mxcsr >> MXCSR_RC_SHIFT) & 3;
  let r: f64;
  if (rc === 0) r = nearest<f64>(x);
  else if (rc === 1) r = floor<f64>(x);
  else if (rc === 2) r = ceil<f64>(x);
  else r = trunc<f64>(x);
  const limit: f64 = bits === 32 ? 2147483648.0 : 9223372036854775808.0;
  // The comparison is false for a NaN.
  if (!(r >= -limit && r < limit)) {
    before |= IE;
    return bits === 32 ? <i64>0xffffffff80000000 : <i64>0x8000000000000000;
  }
  if (r !== x) after |= PE;
  return <i64>r;
}

/** ROUNDSD of one element, in the rounding mode that is set. */
export function roundDouble(bits: u64): u64 {
  unpack64(A, bits);
  format64();
  if (!prepareRounding()) {
    roundToIntegral();
    collect();
  }
  return pack64();
}

/** ROUNDSS of one element. */
export function roundSingle(bits: u32): u32 {
  unpack32(A, bits);
  format32();
  if (!prepareRounding()) {
    roundToIntegral();
    collect();
  }
  return pack32();
}

/** As `prepareConversion`; ROUND does not report denormals. */
function prepareRounding(): bool {
  const seen = before;
  const done = prepareConversion();
  if (!done) before = seen;
  return done;
}
