/** Logs whose folder cannot be made, with a stream that has something to say. */
import { closeSync, constants, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ManualClock } from '../fakes/manual-clock.ts';
import { makeTempDir } from '../temp.ts';
import { startLogs, type TestLogs } from './harness.ts';

const RETRY_MS = 250;

/** `lines` are in the FIFO of `web.stdout`; they can be written when `unblock` was called. */
export async function startBlockedLogs(
  t: TestContext,
): Promise<{ readonly logs: TestLogs; readonly lines: readonly string[]; readonly unblock: () => void }> {
  const clock = new ManualClock();
  const parent = await makeTempDir(t);
  writeFileSync(join(parent, 'log'), 'a file where the folder should be');
  const logs = await startLogs(t, { dir: join(parent, 'log'), clock });
  const source = await logs.open('web', 'stdout');
  const lines = Array.from({ length: 5000 }, (_, index) => `line ${index}`);
  const fd = openSync(source.path, constants.O_RDWR);
  t.after(() => closeSync(fd));
  writeSync(fd, `${lines.join('\n')}\n`);
  const unblock = (): void => {
    rmSync(logs.dir);
    clock.advance(RETRY_MS);
  };
  return { logs, lines, unblock };
}
