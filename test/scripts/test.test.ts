import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { makeTempDir } from '../helpers/temp.ts';

const script = fileURLToPath(new URL('../../scripts/test.ts', import.meta.url));
const PASSING = "import test from 'node:test'; test('one', () => {}); test('two', () => {});";

/** Runs the script on a folder with these files. */
async function runOn(t: TestContext, files: Record<string, string>, options: readonly string[] = []) {
  const dir = await makeTempDir(t);
  for (const [name, source] of Object.entries(files)) writeFileSync(join(dir, name), source);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const command = ['--import', import.meta.resolve('tsx'), script, ...options, dir];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, {
    // Not the folder of this run: leftovers of this one must not be taken for those of the other.
    env: { ...env, TMPDIR: dir },
    encoding: 'utf8',
  });
  const lines = stdout.trimEnd().split('\n');
  return { status, stderr, lines, lastLine: lines.at(-1) };
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

test('a failed test, and a file that cannot be loaded, are named where files share a process', async (t) => {
  const { status, lines } = await runOn(t, {
    'a.test.ts': PASSING,
    'b.test.ts': "import test from 'node:test'; test('bad', () => { throw new Error('x'); });",
    'c.test.ts': "throw new Error('unloadable');",
    'd.test.ts': PASSING,
  });
  assert.equal(status, 1);
  assert.equal(lines.at(-1), '4 passed, 2 failed');
  assert.ok(lines.some((line) => /^test at .*\/b\.test\.ts:/.test(line)));
  assert.ok(lines.some((line) => /^✖ .*\/c\.test\.ts /.test(line)));
});

test('a process that dies is reported with the files that shared it', async (t) => {
  const { status, stderr } = await runOn(t, {
    'a.test.ts': PASSING,
    'b.test.ts':
      "import test from 'node:test'; import { kill, pid } from 'node:process'; test('dies', () => kill(pid, 9));",
  });
  assert.equal(status, 1);
  assert.match(stderr, /failed process, by one of its files:\n.*\/a\.test\.ts\n.*\/b\.test\.ts\n/);
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

test('a temporary file that a test leaves behind fails the run and is named', async (t) => {
  const { status, stderr } = await runOn(t, {
    'a.test.ts': `${PASSING}
      import { mkdtempSync } from 'node:fs'; import { tmpdir } from 'node:os';
      mkdtempSync(tmpdir() + '/left-');`,
  });
  assert.equal(status, 1);
  assert.match(stderr, /file left behind: .*\/left-/);
});

test('processes that a test leaves behind fail the run and are named', async (t) => {
  const { status, stderr } = await runOn(t, {
    'a.test.ts': `${PASSING}
      import { spawn } from 'node:child_process'; import { tmpdir } from 'node:os';
      const start = (args, options) => spawn('sleep', args, { ...options, stdio: 'ignore', detached: true }).unref();
      start(['1000', 'infinity'], { argv0: 'by-argument ' + tmpdir(), env: {} });
      start(['1000'], { argv0: 'by-environment' });`,
  });
  const pids = ['by-argument', 'by-environment'].map(
    (program) => new RegExp(`process left behind: (\\d+) ${program}`).exec(stderr)?.[1],
  );
  for (const pid of pids) if (pid) process.kill(Number(pid), 'SIGKILL');
  assert.equal(status, 1);
  assert.ok(pids.every(Boolean), stderr);
});

test('the slowest files are printed on demand', async (t) => {
  const slow = "import test from 'node:test'; test('slow', () => new Promise((done) => setTimeout(done, 200)));";
  const { lines } = await runOn(t, { 'a.test.ts': PASSING, 'b.test.ts': slow }, ['--slowest', '1']);
  assert.match(lines.at(-2)!, /^ +0\.\d s .*b\.test\.ts$/);
});
