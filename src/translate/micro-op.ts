/** Blocks and micro-ops of the core, read from linear memory. */
import * as abi from "../../assembly/op-abi.js";

export interface MicroOp {
  /** Address of the record. */
  readonly at: number;
  readonly handler: number;
  readonly length: number;
  readonly kind: number;
  readonly reg: number;
  readonly rm: number;
  readonly base: number;
  readonly index: number;
  readonly scale: number;
  readonly segment: number;
  readonly flags: number;
  /** Operand size in bytes, 2, 4 or 8; byte instructions know themselves. */
  readonly size: number;
  /** Displacement; of a direct branch the block at its target, or 0. */
  readonly disp: number;
  /** Distance of the next instruction from the block's start, bytes. */
  readonly end: number;
  readonly opcode: number;
  /** Bits 31:0 of the immediate, signed; the rest is its sign but for MOV to a 64-bit register. */
  readonly imm: number;
  readonly immHigh: number;
}

export interface Block {
  readonly at: number;
  readonly gpa: number;
  readonly mode: number;
  readonly isValid: boolean;
  /** Bytes of code. */
  readonly length: number;
  /** The block behind it, as far as it is known, or 0. */
  readonly next: number;
  readonly ops: readonly MicroOp[];
}

function readOp(view: DataView, at: number): MicroOp {
  const flags = view.getUint16(at + abi.MICRO_FLAGS, true);
  return {
    at,
    handler: view.getUint16(at + abi.MICRO_HANDLER, true),
    length: view.getUint8(at + abi.MICRO_LENGTH),
    kind: view.getUint8(at + abi.MICRO_KIND),
    reg: view.getUint16(at + abi.MICRO_REG, true),
    rm: view.getUint16(at + abi.MICRO_RM, true),
    base: view.getUint16(at + abi.MICRO_BASE, true),
    index: view.getUint16(at + abi.MICRO_INDEX, true),
    scale: view.getUint8(at + abi.MICRO_SCALE),
    segment: view.getUint8(at + abi.MICRO_SEGMENT),
    flags,
    size: flags & abi.FLAG_SIZE,
    disp: view.getInt32(at + abi.MICRO_DISP, true),
    end: view.getUint16(at + abi.MICRO_END, true),
    opcode: view.getUint16(at + abi.MICRO_OPCODE, true),
    imm: view.getInt32(at + abi.MICRO_IMM, true),
    immHigh: view.getInt32(at + abi.MICRO_IMM + 4, true),
  };
}

/** @param at - address of the header */
export function readBlock(view: DataView, at: number): Block {
  const mode = view.getUint32(at + abi.BLOCK_MODE, true);
  const count = view.getUint16(at + abi.BLOCK_COUNT, true);
  const ops: MicroOp[] = [];
  for (let i = 0; i < count; i++) {
    ops.push(readOp(view, at + abi.BLOCK_HEADER + i * abi.MICRO_BYTES));
  }
  return {
    at,
    gpa: view.getUint32(at + abi.BLOCK_GPA, true),
    mode,
    isValid: mode >= abi.BLOCK_VALID,
    length: view.getUint16(at + abi.BLOCK_LENGTH, true),
    next: view.getUint32(at + abi.BLOCK_NEXT, true),
    ops,
  };
}
