/** Runs pages one after the other, each with only the buffers that the test lends it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import {
  CHUNK_BYTES,
  EVERY_RECORD,
  type LogFilter,
  type SearchPlace,
  type SearchReply,
  type SearchState,
} from '../../../../src/protocol/log-files/queries.ts';
import { makeRecordTest, type PageLimits, searchLogs } from '../../../../workers/jobs/logs/search.ts';
import { openFilesBelow } from '../../../helpers/processes/open-files.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const EPOCH_MS = Date.parse('2020-01-01T08:00:00.000Z');
const record = (atMs: number, text: string) => `${new Date(EPOCH_MS + atMs).toISOString()} INFO [web] ${text}\n`;

const TIME = '2026-11-23T08:00:00.123Z';
const grep = (source: string): LogFilter => ({ ...EVERY_RECORD, grep: { source, ignoreCase: false } });

/** A folder with one file for each stream, and the search of all of it. */
async function makeSearch(
  t: TestContext,
  contents: Readonly<Record<'stdout' | 'stderr', string>>,
  isCompressed = false,
) {
  const logDir = join(await makeTempDir(t), 'log');
  mkdirSync(logDir);
  const places = (['stdout', 'stderr'] as const).map((stream): SearchPlace => {
    const path = join(logDir, `web.${stream}.000001.log`);
    const bytes = Buffer.from(contents[stream]);
    if (isCompressed) writeFileSync(`${path}.gz`, gzipSync(bytes));
    else writeFileSync(path, bytes);
    const at = { number: 0, offset: 0 };
    return {
      id: { service: 'web', stream },
      at,
      end: { number: 1, offset: bytes.length },
      time: '',
      isInRecord: false,
    };
  });
  return { logDir, places };
}

/** Result of a page. */
interface Page {
  readonly text: string;
  readonly chunks: number;
  readonly state: SearchState;
}

/** Runs a page with so many buffers, none of which it gets back. */
async function runPage(
  logDir: string,
  filter: LogFilter,
  state: SearchState,
  buffers: number,
  limits: Partial<PageLimits>,
): Promise<Page> {
  const { port1: port, port2 } = new MessageChannel();
  let text = '';
  let chunks = 0;
  for (let count = 0; count < buffers; count += 1) port.postMessage(new ArrayBuffer(CHUNK_BYTES));
  const ended = new Promise<SearchState>((resolve, reject) => {
    port.on('message', (reply: SearchReply) => {
      if (reply.type === 'chunk') {
        text += Buffer.from(reply.bytes).toString('latin1');
        chunks += 1;
      } else if (reply.type === 'page') {
        assert.equal(chunks + reply.unused.length, buffers, 'a buffer is lost');
        resolve(reply.state);
      } else if (reply.type === 'error') reject(new Error(reply.error.message));
    });
  });
  const closed = once(port, 'close');
  await searchLogs(
    { type: 'search-logs', logDir, filter, state, port: port2 },
    { isDue: () => false, patienceMs: 0, ...limits },
  );
  await closed;
  return { text, chunks, state: await ended };
}

/** Runs pages to the end of the search. */
async function runAll(
  logDir: string,
  filter: LogFilter,
  start: SearchState,
  buffers: number,
  makeLimits: () => Partial<PageLimits> = () => ({}),
): Promise<{ text: string; pages: number }> {
  let text = '';
  let pages = 0;
  for (let state = start; state.phase !== 'done'; pages += 1) {
    const page = await runPage(logDir, filter, state, buffers, makeLimits());
    text += page.text;
    state = page.state;
  }
  return { text, pages };
}

/** A page that looks at `count` records. */
function looksAt(count: number): () => Partial<PageLimits> {
  return () => {
    let left = count;
    return {
      isDue() {
        left -= 1;
        return left < 0;
      },
    };
  };
}

test('a page ends when its reader takes nothing, and the next one goes on, even within a record', async (t) => {
  const long = record(3, `HIT ${'x'.repeat(200_000)}`);
  const huge = record(5, `HIT ${'y'.repeat(1_500_000)}`);
  const contents = {
    stdout: record(1, 'HIT one') + record(2, 'miss') + long + record(4, 'z'.repeat(200_000)) + huge + record(9, 'HIT'),
    stderr: record(1, 'HIT err') + record(4, 'HIT between') + record(7, 'HIT last'),
  };
  const expected = [
    ...[record(1, 'HIT one'), record(1, 'HIT err'), long, record(4, 'HIT between'), huge],
    ...[record(7, 'HIT last'), record(9, 'HIT')],
  ].join('');
  for (const isCompressed of [false, true]) {
    const { logDir, places } = await makeSearch(t, contents, isCompressed);
    const { text, pages } = await runAll(logDir, grep('^HIT'), { phase: 'deliver', places }, 1);
    assert.equal(text === expected, true);
    assert.ok(pages > expected.length / CHUNK_BYTES, `${pages} pages`);
    assert.equal(openFilesBelow(logDir), 0);
  }
});

test('a page that is due ends within a record longer than a pattern sees', async (t) => {
  const huge = record(1, 'y'.repeat(1_500_000));
  const { logDir, places } = await makeSearch(t, { stdout: huge + record(2, 'end'), stderr: '' });
  let left = 3;
  const limits = {
    isDue() {
      left -= 1;
      return left < 0;
    },
  };
  const first = await runPage(logDir, grep('.'), { phase: 'deliver', places }, 100, limits);
  assert.equal(first.state.phase, 'deliver');
  assert.equal(!first.text.endsWith('\n') && huge.startsWith(first.text), true);
  const rest = await runAll(logDir, grep('.'), first.state, 100);
  assert.equal(first.text + rest.text === huge + record(2, 'end'), true);
});

test('records without a time keep that of the record before them, across pages and other streams', async (t) => {
  const contents = {
    stdout: `${record(1, 'a')}no time\n${record(8, 'b')}nor here\n`,
    stderr: record(2, 'c') + record(9, 'd'),
  };
  const { logDir, places } = await makeSearch(t, contents);
  const start = { phase: 'deliver', places } as const;
  for (const count of [1, 2, 3]) {
    const early = { ...EVERY_RECORD, untilMs: EPOCH_MS + 5 };
    const late = { ...EVERY_RECORD, sinceMs: EPOCH_MS + 5 };
    const found = async (filter: LogFilter) => (await runAll(logDir, filter, start, 4, looksAt(count))).text;
    assert.equal(await found(early), `${record(1, 'a')}no time\n${record(2, 'c')}`);
    assert.equal(await found(late), `${record(8, 'b')}nor here\n${record(9, 'd')}`);
  }
});

test('the last matches are found though each page scans only one section', async (t) => {
  // Each stream has some hits, far apart: further than a page goes.
  const lines = (text: string) =>
    Array.from({ length: 20_000 }, (_, index) => record(index, index % 6000 === 0 ? `HIT ${text} ${index}` : 'miss'));
  const contents = { stdout: lines('out').join(''), stderr: lines('err').join('') };
  const { logDir, places } = await makeSearch(t, contents);
  const streams = places.map(({ id, end }) => ({ id, end, start: end, startTime: '', at: end, next: null }));
  const start = { phase: 'tail', tail: { missing: 3, streams } } as const;
  let state: SearchState = start;
  let pages = 0;
  for (; state.phase === 'tail'; pages += 1) {
    state = (await runPage(logDir, grep('^HIT'), state, 4, { isDue: () => true })).state;
  }
  assert.ok(pages > 5, `${pages} pages`);
  const { text } = await runAll(logDir, grep('^HIT'), state, 4, looksAt(1000));
  assert.equal(
    text,
    record(12_000, 'HIT err 12000') + record(18_000, 'HIT out 18000') + record(18_000, 'HIT err 18000'),
  );
});

test('a pattern is a JavaScript regular expression with the flag u, and has no state between records', () => {
  const match = (source: string, line: string, ignoreCase = false) => {
    const wants = makeRecordTest({ sinceMs: null, untilMs: null, grep: { source, ignoreCase } });
    const bytes = Buffer.from(`${TIME} INFO [web] ${line}`);
    return [1, 2].map(() => wants(bytes, 0, bytes.length, TIME));
  };
  assert.deepEqual(match('^.$', '🐙'), [true, true]);
  assert.deepEqual(match('\\p{Lu}', 'ü'), [false, false]);
  assert.deepEqual(match('Ü', 'ü', true), [true, true]);
  assert.deepEqual(match('b', 'abc'), [true, true]);
  // As a terminal shows it, and as it is.
  assert.deepEqual(match('^Ready$', '\u001b[1;32mReady\u001b[0m\r'), [true, true]);
  assert.deepEqual(match('^done$', '10 %\r50 %\rdone'), [true, true]);
  assert.deepEqual(match('\\[32mReady', '\u001b[32mReady'), [true, true]);
});
