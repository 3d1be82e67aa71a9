/**
 * What the instruction families emit with: registers in locals, memory through the TLB, ways out of the region.
 *
 * Values on the stack are i64, zero-extended from the operand's size.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import { Code, type Label } from "./code.js";
import { Flags } from "./flags.js";
import type { MicroOp } from "./micro-op.js";
import { L, type Size } from "./locals.js";
import { CALL } from "./module.js";
import { StaticPages } from "./static-pages.js";
import { M, W } from "./wasm.js";
import { Stack } from "./x87-stack.js";

/** Where the record keeps the registers that a region reads and writes, found while it is emitted. */
export class RegisterUse {
  readonly read = new Set<number>();
  readonly written = new Set<number>();
  /** x87 instructions are among its own. */
  x87 = false;
}

export interface Surroundings {
  readonly tlbRead: number;
  readonly tlbWrite: number;
  readonly is64: boolean;
  /** XMM registers are available. */
  readonly hasSse: boolean;
}

const PAGE_MASK = -0x1000;
/** Entries of the TLB, 16 bytes each, as a mask of byte offsets. */
const TLB_MASK = op.TLB_OFFSET_MASK;

function nothing(): void {}

export class Emitter {
  readonly code = new Code();
  readonly flags = new Flags(this.code);
  readonly stack = new Stack(this.code);
  readonly around: Surroundings;
  /** Registers used so far. */
  readonly used = new RegisterUse();
  /** Registers that the whole region uses: what is stored and loaded around calls. */
  readonly #all: RegisterUse;
  readonly #pages = new StaticPages();
  /** Set by the region's function. */
  exitLabel!: Label;
  /** Offset in the page of the present block. */
  blockOffset = 0;
  /** Instructions of the present block before the present one. */
  position = 0;

  constructor(around: Surroundings, all: RegisterUse) {
    this.around = around;
    this.#all = all;
  }

  /** Pushes a register. @param offset - in the vCPU record; odd: AH .. BH */
  readRegister(offset: number, size: Size): void {
    const { code } = this;
    if (offset === abi.VCPU_ZERO) {
      code.i64(0);
      return;
    }
    const number = offset >> 3;
    this.used.read.add(number);
    code.get(L.gpr + number);
    if (size === 4) code.op(W.i32WrapI64, W.i64ExtendI32U);
    else if (size === 2) code.i64(0xffff).op(W.i64And);
    else if (size === 1) {
      if (offset & 1) code.i64(8).op(W.i64ShrU);
      code.i64(0xff).op(W.i64And);
    }
  }

  /** Pops a zero-extended value into a register, with the rules of partial writes. */
  writeRegister(offset: number, size: Size): void {
    const { code } = this;
    const number = offset >> 3;
    const local = L.gpr + number;
    this.used.written.add(number);
    if (size < 4) {
      this.used.read.add(number);
      const shift = offset & 1 ? 8 : 0;
      const mask = size === 2 ? 0xffff : 0xff << shift;
      if (shift !== 0) code.i64(shift).op(W.i64Shl);
      code
        .get(local)
        .i64(-1 - mask)
        .op(W.i64And, W.i64Or);
    }
    code.set(local);
  }

  /** Pushes the immediate in an operand size. */
  immediate({ imm, immHigh }: MicroOp, size: Size): void {
    if (size === 8) this.code.i64Halves(imm, immHigh);
    else if (size === 4) this.code.i64(imm >>> 0);
    else this.code.i64(size === 2 ? imm & 0xffff : imm & 0xff);
  }

  /** Pushes the linear address of the memory operand. */
  effectiveAddress(micro: MicroOp): void {
    const { code } = this;
    this.offset(micro);
    if (micro.kind === op.ADDRESS_BASE) {
      const base = abi.VCPU_SEGMENT + micro.segment * abi.SEGMENT_BYTES + abi.SEGMENT_BASE;
      code.get(L.cpu).memory(M.i64Load, base).op(W.i64Add);
    }
  }

  /** Pushes base + index * scale + displacement, wrapped to 32 bits where the address size is that. */
  offset(micro: MicroOp): void {
    const { code } = this;
    let { disp } = micro;
    let terms = 0;
    if (micro.base === abi.VCPU_RIP) {
      code.get(L.page);
      disp += this.blockOffset;
      terms = 1;
    } else if (micro.base !== abi.VCPU_ZERO) {
      this.readRegister(micro.base, 8);
      terms = 1;
    }
    if (micro.index !== abi.VCPU_ZERO) {
      this.readRegister(micro.index, 8);
      if (micro.scale !== 0) code.i64(micro.scale).op(W.i64Shl);
      if (terms++ > 0) code.op(W.i64Add);
    }
    if (disp !== 0 || terms === 0) {
      code.i64(disp);
      if (terms > 0) code.op(W.i64Add);
    }
    if (micro.kind === op.ADDRESS_32) code.op(W.i32WrapI64, W.i64ExtendI32U);
  }

  /** Pops a linear address; leaves the host address of a read in `address`, or the region. */
  toReadable(size: number): void {
    this.#translate(size, this.around.tlbRead, CALL.read);
  }

  /** As `toReadable`, for a write or for a read and a write. */
  toWritable(size: number): void {
    this.#translate(size, this.around.tlbWrite, CALL.write);
  }

  #translate(size: number, tlb: number, slow: number): void {
    this.#lookUp(size, tlb, nothing, () => this.#ask(size, slow));
  }

  /** Has the core find `gva`, which the TLB does not have. */
  #ask(size: number, slow: number): void {
    const { code } = this;
    code.get(L.cpu).get(L.gva).i32(size);
    if (slow === CALL.read) this.pushLeft();
    code.call(slow).tee(L.address).op(W.i32Eqz);
    this.bailIf();
  }

  /** Pops a linear address into `gva`. What the TLB has, `found` takes up with its host address in `address`. */
  #lookUp(size: number, tlb: number, found: () => void, missed: () => void): void {
    const { code } = this;
    code.tee(L.gva).i64(8).op(W.i64ShrU, W.i32WrapI64);
    code.get(L.salt).op(W.i32Xor).i32(TLB_MASK).op(W.i32And).tee(L.address);
    code.memory(M.i64Load, tlb);
    code.get(L.gva);
    if (size > 1) code.i64(size - 1).op(W.i64Add);
    code.i64(PAGE_MASK).op(W.i64And).get(L.tag).op(W.i64Or, W.i64Eq);
    code.if();
    code.get(L.address).memory(M.i32Load, tlb + 8);
    code.get(L.gva).op(W.i32WrapI64, W.i32Add).set(L.address);
    found();
    code.else();
    missed();
    code.end();
  }

  /**
   * Finds the memory operand. Where it is known, its host address is in `address` and `found` follows; else its linear
   * address is in `gva` and `missed` follows.
   */
  #find(
    micro: MicroOp,
    size: number,
    isWrite: boolean,
    found: () => void,
    missed: () => void,
  ): void {
    const { code, around } = this;
    const tlb = isWrite ? around.tlbWrite : around.tlbRead;
    const place = this.#pages.placeOf(micro, this.blockOffset, size, isWrite);
    if (place === undefined) {
      this.effectiveAddress(micro);
      this.#lookUp(size, tlb, found, missed);
      return;
    }
    const { local, offset } = place;
    const foundPage = () => {
      code.get(L.address).i32(offset).op(W.i32Sub).set(local);
      found();
    };
    code.get(local);
    code.if();
    code.get(local).i32(offset).op(W.i32Add).set(L.address);
    found();
    code.else();
    this.effectiveAddress(micro);
    this.#lookUp(size, tlb, foundPage, missed);
    code.end();
  }

  /** Stores `value`, a local that the address does not use, as the memory operand. */
  storeOperand(micro: MicroOp, size: Size, value: number): void {
    const { code } = this;
    this.#find(
      micro,
      size,
      true,
      () => this.storeAddress(size, value),
      () => {
        code.get(L.cpu).get(L.gva).i32(size).get(value);
        this.pushLeft();
        code.call(CALL.store);
        this.judge(micro);
      },
    );
  }

  /** Pushes how many instructions may retire, the present one among them. */
  pushLeft(): void {
    this.code.get(L.left).i32(this.position).op(W.i32Sub);
  }

  /** Pops what the core made of the present instruction (REGION_*): leaves the region before it, behind it, or goes on. */
  judge(micro: MicroOp): void {
    const { code } = this;
    code.tee(L.i);
    code.if();
    code.get(L.i).i32(op.REGION_REFUSED).op(W.i32Eq);
    this.bailIf();
    this.leave(this.blockOffset + micro.end, this.position + 1);
    code.end();
  }

  /** Leaves the host address of the memory operand in `address`, to be read; or the region. */
  readable(micro: MicroOp, size: number): void {
    this.#find(micro, size, false, nothing, () => this.#ask(size, CALL.read));
  }

  /** As `readable`, for a write or for a read and a write. */
  writable(micro: MicroOp, size: number): void {
    this.#find(micro, size, true, nothing, () => this.#ask(size, CALL.write));
  }

  /** Pushes what is at `address` plus `offset`. */
  loadAddress(size: Size, offset = 0): void {
    const load = { 1: M.i64Load8U, 2: M.i64Load16U, 4: M.i64Load32U, 8: M.i64Load } as const;
    this.code.get(L.address).memory(load[size], offset);
  }

  /** Stores `value` (a local) at `address` plus `offset`. */
  storeAddress(size: Size, value: number, offset = 0): void {
    const store = { 1: M.i64Store8, 2: M.i64Store16, 4: M.i64Store32, 8: M.i64Store } as const;
    this.code.get(L.address).get(value).memory(store[size], offset);
  }

  /** Pushes the memory operand. */
  loadOperand(micro: MicroOp, size: Size): void {
    this.readable(micro, size);
    this.loadAddress(size);
  }

  /** Pushes the r/m operand. */
  readRm(micro: MicroOp, size: Size): void {
    if (micro.kind === op.ADDRESS_NONE) this.readRegister(micro.rm, size);
    else this.loadOperand(micro, size);
  }

  /** Leaves the region before the present instruction: the interpreter does it. Ends the code of this path. */
  bail(): void {
    this.leave(this.instructionOffset, this.position);
  }

  /** Pops a condition, and leaves the region before the present instruction where it holds. */
  bailIf(): void {
    this.code.if();
    this.bail();
    this.code.end();
  }

  /** Offset in the page of the present instruction; set with `position`. */
  instructionOffset = 0;

  /** Leaves the region. @param offset - of RIP in the page; @param retired - instructions of the present block */
  leave(offset: number, retired: number): void {
    const { code } = this;
    this.retire(retired);
    code.i32(offset).set(L.exit).br(this.exitLabel);
  }

  /** Takes instructions of the present block off what is left. */
  retire(count: number): void {
    if (count > 0) this.code.get(L.left).i32(count).op(W.i32Sub).set(L.left);
  }

  /** Instructions of the region that are executed in the core. */
  callsToCore = 0;

  /** Executes the present instruction in the core, with the record exact; the region may end there. */
  outOfLine(micro: MicroOp): void {
    const { code } = this;
    this.callsToCore++;
    this.storeRegisters();
    this.flags.store();
    code.get(L.cpu).get(L.page).i64(this.blockOffset).op(W.i64Add).memory(M.i64Store, abi.VCPU_RIP);
    code.get(L.cpu).i32(micro.at);
    this.pushLeft();
    code.call(CALL.execute);
    code.tee(L.i).i32(0).op(W.i32GeS);
    code.if();
    code.get(L.i).return();
    code.end();
    this.#pages.forget(code);
    this.loadRecord();
    this.flags.state = "record";
    this.stack.forget();
  }

  /** CF = OF = `i` (0 or 1); the other flags stay. Carry out of the top bit, none into it, or neither. */
  storeCarryOverflow(): void {
    const { code } = this;
    this.flags.store();
    code.get(L.cpu);
    code.get(L.cpu).memory(M.i32Load, abi.VCPU_FLAG_AUX).i32(0x3fffffff).op(W.i32And);
    code.get(L.i).i32(31).op(W.i32Shl, W.i32Or).memory(M.i32Store, abi.VCPU_FLAG_AUX);
  }

  /** To be called before segment registers change: x87 pointers have selectors of their own. */
  beforeSegments(): void {
    if (this.#all.x87) this.stack.storePointers();
  }

  /** Stores the registers that the region changes. */
  storeRegisters(): void {
    if (this.#all.x87) this.stack.store();
    for (const number of this.#all.written) {
      this.code
        .get(L.cpu)
        .get(L.gpr + number)
        .memory(M.i64Store, abi.VCPU_GPR + number * 8);
    }
  }

  /** Loads what the region holds in locals. */
  loadRecord(): void {
    const { code } = this;
    for (const number of new Set([...this.#all.read, ...this.#all.written])) {
      code
        .get(L.cpu)
        .memory(M.i64Load, abi.VCPU_GPR + number * 8)
        .set(L.gpr + number);
    }
    if (this.#all.x87) this.stack.load();
    code.get(L.cpu).memory(M.i64Load32U, abi.VCPU_TLB_TAG).set(L.tag);
    code.get(L.cpu).memory(M.i32Load, abi.VCPU_TLB_SALT).i32(4).op(W.i32Shl).set(L.salt);
  }
}
