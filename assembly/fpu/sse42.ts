/**
 * SSE4.2: string comparisons (PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI) and PCMPGTQ.
 *
 *     66 0F 3A 60-63   66 0F 38 37
 *
 * Source: SDM 1 "String and Text Processing Instructions", SDM 2 "Imm8 Control Byte Operation".
 *
 *     imm8   0 words   1 signed   3:2 equal any, ranges, equal each, equal ordered   5:4 polarity   6 last index, mask
 */
import { setArithmetic } from "../cpu/flags";
import { Op } from "../cpu/op";
import { setRegister } from "../cpu/operand";
import { Vcpu } from "../vcpu";
import { CF, OF_FLAG, SF, ZF } from "../x86/eflags";
import { regXmm, source16 } from "./operands";
import { fpuOf } from "./state";

const a16: usize = memory.data(16, 16);
const b16: usize = memory.data(16, 16);

const RCX: u32 = 8;

let words = false;
let isSigned = false;

function element(base: usize, i: u32): i32 {
  if (words) {
    const at = base + ((<usize>i) << 1);
    return isSigned ? <i32>load<i16>(at) : <i32>load<u16>(at);
  }
  return isSigned ? <i32>load<i8>(base + i) : <i32>load<u8>(base + i);
}

/** Length of an explicit string: the magnitude of EAX or EDX, saturated. */
function explicitLength(op: Op, value: u64, count: u32): u32 {
  const length = op.size === 8 ? <i64>value : <i64>(<i32>value);
  if (length > <i64>count || length < -(<i64>count)) return count;
  return <u32>abs<i64>(length);
}

/** Length of a string that ends with a zero. */
function implicitLength(base: usize, count: u32): u32 {
  for (let i: u32 = 0; i < count; i++) {
    if (element(base, i) === 0) return i;
  }
  return count;
}

/** Result bit `j` of the comparison of all of a (lengthA) with b at position j. */
function resultBit(mode: u32, j: u32, count: u32, lengthA: u32, lengthB: u32): bool {
  const insideB = j < lengthB;
  if (mode === 0) {
    if (!insideB) return false;
    for (let i: u32 = 0; i < lengthA; i++) {
      if (element(a16, i) === element(b16, j)) return true;
    }
    return false;
  }
  if (mode === 1) {
    if (!insideB) return false;
    const value = element(b16, j);
    for (let i: u32 = 0; i + 1 < lengthA; i += 2) {
      if (value >= element(a16, i) && value <= element(a16, i + 1)) return true;
    }
    return false;
  }
  if (mode === 2) {
    const insideA = j < lengthA;
    if (insideA && insideB) return element(a16, j) === element(b16, j);
    return !insideA && !insideB;
  }
  for (let i: u32 = 0; i < lengthA && i + j < count; i++) {
    if (i + j >= lengthB || element(a16, i) !== element(b16, i + j)) return false;
  }
  return true;
}

/** 66 0F 3A 60..63. */
export function compareStrings(cpu: Vcpu, op: Op, byte: u32): void {
  const b = source16(cpu, op, false);
  if (cpu.fault !== 0) return;
  const control = <u32>op.imm;
  words = (control & 1) !== 0;
  isSigned = (control & 2) !== 0;
  const count: u32 = words ? 8 : 16;
  v128.store(a16, v128.load(regXmm(cpu, op)));
  v128.store(b16, b);
  const isExplicit = byte < 0x62;
  const lengthA = isExplicit ? explicitLength(op, cpu.rax, count) : implicitLength(a16, count);
  const lengthB = isExplicit ? explicitLength(op, cpu.rdx, count) : implicitLength(b16, count);
  let result: u32 = 0;
  for (let j: u32 = 0; j < count; j++) {
    if (resultBit((control >> 2) & 3, j, count, lengthA, lengthB)) result |= 1 << j;
  }
  // Polarity: 1 negates all, 3 what lies inside b.
  const polarity = (control >> 4) & 3;
  if (polarity === 1) result ^= ((<u32>1) << count) - 1;
  else if (polarity === 3) result ^= ((<u32>1) << lengthB) - 1;
  setArithmetic(
    cpu,
    (result !== 0 ? CF : 0) |
      (lengthB < count ? ZF : 0) |
      (lengthA < count ? SF : 0) |
      (result & 1 ? OF_FLAG : 0),
  );
  if (byte & 1) storeIndex(cpu, result, count, (control & 0x40) !== 0);
  else storeMask(cpu, result, count, (control & 0x40) !== 0);
}

/** ECX := position of the first or last set bit, or the number of elements. */
function storeIndex(cpu: Vcpu, result: u32, count: u32, last: bool): void {
  let index = count;
  if (result !== 0) index = last ? 31 - clz<u32>(result) : ctz<u32>(result);
  setRegister<u32>(cpu, RCX, index);
}

/** XMM0 := the bits, or one mask an element. */
function storeMask(cpu: Vcpu, result: u32, count: u32, expanded: bool): void {
  const xmm = fpuOf(cpu).xmm(0);
  if (!expanded) {
    store<u64>(xmm, <u64>result);
    store<u64>(xmm, 0, 8);
    return;
  }
  for (let i: u32 = 0; i < count; i++) {
    const value: u32 = (result >> i) & 1 ? 0xffff : 0;
    if (words) store<u16>(xmm + ((<usize>i) << 1), <u16>value);
    else store<u8>(xmm + i, <u8>value);
  }
}

/** PCMPGTQ. */
export function compareGreater64(cpu: Vcpu, op: Op): void {
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  v128.store(xmm, i64x2.gt_s(v128.load(xmm), b));
}
