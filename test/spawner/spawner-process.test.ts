import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isRunning, readStat, signalProcess } from '../../src/lib/proc.ts';
import type { ChildFd, SpawnRequest } from '../../src/protocol/spawner.ts';
import { openChildEnd } from '../../src/vm/host/fifos.ts';
import type { HostProcess } from '../../src/vm/host/host-process.ts';
import { readProcessRecord } from '../../src/vm/host/process-record.ts';
import { eventually } from '../helpers/eventually.ts';
import { findProcesses, readCommandLine } from '../helpers/processes/command-lines.ts';
import { makeFifos } from '../helpers/processes/fifos.ts';
import { openSpawner } from '../helpers/processes/spawner.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

const NO_STREAMS: readonly ChildFd[] = ['null', 'null', 'null'];

function shell(script: string, change: Partial<SpawnRequest> = {}): SpawnRequest {
  return { program: '/bin/sh', args: ['-c', script], fds: NO_STREAMS, workdir: null, env: null, ...change };
}

/** It is killed when the test has ended, whether it was found or not. */
function endLater(t: TestContext, child: HostProcess): HostProcess {
  defer(t, () => signalProcess(child.identity, 'SIGKILL', 'group'));
  return child;
}

/** A spawner that dies of SIGKILL, and what it says. */
async function openDoomed(t: TestContext) {
  const said: string[] = [];
  const spawner = openSpawner(t, (message) => said.push(message));
  return { spawner, said, kill: () => process.kill(spawner.pid!, 'SIGKILL') };
}

test('exit codes and signals are told, of a process that ended at once, too', async (t) => {
  const spawner = openSpawner(t);
  assert.deepEqual(await (await spawner.spawn(shell('exit 3'), null)).exited(), { code: 3, signal: null });
  assert.deepEqual(await (await spawner.spawn(shell('kill -9 $$'), null)).exited(), { code: 137, signal: 'SIGKILL' });
  const quick = await spawner.spawn(shell('exit 0'), null);
  await quick.exited();
  assert.deepEqual(await quick.exited(), { code: 0, signal: null }, 'whoever asks later is told, too');
});

test('a process leads a session of its own, with the folder, the variables and the descriptors that it is given', async (t) => {
  const spawner = openSpawner(t);
  const dir = await makeTempDir(t);
  const fifo = join(dir, 'fifo');
  makeFifos([fifo]);
  const held = openChildEnd(fifo);
  defer(t, () => closeSync(held));
  const out: ChildFd = { fifo, nonBlocking: false };
  const console: ChildFd = { fifo, nonBlocking: true };
  const fds: ChildFd[] = ['null', out, 'null', console];
  const request = shell('sleep 1000', { fds, workdir: dir, env: { PATH: process.env.PATH, ONLY: 'this' } });
  const { identity } = endLater(t, await spawner.spawn(request, null));
  const { pid } = identity;
  const { group, session } = readStat(pid)!;
  assert.deepEqual([group, session], [pid, pid]);
  assert.equal(readlinkSync(`/proc/${pid}/cwd`), dir);
  assert.equal(readFileSync(`/proc/${pid}/environ`, 'utf8'), `PATH=${process.env.PATH}\0ONLY=this\0`);
  const links = [0, 1, 2, 3].map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  assert.deepEqual(links, ['/dev/null', fifo, '/dev/null', fifo]);
  assert.throws(() => readlinkSync(`/proc/${pid}/fd/4`), { code: 'ENOENT' });
  // O_NONBLOCK is 04000 on x86-64 and AArch64, O_RDWR is 02.
  const flags = [1, 3].map(
    (fd) => /^flags:\s+0*(\d+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'latin1'))![1]!,
  );
  assert.deepEqual(
    flags.map((octal) => Number.parseInt(octal, 8) & 0o4003),
    [0o2, 0o4002],
  );
});

test('output that may be lost is refused when nobody reads it, and does not wait', async (t) => {
  const spawner = openSpawner(t);
  const fifo = join(await makeTempDir(t), 'fifo');
  makeFifos([fifo]);
  const fds: ChildFd[] = ['null', 'null', 'null', { fifo, nonBlocking: true }];
  const flood = await spawner.spawn(shell('head -c 1000000 /dev/zero >&3', { fds }), null);
  assert.deepEqual(await flood.exited(), { code: 1, signal: null });
});

test('what cannot be executed is an error, and so is a descriptor that cannot be opened', async (t) => {
  const spawner = openSpawner(t);
  await assert.rejects(spawner.spawn(shell('', { program: '/no/such/program' }), null), {
    code: 'StartFailed',
    message: /no\/such\/program could not be executed: .*ENOENT/,
  });
  await assert.rejects(spawner.spawn(shell('', { workdir: '/no/such/folder' }), null), { code: 'StartFailed' });
  const fds: ChildFd[] = ['null', { fifo: '/no/such/fifo', nonBlocking: false }];
  await assert.rejects(spawner.spawn(shell('', { fds }), null), { code: 'StartFailed', message: /no\/such\/fifo/ });
});

test('processes outlive a spawner that died, their ends are noticed, and the next start launches another', async (t) => {
  const { spawner, said, kill } = await openDoomed(t);
  const child = endLater(t, await spawner.spawn(shell('sleep 1000'), null));
  const exited = child.exited();
  kill();
  await eventually('the report', () => said.length > 0);
  assert.match(said[0]!, /^the spawner ended: SIGKILL; the next start launches another$/);
  assert.equal(spawner.status().state, 'stopped');
  assert.ok(isRunning(child.identity));
  const next = endLater(t, await spawner.spawn(shell('sleep 1000'), null));
  assert.deepEqual(spawner.status(), { name: 'spawner', state: 'ready', restarts: 1 });
  assert.ok(isRunning(next.identity));
  signalProcess(child.identity, 'SIGTERM', 'group');
  assert.deepEqual(await exited, { code: null, signal: null });
});

test('where the spawner dies in between, nothing is left of what was asked for', async (t) => {
  const { spawner, kill } = await openDoomed(t);
  const dir = await makeTempDir(t);
  // It works until it is asked, and then never again.
  await (await spawner.spawn(shell(''), null)).exited();
  process.kill(spawner.pid!, 'SIGSTOP');
  const starts = Array.from({ length: 5 }, (_, n) => spawner.spawn(shell(`sleep 1000; : ${dir}`), join(dir, `${n}`)));
  const settled = Promise.allSettled(starts);
  process.kill(spawner.pid!, 'SIGCONT');
  await delay(5);
  kill();
  const started: number[] = [];
  for (const start of await settled) {
    if (start.status === 'fulfilled') started.push(endLater(t, start.value).identity.pid);
    else assert.match(start.reason.message, /was not executed: the spawner ended: SIGKILL/);
  }
  await eventually('only what was told of', () => findProcesses(dir).every(({ pid }) => started.includes(pid)));
});

test('a process notes its identity before it becomes its program', async (t) => {
  const spawner = openSpawner(t);
  const record = join(await makeTempDir(t), 'record');
  const child = endLater(t, await spawner.spawn(shell('echo noted; sleep 1000'), record));
  await eventually('the record', () => existsSync(record) && readProcessRecord(record) !== null);
  assert.deepEqual(readProcessRecord(record), child.identity);
  assert.equal(statSync(record).mode & 0o777, 0o600);
  await eventually('the program', () => readCommandLine(child.identity.pid).startsWith('/bin/sh'));
  assert.ok(isRunning(child.identity));
});

test('without a record a process does not become its program', async (t) => {
  const spawner = openSpawner(t);
  const dir = await makeTempDir(t);
  const child = await spawner.spawn(shell(`: >${join(dir, 'made')}`), join(dir, 'no-such-folder/record'));
  assert.deepEqual(await child.exited(), { code: 125, signal: null });
  assert.ok(!existsSync(join(dir, 'made')));
});

test('a process whose daemon has ended does not become its program', async (t) => {
  const dir = await makeTempDir(t);
  const record = join(dir, 'record');
  const launcher = fileURLToPath(
    new URL(`../../workers/spawner/launch/${process.arch}/monocore-launch`, import.meta.url),
  );
  // This process stands for the spawner, its parent for the daemon.
  const launch = (daemon: number) => spawnSync(launcher, [record, String(daemon), '/bin/echo', 'ran']);
  assert.equal(launch(process.ppid).stdout.toString(), 'ran\n');
  const orphan = launch(process.pid);
  assert.deepEqual([orphan.status, orphan.stdout.toString()], [125, '']);
  assert.match(orphan.stderr.toString(), /\/bin\/echo is not started: the daemon has ended/);
  // Whoever looks after the end of the daemon finds that it is gone.
  assert.equal(isRunning(readProcessRecord(record)!), false);
});

test('a program that cannot be executed is an error, also with a record', async (t) => {
  const spawner = openSpawner(t);
  const record = join(await makeTempDir(t), 'record');
  await assert.rejects(spawner.spawn(shell('', { program: '/no/such/program' }), record), {
    code: 'StartFailed',
    message: /no\/such\/program could not be executed: .*ENOENT/,
  });
});

test('it ends with its user, and what it started runs on', async (t) => {
  const spawner = openSpawner(t);
  const child = endLater(t, await spawner.spawn(shell('sleep 1000'), null));
  const { pid } = spawner;
  process.kill(pid!, 'SIGTERM');
  process.kill(pid!, 'SIGINT');
  await (await spawner.spawn(shell(''), null)).exited();
  assert.equal(spawner.pid, pid, 'a signal to all of a terminal is for the daemon');
  await spawner.stop();
  assert.throws(() => process.kill(pid!, 0), { code: 'ESRCH' });
  assert.ok(isRunning(child.identity));
  await assert.rejects(spawner.spawn(shell(''), null), { code: 'StartFailed', message: /the daemon is ending/ });
});

test('a spawner that hangs is killed, and keeps nobody from ending', async (t) => {
  const spawner = openSpawner(t);
  const child = endLater(t, await spawner.spawn(shell('exec sleep 1000'), null));
  const { pid } = spawner;
  process.kill(pid!, 'SIGSTOP');
  await spawner.stop();
  assert.equal(readStat(pid!), null);
  assert.equal(isRunning(child.identity), true, 'its processes run on');
});
