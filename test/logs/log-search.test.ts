/** Searches through the real threads: the log worker, the main thread and the pool. */
import assert from 'node:assert/strict';
import { closeSync, mkdirSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import type { RunSearch } from '../../src/logs/log-reading.ts';
import { LogThread } from '../../src/logs/logs-thread.ts';
import type { LogFilter, LogQuery } from '../../src/protocol/log-files/queries.ts';
import { JobPool } from '../../src/threads/job-pool.ts';
import { transfer } from '../../src/threads/rpc.ts';
import { openChildEnd, openReadEnd } from '../../src/vm/host/fifos.ts';
import { eventually } from '../helpers/eventually.ts';
import { contentOf, linesOf, TestReader } from '../helpers/logs/harness.ts';
import { makeFifos } from '../helpers/processes/fifos.ts';
import { defer, makeTempDir } from '../helpers/temp.ts';

/** Takes time that doubles with each letter `a` of the bait: years. */
const STUCK = '(a+)+$';
const BAIT = `${'a'.repeat(60)}b`;
const RECORD = `2020-01-01T08:00:00.000Z INFO [web] ${BAIT}\n`;

const grep = (source: string): LogFilter => ({ sinceMs: null, untilMs: null, grep: { source, ignoreCase: false } });

async function startSearching(t: TestContext, content = '', pageSilenceMs = 10_000) {
  const dir = await makeTempDir(t);
  const logDir = join(dir, 'log');
  mkdirSync(logDir);
  if (content !== '') writeFileSync(join(logDir, 'web.stdout.000001.log'), content);
  const pool = new JobPool();
  let running = 0;
  const runSearch: RunSearch = (job, options) => {
    running += 1;
    return pool.run(job, options).finally(() => {
      running -= 1;
    });
  };
  const logs = new LogThread(logDir, () => {}, { runSearch, pageSilenceMs });
  defer(t, () => pool.close());
  defer(t, () => logs.stop());
  await logs.start();
  const read = async (query: Partial<LogQuery>, isSlow = false) => {
    const { port1, port2 } = new MessageChannel();
    defer(t, () => port1.close());
    const reader = new TestReader(port1, isSlow);
    const whole: LogQuery = { services: [], streams: ['stdout'], tail: null, follow: false, ...query };
    await (await logs.thread.ready()).read(whole, transfer(port2, [port2]));
    return reader;
  };
  return { dir, logDir, logs, pool, read, running: () => running };
}

/** A service that is captured; returns what prints. */
async function capture(
  t: TestContext,
  dir: string,
  logs: LogThread,
  continues = false,
): Promise<(text: string) => void> {
  const path = join(dir, 'stdout.fifo');
  makeFifos([path]);
  const fd = openReadEnd(path);
  const childEnd = openChildEnd(path);
  defer(t, () => closeSync(childEnd));
  await logs.capture('web', [{ stream: 'stdout', fd }], {
    reopen: () => openReadEnd(path),
    onEnded: () => {},
    continues,
  });
  return (text) => writeSync(childEnd, text);
}

test('a pattern that backtracks without end fails its own search and blocks nothing else', async (t) => {
  const { dir, logDir, logs, read, running } = await startSearching(t, '', 3000);
  const print = await capture(t, dir, logs);
  print(`${BAIT}\n`);
  await eventually('the bait', () => contentOf(logDir, 'web', 'stdout').includes(BAIT));
  const stuck = await read({ filter: grep(STUCK) });
  await eventually('the search', () => running() === 1);
  print('printed meanwhile\n');
  await eventually('the line', () => contentOf(logDir, 'web', 'stdout').includes('printed meanwhile'));
  const other = await read({ filter: grep('meanwhile') });
  assert.deepEqual(linesOf(await other.ended()), ['printed meanwhile']);
  await assert.rejects(stuck.ended(), {
    code: 'Aborted',
    message: /the pattern took more than 3 s for a single record/,
  });
  await eventually('the end of the job', () => running() === 0);
});

test('closing readers frees the threads of their stuck searches', async (t) => {
  const { read, running } = await startSearching(t, RECORD);
  // As many as there are threads for searches, and one more.
  const readers = await Promise.all([1, 2, 3].map(() => read({ filter: grep(STUCK) })));
  await eventually('the searches', () => running() === 3);
  for (const reader of readers) reader.close();
  await eventually('the end of the jobs', () => running() === 0);
  assert.equal(await (await read({ filter: grep('^a+b$') })).ended(), RECORD);
});

test('a search waiting for its reader occupies no thread', async (t) => {
  const content = `2020-01-01T08:00:00.000Z INFO [web] ${'x'.repeat(1000)}\n`.repeat(2000);
  const { read, running } = await startSearching(t, content);
  const slow = await read({ filter: grep('x') }, true);
  await slow.until(({ chunks }) => chunks.length === 4);
  await eventually('the end of the page', () => running() === 0);
  while (slow.last === null) {
    const { length } = slow.chunks;
    slow.more();
    await slow.until(({ chunks, last }) => last !== null || chunks.length > length);
  }
  assert.equal(slow.text === content, true);
});

test('running searches are cancelled when the log worker dies', async (t) => {
  const { logs, read, running } = await startSearching(t, RECORD);
  await read({ filter: grep(STUCK) });
  await eventually('the search', () => running() === 1);
  await logs.thread.crash();
  await eventually('the end of the job', () => running() === 0);
  assert.equal(await (await read({ filter: grep('b') })).ended(), RECORD);
});

test('searches fail with the reason when the pool is closed', async (t) => {
  const { pool, read, running } = await startSearching(t, RECORD);
  const readers = await Promise.all([1, 2, 3].map(() => read({ filter: grep(STUCK) })));
  await eventually('the searches', () => running() === 3);
  await pool.close();
  for (const reader of [...readers, await read({ filter: grep('x') })]) {
    await assert.rejects(reader.ended(), { code: 'ThreadDied', message: /its thread died/ });
  }
});

for (const continues of [false, true]) {
  test(`a line of a run is known by its place, whatever the clock of the host says (continues: ${continues})`, async (t) => {
    // Its clock was an hour ahead before it was set back.
    const aheadMs = Date.now() + 3_600_000;
    const last = `${new Date(aheadMs + 1000).toISOString()} INFO [web] last\n`;
    const { dir, logDir, logs } = await startSearching(t, last);
    utimesSync(join(logDir, 'web.stdout.000001.log'), aheadMs / 1000, aheadMs / 1000);
    const print = await capture(t, dir, logs, continues);
    const seen: string[] = [];
    for (const line of ['last', 'next']) {
      defer(t, async () => end());
      const end = logs.watchForLine('web', `^${line}$`, aheadMs, () => seen.push(line));
    }
    // Of a service that ran before, an earlier daemon may have captured the line.
    if (continues) await eventually('the line of an earlier daemon', () => seen.includes('last'));
    print('next\n');
    await eventually('the line', () => seen.includes('next'));
    assert.deepEqual(seen, continues ? ['last', 'next'] : ['next']);
    const lines = await logs.lastLines('web', ['stdout'], 10, new Date(aheadMs).toISOString());
    assert.deepEqual(
      lines.map((line) => line.replace(/^.*\] /, '')),
      continues ? ['last'] : ['next'],
    );
  });
}
