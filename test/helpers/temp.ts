import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Prefix of the names of temporary folders. */
export const TEMP_PREFIX = 'monocore-test-';

const deferred = new WeakMap<object, (() => unknown)[]>();

/**
 * Runs `action` when the test has ended, what was deferred last first: node:test itself runs `after` hooks in the order
 * in which they were added, which would remove a folder before the process that works in it is ended.
 */
export function defer(t: Pick<TestContext, 'after'>, action: () => unknown): void {
  const known = deferred.get(t);
  if (known) {
    known.push(action);
    return;
  }
  const actions = [action];
  deferred.set(t, actions);
  t.after(async () => {
    for (const next of actions.reverse()) await next();
  });
}

/**
 * A new folder for one test, removed when it has ended.
 *
 * @param parent where it is made, by default the system's folder for temporary files
 */
export async function makeTempDir(t: Pick<TestContext, 'after'>, parent = tmpdir()): Promise<string> {
  const dir = await mkdtemp(join(parent, TEMP_PREFIX));
  defer(t, () => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
  return dir;
}
