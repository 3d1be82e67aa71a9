/**
 * Which blocks a region has: those that direct branches reach from its first one inside the page, as far as the guest has
 * taken them, and the order in which they can be nested into WebAssembly's structured control flow.
 */
import * as abi from "../../assembly/op-abi.js";
import { readBlock, type Block, type MicroOp } from "./micro-op.js";

/** One block of a region. */
export interface Node {
  readonly block: Block;
  /** Offset of its start in the page. */
  readonly offset: number;
  /** Node behind a taken branch, by the branch's position in the block. */
  readonly taken: Map<number, Node>;
  /** Node that follows without a branch. */
  next: Node | undefined;
  /** Nodes that its last instruction, a return, may go to. */
  returns: readonly Node[];
  /** Position in reverse postorder; the first node is 0. */
  order: number;
  /** Immediate dominator. */
  dominator: Node;
  /** Nodes that it immediately dominates. */
  readonly children: Node[];
  /** A backward edge comes here. */
  isLoop: boolean;
  /** Forward edges that come here. */
  entries: number;
}

export interface Region {
  readonly first: Node;
  readonly nodes: readonly Node[];
}

/** Finds the block of a mode at a physical address, or 0. */
export type FindBlock = (gpa: number, mode: number) => number;

const MAX_NODES = 40;
const MAX_OPS = 320;
const MAX_RETURNS = 8;

export function isConditionalJump({ handler }: MicroOp): boolean {
  return handler >= abi.JCC && handler < abi.JCC + 16;
}
export function isCall({ handler }: MicroOp): boolean {
  return handler === abi.CALL || handler === abi.CALL + 1;
}
export function isReturn({ handler }: MicroOp): boolean {
  return handler === abi.RET || handler === abi.RET + 1;
}
export function isJump({ handler }: MicroOp): boolean {
  return handler === abi.JMP;
}
/** Near jump or call through a register or memory. */
export function isIndirect({ handler }: MicroOp): boolean {
  return handler >= abi.JMP_R && handler < abi.SSE;
}

function isDirect(op: MicroOp): boolean {
  return isConditionalJump(op) || isCall(op) || isJump(op);
}

/** True when the instruction behind `op` follows unless `op` itself branches. */
export function fallsThrough(op: MicroOp): boolean {
  return !isJump(op) && !isCall(op) && !isReturn(op) && !isIndirect(op);
}

/** Offset in the page of the target of a direct branch; it may lie outside the page. */
export function targetOf(node: Node, op: MicroOp): number {
  return node.offset + op.end + op.imm;
}

function nodeOf(block: Block): Node {
  const node: Partial<Node> = {
    block,
    offset: block.gpa & 0xfff,
    taken: new Map(),
    next: undefined,
    returns: [],
    order: -1,
    children: [],
    isLoop: false,
    entries: 0,
  };
  node.dominator = node as Node;
  return node as Node;
}

/** @param at - address of the block that the region begins with; undefined: it cannot be */
export function selectRegion(view: DataView, at: number, findBlock: FindBlock): Region | undefined {
  const first = nodeOf(readBlock(view, at));
  if (!first.block.isValid) return undefined;
  const { mode, gpa } = first.block;
  const page = gpa & ~0xfff;
  const nodes = [first];
  const known = new Map([[first.offset, first]]);
  let ops = first.block.ops.length;
  const sites = new Set<Node>();

  const visit = (offset: number, address: number): Node | undefined => {
    if (offset < 0 || offset > 0xfff) return undefined;
    const already = known.get(offset);
    if (already !== undefined || address === 0 || nodes.length >= MAX_NODES) return already;
    const block = readBlock(view, address);
    if (!block.isValid || block.mode !== mode || block.gpa >>> 0 !== (page | offset) >>> 0) {
      return undefined;
    }
    if (ops + block.ops.length > MAX_OPS) return undefined;
    ops += block.ops.length;
    const node = nodeOf(block);
    nodes.push(node);
    known.set(offset, node);
    return node;
  };

  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i]!;
    const { block } = node;
    block.ops.forEach((op, index) => {
      if (!isDirect(op)) return;
      const target = visit(targetOf(node, op), op.disp);
      if (target === undefined) return;
      node.taken.set(index, target);
      if (isCall(op)) {
        const site = node.offset + op.end;
        const back = visit(site, site > 0xfff ? 0 : findBlock((page | site) >>> 0, mode));
        if (back !== undefined) sites.add(back);
      }
    });
    const last = block.ops.at(-1)!;
    if (fallsThrough(last)) node.next = visit(node.offset + block.length, block.next);
  }
  const returns = [...sites].slice(0, MAX_RETURNS);
  for (const node of nodes) {
    if (isReturn(node.block.ops.at(-1)!)) node.returns = returns;
  }
  return { first, nodes: arrange(first) };
}

function successors(node: Node): Node[] {
  const all = [...node.taken.values(), ...node.returns];
  if (node.next !== undefined) all.push(node.next);
  return all;
}

/** Nodes in reverse postorder, with dominators and the kind of each edge. Edges that do not nest become exits. */
function arrange(first: Node): Node[] {
  for (;;) {
    const nodes = reversePostorder(first);
    findDominators(nodes);
    const misfits = nodes.flatMap((from) =>
      successors(from)
        .filter((to) => to.order <= from.order && !dominates(to, from))
        .map((to) => ({ from, to })),
    );
    if (misfits.length === 0) {
      classify(nodes);
      return nodes;
    }
    for (const { from, to } of misfits) removeEdge(from, to);
  }
}

function removeEdge(from: Node, to: Node): void {
  for (const [index, target] of from.taken) if (target === to) from.taken.delete(index);
  if (from.next === to) from.next = undefined;
  from.returns = from.returns.filter((each) => each !== to);
}

function reversePostorder(first: Node): Node[] {
  const seen = new Set<Node>();
  const order: Node[] = [];
  const visit = (node: Node): void => {
    seen.add(node);
    for (const to of successors(node)) if (!seen.has(to)) visit(to);
    order.push(node);
  };
  visit(first);
  order.reverse();
  order.forEach((node, i) => {
    node.order = i;
  });
  return order;
}

/** Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm". */
function findDominators(nodes: readonly Node[]): void {
  const predecessors = new Map<Node, Node[]>(nodes.map((node) => [node, []]));
  for (const from of nodes) for (const to of successors(from)) predecessors.get(to)!.push(from);
  const done = new Set<Node>([nodes[0]!]);
  nodes[0]!.dominator = nodes[0]!;
  for (let changed = true; changed;) {
    changed = false;
    for (const node of nodes.slice(1)) {
      let dominator: Node | undefined;
      for (const from of predecessors.get(node)!) {
        if (!done.has(from)) continue;
        dominator = dominator === undefined ? from : meet(dominator, from);
      }
      if (!done.has(node) || node.dominator !== dominator) changed = true;
      node.dominator = dominator!;
      done.add(node);
    }
  }
}

function meet(a: Node, b: Node): Node {
  let [left, right] = [a, b];
  while (left !== right) {
    while (left.order > right.order) left = left.dominator;
    while (right.order > left.order) right = right.dominator;
  }
  return left;
}

function dominates(a: Node, b: Node): boolean {
  let node = b;
  while (node.order > a.order) node = node.dominator;
  return node === a;
}

function classify(nodes: readonly Node[]): void {
  for (const node of nodes) {
    if (node.order > 0) node.dominator.children.push(node);
    for (const to of successors(node)) {
      if (to.order <= node.order) to.isLoop = true;
      else to.entries++;
    }
  }
}
