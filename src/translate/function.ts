/**
 * A region as a function: its blocks nested by dominance (Ramsey, "Beyond Relooper"), so that the guest's loops become
 * WebAssembly's, and the ways out gathered in one place behind them.
 */
import * as abi from "../../assembly/abi.js";
import * as op from "../../assembly/op-abi.js";
import type { Code, Label } from "./code.js";
import { Emitter, Findings, type Surroundings } from "./emitter.js";
import type { FlagState } from "./flags.js";
import { heldAt } from "./flow.js";
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
import { NOTHING, type Held } from "./registers.js";
import { M, W } from "./wasm.js";

/** Of a region without a loop. */
const LEAST_OPS = 8;

/** @returns the function's body without its last `end`, or undefined where interpreting is faster */
export function emitRegion(region: Region, around: Surroundings): Code | undefined {
  // Once to learn which registers it uses, once in earnest.
  const found = new Findings();
  const draft = new Emitter(around, found, true);
  new RegionFunction(draft, NOWHERE).emit(region.first);
  if (!pays(region, draft.callsToCore)) return undefined;
  const inner = new Emitter(around, found, false);
  new RegionFunction(inner, heldAt(region.nodes, found.uses)).emit(region.first);
  const outer = new Emitter(around, found, false);
  const { code, exits, stack } = outer;
  code.get(L.cpu).memory(M.i64Load, abi.VCPU_RIP).i64(-0x1000).op(W.i64And).set(L.page);
  if (found.x87) stack.load();
  exits.wrap(inner);
  return code;
}

/** Entering a region costs as much as interpreting a few instructions, and so does each call to the core. */
function pays({ nodes }: Region, callsToCore: number): boolean {
  const count = nodes.reduce((sum, { block }) => sum + block.ops.length, 0);
  return callsToCore * 2 <= count && (count >= LEAST_OPS || nodes.some(({ isLoop }) => isLoop));
}

/** What is known of the path that leads to a node. */
interface Path {
  readonly flags: FlagState;
  /** Instructions that `left` still counts. */
  readonly retired: number;
  /** `left` is no less. */
  readonly least: number;
}

/** Where paths meet. */
const ANY_PATH: Path = { flags: "unknown", retired: 0, least: 0 };

/** What is held where a node begins, while that is not known yet. */
const NOWHERE: ReadonlyMap<Node, Held> = new Map();

class RegionFunction {
  readonly emitter: Emitter;
  readonly #held: ReadonlyMap<Node, Held>;
  /** Where backward edges go. */
  readonly #loops = new Map<Node, Label>();
  /** Where forward edges go, to nodes with several. */
  readonly #merges = new Map<Node, Label>();

  /** @param held - at the start of each node, as far as it is known */
  constructor(emitter: Emitter, held: ReadonlyMap<Node, Held>) {
    this.emitter = emitter;
    this.#held = held;
  }

  emit(first: Node): void {
    this.#tree(first, { flags: "unknown", retired: 0, least: 0 });
  }

  /** A node and all that it dominates. */
  #tree(node: Node, path: Path): void {
    const { code, flags, registers, stack } = this.emitter;
    const merges = node.children.filter((child) => child.entries > 1);
    merges.sort((a, b) => b.order - a.order);
    if (node.isLoop) {
      this.#meet(node, path.retired);
      this.#loops.set(node, code.loop());
    }
    for (const merge of merges) this.#merges.set(merge, code.block());
    flags.state = node.isLoop ? "unknown" : path.flags;
    if (flags.state === "unknown") stack.forget();
    this.#body(node, node.isLoop ? ANY_PATH : path);
    for (const merge of merges.reverse()) {
      code.end();
      registers.held = this.#held.get(merge) ?? NOTHING;
      this.#tree(merge, ANY_PATH);
    }
    if (node.isLoop) code.end();
  }

  /** Before a node that several paths lead to: brings this one to what they have in common. */
  #meet(node: Node, retired: number): void {
    const { emitter } = this;
    const held = this.#held.get(node) ?? NOTHING;
    emitter.retire(retired);
    emitter.registers.load(held.loaded);
    emitter.registers.held = held;
  }

  #body(node: Node, path: Path): void {
    const { emitter } = this;
    const { code, exits, registers } = emitter;
    const { ops } = node.block;
    const { retired } = path;
    const least = Math.max(path.least, retired + ops.length);
    if (path.least < least) {
      code.get(L.left).i32(least).op(W.i32LtS);
      code.if();
      exits.bail(node.offset, retired);
      code.end();
    }
    for (let index = 0; index < ops.length; index++) {
      const micro = ops[index]!;
      emitter.blockOffset = node.offset;
      emitter.position = retired + index;
      emitter.instructionOffset = node.offset + micro.end - micro.length;
      registers.begin(micro);
      const run = stackRun(ops, index);
      if (run.length > 1) {
        const size = (micro.handler - op.PUSH) & 1 ? 8 : 4;
        if (micro.handler < op.POP) pushAll(emitter, run, size);
        else popAll(emitter, run, size);
        index += run.length - 1;
      } else if (isConditionalJump(micro)) this.#conditionalJump(node, index, least);
      else if (isJump(micro)) {
        this.#checkDirect(node, micro);
        return this.#take(node, index, least);
      } else if (isCall(micro)) {
        this.#checkDirect(node, micro);
        this.#pushReturn(node, micro, micro.handler === op.CALL ? 4 : 8);
        return this.#take(node, index, least);
      } else if (isReturn(micro)) {
        return this.#return(node, micro.handler === op.RET ? 4 : 8, least);
      } else if (isIndirect(micro)) return this.#indirect(node, micro);
      else if (!translateOp(emitter, ops, index)) return emitter.bail();
    }
    this.#follow(node, node.next, node.offset + node.block.length, retired + ops.length, least);
  }

  /**
   * Goes on at another node, or leaves for an offset in the page.
   *
   * @param retired - instructions that `left` still counts; @param least - what `left` is no less than
   */
  #follow(from: Node, to: Node | undefined, offset: number, retired: number, least: number): void {
    const { emitter } = this;
    if (to === undefined) return emitter.exits.leave(offset, retired);
    const isBack = to.order <= from.order;
    if (!isBack && to.entries === 1) {
      return this.#tree(to, { flags: emitter.flags.state, retired, least });
    }
    this.#meet(to, retired);
    emitter.code.br((isBack ? this.#loops : this.#merges).get(to)!);
  }

  /** The taken branch of the present instruction. @param index - its place in the block */
  #take(node: Node, index: number, least: number): void {
    const target = targetOf(node, node.block.ops[index]!);
    this.#follow(node, node.taken.get(index), target, this.emitter.position + 1, least);
  }

  /** A direct branch out of the page may go to an address that is not canonical. */
  #checkDirect(node: Node, micro: MicroOp): void {
    const target = targetOf(node, micro);
    if (!this.emitter.around.is64 || (target >= 0 && target <= 0xfff)) return;
    this.emitter.code.get(L.page).i64(target).op(W.i64Add);
    this.#checkTarget(8);
  }

  #conditionalJump(node: Node, index: number, least: number): void {
    const { code, flags } = this.emitter;
    flags.condition(node.block.ops[index]!.opcode & 15);
    code.if();
    this.#aside(() => {
      this.#checkDirect(node, node.block.ops[index]!);
      this.#take(node, index, least);
    });
    code.end();
  }

  /** Emits a path that does not come back: what is known goes on as it was before it. */
  #aside(emit: () => void): void {
    const { flags, registers, stack } = this.emitter;
    const { state } = flags;
    const { held } = registers;
    const { known } = stack;
    emit();
    flags.state = state;
    registers.held = held;
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
    const retired = emitter.position + 1;
    peekValue(emitter, size);
    this.#checkTarget(size);
    moveStack(emitter, size, size);
    for (const site of node.returns) {
      code.get(L.z).get(L.page).i64(site.offset).op(W.i64Add, W.i64Eq);
      code.if();
      this.#aside(() => this.#follow(node, site, 0, retired, least));
      code.end();
    }
    this.#leaveTo(retired);
  }

  /** JMP and CALL through a register or memory, 64-bit. */
  #indirect(node: Node, micro: MicroOp): void {
    const { emitter } = this;
    const retired = emitter.position + 1;
    emitter.readRm(micro, 8);
    this.#checkTarget(8);
    if (micro.handler >= op.CALL_R) this.#pushReturn(node, micro, 8);
    this.#leaveTo(retired);
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
  #leaveTo(retired: number): void {
    const { code, exits } = this.emitter;
    this.emitter.settlePointers();
    code.get(L.z).set(L.page);
    exits.leave(0, retired);
  }
}
