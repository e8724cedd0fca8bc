import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { LogRetention } from '../../src/logs/retention.ts';
import type { Job, JobResult, PrunedLogs, PruneLogsJob } from '../../src/protocol/jobs.ts';
import { DEFAULT_LOG_SETTINGS } from '../../src/protocol/log-settings.ts';
import { gate, settle } from '../helpers/fakes/fake-context.ts';
import { ManualClock } from '../helpers/fakes/manual-clock.ts';

const DIR = '/home/log';
const GZIP = { ...DEFAULT_LOG_SETTINGS, compress: 'gzip', compress_delay_ms: 60_000 } as const;
const ID = { service: 'web', stream: 'stdout' } as const;
const FIRST = 'web.stdout.000001.log';
const HOUR_MS = 3600e3;

/** A retention whose jobs are noted, as `prune` or by the name of the file. */
function makeRetention() {
  const clock = new ManualClock();
  const jobs: string[] = [];
  const passes: PruneLogsJob[] = [];
  const reports: string[] = [];
  const state = { found: [] as PrunedLogs['compressible'], before: async (_job: Job): Promise<void> => {} };
  const runJob = async <J extends Job>(job: J): Promise<JobResult<J>> => {
    if (job.type === 'prune-logs') passes.push(job);
    jobs.push(job.type === 'compress-log' ? job.path.slice(DIR.length + 1) : 'prune');
    await state.before(job);
    const result = job.type === 'prune-logs' ? { removed: [], compressible: state.found } : null;
    return result as unknown as JobResult<J>;
  };
  const retention = new LogRetention({
    logDir: DIR,
    clock,
    runJob,
    report: (level, text) => reports.push(`${level}: ${text}`),
  });
  const advance = async (durationMs: number) => {
    clock.advance(durationMs);
    await settle();
  };
  return { retention, clock, jobs, passes, reports, state, advance };
}

test('a roll triggers a pass over every known service, a burst of rolls only one', async () => {
  const { retention, passes, advance } = makeRetention();
  retention.know('web', DEFAULT_LOG_SETTINGS);
  retention.know('db', GZIP);
  retention.limit({ keep_total_bytes: 1e6 });
  for (let number = 1; number <= 50; number += 1) retention.onFinished(ID, number);
  await advance(1000);
  assert.equal(passes.length, 1);
  const [{ logDir, retentions, home, otherRetention } = passes[0]!] = passes;
  assert.deepEqual(
    [logDir, retentions, home],
    [DIR, { web: DEFAULT_LOG_SETTINGS, db: GZIP }, { keep_total_bytes: 1e6 }],
  );
  assert.equal(otherRetention.keep_for_ms, DEFAULT_LOG_SETTINGS.keep_for_ms);
});

test('a pass runs at the start and every hour even if nothing happens', async () => {
  const { retention, passes, advance } = makeRetention();
  retention.start();
  await advance(1000);
  assert.equal(passes.length, 1);
  for (let hour = 1; hour <= 3; hour += 1) {
    await advance(HOUR_MS);
    await advance(1000);
    assert.equal(passes.length, 1 + hour);
  }
  retention.stop();
});

test('new settings trigger a pass, a start with unchanged settings does not', async () => {
  const { retention, passes, advance } = makeRetention();
  const expectPasses = async (count: number, change: () => unknown) => {
    await change();
    await advance(1000);
    assert.equal(passes.length, count);
  };
  await expectPasses(0, () => retention.begin('default', DEFAULT_LOG_SETTINGS));
  await expectPasses(1, () => retention.begin('web', GZIP));
  retention.end('web');
  await expectPasses(1, () => retention.begin('web', { ...GZIP }));
  await expectPasses(2, () => retention.begin('web', { ...GZIP, keep_files: 3 }));
  await expectPasses(3, () => retention.limit({ keep_total_bytes: 1e6 }));
  await expectPasses(3, () => retention.limit({ keep_total_bytes: 1e6 }));
});

test('a pass knows which services are writing', async () => {
  const { retention, passes, advance } = makeRetention();
  await retention.begin('web', GZIP);
  await retention.begin('db', GZIP);
  retention.end('db');
  retention.requestPass();
  await advance(1000);
  assert.deepEqual(passes.at(-1)?.written, ['web']);
  assert.deepEqual(Object.keys(passes.at(-1)!.retentions), ['web', 'db']);
});

test('a capture waits for a pass that treats its service as stopped', async () => {
  const { retention, passes, state, advance } = makeRetention();
  const job = gate();
  state.before = () => job.opened;
  retention.requestPass();
  await advance(1000);
  let hasBegun = false;
  const begun = retention.begin('web', GZIP).then(() => {
    hasBegun = true;
  });
  await settle();
  assert.deepEqual([passes[0]?.written, hasBegun], [[], false]);
  job.open();
  await begun;
});

test('a finished file is compressed once, after the delay', async () => {
  const { retention, jobs, advance } = makeRetention();
  retention.know('web', GZIP);
  retention.onFinished(ID, 1);
  retention.onFinished(ID, 1);
  await advance(59_999);
  assert.deepEqual(jobs, ['prune']);
  await advance(1);
  assert.deepEqual(jobs, ['prune', FIRST]);
});

test('without compress nothing is compressed', async () => {
  const { retention, jobs, advance } = makeRetention();
  retention.know('web', DEFAULT_LOG_SETTINGS);
  retention.onFinished(ID, 1);
  await advance(HOUR_MS);
  assert.deepEqual(jobs, ['prune']);
});

test('a pass finds files of an earlier daemon, and they wait for the rest of the delay', async () => {
  const { retention, clock, jobs, state, advance } = makeRetention();
  retention.know('web', GZIP);
  const modifiedAtMs = clock.now() - 50_000;
  state.found = [
    { name: FIRST, service: 'web', modifiedAtMs },
    { name: 'web.stdout.000002.log', service: 'web', modifiedAtMs: clock.now() + 1e9 },
  ];
  retention.requestPass();
  await advance(1000);
  await advance(8999);
  assert.deepEqual(jobs, ['prune']);
  await advance(1);
  assert.deepEqual(jobs, ['prune', FIRST]);
  await advance(60_000);
  assert.equal(jobs.at(-1), 'web.stdout.000002.log', 'a time in the future waits no longer than the delay');
});

test('a failed compression is reported and retried by a later pass', async () => {
  const { retention, jobs, reports, state, advance } = makeRetention();
  retention.know('web', GZIP);
  state.before = async (job) => {
    if (job.type === 'compress-log') throw new Error('ENOSPC: no space left on device');
  };
  retention.onFinished(ID, 1);
  await advance(60_000);
  assert.deepEqual(reports, [`warn: ${join(DIR, FIRST)} could not be compressed: ENOSPC: no space left on device`]);
  state.before = async () => {};
  state.found = [{ name: FIRST, service: 'web', modifiedAtMs: 0 }];
  retention.requestPass();
  await advance(1000);
  await advance(0);
  assert.deepEqual(jobs.slice(-2), ['prune', FIRST]);
});

test('files being removed are neither compressed nor pruned, then or later', async () => {
  const { retention, jobs, state, advance } = makeRetention();
  const job = gate();
  const removal = gate();
  retention.know('web', GZIP);
  retention.onFinished(ID, 1);
  retention.onFinished(ID, 2);
  state.before = async ({ type }) => {
    if (type === 'compress-log') await job.opened;
  };
  await advance(60_000);
  retention.onFinished(ID, 3);
  let isRemoving = false;
  const removed = retention.whileRemoving('web', async () => {
    isRemoving = true;
    await removal.opened;
  });
  await settle();
  assert.equal(isRemoving, false, 'it waits for the compressions that run');
  job.open();
  await settle();
  assert.equal(isRemoving, true);
  jobs.length = 0;
  await advance(HOUR_MS);
  assert.deepEqual(jobs, []);
  removal.open();
  await removed;
  await advance(1000);
  assert.deepEqual(jobs, ['prune']);
});

test('nothing begins after stop()', async () => {
  const { retention, clock, jobs, advance } = makeRetention();
  retention.know('web', GZIP);
  retention.start();
  retention.onFinished(ID, 1);
  retention.stop();
  retention.onFinished(ID, 2);
  await advance(2 * HOUR_MS);
  assert.deepEqual(jobs, []);
  assert.equal(clock.timers, 0);
});
