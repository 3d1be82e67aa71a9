/**
 * What translated code (src/translate) calls.
 *
 * A region is a function (cpu, left) => left: blocks of one page, entered at the first, which retires instructions as
 * long as `left` covers the next block. It holds registers in locals; when it returns the record is exact, RIP included.
 * Its memory accesses (region-memory.ts) never fault and reach no device but the LAPIC (vm/region.ts): where one could,
 * the region returns before the instruction, and the interpreter does it.
 */
import * as abi from "../op-abi";
import { tlbRead, tlbWrite } from "../mem/tlb";
import { Vcpu } from "../vcpu";
import { FEATURE_SSE, FEATURE_SSE2 } from "../x86/cpuid";
import { findBlock } from "./block";
import { blockEnd } from "./control";
import { iretShort } from "./iret";
import { offers } from "./features";
import {
  setAddFlags,
  setDecFlags,
  setIncFlags,
  setLogicFlags,
  setResultFlags,
  setSubFlags,
} from "./flags";
import { cli, sti } from "./flags-ops";
import { Op } from "./op";
import { executeForRegion } from "./interpret";
import { hlt, pause } from "./system";
import { divideWide, remainder } from "./wide";

export { setTranslateAfter } from "./heat";
export { writeMemory as regionWrite } from "./region-memory";
export { dropAll as forgetBlocks } from "./block";

/**
 * Executes an instruction that is not translated. The record is exact but for RIP, which is that of the block.
 *
 * @param left - instructions that may retire, this one among them
 * @returns -1 to go on; else the region returns this
 */
export function regionExecute(cpu: Vcpu, op: Op, left: u32): i32 {
  return executeForRegion(cpu, op, left);
}

/**
 * HLT, PAUSE, CLI, STI: no general register and no arithmetic flag, and nothing that asks for the time, so that the
 * record need not be exact.
 *
 * @returns REGION_*
 */
export function regionControl(cpu: Vcpu, op: Op): u32 {
  if (op.opcode === 0xf4) hlt(cpu, op);
  else if (op.opcode === 0x90) pause(cpu, op);
  else changeIf(cpu, op);
  if (cpu.fault !== 0) {
    // The interpreter raises it again.
    cpu.fault = 0;
    return abi.REGION_REFUSED;
  }
  return blockEnd() === 0 ? abi.REGION_LEAVES : abi.REGION_GOES_ON;
}

/** @noinline */
function changeIf(cpu: Vcpu, op: Op): void {
  if (op.opcode === 0xfa) cli(cpu, op);
  else sti(cpu, op);
}

/** IRETQ. @param rsp - present value @returns false with nothing changed but RSP of the record: the interpreter has to */
export function regionInterruptReturn(cpu: Vcpu, rsp: u64): bool {
  cpu.rsp = rsp;
  return iretShort(cpu);
}

/** Stores the arithmetic flags that a region has not stored yet. @param pending - PENDING_* and size; a, b, result: of it */
export function regionFlags(cpu: Vcpu, pending: u32, a: u64, b: u64, result: u64): void {
  switch (pending & 3) {
    case 0:
      storeFlags<u8>(cpu, pending & ~3, <u8>a, <u8>b, <u8>result);
      break;
    case 1:
      storeFlags<u16>(cpu, pending & ~3, <u16>a, <u16>b, <u16>result);
      break;
    case 2:
      storeFlags<u32>(cpu, pending & ~3, <u32>a, <u32>b, <u32>result);
      break;
    default:
      storeFlags<u64>(cpu, pending & ~3, a, b, result);
      break;
  }
}

function storeFlags<T>(cpu: Vcpu, operation: u32, a: T, b: T, result: T): void {
  const top = <T>(sizeof<T>() * 8 - 1);
  switch (operation) {
    case abi.PENDING_ADD:
    case abi.PENDING_ADC:
      setAddFlags<T>(cpu, a, b, result);
      break;
    case abi.PENDING_SUB:
    case abi.PENDING_SBB:
      setSubFlags<T>(cpu, a, b, result);
      break;
    case abi.PENDING_LOGIC:
      setLogicFlags<T>(cpu, result);
      break;
    case abi.PENDING_INC:
      cpu.flagAux = (<u32>b) << 31;
      setIncFlags<T>(cpu, result);
      break;
    case abi.PENDING_DEC:
      cpu.flagAux = (<u32>b) << 31;
      setDecFlags<T>(cpu, result);
      break;
    case abi.PENDING_SHL: {
      const carry = a >> top !== <T>0;
      setResultFlags<T>(cpu, result, carry, carry !== (result >> top !== <T>0));
      break;
    }
    case abi.PENDING_SHR:
      setResultFlags<T>(cpu, result, (a & <T>1) !== <T>0, a >> top !== <T>0);
      break;
    case abi.PENDING_SAR:
      setResultFlags<T>(cpu, result, (a & <T>1) !== <T>0, false);
      break;
    default:
      break;
  }
}

/** Quotient of high:low / divisor, where it fits: high is below the divisor. */
export function regionDivide(high: u64, low: u64, divisor: u64): u64 {
  return divideWide(high, low, divisor);
}

/** Remainder of the last `regionDivide`. */
export function regionRemainder(): u64 {
  return remainder;
}

/** The block of a mode at a physical address, or 0: for the choice of a region's blocks. */
export function blockAt(gpa: u32, mode: u32): usize {
  return findBlock(gpa, mode & ~(<u32>abi.BLOCK_VALID));
}

/** Whether instructions of SSE2 exist, where MODE_SSE says that their registers are available. */
export function offersSse2(): bool {
  return offers(FEATURE_SSE) && offers(FEATURE_SSE2);
}

/** Addresses of the TLB's arrays. */
export function tlbReadAddress(): usize {
  return tlbRead;
}
export function tlbWriteAddress(): usize {
  return tlbWrite;
}
