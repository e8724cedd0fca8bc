import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { identify } from '../../src/lib/proc.ts';
import { HomePaths } from '../../src/state/paths.ts';
import { makeHome, saveState } from '../../src/state/store.ts';
import { readStoredServices } from '../../src/state/stored-services.ts';
import { savedState } from '../helpers/fakes/saved-states.ts';
import { stopped } from '../helpers/fakes/states.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

test('the state files answer for a daemon that does not run', async (t) => {
  const paths = new HomePaths(await makeTempDir(t));
  await makeHome(paths);
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  defer(t, () => child.kill('SIGKILL'));
  const running = { ...savedState('running', child.pid!), process: identify(child.pid!) };
  await saveState(paths.stateFile('running'), running, false);
  const process = { pid: child.pid!, start_time: 1, boot_id: 'of another boot' };
  await saveState(paths.stateFile('lost'), { ...savedState('lost', child.pid!), process }, false);
  await saveState(paths.endedFile('ended'), savedState('ended', 1, stopped()), false);
  writeFileSync(join(paths.endedDir, 'broken.json'), '{');

  const { services, broken } = await readStoredServices(paths, Date.now());
  const facts = services.map(({ name, status, pid, reason, notes }) => ({ name, status, pid, reason, notes }));
  assert.deepEqual(facts, [
    { name: 'ended', status: 'Stopped', pid: null, reason: 'exited', notes: [] },
    { name: 'lost', status: 'Failed', pid: null, reason: 'lost', notes: [] },
    { name: 'running', status: 'Started', pid: child.pid, reason: null, notes: ['no daemon supervises it'] },
  ]);
  assert.equal(broken.length, 1);
  assert.match(broken[0]!, /^\/.*\/broken\.json is not a state file of this version: /);
});

test('a home that does not exist has no services', async (t) => {
  const paths = new HomePaths(join(await makeTempDir(t), 'none'));
  assert.deepEqual(await readStoredServices(paths, Date.now()), { services: [], broken: [] });
});

test('services come in the order in which a daemon lists them, and a folder that cannot be read is named', async (t) => {
  const paths = new HomePaths(await makeTempDir(t));
  await makeHome(paths);
  for (const name of ['web-10', 'web-2', 'db']) {
    await saveState(paths.endedFile(name), savedState(name, 1, stopped()), false);
  }
  rmdirSync(paths.runDir);
  writeFileSync(paths.runDir, '');
  const { services, broken } = await readStoredServices(paths, Date.now());
  assert.deepEqual(
    services.map(({ name }) => name),
    ['db', 'web-2', 'web-10'],
  );
  assert.match(broken.join(), /^\/.*\/run: not a directory \(ENOTDIR\)$/);
});
