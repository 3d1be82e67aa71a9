/**
 * SSE moves, shuffles and inserts: what only carries bits.
 *
 *     0F 10-17 28 29 2B 50 6E 6F 70 7E 7F C3-C6 D6 D7 E7 F0 F7
 *
 * Source: SDM 2, by instruction.
 */
import { DS } from "../abi";
import { addressOf, linear } from "../cpu/address";
import { Op, OP_ADDR16, OP_ADDR32, OP_SEGMENT } from "../cpu/op";
import { register, setRegister } from "../cpu/operand";
import { raise } from "../fault";
import { checkWrite, read, write } from "../mem/access";
import { Vcpu } from "../vcpu";
import { UD } from "../x86/exception";
import {
  enterMmx,
  memory4,
  memory8,
  mmxUnavailable,
  PREFIX_66,
  PREFIX_F2,
  PREFIX_F3,
  PREFIX_NONE,
  regMm,
  regXmm,
  rmMm,
  rmXmm,
  setMm,
  source16,
  source8,
  sourceMm,
  store16,
  storeMemory4,
  storeMemory8,
} from "./operands";

/** 0F 10, 11: MOVUPS MOVUPD MOVSS MOVSD. */
export function moveUnaligned(cpu: Vcpu, op: Op, prefix: u32, isStore: bool): void {
  const xmm = regXmm(cpu, op);
  if (prefix <= PREFIX_66) {
    if (isStore) store16(cpu, op, v128.load(xmm), false);
    else {
      const value = source16(cpu, op, false);
      if (cpu.fault === 0) v128.store(xmm, value);
    }
  } else if (prefix === PREFIX_F3) moveSingle(cpu, op, xmm, isStore);
  else moveDouble(cpu, op, xmm, isStore);
}

function moveSingle(cpu: Vcpu, op: Op, xmm: usize, isStore: bool): void {
  if (!op.isMemory) {
    if (isStore) store<u32>(rmXmm(cpu, op), load<u32>(xmm));
    else store<u32>(xmm, load<u32>(rmXmm(cpu, op)));
  } else if (isStore) storeMemory4(cpu, op, load<u32>(xmm));
  else {
    const value = memory4(cpu, op);
    if (cpu.fault !== 0) return;
    store<u64>(xmm, <u64>value);
    store<u64>(xmm, 0, 8);
  }
}

function moveDouble(cpu: Vcpu, op: Op, xmm: usize, isStore: bool): void {
  if (!op.isMemory) {
    if (isStore) store<u64>(rmXmm(cpu, op), load<u64>(xmm));
    else store<u64>(xmm, load<u64>(rmXmm(cpu, op)));
  } else if (isStore) storeMemory8(cpu, op, load<u64>(xmm));
  else {
    const value = memory8(cpu, op);
    if (cpu.fault !== 0) return;
    store<u64>(xmm, value);
    store<u64>(xmm, 0, 8);
  }
}

/**
 * 0F 12, 13, 16, 17: MOVLPS MOVLPD MOVHPS MOVHPD, MOVHLPS, MOVLHPS, MOVSLDUP, MOVSHDUP, MOVDDUP.
 *
 * @param half - 0 low, 8 high
 */
export function moveHalf(cpu: Vcpu, op: Op, prefix: u32, half: usize, isStore: bool): void {
  const xmm = regXmm(cpu, op);
  if (isStore) {
    if (prefix > PREFIX_66 || !op.isMemory) raise(cpu, UD);
    else storeMemory8(cpu, op, load<u64>(xmm + half));
    return;
  }
  if (prefix === PREFIX_F3) {
    const value = source16(cpu, op, true);
    if (cpu.fault !== 0) return;
    if (half === 0) v128.store(xmm, v128.shuffle<u32>(value, value, 0, 0, 2, 2));
    else v128.store(xmm, v128.shuffle<u32>(value, value, 1, 1, 3, 3));
    return;
  }
  if (prefix === PREFIX_F2) {
    if (half !== 0) {
      raise(cpu, UD);
      return;
    }
    const value = source8(cpu, op);
    if (cpu.fault !== 0) return;
    store<u64>(xmm, value);
    store<u64>(xmm, value, 8);
    return;
  }
  if (!op.isMemory) {
    // MOVHLPS takes the high half, MOVLHPS the low one.
    if (prefix === PREFIX_66) raise(cpu, UD);
    else store<u64>(xmm + half, load<u64>(rmXmm(cpu, op) + (8 - half)));
    return;
  }
  const value = memory8(cpu, op);
  if (cpu.fault === 0) store<u64>(xmm + half, value);
}

/** 0F 14, 15: UNPCKLPS UNPCKHPS and the PD forms. */
export function unpackFloat(cpu: Vcpu, op: Op, prefix: u32, isHigh: bool): void {
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  const a = v128.load(xmm);
  if (prefix === PREFIX_NONE) {
    v128.store(
      xmm,
      isHigh ? v128.shuffle<u32>(a, b, 2, 6, 3, 7) : v128.shuffle<u32>(a, b, 0, 4, 1, 5),
    );
  } else v128.store(xmm, isHigh ? v128.shuffle<u64>(a, b, 1, 3) : v128.shuffle<u64>(a, b, 0, 2));
}

/** 0F 28, 29: MOVAPS, MOVAPD; 0F 2B MOVNTPS, MOVNTPD; 66 0F 6F, 7F MOVDQA. */
export function moveAligned(cpu: Vcpu, op: Op, isStore: bool): void {
  const xmm = regXmm(cpu, op);
  if (isStore) {
    store16(cpu, op, v128.load(xmm), true);
    return;
  }
  const value = source16(cpu, op, true);
  if (cpu.fault === 0) v128.store(xmm, value);
}

/** 0F 50: MOVMSKPS, MOVMSKPD. */
export function moveMask(cpu: Vcpu, op: Op, prefix: u32): void {
  const value = v128.load(rmXmm(cpu, op));
  const mask = prefix === PREFIX_NONE ? i32x4.bitmask(value) : i64x2.bitmask(value);
  setRegister<u64>(cpu, op.reg, <u64>(<u32>mask));
}

/** 0F 6E: MOVD, MOVQ from r/m32, r/m64. */
export function moveFromInteger(cpu: Vcpu, op: Op, prefix: u32): void {
  let value: u64;
  if (!op.isMemory)
    value = op.size === 8 ? register<u64>(cpu, op.rm) : <u64>register<u32>(cpu, op.rm);
  else value = op.size === 8 ? memory8(cpu, op) : <u64>memory4(cpu, op);
  if (cpu.fault !== 0) return;
  if (prefix === PREFIX_66) {
    const xmm = regXmm(cpu, op);
    store<u64>(xmm, value);
    store<u64>(xmm, 0, 8);
  } else {
    enterMmx(cpu);
    setMm(regMm(cpu, op), value);
  }
}

/** 0F 7E: MOVD, MOVQ to r/m32, r/m64. */
export function moveToInteger(cpu: Vcpu, op: Op, prefix: u32): void {
  const value = load<u64>(prefix === PREFIX_66 ? regXmm(cpu, op) : regMm(cpu, op));
  if (!op.isMemory) {
    if (op.size === 8) setRegister<u64>(cpu, op.rm, value);
    else setRegister<u32>(cpu, op.rm, <u32>value);
  } else if (op.size === 8) storeMemory8(cpu, op, value);
  else storeMemory4(cpu, op, <u32>value);
  if (cpu.fault === 0 && prefix !== PREFIX_66) enterMmx(cpu);
}

/** F3 0F 7E, 66 0F D6: MOVQ between XMM and xmm/m64. */
export function moveQuad(cpu: Vcpu, op: Op, isStore: bool): void {
  const xmm = regXmm(cpu, op);
  if (!isStore) {
    const value = source8(cpu, op);
    if (cpu.fault !== 0) return;
    store<u64>(xmm, value);
    store<u64>(xmm, 0, 8);
  } else if (op.isMemory) storeMemory8(cpu, op, load<u64>(xmm));
  else {
    const to = rmXmm(cpu, op);
    store<u64>(to, load<u64>(xmm));
    store<u64>(to, 0, 8);
  }
}

/** 0F 6F, 7F without prefix: MOVQ mm. */
export function moveMm(cpu: Vcpu, op: Op, isStore: bool): void {
  if (isStore) {
    const value = load<u64>(regMm(cpu, op));
    if (op.isMemory) storeMemory8(cpu, op, value);
    if (cpu.fault !== 0) return;
    enterMmx(cpu);
    if (!op.isMemory) setMm(rmMm(cpu, op), value);
    return;
  }
  const value = sourceMm(cpu, op);
  if (cpu.fault !== 0) return;
  enterMmx(cpu);
  setMm(regMm(cpu, op), value);
}

const lanes: usize = memory.data(32, 16);

/** 0F 70: PSHUFW, PSHUFD, PSHUFHW, PSHUFLW. */
export function shuffleWords(cpu: Vcpu, op: Op, prefix: u32): void {
  const control = <u32>op.imm;
  if (prefix === PREFIX_NONE) {
    const value = sourceMm(cpu, op);
    if (cpu.fault !== 0) return;
    enterMmx(cpu);
    setMm(regMm(cpu, op), shuffled4(value, control));
    return;
  }
  const value = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  v128.store(lanes, value);
  if (prefix === PREFIX_66) {
    for (let i: usize = 0; i < 4; i++) {
      store<u32>(
        xmm + (i << 2),
        load<u32>(lanes + ((<usize>((control >> ((<u32>i) << 1)) & 3)) << 2)),
      );
    }
  } else if (prefix === PREFIX_F3) {
    store<u64>(xmm, load<u64>(lanes));
    store<u64>(xmm, shuffled4(load<u64>(lanes, 8), control), 8);
  } else {
    store<u64>(xmm, shuffled4(load<u64>(lanes), control));
    store<u64>(xmm, load<u64>(lanes, 8), 8);
  }
}

/** Four words of `value` in the order of `control`. */
function shuffled4(value: u64, control: u32): u64 {
  let result: u64 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    const word = (value >> (((control >> (i << 1)) & 3) << 4)) & 0xffff;
    result |= word << (i << 4);
  }
  return result;
}

/** 0F C3: MOVNTI. */
export function moveNonTemporal(cpu: Vcpu, op: Op): void {
  if (!op.isMemory) raise(cpu, UD);
  else if (op.size === 8) storeMemory8(cpu, op, register<u64>(cpu, op.reg));
  else storeMemory4(cpu, op, register<u32>(cpu, op.reg));
}

/** 0F C4: PINSRW. */
export function insertWord(cpu: Vcpu, op: Op, prefix: u32): void {
  let value: u32;
  if (op.isMemory) {
    const gva = addressOf(cpu, op, 2, false);
    if (cpu.fault !== 0) return;
    value = read<u16>(cpu, gva);
    if (cpu.fault !== 0) return;
  } else value = register<u16>(cpu, op.rm);
  if (prefix === PREFIX_66) {
    store<u16>(regXmm(cpu, op) + ((<usize>op.imm & 7) << 1), <u16>value);
    return;
  }
  enterMmx(cpu);
  const mm = regMm(cpu, op);
  store<u16>(mm + ((<usize>op.imm & 3) << 1), <u16>value);
  store<u16>(mm, 0xffff, 8);
}

/** 0F C5: PEXTRW. */
export function extractWord(cpu: Vcpu, op: Op, prefix: u32): void {
  let value: u64;
  if (prefix === PREFIX_66) value = load<u16>(rmXmm(cpu, op) + ((<usize>op.imm & 7) << 1));
  else {
    enterMmx(cpu);
    value = load<u16>(rmMm(cpu, op) + ((<usize>op.imm & 3) << 1));
  }
  setRegister<u64>(cpu, op.reg, value);
}

/** 0F C6: SHUFPS, SHUFPD. */
export function shuffleFloat(cpu: Vcpu, op: Op, prefix: u32): void {
  const b = source16(cpu, op, true);
  if (cpu.fault !== 0) return;
  const xmm = regXmm(cpu, op);
  const control = <u32>op.imm;
  v128.store(lanes, v128.load(xmm));
  v128.store(lanes, b, 16);
  if (prefix === PREFIX_66) {
    store<u64>(xmm, load<u64>(lanes + ((<usize>(control & 1)) << 3)));
    store<u64>(xmm, load<u64>(lanes + 16 + ((<usize>((control >> 1) & 1)) << 3)), 8);
    return;
  }
  for (let i: usize = 0; i < 4; i++) {
    const from = lanes + (i < 2 ? 0 : 16) + ((<usize>((control >> ((<u32>i) << 1)) & 3)) << 2);
    store<u32>(xmm + (i << 2), load<u32>(from));
  }
}

/** 0F D7: PMOVMSKB. */
export function moveByteMask(cpu: Vcpu, op: Op, prefix: u32): void {
  if (prefix === PREFIX_66) {
    setRegister<u64>(cpu, op.reg, <u64>(<u32>i8x16.bitmask(v128.load(rmXmm(cpu, op)))));
    return;
  }
  enterMmx(cpu);
  const value = i64x2.splat(load<u64>(rmMm(cpu, op)));
  setRegister<u64>(cpu, op.reg, <u64>(<u32>i8x16.bitmask(value) & 0xff));
}

/** F3 0F D6 MOVQ2DQ, F2 0F D6 MOVDQ2Q. */
export function moveBetween(cpu: Vcpu, op: Op, prefix: u32): void {
  if (op.isMemory) {
    raise(cpu, UD);
    return;
  }
  if (mmxUnavailable(cpu)) return;
  enterMmx(cpu);
  if (prefix === PREFIX_F3) {
    const xmm = regXmm(cpu, op);
    store<u64>(xmm, load<u64>(rmMm(cpu, op)));
    store<u64>(xmm, 0, 8);
  } else setMm(regMm(cpu, op), load<u64>(rmXmm(cpu, op)));
}

/**
 * 0F F7: MASKMOVQ, MASKMOVDQU to DS:rDI: bytes whose mask bit is set.
 *
 * All of the operand must be writable, whatever the mask: the manual leaves that open, silicon does so.
 */
export function maskedMove(cpu: Vcpu, op: Op, wide: bool): void {
  if (op.isMemory) {
    raise(cpu, UD);
    return;
  }
  let offset = cpu.rdi;
  if (op.flags & OP_ADDR32) offset &= 0xffffffff;
  else if (op.flags & OP_ADDR16) offset &= 0xffff;
  const bytes: u32 = wide ? 16 : 8;
  const data = wide ? regXmm(cpu, op) : regMm(cpu, op);
  const mask = wide ? rmXmm(cpu, op) : rmMm(cpu, op);
  const gva = linear(cpu, op.flags & OP_SEGMENT ? op.segment : DS, offset, bytes, true);
  if (cpu.fault !== 0) return;
  if (!checkWrite(cpu, gva, bytes, 1)) return;
  for (let i: u32 = 0; i < bytes; i++) {
    if (load<u8>(mask + i) & 0x80) write<u8>(cpu, gva + i, load<u8>(data + i));
  }
  if (cpu.fault !== 0) return;
  if (!wide) enterMmx(cpu);
}

/** F2 0F F0: LDDQU. */
export function loadUnaligned(cpu: Vcpu, op: Op): void {
  if (!op.isMemory) {
    raise(cpu, UD);
    return;
  }
  const value = source16(cpu, op, false);
  if (cpu.fault === 0) v128.store(regXmm(cpu, op), value);
}

/** 0F E7: MOVNTQ, MOVNTDQ. */
export function storeNonTemporal(cpu: Vcpu, op: Op, prefix: u32): void {
  if (!op.isMemory) raise(cpu, UD);
  else if (prefix === PREFIX_66) moveAligned(cpu, op, true);
  else moveMm(cpu, op, true);
}
