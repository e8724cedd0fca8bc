/** Cycles and long chains in a directed graph. */

type Edges = ReadonlyMap<string, readonly string[]>;

/**
 * Depth-first search in the order of `edges`; targets without an entry there are ignored. Iterative, because a chain of
 * thousands of services would overflow the call stack. Returns a cycle for each edge that closes one, `[a, b, a]`, and all
 * nodes, each behind those that it leads to.
 */
function search(edges: Edges): { cycles: string[][]; order: ReadonlySet<string> } {
  const cycles: string[][] = [];
  const order = new Set<string>();
  for (const start of edges.keys()) {
    const trail: { name: string; next: number }[] = [];
    const depths = new Map<string, number>();
    const enter = (name: string) => {
      if (order.has(name) || !edges.has(name)) return;
      depths.set(name, trail.length);
      trail.push({ name, next: 0 });
    };
    enter(start);
    for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
      const target = edges.get(top.name)?.[top.next];
      top.next += 1;
      const depth = target === undefined ? undefined : depths.get(target);
      if (target === undefined) {
        trail.pop();
        depths.delete(top.name);
        order.add(top.name);
      } else if (depth === undefined) enter(target);
      else cycles.push([...trail.slice(depth).map(({ name }) => name), target]);
    }
  }
  return { cycles, order };
}

/** A cycle for each edge that closes one: the names along it, with the first repeated at the end. */
export function findCycles(edges: Edges): string[][] {
  return search(edges).cycles;
}

/**
 * The longest chain from each node whose longest chain has exactly `length` nodes: every longer one contains such a
 * chain. Empty where there is a cycle, in which chains have no end.
 */
export function findDeepChains(edges: Edges, length: number): string[][] {
  const { cycles, order } = search(edges);
  if (cycles.length > 0) return [];
  /** Length of the longest chain from each node, and the next node on it. */
  const longest = new Map<string, { next: string | null; length: number }>();
  for (const name of order) {
    let best: { next: string | null; length: number } = { next: null, length: 1 };
    for (const next of edges.get(name)!) {
      const below = longest.get(next);
      if (below !== undefined && below.length >= best.length) best = { next, length: below.length + 1 };
    }
    longest.set(name, best);
  }
  return [...longest.keys()]
    .filter((name) => longest.get(name)!.length === length)
    .map((start) => {
      const chain = [start];
      for (let { next } = longest.get(start)!; next !== null; { next } = longest.get(next)!) chain.push(next);
      return chain;
    });
}
