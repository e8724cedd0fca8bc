import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import type { SpawnEvent } from '../../../src/protocol/spawner.ts';
import { spawnChild } from '../../../workers/spawner/child.ts';
import { eventually } from '../../helpers/eventually.ts';
import { failFs } from '../../helpers/fakes/fs-fault.ts';
import { makeFifos } from '../../helpers/processes/fifos.ts';
import { openFilesBelow } from '../../helpers/processes/open-files.ts';
import { makeTempDir } from '../../helpers/temp.ts';

test('a process that nobody could find again is killed', async (t) => {
  const dir = await makeTempDir(t);
  const fifo = join(dir, 'fifo');
  makeFifos([fifo]);
  failFs(t, 'readFileSync', 'EMFILE', (path) => /^\/proc\/\d+\/stat$/.test(String(path)));
  const events: SpawnEvent[] = [];
  const fds = ['null' as const, { fifo, nonBlocking: false }];
  const command = { id: 1, program: '/bin/sleep', args: ['1000'], fds, workdir: null, env: null, record: null };
  spawnChild(command, process.ppid, (event) => events.push(event));
  await eventually('its end', () => events.length === 2);
  const [failed, ended] = events;
  assert.match(failed?.type === 'failed' ? failed.error : '', /EMFILE/);
  assert.deepEqual(ended, { type: 'ended', id: 1, code: null, signal: 'SIGKILL' });
  assert.equal(openFilesBelow(dir), 0);
});
