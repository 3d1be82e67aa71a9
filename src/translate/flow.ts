/** Which registers are in locals where a block begins: what the paths that lead to it have in common. */
import type { Node } from "./region.js";
import { after, ALL, NOTHING, type Held, type Uses } from "./registers.js";

interface Edge {
  readonly from: Node;
  readonly to: Node;
  /** Instructions of `from` before it. */
  readonly length: number;
}

/**
 * What is held at the start of each node. A register that one path has changed is held on all paths, and what a loop
 * uses is loaded before it; beyond that only what all paths have loaded.
 *
 * @param nodes - of a region, in reverse postorder
 */
export function heldAt(nodes: readonly Node[], uses: Uses): ReadonlyMap<Node, Held> {
  const edges = nodes.flatMap(edgesFrom);
  const into = new Map<Node, Edge[]>(nodes.map((node) => [node, []]));
  for (const edge of edges) into.get(edge.to)!.push(edge);
  const loops = new Map(nodes.map((node) => [node, usesOfLoop(node, into, uses)]));
  const held = new Map<Node, Held>(nodes.map((node) => [node, { loaded: ALL, dirty: 0 }]));
  const endsAt = (node: Node): Held[] => {
    const ends = into.get(node)!.map((edge) => atEnd(edge, held.get(edge.from)!, uses));
    if (node === nodes[0]) ends.push(NOTHING);
    return ends;
  };
  settle(nodes, held, (node, { loaded }) => {
    const dirty = endsAt(node).reduce((mask, end) => mask | end.dirty, 0);
    return { loaded, dirty };
  });
  settle(nodes, held, (node, { dirty }) => {
    const common = endsAt(node).reduce((mask, end) => mask & end.loaded, ALL);
    return { loaded: common | dirty | loops.get(node)!, dirty };
  });
  return held;
}

/** Has `step` say anew what each node holds until that changes no more. */
function settle(
  nodes: readonly Node[],
  held: Map<Node, Held>,
  step: (node: Node, before: Held) => Held,
): void {
  for (let changed = true; changed;) {
    changed = false;
    for (const node of nodes) {
      const before = held.get(node)!;
      const now = step(node, before);
      if (now.loaded !== before.loaded || now.dirty !== before.dirty) changed = true;
      held.set(node, now);
    }
  }
}

function edgesFrom(from: Node): Edge[] {
  const { length } = from.block.ops;
  const edges = [...from.taken].map(([index, to]) => ({ from, to, length: index + 1 }));
  if (from.next !== undefined) edges.push({ from, to: from.next, length });
  for (const to of from.returns) edges.push({ from, to, length });
  return edges;
}

function atEnd({ from, length }: Edge, held: Held, uses: Uses): Held {
  let now = held;
  for (const micro of from.block.ops.slice(0, length)) {
    // PUSHes and POPs behind the first of several count with that.
    const use = uses.get(micro);
    if (use !== undefined) now = after(now, use);
  }
  return now;
}

/** Registers used on all ways back to a node from where it leads to. */
function usesOfLoop(head: Node, into: ReadonlyMap<Node, Edge[]>, uses: Uses): number {
  const back = into.get(head)!.filter(({ from }) => from.order >= head.order);
  const seen = new Set<Edge>();
  let mask = 0;
  for (let edge = back.pop(); edge !== undefined; edge = back.pop()) {
    if (seen.has(edge)) continue;
    seen.add(edge);
    for (const micro of edge.from.block.ops.slice(0, edge.length)) {
      const use = uses.get(micro);
      if (use !== undefined) mask |= use.reads | use.writes;
    }
    if (edge.from !== head) back.push(...into.get(edge.from)!);
  }
  return mask;
}
