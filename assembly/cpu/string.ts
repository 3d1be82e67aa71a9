/**
 * MOVS, STOS, LODS, CMPS, SCAS, alone and repeated.
 *
 * A repeated instruction runs in chunks: the iterations up to the end of the page of any operand. When some are left,
 * the instruction stays where it is, so that interrupts are taken between chunks. The size of a chunk follows from
 * registers, flags and segments alone, never from the state of a TLB or cache.
 *
 * A fault leaves the registers at the iteration that faults, and the flags as they were before the chunk.
 *
 * A chunk inside plain RAM runs on host addresses; everything else, and every fault, goes element by element.
 * Source: SDM 2 "MOVS", "STOS", "LODS", "CMPS", "SCAS", "REP/REPE/REPZ/REPNE/REPNZ".
 */
import { ES } from "../abi";
import { hostRead, hostWrite, read, write } from "../mem/access";
import { TAG_SLOW } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { DF_FLAG, RF, TF } from "../x86/eflags";
import { linear } from "./address";
import { jumpTo } from "./control";
import { setSubFlags, zeroFlag } from "./flags";
import { is64 } from "./mode";
import { nextRip, Op, OP_ADDR16, OP_ADDR32, OP_REP, OP_REPNE } from "./op";
import { register, setRegister } from "./operand";
import { RAX, RCX, RDI, RSI } from "./registers";

/** Mask of the address size: of rSI, rDI and rCX. */
function addressMask(op: Op): u64 {
  if (op.flags & OP_ADDR16) return 0xffff;
  return op.flags & OP_ADDR32 ? 0xffffffff : <u64>-1;
}

function setMasked(cpu: Vcpu, offset: u32, mask: u64, value: u64): void {
  if (mask === 0xffff) setRegister<u16>(cpu, offset, <u16>value);
  else setRegister<u64>(cpu, offset, value & mask);
}

function isRepeated(op: Op): bool {
  return (op.flags & (OP_REP | OP_REPNE)) !== 0;
}

function isBackward(cpu: Vcpu): bool {
  return (cpu.eflags & DF_FLAG) !== 0;
}

/** Bytes from one element to the next. */
function stepOf<T>(cpu: Vcpu): u64 {
  return isBackward(cpu) ? -(<u64>sizeof<T>()) : <u64>sizeof<T>();
}

/** Iterations that the instruction still has: 1 without a prefix. */
function iterations(cpu: Vcpu, op: Op): u64 {
  if (!isRepeated(op)) return 1;
  const count = cpu.rcx & addressMask(op);
  // Single step and data breakpoints stop after each iteration.
  const each = cpu.eflags & TF || (cpu.tlbTag & 3) === TAG_SLOW;
  return each && count > 1 ? 1 : count;
}

/**
 * Elements of an operand that lie in its first one's page and before the offset wraps; 1 when that one itself does not.
 *
 * @param n - ES..GS; @param offset - of the first element, inside `mask`
 */
function room<T>(cpu: Vcpu, n: u32, offset: u64, mask: u64): u64 {
  const size = <u64>sizeof<T>();
  const base = is64(cpu) && n < 4 ? 0 : cpu.segment(n).base;
  const inPage = (base + offset) & 0xfff;
  if (inPage + size > 0x1000 || offset > mask - (size - 1)) return 1;
  if (isBackward(cpu)) return min(inPage / size, offset / size) + 1;
  const toWrap = (mask - offset) / size;
  return min((0x1000 - inPage) / size, toWrap === <u64>-1 ? toWrap : toWrap + 1);
}

/** Lowest offset of `count` elements that begin at `offset`. */
function lowest<T>(cpu: Vcpu, offset: u64, count: u64): u64 {
  return isBackward(cpu) ? offset - (count - 1) * sizeof<T>() : offset;
}

/** Host address of the operand's first element when all `count` can be read there, else 0. */
function hostSource<T>(cpu: Vcpu, n: u32, offset: u64, count: u64): usize {
  if (count < 2) return 0;
  const low = lowest<T>(cpu, offset, count);
  const gva = linear(cpu, n, low, <u32>(count * sizeof<T>()), false);
  if (cpu.fault !== 0) {
    cpu.fault = 0;
    return 0;
  }
  const host = hostRead(cpu, gva);
  return host === 0 ? 0 : host + <usize>(offset - low);
}

function hostTarget<T>(cpu: Vcpu, offset: u64, count: u64): usize {
  if (count < 2) return 0;
  const low = lowest<T>(cpu, offset, count);
  const bytes = <u32>(count * sizeof<T>());
  const gva = linear(cpu, ES, low, bytes, true);
  if (cpu.fault !== 0) {
    cpu.fault = 0;
    return 0;
  }
  const host = hostWrite(cpu, gva, bytes);
  return host === 0 ? 0 : host + <usize>(offset - low);
}

/** Reads one element. It may fault. */
function readElement<T>(cpu: Vcpu, n: u32, offset: u64): T {
  const gva = linear(cpu, n, offset, <u32>sizeof<T>(), false);
  return cpu.fault !== 0 ? <T>0 : read<T>(cpu, gva);
}

function writeElement<T>(cpu: Vcpu, offset: u64, value: T): void {
  const gva = linear(cpu, ES, offset, <u32>sizeof<T>(), true);
  if (cpu.fault === 0) write<T>(cpu, gva, value);
}

/**
 * Counts `done` iterations off rCX and stays on the instruction when some are left.
 *
 * @param goesOn - the condition of REPE or REPNE holds
 */
function finish(cpu: Vcpu, op: Op, done: u64, goesOn: bool): void {
  if (!isRepeated(op)) return;
  cpu.eflags &= ~RF;
  // Without an iteration rCX is not written: the 32-bit form keeps its upper half.
  if (done === 0) return;
  const mask = addressMask(op);
  const left = (cpu.rcx & mask) - done;
  setMasked(cpu, RCX, mask, left);
  if (cpu.fault === 0 && left !== 0 && goesOn) stay(cpu, op);
}

/**
 * Goes on with the next iterations of a repeated instruction, after whatever waits at this boundary.
 *
 * RF is set, so that what interrupts here saves it set and an instruction breakpoint does not hit once more: SDM 3B
 * "Instruction-Breakpoint Exception Condition".
 */
export function stay(cpu: Vcpu, op: Op): void {
  cpu.eflags |= RF;
  jumpTo(cpu, op, nextRip(cpu, op) - op.length);
}

/** Below this many bytes a loop is faster than a bulk memory instruction, which leaves WebAssembly. */
const BULK_BYTES: usize = 128;

/** Copies upwards. The ranges may overlap when `to` is below `from`. */
function copy(to: usize, from: usize, bytes: usize): void {
  if (bytes >= BULK_BYTES) {
    memory.copy(to, from, bytes);
    return;
  }
  const end = to + bytes;
  while (to + 8 <= end) {
    store<u64>(to, load<u64>(from));
    to += 8;
    from += 8;
  }
  while (to < end) store<u8>(to++, load<u8>(from++));
}

function movsOf<T>(cpu: Vcpu, op: Op): void {
  const mask = addressMask(op);
  const step = stepOf<T>(cpu);
  let source = cpu.rsi & mask;
  let target = cpu.rdi & mask;
  let count = iterations(cpu, op);
  if (count > 1)
    count = min(count, min(room<T>(cpu, op.segment, source, mask), room<T>(cpu, ES, target, mask)));
  let done: u64 = 0;
  let from = hostSource<T>(cpu, op.segment, source, count);
  let to: usize = from === 0 ? 0 : hostTarget<T>(cpu, target, count);
  if (to !== 0) {
    const bytes = <usize>(count * sizeof<T>());
    // A forward copy may not run into its own target: then each element must see the ones before.
    if (!isBackward(cpu) && (to <= from || to >= from + bytes)) copy(to, from, bytes);
    else {
      for (let i: u64 = 0; i < count; i++) {
        store<T>(to, load<T>(from));
        from += <usize>step;
        to += <usize>step;
      }
    }
    done = count;
    source = (source + step * count) & mask;
    target = (target + step * count) & mask;
  }
  while (done < count) {
    const value = readElement<T>(cpu, op.segment, source);
    if (cpu.fault !== 0) break;
    writeElement<T>(cpu, target, value);
    if (cpu.fault !== 0) break;
    source = (source + step) & mask;
    target = (target + step) & mask;
    done++;
  }
  if (done !== 0) {
    setMasked(cpu, RSI, mask, source);
    setMasked(cpu, RDI, mask, target);
  }
  finish(cpu, op, done, true);
}

/** MOVS Yb,Xb  Yv,Xv. */
export function movs(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return movsOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return movsOf<u16>(cpu, op);
    case 4:
      return movsOf<u32>(cpu, op);
    default:
      return movsOf<u64>(cpu, op);
  }
}

/** True when all bytes of the value are equal. */
function isUniform<T>(value: T): bool {
  if (sizeof<T>() === 1) return true;
  return <u64>value === (<u64>(<u8>value) * 0x0101010101010101) >> (64 - sizeof<T>() * 8);
}

function stosOf<T>(cpu: Vcpu, op: Op): void {
  const mask = addressMask(op);
  const step = stepOf<T>(cpu);
  const value = register<T>(cpu, RAX);
  let target = cpu.rdi & mask;
  let count = iterations(cpu, op);
  if (count > 1) count = min(count, room<T>(cpu, ES, target, mask));
  let done: u64 = 0;
  let to = hostTarget<T>(cpu, target, count);
  if (to !== 0) {
    const bytes = <usize>(count * sizeof<T>());
    if (bytes >= BULK_BYTES && !isBackward(cpu) && isUniform<T>(value))
      memory.fill(to, <u8>value, bytes);
    else {
      for (let i: u64 = 0; i < count; i++) {
        store<T>(to, value);
        to += <usize>step;
      }
    }
    done = count;
    target = (target + step * count) & mask;
  }
  while (done < count) {
    writeElement<T>(cpu, target, value);
    if (cpu.fault !== 0) break;
    target = (target + step) & mask;
    done++;
  }
  if (done !== 0) setMasked(cpu, RDI, mask, target);
  finish(cpu, op, done, true);
}

/** STOS Yb,AL  Yv,rAX. */
export function stos(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return stosOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return stosOf<u16>(cpu, op);
    case 4:
      return stosOf<u32>(cpu, op);
    default:
      return stosOf<u64>(cpu, op);
  }
}

function lodsOf<T>(cpu: Vcpu, op: Op): void {
  const mask = addressMask(op);
  const step = stepOf<T>(cpu);
  let source = cpu.rsi & mask;
  let count = iterations(cpu, op);
  if (count > 1) count = min(count, room<T>(cpu, op.segment, source, mask));
  let done: u64 = 0;
  while (done < count) {
    const value = readElement<T>(cpu, op.segment, source);
    if (cpu.fault !== 0) break;
    setRegister<T>(cpu, RAX, value);
    source = (source + step) & mask;
    done++;
  }
  if (done !== 0) setMasked(cpu, RSI, mask, source);
  finish(cpu, op, done, true);
}

/** LODS AL,Xb  rAX,Xv. */
export function lods(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return lodsOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return lodsOf<u16>(cpu, op);
    case 4:
      return lodsOf<u32>(cpu, op);
    default:
      return lodsOf<u64>(cpu, op);
  }
}

function cmpsOf<T>(cpu: Vcpu, op: Op): void {
  const mask = addressMask(op);
  const step = stepOf<T>(cpu);
  let source = cpu.rsi & mask;
  let target = cpu.rdi & mask;
  let count = iterations(cpu, op);
  if (count > 1)
    count = min(count, min(room<T>(cpu, op.segment, source, mask), room<T>(cpu, ES, target, mask)));
  let from = hostSource<T>(cpu, op.segment, source, count);
  let to: usize = from === 0 ? 0 : hostSource<T>(cpu, ES, target, count);
  const untilEqual = (op.flags & OP_REPNE) !== 0;
  let a: T = 0;
  let b: T = 0;
  let done: u64 = 0;
  while (done < count) {
    if (to !== 0) {
      a = load<T>(from);
      b = load<T>(to);
      from += <usize>step;
      to += <usize>step;
    } else {
      // Processors report the fault of ES:rDI when both operands fault.
      const right = readElement<T>(cpu, ES, target);
      if (cpu.fault !== 0) break;
      const left = readElement<T>(cpu, op.segment, source);
      if (cpu.fault !== 0) break;
      a = left;
      b = right;
    }
    source = (source + step) & mask;
    target = (target + step) & mask;
    done++;
    if ((a === b) === untilEqual) break;
  }
  if (done !== 0) {
    setMasked(cpu, RSI, mask, source);
    setMasked(cpu, RDI, mask, target);
    if (cpu.fault === 0) setSubFlags<T>(cpu, a, b, a - b);
  }
  finish(cpu, op, done, zeroFlag(cpu) !== untilEqual);
}

/** CMPS Xb,Yb  Xv,Yv. */
export function cmps(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return cmpsOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return cmpsOf<u16>(cpu, op);
    case 4:
      return cmpsOf<u32>(cpu, op);
    default:
      return cmpsOf<u64>(cpu, op);
  }
}

function scasOf<T>(cpu: Vcpu, op: Op): void {
  const mask = addressMask(op);
  const step = stepOf<T>(cpu);
  const a = register<T>(cpu, RAX);
  let target = cpu.rdi & mask;
  let count = iterations(cpu, op);
  if (count > 1) count = min(count, room<T>(cpu, ES, target, mask));
  let to = hostSource<T>(cpu, ES, target, count);
  const untilEqual = (op.flags & OP_REPNE) !== 0;
  let b: T = 0;
  let done: u64 = 0;
  while (done < count) {
    if (to !== 0) {
      b = load<T>(to);
      to += <usize>step;
    } else {
      const right = readElement<T>(cpu, ES, target);
      if (cpu.fault !== 0) break;
      b = right;
    }
    target = (target + step) & mask;
    done++;
    if ((a === b) === untilEqual) break;
  }
  if (done !== 0) {
    setMasked(cpu, RDI, mask, target);
    if (cpu.fault === 0) setSubFlags<T>(cpu, a, b, a - b);
  }
  finish(cpu, op, done, zeroFlag(cpu) !== untilEqual);
}

/** SCAS AL,Yb  rAX,Yv. */
export function scas(cpu: Vcpu, op: Op): void {
  if (!(op.opcode & 1)) return scasOf<u8>(cpu, op);
  switch (op.size) {
    case 2:
      return scasOf<u16>(cpu, op);
    case 4:
      return scasOf<u32>(cpu, op);
    default:
      return scasOf<u64>(cpu, op);
  }
}
