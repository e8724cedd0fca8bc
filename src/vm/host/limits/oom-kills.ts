/** Detects when the cgroup of a service reached its memory limit and the kernel killed a process. Main thread. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isScope } from './systemd-scope.ts';

/** Counter in each cgroup version: see memory.events and memory.oom_control in the kernel's documentation. */
const COUNTERS = [
  ['memory.events', /^oom (\d+)$/m],
  ['memory.oom_control', /^oom_kill (\d+)$/m],
] as const;

/**
 * Number of times that a limit was reached in a cgroup and its descendants; null if it is gone, or memory is not
 * limited.
 */
function readCount(dir: string): number | null {
  for (const [file, pattern] of COUNTERS) {
    try {
      const count = pattern.exec(readFileSync(join(dir, file), 'utf8'))?.[1];
      if (count !== undefined) return Number(count);
    } catch {
      // The cgroup is of the other version, or gone.
    }
  }
  return null;
}

/**
 * Determines which cgroups reached their limits. systemd removes a scope, and thus its counter, with its last process:
 * events counted by its slice but by none of the remaining scopes are attributed to every scope that is gone.
 */
export class OomKills {
  /** Last count of each scope; Infinity for a scope that reached its limit and is gone. */
  readonly #scopes = new Map<string, number>();
  readonly #slices = new Map<string, number>();

  /** Counts events from now on. */
  watch(dirs: readonly string[]): void {
    for (const dir of dirs.filter(isScope)) {
      const slice = dirname(dir);
      this.#look(slice);
      this.#scopes.set(dir, readCount(dir) ?? 0);
    }
  }

  /** True if one of the cgroups has reached its limit. */
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
