import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeTempDir, TEMP_PREFIX } from '../helpers/temp.ts';

const script = fileURLToPath(new URL('../../scripts/run-tests.js', import.meta.url));
const PASSING = "import test from 'node:test'; test('one', () => {}); test('two', () => {});";

/** Runs the script on a folder with these files, its temporary files in a folder of its own. */
async function runOn(t: TestContext, files: Record<string, string>) {
  const dir = await makeTempDir(t);
  const temp = join(dir, 'temp');
  mkdirSync(temp);
  for (const [name, source] of Object.entries(files)) writeFileSync(join(dir, name), source);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, dir], {
    env: { ...env, TMPDIR: temp },
    encoding: 'utf8',
  });
  return { status, stderr, lastLine: stdout.trimEnd().split('\n').at(-1) };
}

test('a run of passing tests succeeds and ends with their number', async (t) => {
  const { status, lastLine, stderr } = await runOn(t, { 'a.test.ts': PASSING, 'not-a-test.ts': 'throw 1;' });
  assert.deepEqual({ status, lastLine, stderr }, { status: 0, lastLine: '2 passed, 0 failed', stderr: '' });
});

test('a failing test fails the run, wherever it is', async (t) => {
  const failing = "import test from 'node:test'; test('bad', () => { throw new Error('x'); });";
  const { status, lastLine } = await runOn(t, { 'a.test.ts': failing, 'b.test.ts': PASSING });
  assert.deepEqual({ status, lastLine }, { status: 1, lastLine: '2 passed, 1 failed' });
});

test('a skipped test and a todo fail the run and are named', async (t) => {
  const { status, stderr } = await runOn(t, {
    'a.test.ts': "import test from 'node:test'; test.skip('later', () => {}); test.todo('some day');",
  });
  assert.equal(status, 1);
  assert.match(stderr, /skipped test: later/);
  assert.match(stderr, /todo test: some day/);
});

test('a file without a test fails the run', async (t) => {
  const { status, stderr } = await runOn(t, { 'a.test.ts': PASSING, 'b.test.ts': 'export {};' });
  assert.equal(status, 1);
  assert.match(stderr, /file without a test: .*b\.test\.ts/);
});

test('a folder without test files is a failure', async (t) => {
  const { status, stderr } = await runOn(t, { 'a.ts': PASSING });
  assert.equal(status, 1);
  assert.match(stderr, /no \*\.test\.ts file found/);
});

test('a temporary folder that a test leaves behind fails the run and is named', async (t) => {
  const { status, stderr } = await runOn(t, {
    'a.test.ts': `${PASSING}
      import { mkdtempSync } from 'node:fs'; import { tmpdir } from 'node:os';
      mkdtempSync(tmpdir() + '/${TEMP_PREFIX}');`,
  });
  assert.equal(status, 1);
  assert.match(stderr, new RegExp(`folder left behind: .*${TEMP_PREFIX}`));
});

test('a VM process that a test leaves behind fails the run and is named', async (t) => {
  const { status, stderr } = await runOn(t, {
    'a.test.ts': `${PASSING}
      import { spawn } from 'node:child_process'; import { tmpdir } from 'node:os';
      const argv0 = 'qemu-system-fake ' + tmpdir() + '/${TEMP_PREFIX}x';
      spawn('sleep', ['1000'], { argv0, stdio: 'ignore', detached: true }).unref();`,
  });
  const pid = /process left behind: (\d+) qemu-system-fake/.exec(stderr)?.[1];
  if (pid) process.kill(Number(pid), 'SIGKILL');
  assert.equal(status, 1);
  assert.ok(pid, stderr);
});
