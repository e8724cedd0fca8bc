import { isSource } from '../../../src/lib/package-info.ts';
import type { WorkerEntry } from '../../../src/threads/entry.ts';

/** Entry of a worker thread in test/fixtures; the names of entries are relative to `workers`. */
export function fixtureEntry(name: string): WorkerEntry {
  return (isSource ? `../test/fixtures/${name}` : `../../test/fixtures/built/${name}`) as WorkerEntry;
}
