/** Limits and users of plain processes, seen from inside. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { Service } from '../../../src/protocol/service.ts';
import { closeAll } from '../../../src/vm/host/fifos.ts';
import { findHostCgroups } from '../../../src/vm/host/limits/host-cgroups.ts';
import { findUser } from '../../../src/vm/host/limits/user.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { launchProcess, makeRequest, openDriver } from '../../helpers/vm/plain-process.ts';

function processService(script: string, overrides: Partial<Service> = {}): Service {
  return scriptService('web', script, { isolation: 'none', ...overrides });
}

/** Runs a script to its end. */
async function run(t: TestContext, script: string, overrides: Partial<Service>) {
  const launched = await launchProcess(t, processService(script, overrides));
  const { exit } = await launched.event('job-exited');
  launched.vm.release();
  await launched.event('process-ended');
  return { ...launched, exit, stdout: await launched.read('stdout') };
}

test('a service has the limit of open files that it asks for', async (t) => {
  const { stdout, notes } = await run(t, 'ulimit -Sn; ulimit -Hn', { open_files: 123 });
  assert.equal(stdout, '123\n123\n');
  assert.deepEqual(notes, []);
});

test('a command runs as the user, in its groups, with its variables, and exits with its own code', async (t) => {
  const user = (await findUser('nobody'))!;
  const script = 'id -u; id -g; id -G; echo "$HOME $USER $LOGNAME"; exit 9';
  const { stdout, exit } = await run(t, script, { user: 'nobody' });
  const lines = [String(user.uid), String(user.gid), user.groups.join(' '), `${user.home} nobody nobody`, ''];
  assert.deepEqual(stdout.split('\n'), lines);
  assert.equal(exit.code, 9);
  assert.equal((await run(t, 'echo "$HOME"', { user: 'nobody', envs: { HOME: '/own' } })).stdout, '/own\n');
});

test('a user owns what it writes, and of the home only its streams', async (t) => {
  const dir = await makeTempDir(t);
  chmodSync(dir, 0o777);
  const { vm, event, paths, firstLine } = await launchProcess(
    t,
    processService('echo by path >/dev/stdout; : >mine; while :; do sleep 0.01; done', {
      user: 'nobody',
      workdir: dir,
      open_files: 512,
    }),
  );
  assert.equal(await firstLine('stdout'), 'by path');
  const user = (await findUser('nobody'))!;
  await eventually('the file', () => existsSync(join(dir, 'mine')));
  assert.equal(statSync(join(dir, 'mine')).uid, user.uid);
  const own = paths.vm('web');
  assert.equal(statSync(own.fifo('stdout')).uid, user.uid);
  for (const path of [own.dir, own.release, own.exitRecord, own.limits]) {
    assert.equal(statSync(path).uid, process.getuid?.(), path);
  }
  assert.equal(statSync(own.dir).mode & 0o777, 0o700);
  vm.signalJob('SIGTERM');
  assert.equal((await event('job-exited')).exit.signal, 'SIGTERM');
});

test('a command cannot end the process that watches over it', async (t) => {
  const { stdout, exit } = await run(t, 'kill -KILL $PPID 2>&1; echo went on', { user: 'nobody' });
  assert.match(stdout, /went on\n$/);
  assert.equal(exit.code, 0);
});

test('a user that cannot be had is an error, before anything is made', async (t) => {
  const { backend, paths } = await openDriver(t);
  const secret = join(await makeTempDir(t), 'secret');
  mkdirSync(secret, { mode: 0o700 });
  const refuse = (overrides: Partial<Service>, message: RegExp) =>
    assert.rejects(backend.prepare(makeRequest(processService('true', overrides))), { code: 'StartFailed', message });
  await refuse({ user: 'no-such-user' }, /^the user no-such-user does not exist on this host$/);
  await refuse({ user: 'nobody', workdir: secret }, /^the user nobody may not enter the working directory /);
  assert.equal(existsSync(paths.vm('web').dir), false);
});

test('shares are set where the host offers them, else a note says why not; the cgroup goes with the service', async (t) => {
  const launched = await launchProcess(t, processService('cat /proc/self/cgroup', { cpu_shares: 256 }));
  const { vm, event, read, notes, backend, paths } = launched;
  await event('job-exited');
  const place = findHostCgroups().cpu;
  const dirs = JSON.parse(readFileSync(paths.vm('web').limits, 'utf8')).cgroups as string[];
  if (place.type === 'unusable') {
    assert.deepEqual(notes, [`cpu_shares has no effect: ${place.reason}`]);
  } else {
    assert.deepEqual(notes, []);
    const [file, value] = place.version === 1 ? ['cpu.shares', '256\n'] : ['cpu.weight', '25\n'];
    const dir = dirs.find((candidate) => existsSync(join(candidate, file)));
    assert.equal(readFileSync(join(dir!, file), 'utf8'), value);
  }
  vm.release();
  await event('process-ended');
  assert.equal(/monocore-[0-9a-f]{8}-web$/m.test(await read('stdout')), place.type === 'usable');
  await backend.cleanUp('web');
  assert.deepEqual(dirs.filter(existsSync), []);
});

test('a later daemon knows the notes of the launch, and probes within its limits', async (t) => {
  const service = processService('echo up; exec sleep 1000', { ram_mib: 512, open_files: 99 });
  const { vm, backend, firstLine, event } = await launchProcess(t, service);
  await firstLine('stdout');
  const adoption = await backend.adopt({
    service,
    localOnly: true,
    groupIndex: null,
    identity: vm.identity,
    runJob: false,
  });
  assert.ok(adoption.type === 'running');
  closeAll(adoption.streams.map(({ fd }) => fd));
  assert.deepEqual(adoption.notes, ['ram has no effect on a plain process; max_memory does']);
  let onEnded = () => {};
  const ended = new Promise<void>((resolve) => {
    onEnded = resolve;
  });
  const adopted = adoption.attach(({ type }) => type === 'process-ended' && onEnded());
  const command = ['/bin/sh', '-c', '[ "$(ulimit -n)" = 99 ]'];
  const result = await adopted.probe({ type: 'exec', command }, 60_000, new AbortController().signal);
  assert.deepEqual(result, { ok: true, detail: 'exit code 0' });
  adopted.kill('SIGKILL');
  await Promise.all([ended, event('process-ended')]);
});

test('of the size of a VM nothing is enforced, which is said when it was asked for', async (t) => {
  const { notes } = await run(t, 'true', { cpus: 2, ram_mib: 512 });
  assert.deepEqual(notes, [
    'cpus has no effect on a plain process; cpu_shares does',
    'ram has no effect on a plain process; max_memory does',
  ]);
});
