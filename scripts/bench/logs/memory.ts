/** Memory of the log pipeline where much passes through it: each in a process of its own, watched from its start on. */
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ended } from './processes.ts';

/** Work that is watched; see `fixtures/memory.ts`. */
export type MemoryTask = 'long-line' | 'read-log' | 'search-log';

/** Growth of a process, MB (10^6 bytes). */
export interface MemoryFigures {
  readonly task: MemoryTask;
  readonly grownMb: number;
}

/** Files of 10 MB, the later half compressed. */
const FILES: Readonly<Record<MemoryTask, number>> = { 'long-line': 0, 'read-log': 100, 'search-log': 30 };
const LARGE_LOG = fileURLToPath(new URL('../../../test/fixtures/large-log.js', import.meta.url));
const FIXTURE = fileURLToPath(new URL('fixtures/memory.ts', import.meta.url));

/** Measures in `dir`, which is made for each task and removed after it. */
export async function measureMemory(dir: string): Promise<MemoryFigures[]> {
  const results: MemoryFigures[] = [];
  for (const [task, files] of Object.entries(FILES) as [MemoryTask, number][]) {
    mkdirSync(dir);
    try {
      const logDir = join(dir, 'log');
      if (files > 0) execFileSync(process.execPath, [LARGE_LOG, logDir, `${files}`]);
      const child = fork(FIXTURE, [task, logDir], { execArgv: ['--import', import.meta.resolve('tsx')] });
      const end = ended(child, task);
      const failed = end.then(() => Promise.reject(new Error(`${task} ended before its work was done`)));
      failed.catch(() => {});
      const [grownBytes] = (await Promise.race([once(child, 'message'), failed])) as [number];
      await end;
      results.push({ task, grownMb: grownBytes / 1e6 });
    } finally {
      rmSync(dir, { recursive: true });
    }
  }
  return results;
}
