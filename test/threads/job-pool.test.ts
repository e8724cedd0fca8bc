import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../../src/lib/errors.ts';
import type { BuildInitramfsJob } from '../../src/protocol/jobs.ts';
import { JobPool } from '../../src/threads/job-pool.ts';
import { eventually } from '../helpers/eventually.ts';
import { writeProgram } from '../helpers/processes/program.ts';
import { TYPESCRIPT_OPTIONS } from '../helpers/processes/typescript.ts';
import { makeTempDir } from '../helpers/temp.ts';

/** A job that takes long enough to be interrupted: its busybox does not answer before it is told to. */
async function makeJob(t: TestContext, script: string): Promise<BuildInitramfsJob> {
  const dir = await makeTempDir(t);
  const busyboxPath = writeProgram(join(dir, 'busybox'), script);
  return { type: 'build-initramfs', busyboxPath, modulesDir: null, cacheDir: join(dir, 'cache') };
}

function makePool(t: TestContext): JobPool {
  const pool = new JobPool();
  t.after(() => pool.close());
  return pool;
}

test('any number of jobs run off the main thread and return their results', async (t) => {
  const pool = makePool(t);
  const job = await makeJob(t, 'echo sh');
  const results = await Promise.all([1, 2, 3, 4].map(() => pool.run(job)));
  assert.equal(new Set(results.map(({ path }) => path)).size, 1);
  assert.equal(readFileSync(results[0]!.path).toString('latin1', 0, 6), '070701');
  assert.deepEqual(pool.status(), { name: 'jobs', state: 'ready', restarts: 0 });
});

test('an error of a job keeps its code and the code of its cause', async (t) => {
  const pool = makePool(t);
  const job = await makeJob(t, 'echo sh');
  await assert.rejects(pool.run({ ...job, busyboxPath: '/nonexistent/busybox' }), (error) => {
    assert.equal(errorCode(error), 'Internal');
    assert.equal(errorCode((error as Error).cause), 'ENOENT');
    return true;
  });
  assert.ok((await pool.run(job)).path, 'the pool goes on');
});

test('a cancelled job is aborted', async (t) => {
  const pool = makePool(t);
  const job = await makeJob(t, 'echo sh');
  await assert.rejects(pool.run(job, { signal: AbortSignal.abort() }), { code: 'Aborted' });
  const cancel = new AbortController();
  const running = pool.run(job, { signal: cancel.signal });
  cancel.abort();
  await assert.rejects(running, { code: 'Aborted' });
});

test('a thread that dies fails its current job and no later one', async (t) => {
  const pool = makePool(t);
  const dir = await makeTempDir(t);
  const begun = join(dir, 'begun');
  const goOn = join(dir, 'go-on');
  const script = `touch ${begun}; until [ -e ${goOn} ]; do sleep 0.05; done; echo sh`;
  const running = assert.rejects(pool.run(await makeJob(t, script)), { code: 'ThreadDied' });
  await eventually('the job', () => existsSync(begun));
  const crashed = pool.crash();
  // It waits for its program where nothing can end it.
  writeFileSync(goOn, '');
  await crashed;
  await running;
  assert.ok((await pool.run(await makeJob(t, 'echo sh'))).path);
});

test('closing the pool aborts running jobs and later ones', async (t) => {
  const pool = makePool(t);
  const job = await makeJob(t, 'echo sh');
  const cutOff = assert.rejects(pool.run(job), { code: 'Aborted' });
  await pool.close();
  await cutOff;
  await assert.rejects(pool.run(job), { code: 'Aborted', message: 'the daemon is ending' });
  assert.equal(pool.status().state, 'stopped');
});

test('a pool that never ran a job can be closed', async () => {
  const pool = new JobPool();
  await pool.close();
  await pool.close();
});

test('image jobs have threads of their own and wait for no other job', async (t) => {
  const pool = makePool(t);
  const dir = await makeTempDir(t);
  const release = join(dir, 'release');
  const script = `while [ ! -e ${release} ]; do sleep 0.05; done; echo sh`;
  // One more than there are threads for them.
  const busy = Promise.all(
    Array.from({ length: availableParallelism() }, async () => pool.run(await makeJob(t, script))),
  );
  assert.deepEqual(await pool.run({ type: 'list-images', imagesDir: join(dir, 'images') }), []);
  writeFileSync(release, '');
  await busy;
});

test('a job for which no thread can be started fails by name, and the next one runs', async (t) => {
  const fixture = fileURLToPath(new URL('../fixtures/starved-pool.ts', import.meta.url));
  const script = 'ulimit -n 100; exec "$@"';
  const words = [process.execPath, ...TYPESCRIPT_OPTIONS, fixture, await makeTempDir(t)];
  const { stdout, stderr } = spawnSync('/bin/sh', ['-c', script, 'sh', ...words], { encoding: 'utf8' });
  const [starved, next] = JSON.parse(stdout || `["${stderr}"]`);
  assert.match(starved, /^the job prune-logs did not end: .*EMFILE/);
  assert.equal(next, 'done');
});
