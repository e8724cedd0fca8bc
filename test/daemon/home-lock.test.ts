import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { lockHome } from '../../src/daemon/home-lock.ts';
import { startFixture } from '../helpers/processes/fixture.ts';
import { makeTempDir } from '../helpers/temp.ts';

test('a home is locked once at a time, under each of its names', async (t) => {
  const home = await makeTempDir(t);
  const unlock = await lockHome(home);
  const alias = join(await makeTempDir(t), 'alias');
  symlinkSync(home, alias);
  for (const name of [home, alias]) {
    await assert.rejects(lockHome(name), {
      code: 'DaemonRunning',
      message: `a monocore daemon runs already for the home ${name}`,
    });
  }
  unlock();
});

test('locks of different homes do not meet', async (t) => {
  const unlocks = [await lockHome(await makeTempDir(t)), await lockHome(await makeTempDir(t))];
  for (const unlock of unlocks) unlock();
});

test('a lock that was freed can be taken again', async (t) => {
  const home = await makeTempDir(t);
  for (let turn = 0; turn < 3; turn += 1) {
    const unlock = await lockHome(home);
    unlock();
  }
});

test('the kernel frees the lock of a process that was killed', async (t) => {
  const home = await makeTempDir(t);
  const holder = startFixture(t, 'lock-holder.ts', [home]);
  assert.equal(await holder.readLine(), 'locked');
  await assert.rejects(lockHome(home), { code: 'DaemonRunning' });
  await holder.kill();
  const unlock = await lockHome(home);
  unlock();
});
