/** Ordering of services by their dependencies. */
import { DepGraph } from 'dependency-graph';
import { EventLoopQueue } from '../lib/event-loop-batch.ts';
import type { Service } from '../protocol/service.ts';

/** Dependency graph of services; dependencies on services outside of the set are left out. */
export function buildGraph(services: Iterable<Service>): DepGraph<Service> {
  const graph = new DepGraph<Service>();
  const all = [...services];
  for (const service of all) graph.addNode(service.name, service);
  for (const { name, depends_on } of all) {
    for (const { service } of depends_on) if (graph.hasNode(service)) graph.addDependency(name, service);
  }
  return graph;
}

/**
 * Runs `action` for each service after it has finished for every service that this one waits for; independent services
 * run concurrently.
 *
 * @param waitsFor services whose actions come first; names that are not in `names` count as finished
 */
export async function runInOrder<Result>(
  names: readonly string[],
  waitsFor: (name: string) => readonly string[],
  action: (name: string, before: ReadonlyMap<string, Result>) => Promise<Result>,
): Promise<Map<string, Result>> {
  const running = new Map<string, Promise<Result>>();
  const selected = new Set(names);
  const turns = new EventLoopQueue();
  const run = (name: string): Promise<Result> => {
    const known = running.get(name);
    if (known) return known;
    const promise = (async () => {
      const before = new Map<string, Result>();
      for (const other of waitsFor(name).filter((candidate) => selected.has(candidate))) {
        before.set(other, await run(other));
      }
      await new Promise<void>((begin) => turns.add(begin));
      return action(name, before);
    })();
    running.set(name, promise);
    return promise;
  };
  const results = new Map<string, Result>();
  await Promise.all(names.map(async (name) => results.set(name, await run(name))));
  return results;
}
