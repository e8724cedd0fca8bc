import type { WorkerEntry } from '../../../src/threads/entry.ts';

/** Entries are names of files in workers/; from there the way leads to a fixture, too. */
export function fixtureEntry(name: string): WorkerEntry {
  return `../test/fixtures/${name}` as WorkerEntry;
}
