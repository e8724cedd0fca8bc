/** Cycles in a directed graph. */

/**
 * One cycle for each edge that closes one, as the names along it with the first repeated at the end: `[a, b, a]`.
 * Nodes are visited in the order of `edges`; targets that have no entry there are ignored. Iterative, because a chain
 * of thousands of services would not fit on the call stack.
 */
export function findCycles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = [];
  const finished = new Set<string>();
  for (const start of edges.keys()) {
    const trail: { name: string; next: number }[] = [];
    const depths = new Map<string, number>();
    const enter = (name: string) => {
      if (finished.has(name) || !edges.has(name)) return;
      depths.set(name, trail.length);
      trail.push({ name, next: 0 });
    };
    enter(start);
    for (let top = trail.at(-1); top !== undefined; top = trail.at(-1)) {
      const target = edges.get(top.name)?.[top.next];
      top.next += 1;
      if (target === undefined) {
        trail.pop();
        depths.delete(top.name);
        finished.add(top.name);
        continue;
      }
      const depth = depths.get(target);
      if (depth === undefined) enter(target);
      else cycles.push([...trail.slice(depth).map((step) => step.name), target]);
    }
  }
  return cycles;
}
