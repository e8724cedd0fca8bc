/** The limits of log files at work: worker, retention and jobs together, on real files. */
import assert from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { LogThread } from '../../src/logs/logs-thread.ts';
import { LogRetention } from '../../src/logs/retention.ts';
import { DEFAULT_LOG_SETTINGS, type LogSettings } from '../../src/protocol/log-settings.ts';
import { JobPool } from '../../src/threads/job-pool.ts';
import { openChildEnd, openReadEnd } from '../../src/vm/host/fifos.ts';
import { eventually } from '../helpers/eventually.ts';
import { gate } from '../helpers/fakes/fake-context.ts';
import { makeFifos } from '../helpers/processes/fifos.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

async function startRetention(t: TestContext) {
  const dir = await makeTempDir(t);
  const logDir = join(dir, 'log');
  const jobs = new JobPool();
  defer(t, () => jobs.close());
  const reports: string[] = [];
  const report = (_level: string, message: string) => reports.push(message);
  const retention = new LogRetention({ logDir, clock: systemClock, runJob: (job) => jobs.run(job), report });
  const logs = new LogThread(logDir, report, { retention });
  defer(t, async () => {
    await logs.stop();
    retention.stop();
  });
  await logs.start();
  const hold = async (service: string, settings: Partial<LogSettings>, lines: readonly string[]) => {
    const fifo = join(dir, `${service}.fifo`);
    if (!existsSync(fifo)) makeFifos([fifo]);
    const fd = openReadEnd(fifo);
    const childEnd = openChildEnd(fifo);
    const ended = gate();
    const handlers = { reopen: () => openReadEnd(fifo), onEnded: ended.open };
    await logs.capture(service, [{ stream: 'stdout', fd }], handlers, { ...DEFAULT_LOG_SETTINGS, ...settings });
    for (const line of lines) writeSync(childEnd, `${line}\n`);
    return async () => {
      closeSync(childEnd);
      await ended.opened;
    };
  };
  const run = async (...what: Parameters<typeof hold>) => (await hold(...what))();
  const names = () => readdirSync(logDir).filter((name) => name !== 'web.stdout.log');
  return { logDir, retention, logs, reports, run, hold, names };
}

const LINES = Array.from({ length: 1000 }, (_, index) => `line ${index}`);
const SMALL = { max_size_bytes: 4096 } as const;

test('finished files are compressed, the oldest are deleted, and the rest is read as one log', async (t) => {
  const { logs, run, names, reports } = await startRetention(t);
  await run('web', { ...SMALL, compress: 'gzip', compress_delay_ms: 0, keep_files: 3 }, LINES);
  const left = await eventually('the limits', () => {
    const found = names().sort();
    return found.length === 4 && found.filter((name) => name.endsWith('.log.gz')).length === 3 && found;
  });
  assert.equal(left.at(-1)?.endsWith('.log'), true, 'the current file is as it was');
  const records = await logs.lastLines('web', ['stdout'], 5000, '2000');
  const lines = records.map((record) => record.replace(/^\S+ INFO \[web\] /, ''));
  assert.ok(lines.length > 100 && lines.length < LINES.length);
  assert.deepEqual(lines, LINES.slice(-lines.length));
  assert.deepEqual(reports, []);
});

test('a service that prints without end loses its oldest finished files only, and keeps what its limit allows', async (t) => {
  assert.equal(DEFAULT_LOG_SETTINGS.keep_total_bytes, 2 ** 30, 'there is a limit by default');
  const { logDir, logs, names, hold, reports } = await startRetention(t);
  const limit = 40_000;
  const end = await hold('web', { ...SMALL, keep_total_bytes: limit }, [...LINES, ...LINES, ...LINES]);
  // On a disk, in whole blocks.
  const bytesOf = (name: string) => Math.ceil(statSync(join(logDir, name)).size / 4096) * 4096;
  const bytes = () => names().reduce((sum, name) => sum + bytesOf(name), 0);
  const isOldestGone = () => !names().includes('web.stdout.000001.log');
  await eventually('the limit', () => isOldestGone() && bytes() <= limit);
  assert.ok(bytes() > limit - 4 * SMALL.max_size_bytes, `${bytes()} bytes are left`);
  await end();
  const records = await logs.lastLines('web', ['stdout'], 5000, '2000');
  const lines = records.map((record) => record.replace(/^\S+ INFO \[web\] /, ''));
  assert.deepEqual(lines, [...LINES, ...LINES, ...LINES].slice(-lines.length));
  assert.deepEqual(reports, []);
});

test('a compression interrupted by a crash is completed when the service starts again', async (t) => {
  const { logDir, run, names } = await startRetention(t);
  await run('web', SMALL, LINES);
  writeFileSync(join(logDir, 'web.stdout.000001.log.gz.tmp'), 'half');
  await run('web', { ...SMALL, compress: 'gzip', compress_delay_ms: 0 }, ['again']);
  await eventually('the compression', () => {
    const found = names();
    return !found.some((name) => name.endsWith('.tmp')) && found.filter((name) => name.endsWith('.log')).length === 1;
  });
});

test('the current file expires only when its service has stopped', async (t) => {
  const { logDir, retention, hold, names } = await startRetention(t);
  const settings = { keep_for_ms: 60_000 };
  const end = await hold('web', settings, ['old news']);
  const file = join(logDir, 'web.stdout.000001.log');
  await eventually('the line', () => readFileSync(file, 'utf8') !== '');
  utimesSync(file, 0, 0);
  const other = join(logDir, 'other.stdout.000001.log');
  const prune = async () => {
    // Not known, and older than is kept by default: goes in each pass.
    writeFileSync(other, '');
    utimesSync(other, 0, 0);
    retention.requestPass();
    await eventually('a pass', () => !existsSync(other));
  };
  await prune();
  assert.deepEqual(names(), ['web.stdout.000001.log']);
  await end();
  await prune();
  // The pass that removed the other file may not be through.
  await eventually('its files to be removed', () => readdirSync(logDir).length === 0);
});

test('files of a stopped service count towards the limit of the home', async (t) => {
  const { retention, run, names } = await startRetention(t);
  await run('web', SMALL, LINES);
  assert.ok(names().length > 5);
  retention.limit({ keep_total_bytes: 16_384 });
  const left = await eventually('the limit', () => names().length <= 3 && names().sort());
  assert.ok(left.length >= 2, left.join(' '));
});

test('removed logs of a service do not come back', async (t) => {
  const { logs, retention, run, names } = await startRetention(t);
  await run('web', { ...SMALL, compress: 'gzip', compress_delay_ms: 0 }, LINES);
  await logs.removeLogs('web');
  assert.deepEqual(names(), []);
  await run('web', SMALL, ['new']);
  retention.requestPass();
  await run('db', SMALL, ['new']);
  assert.deepEqual(names().sort(), ['db.stdout.000001.log', 'db.stdout.log', 'web.stdout.000001.log']);
});
