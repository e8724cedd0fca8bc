import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readdirSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { lockHome } from '../../src/daemon/home-lock.ts';
import { HomePaths } from '../../src/state/paths.ts';
import { startFixture } from '../helpers/processes/fixture.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

const makeHome = async (t: test.TestContext) => new HomePaths(await makeTempDir(t));

const refusal = (home: string, holder: number): string =>
  `a monocore daemon is already running for the home ${home}: process ${holder} has its lock; process ${process.pid} ` +
  'exits; to replace it: monocore daemon restart';

test('a home is locked once at a time, under each of its names', async (t) => {
  const paths = await makeHome(t);
  const unlock = await lockHome(paths);
  const alias = join(await makeTempDir(t), 'alias');
  symlinkSync(paths.home, alias);
  for (const name of [paths.home, alias]) {
    await assert.rejects(lockHome(new HomePaths(name)), {
      code: 'DaemonRunning',
      message: refusal(name, process.pid),
    });
  }
  unlock();
});

test('locks of different homes do not meet', async (t) => {
  const unlocks = [await lockHome(await makeHome(t)), await lockHome(await makeHome(t))];
  for (const unlock of unlocks) unlock();
});

test('a lock that was freed can be taken again', async (t) => {
  const paths = await makeHome(t);
  for (let turn = 0; turn < 3; turn += 1) {
    const unlock = await lockHome(paths);
    unlock();
  }
});

test('the kernel frees the lock of a process that was killed', async (t) => {
  const paths = await makeHome(t);
  const holder = startFixture(t, 'lock-holder.ts', [paths.home]);
  assert.equal(await holder.readLine(), 'locked');
  await assert.rejects(lockHome(paths), { code: 'DaemonRunning' });
  await holder.kill();
  const unlock = await lockHome(paths);
  unlock();
});

test('a home stays locked when all files in it are deleted', async (t) => {
  const paths = await makeHome(t);
  const holder = startFixture(t, 'lock-holder.ts', [paths.home]);
  assert.equal(await holder.readLine(), 'locked');
  for (let turn = 0; turn < 2; turn += 1) {
    await assert.rejects(lockHome(paths), { code: 'DaemonRunning', message: refusal(paths.home, holder.pid) });
    for (const name of readdirSync(paths.home)) rmSync(join(paths.home, name), { recursive: true });
  }
  await holder.kill();
  (await lockHome(paths))();
});

test('a user who may read a home cannot keep its daemon from it', async (t) => {
  const paths = await makeHome(t);
  chmodSync(paths.home, 0o755);
  const words = ['--reuid=12345', '--clear-groups', 'flock', paths.home, 'sh', '-c', 'echo locked; exec sleep 1000'];
  const stranger = spawn('setpriv', words, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  defer(t, () => process.kill(-stranger.pid!, 'SIGKILL'));
  await once(stranger.stdout, 'data');
  const unlock = await lockHome(paths);
  await assert.rejects(lockHome(paths), { code: 'DaemonRunning' });
  unlock();
});

test('a daemon in another network namespace is kept out', async (t) => {
  const paths = await makeHome(t);
  const holder = startFixture(t, 'lock-holder.ts', [paths.home], ['unshare', '--map-root-user', '--net']);
  assert.equal(await holder.readLine(), 'locked');
  await assert.rejects(lockHome(paths), { code: 'DaemonRunning' });
});

test('a socket in the abstract namespace, which anybody may bind, keeps no daemon from its home', async (t) => {
  const paths = await makeHome(t);
  const digest = createHash('sha256').update(realpathSync(paths.home)).digest('hex');
  const decoy = createServer().listen({ path: `\0monocore-${process.getuid!()}-${digest}` });
  t.after(() => decoy.close());
  await once(decoy, 'listening');
  const unlock = await lockHome(paths);
  unlock();
});

test('only the owner of a home can open its lock, also where it was copied with other modes', async (t) => {
  const paths = await makeHome(t);
  writeFileSync(paths.lock, '', { mode: 0o644 });
  const unlock = await lockHome(paths);
  assert.equal(statSync(paths.lock).mode & 0o777, 0o600);
  unlock();
});

test('a link in the place of the lock is refused, and nothing is made where it points', async (t) => {
  const paths = await makeHome(t);
  const target = join(await makeTempDir(t), 'target');
  symlinkSync(target, paths.lock);
  await assert.rejects(lockHome(paths), { code: 'HomeUnusable' });
  assert.equal(statSync(target, { throwIfNoEntry: false }), undefined);
  rmSync(paths.lock);
  const unlock = await lockHome(paths);
  unlock();
});
