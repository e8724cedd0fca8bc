/** Memory limits that cgroups of services reached, so that the kernel killed a process. Main thread. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isScope } from './systemd-scope.ts';

/** Counter of each version: see memory.events and memory.oom_control in the kernel's documentation. */
const COUNTERS = [
  ['memory.events', /^oom (\d+)$/m],
  ['memory.oom_control', /^oom_kill (\d+)$/m],
] as const;

/** Times that a limit was reached in a cgroup and all below it; null where it is gone, or memory is not limited. */
function readCount(dir: string): number | null {
  for (const [file, pattern] of COUNTERS) {
    try {
      const count = pattern.exec(readFileSync(join(dir, file), 'utf8'))?.[1];
      if (count !== undefined) return Number(count);
    } catch {
      // It is of the other version, or gone.
    }
  }
  return null;
}

/**
 * Tells which cgroups reached their limits. systemd removes a scope with its last process, and its counter with it: events
 * of its slice that no scope tells are put down to each scope that is gone.
 */
export class OomKills {
  /** Last count of each scope; Infinity of one that reached its limit and is gone. */
  readonly #scopes = new Map<string, number>();
  readonly #slices = new Map<string, number>();

  /** Counts from now on. */
  watch(dirs: readonly string[]): void {
    for (const dir of dirs.filter(isScope)) {
      const slice = dirname(dir);
      this.#look(slice);
      this.#scopes.set(dir, readCount(dir) ?? 0);
    }
  }

  /** True when one of the cgroups has reached its limit. */
  happenedIn(dirs: readonly string[]): boolean {
    for (const dir of dirs.filter(isScope)) this.#look(dirname(dir));
    return dirs.some((dir) => (this.#scopes.get(dir) ?? readCount(dir) ?? 0) > 0);
  }

  forget(dirs: readonly string[]): void {
    for (const dir of dirs.filter(isScope)) {
      this.#look(dirname(dir));
      this.#scopes.delete(dir);
    }
  }

  #look(slice: string): void {
    const total = readCount(slice) ?? 0;
    let untold = total - (this.#slices.get(slice) ?? total);
    this.#slices.set(slice, total);
    const gone: string[] = [];
    for (const [dir, known] of this.#scopes) {
      if (dirname(dir) !== slice) continue;
      const count = readCount(dir);
      if (count === null) {
        gone.push(dir);
        continue;
      }
      this.#scopes.set(dir, count);
      untold -= count - known;
    }
    if (untold > 0) for (const dir of gone) this.#scopes.set(dir, Number.POSITIVE_INFINITY);
  }
}
