import assert from 'node:assert/strict';
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { emulator } from '../../helpers/processes/test-program.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';

/** Starts the shim as the leader of a group, with pipes for the output and as descriptor 3. */
function startShim(t: TestContext, architecture: string, record: string, command: readonly string[]): ChildProcess {
  const shim = fileURLToPath(new URL(`../../../src/vm/process/shim/${architecture}/monocore-shim`, import.meta.url));
  const [program, ...args] = [...emulator(architecture), shim, record, ...command];
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', 'pipe'];
  const child = spawn(program!, args, { stdio, detached: true, env: { MARK: 'a b', PATH: process.env.PATH } });
  defer(t, () => child.kill('SIGKILL'));
  return child;
}

/** Runs the shim of an architecture until it ends, having released it as a reader of its streams would. */
async function runShim(t: TestContext, architecture: string, command: readonly string[]) {
  const record = join(await makeTempDir(t), 'record');
  const child = startShim(t, architecture, record, command);
  const exited = once(child, 'exit');
  (child.stdio[3] as Writable).end('x');
  const [stdout, stderr] = await Promise.all([child.stdout, child.stderr].map((stream) => text(stream as Readable)));
  const [code] = await exited;
  return { code, stdout, stderr, record: readFileSync(record, 'utf8').replace(/\d+(?=\nexit)/, 'PID') };
}

for (const architecture of ['x64', 'arm64']) {
  test(`the shim for ${architecture} records how a program ends`, async (t) => {
    const script = 'echo "$0 $1 $MARK"; echo error >&2; test -e /proc/self/fd/3 && exit 9; exit 7';
    assert.deepEqual(await runShim(t, architecture, ['/bin/sh', '-c', script, 'zero', "it's"]), {
      code: 0,
      stdout: "zero it's a b\n",
      stderr: 'error\n',
      record: 'started PID\nexit 7\n',
    });
    assert.equal((await runShim(t, architecture, ['/bin/sh', '-c', 'kill -9 $$'])).record, 'started PID\nexit 137\n');
  });

  test(`the shim for ${architecture} says why a program cannot be executed`, async (t) => {
    const missing = await runShim(t, architecture, ['/none']);
    assert.equal(missing.record, 'started PID\nexit 127\n');
    assert.equal(missing.stderr, 'monocore: /none or its interpreter does not exist\n');
    const denied = await runShim(t, architecture, ['/etc/passwd']);
    assert.equal(denied.record, 'started PID\nexit 126\n');
    assert.equal(denied.stderr, 'monocore: /etc/passwd cannot be executed\n');
  });

  test(`the shim for ${architecture} gives a script without an interpreter to /bin/sh`, async (t) => {
    const script = join(await makeTempDir(t), 'script');
    writeFileSync(script, 'echo "script $1"; exit 4\n', { mode: 0o755 });
    const { stdout, record } = await runShim(t, architecture, [script, 'word']);
    assert.deepEqual([stdout, record], ['script word\n', 'started PID\nexit 4\n']);
  });
}

// The emulator has no subreapers, and takes signals for itself.

test('the shim becomes the parent of what a program leaves', async (t) => {
  const record = join(await makeTempDir(t), 'record');
  const look = 'until read -r _ _ _ parent _ </proc/$$/stat; [ "$parent" = "$0" ]; do sleep 0.01; done; echo found';
  const child = startShim(t, process.arch, record, ['/bin/sh', '-c', `setsid sh -c '${look}' $PPID & exit 5`]);
  assert.equal((await once(child.stdout!, 'data')).toString(), 'found\n');
  const exited = once(child, 'exit');
  (child.stdio[3] as Writable).end('x');
  assert.deepEqual(await exited, [0, null]);
  assert.match(readFileSync(record, 'utf8'), /exit 5\n$/);
});

test('the shim waits for nobody once its service manager ends it', async (t) => {
  const record = join(await makeTempDir(t), 'record');
  const script = 'trap "echo asked; exit 3" TERM; echo up; while :; do sleep 0.05; done';
  const child = startShim(t, process.arch, record, ['/bin/sh', '-c', script]);
  await once(child.stdout!, 'data');
  const exited = once(child, 'exit');
  // The parent stands for the manager, which becomes the parent. Like the manager, it signals every process.
  process.kill(-child.pid!, 'SIGTERM');
  assert.deepEqual(await exited, [0, null]);
  assert.match(readFileSync(record, 'utf8'), /exit 3\n$/);
});
