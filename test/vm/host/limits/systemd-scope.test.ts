import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { OomKills } from '../../../../src/vm/host/limits/oom-kills.ts';
import { findScopeManager, renderScope } from '../../../../src/vm/host/limits/systemd-scope.ts';
import { makeTempDir } from '../../../helpers/temp.ts';
import { makeFakeHost } from '../../../helpers/vm/host-folders.ts';

const NO_LIMITS = { memoryBytes: null, cpus: null, cpuShares: null };

/** A host that systemd has booted, with the manager of user 1000. */
async function makeSystemdHost(t: TestContext, cgroup: string, version: 'cgroup2' | 'cgroup' = 'cgroup2') {
  const lines = version === 'cgroup2' ? [`0::${cgroup}`] : [`4:memory:${cgroup}`, `0::${cgroup}`];
  const host = await makeFakeHost(t, lines, { '': ['/', 'cgroup2', 'rw'] });
  const runDir = await makeTempDir(t);
  mkdirSync(join(runDir, 'systemd/system'), { recursive: true });
  mkdirSync(join(runDir, 'user/1000/systemd/private'), { recursive: true });
  host.write({
    'cgroup.controllers': 'cpuset cpu io memory pids\n',
    'user.slice/user-1000.slice/user@1000.service/cgroup.controllers': 'memory pids\n',
    'user.slice/user-0.slice/user@0.service/cgroup.controllers': 'cpu memory\n',
  });
  const find = (uid: number) => findScopeManager({ procDir: host.proc, runDir, uid, program: '/bin/systemd-run' });
  return { ...host, runDir, find };
}

test("root's services have scopes of the system's manager, in a unit as in a session", async (t) => {
  for (const unit of ['monocore.service', 'session-1.scope']) {
    const slice = unit === 'monocore.service' ? 'system.slice' : 'user.slice/user-0.slice';
    const { find, mounts } = await makeSystemdHost(t, `/${slice}/${unit}`);
    const manager = find(0);
    assert.deepEqual(manager, {
      program: '/bin/systemd-run',
      runtimeDir: null,
      dir: mounts.replace(/\/$/, ''),
      controllers: ['cpu', 'memory'],
      ownUnit: unit,
    });
  }
});

test("a user's services have scopes of the user's manager, without the controllers that it lacks", async (t) => {
  for (const path of ['user@1000.service/app.slice/monocore.service', 'session-3.scope']) {
    const { find, mounts, runDir } = await makeSystemdHost(t, `/user.slice/user-1000.slice/${path}`);
    const manager = find(1000)!;
    assert.equal(manager.dir, join(mounts, 'user.slice/user-1000.slice/user@1000.service'));
    assert.equal(manager.runtimeDir, join(runDir, 'user/1000'));
    assert.deepEqual(manager.controllers, ['memory']);
    assert.equal(find(1001), null, 'the session of somebody else');
  }
});

test('root in a session of its own manager uses that one', async (t) => {
  const { find, mounts, runDir } = await makeSystemdHost(
    t,
    '/user.slice/user-0.slice/user@0.service/app.slice/a.service',
  );
  assert.equal(find(0), null, 'it does not run');
  mkdirSync(join(runDir, 'user/0/systemd/private'), { recursive: true });
  assert.equal(find(0)?.dir, join(mounts, 'user.slice/user-0.slice/user@0.service'));
});

test('there are no scopes without systemd, under cgroup v1, and for a unit with a user', async (t) => {
  const { proc, find, runDir } = await makeSystemdHost(t, '/system.slice/monocore.service');
  assert.equal(find(1000), null);
  assert.equal(findScopeManager({ procDir: proc, runDir: '/no/such/folder', uid: 0, program: '/bin/true' }), null);
  assert.equal(findScopeManager({ procDir: proc, runDir, uid: 0, program: null }), null);
  assert.equal((await makeSystemdHost(t, '/system.slice/monocore.service', 'cgroup')).find(0), null);
});

test('a scope has the limits, outlives the daemon and ends after it', async (t) => {
  const { find, mounts } = await makeSystemdHost(t, '/user.slice/user-0.slice/session-1.scope');
  const limits = { memoryBytes: 2 ** 20, cpus: 1.5, cpuShares: 512 };
  const { dir, words } = renderScope(find(0)!, 'monocore-12345678-web', '12345678', limits);
  const slice = 'system.slice/system-monocore.slice/system-monocore-12345678.slice';
  assert.equal(dir, join(mounts, slice, 'monocore-12345678-web.scope'));
  const wanted = [
    'CPUWeight=50',
    'CPUQuota=150%',
    'MemoryMax=1048576',
    'Before=monocore.service',
    'Before=session-1.scope',
  ];
  for (const property of wanted) assert.ok(words.includes(`--property=${property}`), property);
  assert.ok(words.includes('--slice=system-monocore-12345678.slice'));
  assert.ok(
    words.includes('--description=Service of monocore'),
    'not the command line with its line breaks and secrets',
  );
  const free = renderScope(find(0)!, 'monocore-12345678-web', '12345678', NO_LIMITS);
  assert.equal(
    free.words.some((word) => /CPUWeight|CPUQuota|MemoryMax/.test(word)),
    false,
  );
});

test('a limit that a scope reached is told after systemd has removed the scope', async (t) => {
  const slice = await makeTempDir(t);
  const [one, two] = ['one.scope', 'two.scope'].map((name) => join(slice, name)) as [string, string];
  const count = (dir: string, oom: number) => {
    if (!existsSync(dir)) mkdirSync(dir);
    writeFileSync(join(dir, 'memory.events'), `max 7\noom ${oom}\noom_kill ${oom}\n`);
  };
  count(slice, 3);
  count(one, 0);
  count(two, 0);
  const kills = new OomKills();
  kills.watch([one]);
  kills.watch([two]);
  assert.equal(kills.happenedIn([one]), false, 'earlier ones are not its own');
  count(slice, 4);
  count(two, 1);
  rmSync(one, { recursive: true });
  assert.equal(kills.happenedIn([one]), false, 'it was in the other scope');
  assert.equal(kills.happenedIn([two]), true);
  count(one, 0);
  kills.watch([one]);
  count(slice, 5);
  rmSync(one, { recursive: true });
  kills.forget([two]);
  assert.equal(kills.happenedIn([one]), true);
});
