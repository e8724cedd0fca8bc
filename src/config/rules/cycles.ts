/** Cycles and long ways in a directed graph. */

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

/**
 * For each node from which the longest way has exactly `length` nodes that way, from its start to its end: longer ones
 * contain one. None where there is a cycle, in which ways have no end. Iterative, as {@link findCycles}.
 */
export function findDeepChains(edges: ReadonlyMap<string, readonly string[]>, length: number): string[][] {
  if (findCycles(edges).length > 0) return [];
  /** The next node on the longest way from each node, and the number of nodes on it. */
  const longest = new Map<string, { next: string | null; length: number }>();
  for (const start of edges.keys()) {
    const pending = [start];
    for (let name = pending.at(-1); name !== undefined; name = pending.at(-1)) {
      const targets = (edges.get(name) ?? []).filter((target) => edges.has(target));
      const open = longest.has(name) ? [] : targets.filter((target) => !longest.has(target));
      if (open.length > 0) {
        pending.push(...open);
        continue;
      }
      pending.pop();
      if (longest.has(name)) continue;
      const best = targets.reduce<string | null>(
        (deepest, target) =>
          deepest === null || longest.get(target)!.length > longest.get(deepest)!.length ? target : deepest,
        null,
      );
      longest.set(name, { next: best, length: 1 + (best === null ? 0 : longest.get(best)!.length) });
    }
  }
  const starts = [...longest].filter(([, way]) => way.length === length).map(([name]) => name);
  return starts.map((start) => {
    const chain = [start];
    for (let next = longest.get(start)!.next; next !== null; next = longest.get(next)!.next) chain.push(next);
    return chain;
  });
}
