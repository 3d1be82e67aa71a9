/**
 * The choice of a fast handler (numbers: op-abi.ts) for the forms that compilers use most.
 *
 * Fast handlers exist for 32- and 64-bit operands (and a few bytes), registers or flat memory operands; cpu/interpret.ts runs
 * them in its switch. Every other form keeps the out-of-line handler that the decoder gave it, so a fast handler is
 * never needed for correctness.
 */
import {
  HANDLER_ONE_BYTE,
  HANDLER_TWO_BYTE,
  ALU,
  FORM_RR,
  FORM_RI,
  FORM_RM,
  FORM_MR,
  FORM_MI,
  MOV_RR,
  MOV_RI,
  LOAD,
  STORE,
  STORE_IMM,
  LEA,
  TEST_RR,
  TEST_RI,
  INC,
  DEC,
  NEG,
  NOT,
  SHL_IMM,
  SHR_IMM,
  IMUL_RR,
  IMUL_RM,
  MOVSXD,
  MOVZX8,
  MOVZX16,
  LOAD8,
  STORE8,
  STORE8_IMM,
  MOV8_RR,
  CMP8_RI,
  CMP8_RR,
  CMP8_MI,
  CMP8_RM,
  TEST8_RR,
  TEST8_RI,
  NOP,
  PUSH,
  POP,
  CALL,
  RET,
  JMP,
  JCC,
  TEST_MI,
  INC_M,
  DEC_M,
  SHL_CL,
  CMOV_RR,
  JMP_R,
  CALL_R,
  X87,
} from "../op-abi";
import { x87Form } from "../fpu/x87-short";
import { sseHandler } from "./handler-sse";
import { MODE_64, MODE_FLAT, MODE_SS32, MODE_SSE } from "./mode";
import { ADDRESS_BASE, ADDRESS_NONE, ADDRESS_SLOW, Op, OP_66, OP_REP, OP_REPNE } from "./op";

/** Replaces the out-of-line handler of `op` by a fast one where there is one. @param mode - Vcpu.mode */
export function specialise(op: Op, mode: u32): void {
  if (<i32>op.handler > HANDLER_TWO_BYTE) return;
  if (!(mode & MODE_FLAT)) {
    specialiseSegmented(op, mode);
    return;
  }
  if (mode & MODE_SSE && op.handler === HANDLER_TWO_BYTE && op.kind !== ADDRESS_SLOW) {
    const fast = sseHandler(op);
    if (fast !== 0) {
      op.handler = <u16>fast;
      return;
    }
  }
  const size = op.size;
  if (size === 2 || op.flags & (OP_REP | OP_REPNE)) return;
  const isRegister = op.kind === ADDRESS_NONE;
  if (!isRegister && op.kind > ADDRESS_BASE) return;
  const handler =
    op.handler === HANDLER_ONE_BYTE ? oneByte(op, mode, isRegister) : twoByte(op, mode, isRegister);
  if (handler !== 0) op.handler = <u16>handler;
}

/** The same where segments are not flat: what stays between registers, and neither branches nor uses the stack. */
function specialiseSegmented(op: Op, mode: u32): void {
  if (op.kind !== ADDRESS_NONE || op.size !== 4 || op.flags & (OP_REP | OP_REPNE)) return;
  if (op.handler !== HANDLER_ONE_BYTE || !staysInRegisters(op.opcode)) return;
  const handler = oneByte(op, mode, true);
  if (handler !== 0) op.handler = <u16>handler;
}

/** One-byte opcodes with a fast register form that needs no segment: arithmetic, MOV, INC, DEC, shifts. */
function staysInRegisters(opcode: u32): bool {
  if (opcode < 0x50 || (opcode >= 0xb8 && opcode < 0xc0)) return true;
  switch (opcode) {
    case 0x80:
    case 0x81:
    case 0x83:
    case 0x84:
    case 0x85:
    case 0x88:
    case 0x89:
    case 0x8a:
    case 0x8b:
    case 0xa8:
    case 0xa9:
    case 0xc1:
    case 0xc7:
    case 0xd1:
    case 0xd3:
    case 0xf6:
    case 0xf7:
      return true;
    default:
      return false;
  }
}

function swapRegisters(op: Op): void {
  const rm = op.rm;
  op.rm = op.reg;
  op.reg = rm;
}

function oneByte(op: Op, mode: u32, isRegister: bool): u32 {
  const opcode = <u32>op.opcode;
  const wide: u32 = op.size === 8 ? 1 : 0;
  if (opcode < 0x40) return alu(op, opcode, wide, isRegister);
  const stack = mode & MODE_64 ? op.size === 8 : (mode & MODE_SS32) !== 0 && op.size === 4;
  switch (opcode >> 3) {
    case 0x40 >> 3:
      return INC + wide;
    case 0x48 >> 3:
      return DEC + wide;
    case 0x50 >> 3:
      return stack ? PUSH + wide : 0;
    case 0x58 >> 3:
      return stack ? POP + wide : 0;
    case 0x70 >> 3:
    case 0x78 >> 3:
      return JCC + (opcode & 15);
    case 0xd8 >> 3:
      op.imm = <i64>x87Form(opcode, op.extension, isRegister);
      return X87;
    case 0xb8 >> 3:
      if (wide === 0) op.imm = <i64>(<u32>op.imm);
      return MOV_RI + 1;
    default:
      break;
  }
  switch (opcode) {
    case 0x63:
      return mode & MODE_64 && wide ? MOVSXD + <u32>!isRegister : 0;
    case 0x69:
    case 0x6b:
      return 0;
    case 0x80:
      return op.extension !== 7 ? 0 : isRegister ? CMP8_RI : CMP8_MI;
    case 0x81:
    case 0x83:
      if (!isRegister && withCarry(op.extension)) return 0;
      return ALU + (op.extension * 2 + wide) * 5 + (isRegister ? FORM_RI : FORM_MI);
    case 0x84:
      return isRegister ? TEST8_RR : 0;
    case 0x85:
      return isRegister ? TEST_RR + wide : 0;
    case 0x88:
      return isRegister ? MOV8_RR : STORE8;
    case 0x89:
      return isRegister ? MOV_RR + wide : STORE + wide;
    case 0x8a:
      if (!isRegister) return LOAD8;
      swapRegisters(op);
      return MOV8_RR;
    case 0x8b:
      if (!isRegister) return LOAD + wide;
      swapRegisters(op);
      return MOV_RR + wide;
    case 0x8d:
      // LEA takes no segment base.
      return isRegister || op.kind === ADDRESS_BASE ? 0 : LEA + wide;
    case 0x90:
      return op.rm === 0 ? NOP : 0;
    case 0xa8:
      op.rm = 0;
      return TEST8_RI;
    case 0xa9:
      op.rm = 0;
      return TEST_RI + wide;
    case 0xc1:
      return isRegister ? shift(op, SHL_IMM, wide) : 0;
    case 0xc3:
      return stack ? RET + wide : 0;
    case 0xc6:
      return op.extension === 0 && !isRegister ? STORE8_IMM : 0;
    case 0xc7:
      if (op.extension !== 0) return 0;
      if (!isRegister) return STORE_IMM + wide;
      if (wide === 0) op.imm = <i64>(<u32>op.imm);
      return MOV_RI + 1;
    case 0xd1:
      op.imm = 1;
      return isRegister ? shift(op, SHL_IMM, wide) : 0;
    case 0xd3:
      return isRegister ? shift(op, SHL_CL, wide) : 0;
    case 0xe8:
      return stack ? CALL + wide : 0;
    case 0xe9:
    case 0xeb:
      return JMP;
    case 0xf6:
      return op.extension < 2 && isRegister ? TEST8_RI : 0;
    case 0xf7:
      if (op.extension < 2) return isRegister ? TEST_RI + wide : TEST_MI + wide;
      if (!isRegister || op.extension > 3) return 0;
      return (op.extension === 2 ? NOT : NEG) + wide;
    case 0xff:
      if (op.extension < 2)
        return (
          (isRegister ? (op.extension === 0 ? INC : DEC) : op.extension === 0 ? INC_M : DEC_M) +
          wide
        );
      if (!(mode & MODE_64)) return 0;
      if (op.extension === 2) return CALL_R + <u32>!isRegister;
      if (op.extension === 4) return JMP_R + <u32>!isRegister;
      return op.extension === 6 && isRegister && stack ? PUSH + wide : 0;
    default:
      return 0;
  }
}

/** ADC and SBB: fast between registers only. The loop has no room for what is rare. */
function withCarry(operation: u32): bool {
  return operation === 2 || operation === 3;
}

function alu(op: Op, opcode: u32, wide: u32, isRegister: bool): u32 {
  const operation = opcode >> 3;
  if (!isRegister && (opcode & 7) < 4 && withCarry(operation)) return 0;
  const base = ALU + (operation * 2 + wide) * 5;
  switch (opcode & 7) {
    case 1:
      return base + (isRegister ? FORM_RR : FORM_MR);
    case 3:
      if (!isRegister) return base + FORM_RM;
      swapRegisters(op);
      return base + FORM_RR;
    case 5:
      op.rm = 0;
      return base + FORM_RI;
    case 0:
      return operation === 7 && isRegister ? CMP8_RR : 0;
    case 2:
      if (operation !== 7) return 0;
      if (!isRegister) return CMP8_RM;
      swapRegisters(op);
      return CMP8_RR;
    case 4:
      if (operation !== 7) return 0;
      op.rm = 0;
      return CMP8_RI;
    default:
      return 0;
  }
}

function shift(op: Op, first: u32, wide: u32): u32 {
  const step = SHR_IMM - SHL_IMM;
  switch (op.extension) {
    case 4:
    case 6:
      return first + wide;
    case 5:
      return first + step + wide;
    case 7:
      return first + 2 * step + wide;
    default:
      return 0;
  }
}

function twoByte(op: Op, mode: u32, isRegister: bool): u32 {
  const opcode = <u32>op.opcode & 0xff;
  const wide: u32 = op.size === 8 ? 1 : 0;
  if (op.flags & OP_66) return 0;
  if (opcode >= 0x40 && opcode < 0x50) return isRegister ? CMOV_RR + wide : 0;
  if (opcode >= 0x80 && opcode < 0x90) return JCC + (opcode & 15);
  switch (opcode) {
    case 0xaf:
      return (isRegister ? IMUL_RR : IMUL_RM) + wide;
    case 0xb6:
      return MOVZX8 + <u32>!isRegister;
    case 0xb7:
      return MOVZX16 + <u32>!isRegister;
    case 0x1f:
      return isRegister ? 0 : NOP;
    default:
      return 0;
  }
}
