/**
 * A region as a function: its blocks nested by dominance (Ramsey, "Beyond Relooper"), so that the guest's loops become
 * WebAssembly's, and the ways out gathered in one place behind them.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Code, Label } from "./code.js";
import { Emitter, RegisterUse, type Surroundings } from "./emitter.js";
import type { FlagState } from "./flags.js";
import { translateOp } from "./instruction.js";
import { L } from "./locals.js";
import type { MicroOp } from "./micro-op.js";
import { moveStack, peekValue, popAll, pushAll, pushValue, stackRun } from "./move.js";
import {
  isCall,
  isConditionalJump,
  isIndirect,
  isJump,
  isReturn,
  targetOf,
  type Node,
  type Region,
} from "./region.js";
import { M, W } from "./wasm.js";

/** Of a region without a loop. */
const LEAST_OPS = 8;

/** @returns the function's body without its last `end`, or undefined where interpreting is faster */
export function emitRegion(region: Region, around: Surroundings): Code | undefined {
  // Once to learn which registers it uses, once in earnest.
  const draft = new RegionFunction(around, new RegisterUse());
  draft.emit(region.first);
  if (!pays(region, draft.emitter.callsToCore)) return undefined;
  const final = new RegionFunction(around, draft.emitter.used);
  final.emit(region.first);
  return final.emitter.code;
}

/** Entering a region costs as much as interpreting a few instructions, and so does each call to the core. */
function pays({ nodes }: Region, callsToCore: number): boolean {
  const count = nodes.reduce((sum, { block }) => sum + block.ops.length, 0);
  return callsToCore * 2 <= count && (count >= LEAST_OPS || nodes.some(({ isLoop }) => isLoop));
}

class RegionFunction {
  readonly emitter: Emitter;
  /** Where backward edges go. */
  readonly #loops = new Map<Node, Label>();
  /** Where forward edges go, to nodes with several. */
  readonly #merges = new Map<Node, Label>();

  constructor(around: Surroundings, all: RegisterUse) {
    this.emitter = new Emitter(around, all);
  }

  emit(first: Node): void {
    const { emitter } = this;
    const { code } = emitter;
    code.get(L.cpu).memory(M.i64Load, abi.VCPU_RIP).i64(-0x1000).op(W.i64And).set(L.page);
    emitter.loadRecord();
    emitter.exitLabel = code.block();
    this.#tree(first, "unknown", 0);
    code.end();
    emitter.storeRegisters();
    code.get(L.pending);
    code.if();
    emitter.flags.callStore();
    code.end();
    code.get(L.cpu).get(L.page).get(L.exit).op(W.i64ExtendI32S, W.i64Add);
    if (!emitter.around.is64) code.op(W.i32WrapI64, W.i64ExtendI32U);
    code.memory(M.i64Store, abi.VCPU_RIP).get(L.left);
  }

  /** A node and all that it dominates. @param sure - `left` is known to be no less */
  #tree(node: Node, state: FlagState, sure: number): void {
    const { code, flags, stack } = this.emitter;
    const merges = node.children.filter((child) => child.entries > 1);
    merges.sort((a, b) => b.order - a.order);
    if (node.isLoop) this.#loops.set(node, code.loop());
    for (const merge of merges) this.#merges.set(merge, code.block());
    flags.state = node.isLoop ? "unknown" : state;
    if (flags.state === "unknown") stack.forget();
    this.#body(node, node.isLoop ? 0 : sure);
    for (const merge of merges.reverse()) {
      code.end();
      this.#tree(merge, "unknown", 0);
    }
    if (node.isLoop) code.end();
  }

  #body(node: Node, sure: number): void {
    const { emitter } = this;
    const { code } = emitter;
    const { ops } = node.block;
    emitter.blockOffset = node.offset;
    if (sure < ops.length) {
      code.get(L.left).i32(ops.length).op(W.i32LtS);
      code.if();
      emitter.leave(node.offset, 0);
      code.end();
    }
    const least = Math.max(sure, ops.length);
    for (let index = 0; index < ops.length; index++) {
      const micro = ops[index]!;
      emitter.blockOffset = node.offset;
      emitter.position = index;
      emitter.instructionOffset = node.offset + micro.end - micro.length;
      const run = stackRun(ops, index);
      if (run.length > 1) {
        const size = (micro.handler - op.PUSH) & 1 ? 8 : 4;
        if (micro.handler < op.POP) pushAll(emitter, run, size);
        else popAll(emitter, run, size);
        index += run.length - 1;
      } else if (isConditionalJump(micro)) this.#conditionalJump(node, micro, least);
      else if (isJump(micro)) {
        this.#checkDirect(node, micro);
        return this.#take(node, micro, least);
      } else if (isCall(micro)) {
        this.#checkDirect(node, micro);
        this.#pushReturn(node, micro, micro.handler === op.CALL ? 4 : 8);
        return this.#take(node, micro, least);
      } else if (isReturn(micro)) {
        return this.#return(node, micro.handler === op.RET ? 4 : 8, least);
      } else if (isIndirect(micro)) return this.#indirect(node, micro);
      else if (!translateOp(emitter, ops, index)) return emitter.bail();
    }
    this.#follow(node, node.next, node.offset + node.block.length, ops.length, least);
  }

  /**
   * Goes on at another node, or leaves for an offset in the page.
   *
   * @param retired - instructions that `left` still counts; @param least - what `left` is no less than, with these
   */
  #follow(from: Node, to: Node | undefined, offset: number, retired: number, least: number): void {
    const { emitter } = this;
    if (to === undefined) return emitter.leave(offset, retired);
    emitter.retire(retired);
    if (to.order <= from.order) emitter.code.br(this.#loops.get(to)!);
    else if (to.entries > 1) emitter.code.br(this.#merges.get(to)!);
    else this.#tree(to, emitter.flags.state, least - retired);
  }

  /** The taken branch of the present instruction. */
  #take(node: Node, micro: MicroOp, least: number): void {
    const { position } = this.emitter;
    this.#follow(node, node.taken.get(position), targetOf(node, micro), position + 1, least);
  }

  /** A direct branch out of the page may go to an address that is not canonical. */
  #checkDirect(node: Node, micro: MicroOp): void {
    const target = targetOf(node, micro);
    if (!this.emitter.around.is64 || (target >= 0 && target <= 0xfff)) return;
    this.emitter.code.get(L.page).i64(target).op(W.i64Add);
    this.#checkTarget(8);
  }

  #conditionalJump(node: Node, micro: MicroOp, least: number): void {
    const { code, flags, stack } = this.emitter;
    flags.condition(micro.opcode & 15);
    const { state } = flags;
    const { known } = stack;
    code.if();
    this.#checkDirect(node, micro);
    this.#take(node, micro, least);
    code.end();
    flags.state = state;
    stack.known = known;
  }

  /** Pushes the address behind a call. */
  #pushReturn(node: Node, micro: MicroOp, size: 4 | 8): void {
    const { code } = this.emitter;
    code
      .get(L.page)
      .i64(node.offset + micro.end)
      .op(W.i64Add);
    if (size === 4) code.op(W.i32WrapI64, W.i64ExtendI32U);
    pushValue(this.emitter, size);
  }

  /** RET: to one of the places in the region that calls in it return to, else out. */
  #return(node: Node, size: 4 | 8, least: number): void {
    const { emitter } = this;
    const { code } = emitter;
    peekValue(emitter, size);
    this.#checkTarget(size);
    moveStack(emitter, size, size);
    emitter.retire(emitter.position + 1);
    const { state } = emitter.flags;
    const { known } = emitter.stack;
    for (const site of node.returns) {
      code.get(L.z).get(L.page).i64(site.offset).op(W.i64Add, W.i64Eq);
      code.if();
      this.#follow(node, site, 0, 0, least - emitter.position - 1);
      code.end();
      emitter.flags.state = state;
      emitter.stack.known = known;
    }
    this.#leaveTo();
  }

  /** JMP and CALL through a register or memory, 64-bit. */
  #indirect(node: Node, micro: MicroOp): void {
    const { emitter } = this;
    emitter.readRm(micro, 8);
    this.#checkTarget(8);
    if (micro.handler >= op.CALL_R) this.#pushReturn(node, micro, 8);
    emitter.retire(emitter.position + 1);
    this.#leaveTo();
  }

  /** Pops a target into `z`; one that is not canonical is the interpreter's. */
  #checkTarget(size: 4 | 8): void {
    const { code } = this.emitter;
    code.set(L.z);
    if (size === 4) return;
    code.get(L.z).i64(16).op(W.i64Shl).i64(16).op(W.i64ShrS).get(L.z).op(W.i64Ne);
    this.emitter.bailIf();
  }

  /** Leaves the region for the address in `z`. */
  #leaveTo(): void {
    const { emitter } = this;
    emitter.code.get(L.z).set(L.page);
    emitter.leave(0, 0);
  }
}
