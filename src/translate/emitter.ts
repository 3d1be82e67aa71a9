/**
 * What the instruction families emit with: registers in locals, memory through the TLB, ways out of the region.
 *
 * Values on the stack are i64, zero-extended from the operand's size.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import { Code } from "./code.js";
import { Exits } from "./exits.js";
import { Flags } from "./flags.js";
import type { MicroOp } from "./micro-op.js";
import { L, type Size } from "./locals.js";
import { CALL } from "./module.js";
import { Registers, TLB, type Uses } from "./registers.js";
import { StaticPages, type Page } from "./static-pages.js";
import { M, W } from "./wasm.js";
import { Stack } from "./x87-stack.js";

/** What a region is found to use while its draft is emitted. */
export class Findings {
  /** Of registers, by instruction. */
  readonly uses: Uses = new Map();
  readonly pages = new StaticPages();
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
  readonly found: Findings;
  readonly registers: Registers;
  readonly exits: Exits;
  /** Offset in the page of the present block. */
  blockOffset = 0;
  /** Offset in the page of the present instruction. */
  instructionOffset = 0;
  /** Instructions before the present one that `left` still counts. */
  position = 0;

  /** @param isDraft - `found` is to be filled; else it is used */
  constructor(around: Surroundings, found: Findings, isDraft: boolean) {
    this.around = around;
    this.found = found;
    this.registers = new Registers(this.code, found.uses, isDraft, (mask) => {
      for (const page of found.pages.among(mask)) this.#lookUpPage(page, nothing);
    });
    this.exits = new Exits(this);
  }

  /** Pushes a register. @param offset - in the vCPU record; odd: AH .. BH */
  readRegister(offset: number, size: Size): void {
    const { code } = this;
    if (offset === abi.VCPU_ZERO) {
      code.i64(0);
      return;
    }
    const number = offset >> 3;
    this.registers.read(number);
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
    if (size < 4) {
      this.registers.read(number);
      const shift = offset & 1 ? 8 : 0;
      const mask = size === 2 ? 0xffff : 0xff << shift;
      if (shift !== 0) code.i64(shift).op(W.i64Shl);
      code
        .get(local)
        .i64(-1 - mask)
        .op(W.i64And, W.i64Or);
    }
    code.set(local);
    this.registers.wrote(number);
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
  offset(micro: MicroOp, blockOffset = this.blockOffset): void {
    const { code } = this;
    let { disp } = micro;
    let terms = 0;
    if (micro.base === abi.VCPU_RIP) {
      code.get(L.page);
      disp += blockOffset;
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
    this.#lookUp(size, false, nothing, () => this.#ask(size, false));
  }

  /** As `toReadable`, for a write or for a read and a write. */
  toWritable(size: number): void {
    this.#lookUp(size, true, nothing, () => this.#ask(size, true));
  }

  /** Has the core find `gva`, which the TLB does not have. */
  #ask(size: number, isWrite: boolean): void {
    const { code } = this;
    code.get(L.cpu).get(L.gva).i32(size);
    if (!isWrite) this.pushLeft();
    code
      .call(isWrite ? CALL.write : CALL.read)
      .tee(L.address)
      .op(W.i32Eqz);
    this.bailIf();
  }

  /** Pops a linear address into `gva`. What the TLB has, `found` takes up with its host address in `address`. */
  #lookUp(size: number, isWrite: boolean, found: () => void, missed: () => void): void {
    const { code } = this;
    this.#displacement = 0;
    this.#pushTag(isWrite);
    code.get(L.gva);
    if (size > 1) code.i64(size - 1).op(W.i64Add);
    code.i64(PAGE_MASK).op(W.i64And).get(L.tag).op(W.i64Or, W.i64Eq);
    code.if();
    this.#pushHost(isWrite);
    code.set(L.address);
    found();
    code.else();
    missed();
    code.end();
  }

  /** Pops a linear address into `gva`, leaves the place of its entry in `address`; pushes the entry's tag. */
  #pushTag(isWrite: boolean): void {
    const { code } = this;
    this.registers.read(TLB);
    code.tee(L.gva).i64(8).op(W.i64ShrU, W.i32WrapI64);
    code.get(L.salt).op(W.i32Xor).i32(TLB_MASK).op(W.i32And).tee(L.address);
    code.memory(M.i64Load, this.#tlb(isWrite));
  }

  /** Pushes the host address of `gva` by the entry at `address`. */
  #pushHost(isWrite: boolean): void {
    const { code } = this;
    code.get(L.address).memory(M.i32Load, this.#tlb(isWrite) + 8);
    code.get(L.gva).op(W.i32WrapI64, W.i32Add);
  }

  #tlb(isWrite: boolean): number {
    return isWrite ? this.around.tlbWrite : this.around.tlbRead;
  }

  /** What is to be added to `address`. */
  #displacement = 0;

  /** Finds the memory operand. Where it is known `found` follows; else its linear address is in `gva` and `missed` follows. */
  #find(
    micro: MicroOp,
    size: number,
    isWrite: boolean,
    found: () => void,
    missed: () => void,
  ): void {
    const place = this.found.pages.placeOf(micro, this.blockOffset, size, isWrite);
    const isLoaded = place && this.registers.page(place.page.number);
    if (isLoaded === undefined) {
      this.effectiveAddress(micro);
      this.#lookUp(size, isWrite, found, missed);
      return;
    }
    const { code } = this;
    const { page, offset } = place!;
    const toPage = () => code.get(L.address).i32(offset).op(W.i32Sub).set(L.address);
    const done = code.block();
    const known = code.block();
    if (isLoaded) {
      code.get(page.local).tee(L.address).brIf(known);
      this.effectiveAddress(micro);
      this.#lookUp(size, isWrite, () => toPage().br(known), missed);
    } else {
      this.#lookUpPage(page, () => code.get(page.local).set(L.address).br(known));
      code.get(L.gva).i64(offset).op(W.i64Add).set(L.gva);
      missed();
    }
    toPage().br(done);
    code.end();
    this.#displacement = offset;
    found();
    code.end();
  }

  /** Gives the local of a page what the TLB has of it; where that is something, `found` follows. */
  #lookUpPage({ local, start, isWrite }: Page, found: () => void): void {
    const { code } = this;
    code.i32(0).set(local);
    this.offset(start, 0);
    this.#pushTag(isWrite);
    code.get(L.gva).get(L.tag).op(W.i64Or, W.i64Eq);
    code.if();
    this.#pushHost(isWrite);
    code.set(local);
    found();
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
    this.exits.leave(this.blockOffset + micro.end, this.position + 1);
    code.end();
  }

  /** Finds the memory operand for the functions below, to be read; or leaves the region. */
  readable(micro: MicroOp, size: number): void {
    this.#find(micro, size, false, nothing, () => this.#ask(size, false));
  }

  /** As `readable`, for a write or for a read and a write. */
  writable(micro: MicroOp, size: number): void {
    this.#find(micro, size, true, nothing, () => this.#ask(size, true));
  }

  /** Pushes the host address of what was found. */
  pushAddress(): Code {
    const { code } = this;
    code.get(L.address);
    if (this.#displacement !== 0) code.i32(this.#displacement).op(W.i32Add);
    return code;
  }

  /** Pushes what was found, or what lies `offset` behind its start. */
  loadAddress(size: Size, offset = 0): void {
    const load = { 1: M.i64Load8U, 2: M.i64Load16U, 4: M.i64Load32U, 8: M.i64Load } as const;
    this.code.get(L.address).memory(load[size], this.#displacement + offset);
  }

  /** Stores `value` (a local) there. */
  storeAddress(size: Size, value: number, offset = 0): void {
    const store = { 1: M.i64Store8, 2: M.i64Store16, 4: M.i64Store32, 8: M.i64Store } as const;
    this.code
      .get(L.address)
      .get(value)
      .memory(store[size], this.#displacement + offset);
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
    this.exits.bail(this.instructionOffset, this.position);
  }

  /** Pops a condition, and leaves the region before the present instruction where it holds. */
  bailIf(): void {
    this.code.if();
    this.bail();
    this.code.end();
  }

  /** Takes instructions off what is left. */
  retire(count: number): void {
    if (count > 0) this.code.get(L.left).i32(count).op(W.i32Sub).set(L.left);
  }

  /** Instructions of the region that are executed in the core. */
  callsToCore = 0;

  /** Executes the present instruction in the core, with the record exact; the region may end there. */
  outOfLine(micro: MicroOp): void {
    const { code, found, flags, registers, stack } = this;
    this.callsToCore++;
    registers.store();
    if (found.x87) stack.store();
    flags.store();
    code.get(L.cpu).get(L.page).i64(this.blockOffset).op(W.i64Add).memory(M.i64Store, abi.VCPU_RIP);
    code.get(L.cpu).i32(micro.at);
    this.pushLeft();
    code.call(CALL.execute);
    code.tee(L.i).i32(0).op(W.i32GeS);
    code.if();
    code.get(L.i).return();
    code.end();
    registers.forget();
    if (found.x87) stack.load();
    flags.state = "record";
    stack.forget();
  }

  /** CF = OF = `i` (0 or 1); the other flags stay. Carry out of the top bit, none into it, or neither. */
  storeCarryOverflow(): void {
    const { code } = this;
    this.flags.store();
    code.get(L.cpu);
    code.get(L.cpu).memory(M.i32Load, abi.VCPU_FLAG_AUX).i32(0x3fffffff).op(W.i32And);
    code.get(L.i).i32(31).op(W.i32Shl, W.i32Or).memory(M.i32Store, abi.VCPU_FLAG_AUX);
  }

  /** To be called before segment registers or `page` change: x87 pointers are of what these are now. */
  settlePointers(): void {
    if (this.found.x87) this.stack.storePointers();
  }
}
