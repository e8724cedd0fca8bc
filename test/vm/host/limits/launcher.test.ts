import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'node:test';
import { type Command, grantOpenFiles, wrapCommand } from '../../../../src/vm/host/limits/launcher.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

async function run({ program, args }: Command) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { pid: child.pid!, code: child.exitCode, stdout, stderr };
}

const sh = (script: string, ...args: string[]): Command => ({
  program: '/bin/sh',
  args: ['-c', script, 'sh', ...args],
});

test('without limits a command is itself', () => {
  const command = sh('true');
  assert.equal(wrapCommand(command, null, []), command);
});

test('the program has the limit of open files from its first instruction, soft and hard', async () => {
  const { stdout } = await run(wrapCommand(sh('ulimit -Sn; ulimit -Hn'), 77, []));
  assert.equal(stdout, '77\n77\n');
});

test('it joins each cgroup before it becomes the program, with the pid that it started with', async (t) => {
  const dir = await makeTempDir(t);
  const groups = ['cpu', 'memory'].map((name) => join(dir, name));
  for (const group of groups) mkdirSync(group);
  const script = 'echo $$; cat "$1/cpu/cgroup.procs" "$1/memory/cgroup.procs"';
  const { pid, stdout } = await run(wrapCommand(sh(script, dir), null, groups));
  assert.equal(stdout, `${pid}\n`.repeat(3));
  assert.equal(readFileSync(join(dir, 'cpu/cgroup.procs'), 'utf8'), `${pid}\n`);
});

test('arguments arrive as they are, -- and - among them', async () => {
  const odd = ['--', '-', '', 'a b', '$HOME', "'"];
  const { stdout } = await run(wrapCommand(sh('printf "<%s>" "$@"', ...odd), 100, []));
  assert.equal(stdout, odd.map((arg) => `<${arg}>`).join(''));
});

test('a program never runs without a limit that could not be set', async () => {
  const { code, stdout, stderr } = await run(wrapCommand(sh('echo ran'), null, ['/no/such/cgroup']));
  assert.notEqual(code, 0);
  assert.equal(stdout, '');
  assert.match(stderr, /\/no\/such\/cgroup\/cgroup\.procs/);
});

test('a service gets the files that it asks for, where the daemon may give them', () => {
  assert.deepEqual(grantOpenFiles(64, 1024), { count: 64, note: null });
  assert.deepEqual(grantOpenFiles(1024, 1024), { count: 1024, note: null });
  assert.deepEqual(grantOpenFiles(null, 1024), { count: null, note: null });
});

test('where it may not, the service gets the most that it may, and a note says so', () => {
  assert.deepEqual(grantOpenFiles(65_536, 1024), {
    count: 1024,
    note: 'open_files is 1024 and not 65536: the daemon may not allow more',
  });
});
