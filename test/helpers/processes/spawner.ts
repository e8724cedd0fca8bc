/** A spawner of a test's own. */
import type { TestContext } from 'node:test';
import { SpawnerProcess } from '../../../src/spawner/spawner-process.ts';
import { defer } from '../temp.ts';

/** It ends with the test. @param report gets what it says of itself */
export function openSpawner(t: TestContext, report: (message: string) => void = () => {}): SpawnerProcess {
  const spawner = new SpawnerProcess((_level, message) => report(message));
  defer(t, () => spawner.stop());
  return spawner;
}
