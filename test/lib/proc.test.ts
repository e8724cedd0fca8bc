import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, symlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import {
  identify,
  isAlive,
  isInheritable,
  isListening,
  isRunning,
  isSameProcess,
  killProcesses,
  listDescriptors,
  listPids,
  listSockets,
  ProcessTree,
  readCgroups,
  readMaxOpenFilesLimit,
  readOpenFilesLimit,
  readStat,
  signalProcess,
} from '../../src/lib/proc.ts';
import { eventually } from '../helpers/eventually.ts';
import { listChildren, readCpuMs, readResidentBytes } from '../helpers/processes/usage.ts';
import { makeTempDir } from '../helpers/temp.ts';

async function startSleep(t: TestContext, program = 'sleep', args = ['1000']) {
  const child = spawn(program, args, { detached: true, stdio: 'ignore' });
  await once(child, 'spawn');
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, exited, identity: identify(child.pid!)! };
}

test('a process is the same as long as it lives', () => {
  const identity = identify(process.pid)!;
  assert.equal(identity.pid, process.pid);
  assert.match(identity.boot_id, /^[0-9a-f-]{36}$/);
  assert.equal(isSameProcess(identity), true);
});

test('a process that has ended is nobody, and is not signalled', async (t) => {
  const { child, exited, identity } = await startSleep(t);
  child.kill('SIGKILL');
  await exited;
  assert.equal(identify(identity.pid), null);
  assert.equal(isSameProcess(identity), false);
  assert.equal(signalProcess(identity, 'SIGTERM', 'process'), false);
  assert.equal(signalProcess(identity, 'SIGTERM', 'group'), false);
});

test('a process that this user may not signal does not keep the others alive', async (t) => {
  const [foreign, gone, own] = [await startSleep(t), await startSleep(t), await startSleep(t)];
  gone.child.kill('SIGKILL');
  await gone.exited;
  const kill = process.kill.bind(process);
  t.mock.method(process, 'kill', (pid: number, signal?: NodeJS.Signals) => {
    if (pid === foreign.child.pid) throw Object.assign(new Error('not permitted'), { code: 'EPERM' });
    return kill(pid, signal);
  });
  killProcesses([foreign, gone, own].map(({ child }) => child.pid!));
  assert.deepEqual(await own.exited, [null, 'SIGKILL']);
  assert.ok(isRunning(foreign.identity));
  t.mock.restoreAll();
});

test('a process with a pid that another one had is never signalled', async (t) => {
  const { child, identity } = await startSleep(t);
  const others = [
    { ...identity, start_time: identity.start_time - 1 },
    { ...identity, boot_id: '00000000-0000-0000-0000-000000000000' },
  ];
  for (const other of others) {
    assert.equal(isSameProcess(other), false);
    for (const target of ['process', 'group'] as const) assert.equal(signalProcess(other, 'SIGKILL', target), false);
  }
  assert.equal(isSameProcess(identity), true);
  assert.equal(child.signalCode, null);
});

test('the very process is signalled, alone or with its group', async (t) => {
  for (const target of ['process', 'group'] as const) {
    const { exited, identity } = await startSleep(t);
    assert.equal(signalProcess(identity, 'SIGTERM', target), true);
    assert.deepEqual(await exited, [null, 'SIGTERM']);
  }
});

test('a name with blanks and parentheses does not hide the start time', async (t) => {
  const odd = join(await makeTempDir(t), 'a ) R 1 (b');
  symlinkSync('/bin/sleep', odd);
  const { identity } = await startSleep(t, odd);
  const plain = await startSleep(t);
  assert.ok(identity.start_time > 0 && identity.start_time <= plain.identity.start_time);
});

test('a zombie exists still, but does not run', async (t) => {
  // A shell that becomes a program which does not wait for its child.
  const parent = spawn('/bin/sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => parent.kill());
  const [line] = await once(parent.stdout, 'data');
  const pid = Number(line);
  await eventually('a zombie', () => readStat(pid)?.state === 'Z');
  const identity = identify(pid)!;
  assert.deepEqual([isSameProcess(identity), isRunning(identity), isAlive(pid)], [true, false, false]);
  assert.equal(readResidentBytes(pid), 0);
  assert.deepEqual(listChildren(parent.pid!), [pid]);
});

test('a process is in the list of all', async (t) => {
  const { child } = await startSleep(t);
  assert.ok(listPids().includes(child.pid!));
});

test('of a pid that nobody has there is nothing to read', async (t) => {
  const { child, exited } = await startSleep(t);
  child.kill('SIGKILL');
  await exited;
  const pid = child.pid!;
  assert.deepEqual([readStat(pid), listDescriptors(pid), listChildren(pid)], [null, [], []]);
  assert.deepEqual([readCgroups(pid), readCpuMs(pid), isAlive(pid)], [[], 0, false]);
});

test('descriptors lead to their files, and tell what children inherit', async (t) => {
  const path = join(await makeTempDir(t), 'file');
  const fd = openSync(path, 'w');
  t.after(() => closeSync(fd));
  assert.ok(listDescriptors('self').some((one) => one.fd === fd && one.target === path));
  assert.equal(isInheritable(fd), false);
  assert.equal(isInheritable(10_000), false);
});

test('the open files of this process are limited as its shell says', () => {
  const show = (option: string) =>
    Number(
      execFileSync('/bin/sh', ['-c', `ulimit ${option} -n`], { encoding: 'utf8' }).replace('unlimited', 'Infinity'),
    );
  // A child has the limits of its parent; Node raises its own soft limit, which it takes back for children.
  assert.equal(readOpenFilesLimit().hard, show('-H'));
  assert.ok(readOpenFilesLimit().soft <= readOpenFilesLimit().hard);
  assert.ok(readMaxOpenFilesLimit() >= 1024);
});

test('a server is among the sockets', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const found = listSockets('tcp').find((socket) => socket.port === port && socket.isListening)!;
  assert.ok(listDescriptors('self').some(({ target }) => target === `socket:[${found.inode}]`));
});

test('a tree that is read again has the processes that are new, and an orphan under its new parent', async (t) => {
  const tree = new ProcessTree();
  const before = tree.read()(process.pid);
  const parent = spawn('/bin/sh', ['-c', 'sleep 1000 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => parent.kill('SIGKILL'));
  const [text] = await once(parent.stdout, 'data');
  const orphan = Number(text);
  t.after(() => process.kill(orphan, 'SIGKILL'));
  const now = tree.read();
  assert.ok(!before.includes(parent.pid!) && now(process.pid).includes(parent.pid!));
  assert.deepEqual(now(parent.pid!), [orphan]);

  const exited = once(parent, 'exit');
  parent.kill('SIGKILL');
  await exited;
  const later = tree.read();
  assert.deepEqual(later(parent.pid!), []);
  assert.ok(later(readStat(orphan)!.parent).includes(orphan));
});

test('a unix socket listens at a path after listen, not after bind', async (t) => {
  const path = join(await makeTempDir(t), 'sockét');
  const program =
    'socket S, 1, 1, 0; bind S, pack("S a*", 1, $ARGV[0]) or die; print ".\n"; <STDIN>; listen S, 1; <STDIN>';
  const owner = spawn('perl', ['-e', `$| = 1; ${program}`, path], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => owner.kill());
  assert.equal(isListening(path), false);
  await once(owner.stdout, 'data');
  assert.deepEqual([existsSync(path), isListening(path)], [true, false]);
  owner.stdin.write('\n');
  await eventually('the socket to listen', () => isListening(path));
  assert.equal(isListening(path.slice(0, -1)), false);
});
