/**
 * Arithmetic flags in translated code: kept as the operands and the result of the last operation that set them, in
 * locals, until somebody asks. What nobody asks for, the engine's compiler drops.
 *
 * Inside a block it is known which operation that was; at its start only the local `pending` says so.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Code } from "./code.js";
import { L, type Size } from "./locals.js";
import { CALL } from "./module.js";
import { M, W } from "./wasm.js";

/** The operation whose flags are pending; "unknown": the locals say; "record": none, the record has the flags. */
export type FlagState = { readonly operation: number; readonly size: Size } | "unknown" | "record";

const SIZE_CODE = { 1: 0, 2: 1, 4: 2, 8: 3 } as const;
const EXTEND = { 1: W.i64Extend8S, 2: W.i64Extend16S, 4: W.i64Extend32S } as const;
/** Operations whose flags the core stores. */
const CALLED = new Set([op.PENDING_SHL, op.PENDING_SHR, op.PENDING_SAR]);
const AUX_CARRY = 0x80000000;
const AUX_CARRY_SHIFT = 31;
const AUX_HALF = 8;
/** CF = 1 with OF = 0; a parity that is not that of the result. */
const AUX_LESS = 0xc0000000;
const AUX_PARITY = 0x100;

// Conditions as the opcodes number them, without the lowest bit, which negates.
const OVERFLOW = 0;
const CARRY = 1;
const ZERO = 2;
const CARRY_OR_ZERO = 3;
const SIGN = 4;
const PARITY = 5;
const LESS = 6;

export class Flags {
  state: FlagState = "unknown";
  readonly #code: Code;

  constructor(code: Code) {
    this.#code = code;
  }

  /** The locals `a`, `b` and `result`, as far as the operation needs them, hold new flags. @param operation - PENDING_* */
  setPending(operation: number, size: Size): void {
    this.state = { operation, size };
    this.#code.i32(operation | SIZE_CODE[size]).set(L.pending);
  }

  /** Has the core store what the locals say is pending. */
  #callStore(): void {
    this.#code.get(L.cpu).get(L.pending).get(L.a).get(L.b).get(L.result).call(CALL.flags);
  }

  /** Stores pending flags into the record. */
  store(): void {
    if (this.state === "record") return;
    this.put();
    this.#code.i32(op.PENDING_NONE).set(L.pending);
    this.state = "record";
  }

  /** The same on a way out: what is pending remains so for the code that follows. */
  put(): void {
    const { state } = this;
    const code = this.#code;
    if (state === "record") return;
    if (state === "unknown") {
      code.get(L.pending).if();
      this.#callStore();
      code.end();
    } else this.#putPending(state.operation, state.size);
  }

  /** The same in little code. */
  putByCall(): void {
    if (typeof this.state === "string") this.put();
    else this.#callStore();
  }

  #putPending(operation: number, size: Size): void {
    const code = this.#code;
    if (CALLED.has(operation)) return this.#callStore();
    code.get(L.cpu).get(L.result);
    if (size !== 8) code.op(EXTEND[size]);
    code.memory(M.i64Store, abi.VCPU_FLAG_RESULT);
    code.get(L.cpu);
    if (operation === op.PENDING_LOGIC) code.i32(0);
    else if (isIncrement(operation)) this.#placeStep(operation, size);
    else {
      this.#carries(operation);
      this.#placeCarries(size);
    }
    code.memory(M.i32Store, abi.VCPU_FLAG_AUX);
  }

  /** Pops a carry vector, pushes it as the record has it. */
  #placeCarries(size: Size): void {
    const code = this.#code;
    code
      .tee(L.gva)
      .i64(size * 8 - 2)
      .op(W.i64ShrU, W.i32WrapI64);
    code.i32(30).op(W.i32Shl);
    code.get(L.gva).op(W.i32WrapI64).i32(AUX_HALF).op(W.i32And, W.i32Or);
  }

  /** Pushes the same of INC or DEC: the carry is the one before, and the overflow stays. */
  #placeStep(operation: number, size: Size): void {
    const code = this.#code;
    const isInc = operation === op.PENDING_INC;
    const one = () => code.i64(1);
    code.get(L.result);
    one()
      .op(isInc ? W.i64Sub : W.i64Add)
      .set(L.a);
    this.#carries(isInc ? op.PENDING_ADD : op.PENDING_SUB, one);
    this.#placeCarries(size);
    code.op(W.i64ExtendI32U).tee(L.gva);
    code.get(L.b).i64(AUX_CARRY_SHIFT).op(W.i64Shl, W.i64Xor).i64(AUX_CARRY).op(W.i64And);
    code.tee(L.a).get(L.a).i64(1).op(W.i64ShrU, W.i64Xor).get(L.gva).op(W.i64Xor, W.i32WrapI64);
  }

  /**
   * Stores the order of two numbers: CF = below, ZF = equal, all others clear.
   *
   * @param equal - pushes whether they are equal; @param below - whether the first is below
   */
  storeOrder(equal: () => Code, below: () => Code): void {
    const code = this.#code;
    // Results 0 and 1: even parity, which ZF comes with but PF must not, and odd (assembly/cpu/flags.ts).
    code.get(L.cpu);
    equal().op(W.i32Eqz, W.i64ExtendI32U).memory(M.i64Store, abi.VCPU_FLAG_RESULT);
    code.get(L.cpu);
    below().i32(AUX_LESS).op(W.i32Mul);
    equal().i32(AUX_PARITY).op(W.i32Mul, W.i32Or);
    code.memory(M.i32Store, abi.VCPU_FLAG_AUX).i32(op.PENDING_NONE).set(L.pending);
    this.state = "record";
  }

  /** Moves the carry flag into `b`: what INC and DEC keep. */
  keepCarry(): void {
    const code = this.#code;
    if (this.state === "unknown") {
      // After INC or DEC it is there already.
      code
        .get(L.pending)
        .i32(3)
        .op(W.i32ShrU)
        .i32(op.PENDING_INC >> 3)
        .op(W.i32Ne);
      code.if();
      this.#callStore();
      this.#recordedCarry();
      code.op(W.i64ExtendI32U).set(L.b);
      code.end();
      return;
    }
    if (this.state !== "record" && isIncrement(this.state.operation)) return;
    this.condition(CARRY << 1);
    code.op(W.i64ExtendI32U).set(L.b);
  }

  /** Pushes a condition as 0 or 1 (i32). @param code - low four bits of the opcode */
  condition(code: number): void {
    const number = (code >> 1) & 7;
    if (this.state === "unknown") this.store();
    const state = this.state as Exclude<FlagState, "unknown">;
    if (state === "record") this.#recorded(number);
    else this.#pending(number, state.operation, state.size);
    if (code & 1) this.#code.op(W.i32Eqz);
  }

  #recordedCarry(): void {
    const code = this.#code;
    code.get(L.cpu).memory(M.i32Load, abi.VCPU_FLAG_AUX).i32(AUX_CARRY_SHIFT).op(W.i32ShrU);
  }

  /** From the record: assembly/cpu/flags.ts describes its form. */
  #recorded(number: number): void {
    const code = this.#code;
    const result = () => code.get(L.cpu).memory(M.i64Load, abi.VCPU_FLAG_RESULT);
    const aux = () => code.get(L.cpu).memory(M.i32Load, abi.VCPU_FLAG_AUX);
    const zero = () => result().op(W.i64Eqz);
    const sign = () => {
      result().i64(63).op(W.i64ShrU, W.i32WrapI64);
      aux().op(W.i32Xor).i32(1).op(W.i32And);
    };
    const overflow = () => {
      aux();
      aux().i32(1).op(W.i32Shl, W.i32Xor).i32(AUX_CARRY_SHIFT).op(W.i32ShrU);
    };
    switch (number) {
      case OVERFLOW:
        overflow();
        break;
      case CARRY:
        this.#recordedCarry();
        break;
      case ZERO:
        zero();
        break;
      case CARRY_OR_ZERO:
        this.#recordedCarry();
        zero().op(W.i32Or);
        break;
      case SIGN:
        sign();
        break;
      case PARITY:
        result().op(W.i32WrapI64);
        aux().i32(8).op(W.i32ShrU, W.i32Xor).i32(0xff).op(W.i32And, W.i32Popcnt);
        code.i32(1).op(W.i32And, W.i32Eqz);
        break;
      default:
        sign();
        overflow();
        code.op(W.i32Xor);
        if (number !== LESS) zero().op(W.i32Or);
        break;
    }
  }

  #pending(number: number, operation: number, size: Size): void {
    const code = this.#code;
    if (number === PARITY) {
      code.get(L.result).op(W.i32WrapI64).i32(0xff).op(W.i32And, W.i32Popcnt);
      code.i32(1).op(W.i32And, W.i32Eqz);
      return;
    }
    if (operation === op.PENDING_SUB && this.#compare(number, size)) return;
    switch (number) {
      case OVERFLOW:
        this.#overflow(operation, size);
        break;
      case CARRY:
        this.#carry(operation, size);
        break;
      case ZERO:
        this.#zero(size);
        break;
      case CARRY_OR_ZERO:
        this.#carry(operation, size);
        this.#zero(size);
        code.op(W.i32Or);
        break;
      case SIGN:
        this.#sign(size);
        break;
      default:
        this.#sign(size);
        if (operation !== op.PENDING_LOGIC) {
          this.#overflow(operation, size);
          code.op(W.i32Xor);
        }
        if (number !== LESS) {
          this.#zero(size);
          code.op(W.i32Or);
        }
        break;
    }
  }

  /** Conditions after SUB and CMP are comparisons. @returns false for those that are not */
  #compare(number: number, size: Size): boolean {
    const code = this.#code;
    const narrow = size === 4;
    const operands = (signed: boolean) => {
      for (const local of [L.a, L.b]) {
        code.get(local);
        if (narrow) code.op(W.i32WrapI64);
        else if (signed && size === 1) code.op(W.i64Extend8S);
        else if (signed && size === 2) code.op(W.i64Extend16S);
      }
    };
    switch (number) {
      case CARRY:
        operands(false);
        code.op(narrow ? W.i32LtU : W.i64LtU);
        return true;
      case ZERO:
        operands(false);
        code.op(narrow ? W.i32Eq : W.i64Eq);
        return true;
      case CARRY_OR_ZERO:
        operands(false);
        code.op(narrow ? W.i32LeU : W.i64LeU);
        return true;
      case LESS:
        operands(true);
        code.op(narrow ? W.i32LtS : W.i64LtS);
        return true;
      case LESS + 1:
        operands(true);
        code.op(narrow ? W.i32LeS : W.i64LeS);
        return true;
      default:
        return false;
    }
  }

  #zero(size: Size): void {
    const code = this.#code;
    if (size === 4) code.get(L.result).op(W.i32WrapI64, W.i32Eqz);
    else code.get(L.result).op(W.i64Eqz);
  }

  #sign(size: Size): void {
    const code = this.#code;
    code.get(L.result);
    this.#top(size);
  }

  /** Pops a value, pushes the top bit of its size. */
  #top(size: Size): void {
    const code = this.#code;
    code.i64(size * 8 - 1).op(W.i64ShrU, W.i32WrapI64);
    if (size !== 8) code.i32(1).op(W.i32And);
  }

  #carry(operation: number, size: Size): void {
    const code = this.#code;
    switch (operation) {
      case op.PENDING_ADD:
        code.get(L.result).get(L.a).op(W.i64LtU);
        break;
      case op.PENDING_SUB:
        code.get(L.a).get(L.b).op(W.i64LtU);
        break;
      case op.PENDING_ADC:
      case op.PENDING_SBB:
        this.#carries(operation);
        this.#top(size);
        break;
      case op.PENDING_INC:
      case op.PENDING_DEC:
        code.get(L.b).op(W.i32WrapI64);
        break;
      case op.PENDING_SHL:
        code.get(L.a);
        this.#top(size);
        break;
      case op.PENDING_SHR:
      case op.PENDING_SAR:
        code.get(L.a).op(W.i32WrapI64).i32(1).op(W.i32And);
        break;
      default:
        code.i32(0);
        break;
    }
  }

  /** Pushes the carries or borrows out of all bits. @param second - pushes the second operand */
  #carries(operation: number, second = () => this.#code.get(L.b)): void {
    const code = this.#code;
    const isSum = operation === op.PENDING_ADD || operation === op.PENDING_ADC;
    const first = () => {
      code.get(L.a);
      if (!isSum) code.i64(-1).op(W.i64Xor);
    };
    first();
    second().op(W.i64And);
    first();
    second().op(W.i64Or).get(L.result);
    if (isSum) code.i64(-1).op(W.i64Xor);
    code.op(W.i64And, W.i64Or);
  }

  #overflow(operation: number, size: Size): void {
    const code = this.#code;
    switch (operation) {
      case op.PENDING_ADD:
      case op.PENDING_ADC:
        code.get(L.a).get(L.result).op(W.i64Xor).get(L.b).get(L.result).op(W.i64Xor, W.i64And);
        this.#top(size);
        break;
      case op.PENDING_SUB:
      case op.PENDING_SBB:
        code.get(L.a).get(L.b).op(W.i64Xor).get(L.a).get(L.result).op(W.i64Xor, W.i64And);
        this.#top(size);
        break;
      case op.PENDING_INC:
        // Only the least number comes from the greatest.
        code
          .get(L.result)
          .i64Halves(...leastOf(size))
          .op(W.i64Eq);
        break;
      case op.PENDING_DEC:
        code
          .get(L.result)
          .i64Halves(...leastOf(size))
          .i64(1)
          .op(W.i64Sub, W.i64Eq);
        break;
      case op.PENDING_SHL:
        code.get(L.a).get(L.result).op(W.i64Xor);
        this.#top(size);
        break;
      case op.PENDING_SHR:
        code.get(L.a);
        this.#top(size);
        break;
      default:
        code.i32(0);
        break;
    }
  }
}

function isIncrement(operation: number): boolean {
  return operation === op.PENDING_INC || operation === op.PENDING_DEC;
}

/** The number with only the sign bit set: low and high half, zero-extended. */
function leastOf(size: Size): [low: number, high: number] {
  return size === 8 ? [0, -0x80000000] : [1 << (size * 8 - 1), 0];
}
