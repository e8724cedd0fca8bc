import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { emulator } from '../../helpers/processes/test-program.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';

/** Runs the shim of an architecture until it ends, having released it as a reader of its streams would. */
async function runShim(t: TestContext, architecture: string, command: readonly string[]) {
  const record = join(await makeTempDir(t), 'record');
  const shim = fileURLToPath(new URL(`../../../src/vm/process/shim/${architecture}/monocore-shim`, import.meta.url));
  const [program, ...args] = [...emulator(architecture), shim, record, ...command];
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], env: { MARK: 'a b' } });
  defer(t, () => child.kill('SIGKILL'));
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
