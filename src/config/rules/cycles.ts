/**
 * Finds cycles and long chains in a directed graph; edges to unknown nodes are ignored. Recursion is safe: a graph has
 * no more nodes than a config has services, see `MAX_TABLES`.
 */

type Edges = ReadonlyMap<string, readonly string[]>;

/**
 * Finds a cycle for each edge that closes one, by depth-first search: the names along it, with the first repeated at
 * the end.
 */
export function findCycles(edges: Edges): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const trail = new Set<string>();
  const visit = (name: string): void => {
    trail.add(name);
    for (const target of edges.get(name)!) {
      if (trail.has(target)) {
        const names = [...trail];
        cycles.push([...names.slice(names.indexOf(target)), target]);
      } else if (edges.has(target) && !done.has(target)) visit(target);
    }
    trail.delete(name);
    done.add(name);
  };
  for (const name of edges.keys()) if (!done.has(name)) visit(name);
  return cycles;
}

/**
 * Finds the longest chain from each node whose longest chain has exactly `length` nodes: every longer one contains such
 * a chain.
 *
 * @param edges must not contain a cycle, in which chains would be endless
 */
export function findDeepChains(edges: Edges, length: number): string[][] {
  const longest = new Map<string, string[]>();
  const visit = (name: string): string[] => {
    const known = longest.get(name);
    if (known) return known;
    let best: string[] = [];
    for (const target of edges.get(name)!) {
      const below = edges.has(target) ? visit(target) : [];
      if (below.length > best.length) best = below;
    }
    const chain = [name, ...best];
    longest.set(name, chain);
    return chain;
  };
  return [...edges.keys()].map(visit).filter((chain) => chain.length === length);
}
