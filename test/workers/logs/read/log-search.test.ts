/** Reading with a filter: which records come, however the search for them is cut into pages. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import {
  EVERY_RECORD,
  type LogFilter,
  type LogQuery,
  READ_WINDOW,
} from '../../../../src/protocol/log-files/queries.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { ManualClock } from '../../../helpers/fakes/manual-clock.ts';
import { contentOf, linesOf, read, startLogs, type TestLogs } from '../../../helpers/logs/harness.ts';
import { openFilesBelow } from '../../../helpers/processes/open-files.ts';
import { rounds } from '../../../helpers/rounds.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

/** Long ago: files that are written now are not older than the records in them. */
const EPOCH_MS = Date.parse('2020-01-01T08:00:00.000Z');

const record = (atMs: number, text: string) => `${new Date(EPOCH_MS + atMs).toISOString()} INFO [web] ${text}\n`;
const json = (atMs: number, msg: string, more = '') =>
  `{"level":30,"time":${EPOCH_MS + atMs},"service":"web","stream":"stdout","msg":${JSON.stringify(msg)}${more}}\n`;

/** A filter by milliseconds after {@link EPOCH_MS}. */
function filter(since: number | null, until: number | null = null, grep: string | null = null): LogFilter {
  return {
    sinceMs: since === null ? null : EPOCH_MS + since,
    untilMs: until === null ? null : EPOCH_MS + until,
    grep: grep === null ? null : { source: grep, ignoreCase: false },
  };
}

/** A worker over a folder with the given files; those whose names end in `.gz` are compressed. */
async function startOver(t: TestContext, files: Record<string, string>): Promise<TestLogs> {
  const dir = join(await makeTempDir(t), 'log');
  mkdirSync(dir);
  writeFiles(dir, files);
  return startLogs(t, { dir });
}

function writeFiles(dir: string, files: Record<string, string>): void {
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content, 'latin1');
    writeFileSync(join(dir, name), name.endsWith('.gz') ? gzipSync(bytes, { level: 1 }) : bytes);
  }
}

async function ask(
  t: TestContext,
  logs: TestLogs,
  wanted: LogFilter,
  query: Partial<LogQuery> = {},
): Promise<string[]> {
  return linesOf(await (await read(t, logs.api, { filter: wanted, ...query })).ended());
}

const FILES = {
  'web.stdout.000001.log.gz': record(1, 'one apple') + record(4, 'two pears'),
  'web.stdout.000002.log': record(6, 'three apples'),
  'web.stdout.000003.log': record(8, 'four pears') + record(9, 'five apples'),
  'web.stderr.000001.log': record(2, 'no fruit') + record(6, 'rotten apple') + record(9, 'rotten pear'),
};

test('since and until include their own millisecond, in plain and compressed files', async (t) => {
  const logs = await startOver(t, FILES);
  assert.deepEqual(await ask(t, logs, filter(4, 6)), ['two pears', 'three apples', 'rotten apple']);
  assert.deepEqual(await ask(t, logs, filter(9)), ['five apples', 'rotten pear']);
  assert.deepEqual(await ask(t, logs, filter(null, 1)), ['one apple']);
  assert.deepEqual(await ask(t, logs, filter(10)), []);
});

test('grep matches the text of a record, not its head', async (t) => {
  const logs = await startOver(t, FILES);
  const grep = (pattern: string) => ask(t, logs, filter(null, null, pattern));
  assert.deepEqual(await grep('apple'), ['one apple', 'three apples', 'rotten apple', 'five apples']);
  assert.deepEqual(await grep('^(one|five) '), ['one apple', 'five apples']);
  assert.deepEqual(await grep('web|INFO|2020'), []);
  assert.deepEqual(await ask(t, logs, filter(2, 8, 'pear')), ['two pears', 'four pears']);
  const ignoreCase = { ...EVERY_RECORD, grep: { source: 'ROTTEN', ignoreCase: true } };
  assert.deepEqual(await ask(t, logs, ignoreCase), ['rotten apple', 'rotten pear']);
});

test('a tail counts matching records across all streams', async (t) => {
  const logs = await startOver(t, FILES);
  const matching = ['one apple', 'three apples', 'rotten apple', 'five apples'];
  for (let tail = 0; tail <= 5; tail += 1) {
    const expected = tail === 0 ? [] : matching.slice(-tail);
    assert.deepEqual(await ask(t, logs, filter(null, null, 'apple'), { tail }), expected, `tail ${tail}`);
  }
  assert.deepEqual(await ask(t, logs, filter(null, 8), { tail: 2 }), ['rotten apple', 'four pears']);
});

test('grep matches the decoded text of a JSON record, whatever its bytes', async (t) => {
  const records = [
    json(1, 'say "hello"'),
    json(2, 'tab\there'),
    json(3, 'gr\u00fcn'),
    json(4, '\ufffd(', ',"invalid_utf8":true,"raw":"/yg="'),
    json(5, 'plain', ',"partial":true'),
  ].map((text) => Buffer.from(text).toString('latin1'));
  const logs = await startOver(t, { 'web.stdout.000001.log': records.join('') });
  const grep = async (pattern: string) => {
    const text = await (await read(t, logs.api, { filter: filter(null, null, pattern) })).ended();
    return records.flatMap((each, index) => (text.includes(each) ? [index] : []));
  };
  assert.deepEqual(await grep('^say "hello"$'), [0]);
  assert.deepEqual(await grep('\\t'), [1]);
  assert.deepEqual(await grep('^gr.n$'), [2]);
  assert.deepEqual(await grep('^\\ufffd\\($'), [3]);
  assert.deepEqual(await grep('^plain$'), [4]);
  assert.deepEqual(await grep('level|partial'), []);
});

test('records are selected by their own time even if the clock was stepped back', async (t) => {
  const logs = await startOver(t, {
    'web.stdout.000001.log': record(5000, 'a') + record(100, 'b'),
    'web.stdout.000002.log': record(50, 'c') + record(6000, 'd'),
  });
  assert.deepEqual(await ask(t, logs, filter(1000)), ['a', 'd']);
  assert.deepEqual(await ask(t, logs, filter(null, 1000)), ['b', 'c']);
  assert.deepEqual(await ask(t, logs, filter(1000), { tail: 1 }), ['d']);
  assert.deepEqual(await ask(t, logs, filter(null, 1000), { tail: 1 }), ['c']);
});

test('a record without a time inherits that of the record before it; the first of a file has none', async (t) => {
  const content = `early\n${record(1, 'a')}no time\n${record(5, 'b')}nor here\n`;
  for (const name of ['web.stdout.000001.log', 'web.stdout.000001.log.gz']) {
    const logs = await startOver(t, { [name]: content });
    const text = async (wanted: LogFilter, tail: number | null) =>
      (await read(t, logs.api, { filter: wanted, tail })).ended();
    assert.equal(await text(filter(null, 4), null), `early\n${record(1, 'a')}no time\n`);
    assert.equal(await text(filter(2), null), `${record(5, 'b')}nor here\n`);
    assert.equal(await text(filter(2), 1), 'nor here\n');
    assert.equal(await text(filter(null, 4), 2), `${record(1, 'a')}no time\n`);
  }
});

test('many records without a time inherit that of the last record with one', async (t) => {
  // More than one section of a search from behind.
  const many = 'no time at all\n'.repeat(10_000);
  const logs = await startOver(t, { 'web.stdout.000001.log': record(1, 'a') + record(5, 'b') + many });
  const text = async (wanted: LogFilter) => (await read(t, logs.api, { filter: wanted, tail: 10_001 })).ended();
  assert.equal((await text(filter(2))) === record(5, 'b') + many, true);
  assert.equal(await text(filter(null, 4)), record(1, 'a'));
});

test('a file last written before since is not read', async (t) => {
  const logs = await startOver(t, {
    'web.stderr.000001.log': record(8500, 'other'),
    'web.stdout.000001.log': record(9000, 'in a file that looks old'),
    'web.stdout.000002.log': record(9001, 'new'),
  });
  utimesSync(join(logs.dir, 'web.stdout.000001.log'), new Date(EPOCH_MS), new Date(EPOCH_MS));
  for (const tail of [null, 2]) assert.deepEqual(await ask(t, logs, filter(8000), { tail }), ['other', 'new']);
});

test('grep matches the first MiB of a long record, and delivers all of it', async (t) => {
  const long = record(1, `begin${'x'.repeat(300_000)}end`);
  const tooLong = record(2, `${'y'.repeat(1_200_000)}unseen`);
  const content = record(0, 'before') + long + tooLong + record(3, 'after');
  for (const name of ['web.stdout.000001.log', 'web.stdout.000001.log.gz']) {
    const logs = await startOver(t, { [name]: content });
    const grep = async (pattern: string, tail: number | null = null) =>
      (await read(t, logs.api, { filter: filter(null, null, pattern), tail })).ended();
    for (const tail of [null, 1]) {
      assert.equal((await grep('^begin.*end$', tail)) === long, true);
      assert.equal((await grep('^y+', tail)) === tooLong, true);
      assert.equal(await grep('unseen', tail), '');
    }
    assert.equal(await grep('^(before|after)$'), record(0, 'before') + record(3, 'after'));
  }
});

/** Lines of up to three streams, a query, and the size of the pages. */
const world = fc.record({
  streams: fc.array(
    fc.array(
      fc.record({
        atMs: fc.nat(30),
        size: fc.oneof(fc.nat(60), fc.constantFrom(5000, 66_000, 150_000)),
        isHit: fc.boolean(),
        format: fc.constantFrom('text', 'text', 'text', 'json', 'none'),
        isRolled: fc.nat(5).map((chance) => chance === 0),
      }),
      { maxLength: 12 },
    ),
    { minLength: 1, maxLength: 3 },
  ),
  compressed: fc.infiniteStream(fc.boolean()),
  since: fc.option(fc.nat(30)),
  until: fc.option(fc.nat(30)),
  grep: fc.constantFrom(null, 'HIT'),
  tail: fc.option(fc.nat(8)),
  /** Records that each page may test. */
  pages: fc.infiniteStream(fc.integer({ min: 1, max: 6 })),
  /** Return a chunk's buffer at once. */
  isQuick: fc.infiniteStream(fc.boolean()),
});

const STREAMS = ['stdout', 'stderr', 'console'] as const;

/** Record that the search must find. */
interface Wanted {
  readonly time: number;
  readonly text: string;
}

test('a search delivers each matching record once and in order, however it is split into pages', async (t) => {
  const parent = await makeTempDir(t);
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(world, async ({ streams, compressed, since, until, grep, tail, pages, isQuick }) => {
      runs += 1;
      const dir = join(parent, String(runs));
      mkdirSync(dir);
      const files: Record<string, string> = {};
      const selected: Wanted[][] = [];
      for (const [rank, records] of streams.entries()) {
        const wanted: Wanted[] = [];
        let number = 0;
        let name = '';
        let time = -1;
        for (const [index, { atMs, size, isHit, format, isRolled }] of records.entries()) {
          if (index === 0 || isRolled) {
            number += 1;
            name = `web.${STREAMS[rank]}.${String(number).padStart(6, '0')}.log${compressed.next().value ? '.gz' : ''}`;
            time = -1;
          }
          const line = `${rank}.${index} ${isHit ? 'HIT ' : ''}${'x'.repeat(size)}`;
          const text = format === 'json' ? json(atMs, line) : format === 'text' ? record(atMs, line) : `${line}\n`;
          if (format !== 'none') time = atMs;
          files[name] = (files[name] ?? '') + text;
          const isInTime = (since === null || time >= since) && (until === null || time <= until);
          if (isInTime && (grep === null || isHit)) wanted.push({ time, text });
        }
        selected.push(wanted);
      }
      writeFiles(dir, files);
      if (tail !== null) keepLast(selected, tail);

      const limits = () => {
        let left = pages.next().value!;
        const isDue = () => {
          left -= 1;
          return left < 0;
        };
        return { isDue, patienceMs: 0 };
      };
      const logs = await startLogs(t, { dir, limits });
      const reader = await read(t, logs.api, { filter: filter(since, until, grep), tail }, { isSlow: true });
      for (let answered = 0; reader.last === null; ) {
        await reader.until(({ chunks, last }) => last !== null || chunks.length > answered);
        if (!isQuick.next().value) await new Promise((resolve) => setImmediate(resolve));
        for (; answered < reader.chunks.length; answered += 1) reader.more();
      }
      const text = await reader.ended();
      const found = text === '' ? [] : text.slice(0, -1).split('\n');
      for (const [rank, wanted] of selected.entries()) {
        const own = found.filter((line) => new RegExp(`(^|[ "])${rank}\\.\\d+ `).test(line.slice(0, 200)));
        assert.equal(own.join('\n'), wanted.map((each) => each.text.slice(0, -1)).join('\n'), `stream ${rank}`);
      }
      assert.equal(found.length, selected.flat().length);
      rmSync(dir, { recursive: true });
    }),
    { numRuns: rounds(150) },
  );
});

/** Leaves the last `count` records over all streams: always the newest next, at equal times that of the last stream. */
function keepLast(streams: Wanted[][], count: number): void {
  const lengths = streams.map(({ length }) => length);
  for (let left = count; left > 0; left -= 1) {
    let best = -1;
    for (const [rank, records] of streams.entries()) {
      const candidate = records[lengths[rank]! - 1];
      if (!candidate) continue;
      if (best === -1 || candidate.time >= streams[best]![lengths[best]! - 1]!.time) best = rank;
    }
    if (best === -1) break;
    lengths[best]! -= 1;
  }
  for (const [rank, records] of streams.entries()) records.splice(0, lengths[rank]!);
}

test('a follower gets the matching records, old and new', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout', { max_size_bytes: 1000 });
  await source.write('old hit\nold miss\n');
  await eventually('the past', () => contentOf(logs.dir, 'web', 'stdout').includes('old miss'));
  const reader = await read(t, logs.api, { follow: true, filter: filter(null, null, 'hit') });
  await reader.until(({ text }) => text.includes('old hit'));
  for (let index = 0; index < 100; index += 1) await source.write(`${index % 7 === 0 ? 'hit' : 'miss'} ${index}\n`);
  await reader.until(({ text }) => text.includes('hit 98'));
  const expected = Array.from({ length: 15 }, (_, index) => `hit ${index * 7}`);
  assert.deepEqual(linesOf(reader.text), ['old hit', ...expected]);
});

test('a follower with a time filter only gets new records', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  await source.write('old\n');
  await eventually('the past', () => contentOf(logs.dir, 'web', 'stdout').includes('old'));
  const oldMs = Date.parse(contentOf(logs.dir, 'web', 'stdout').split(' ')[0]!);
  await eventually('another millisecond', () => Date.now() > oldMs);
  const reader = await read(t, logs.api, { follow: true, filter: { ...EVERY_RECORD, sinceMs: oldMs + 1 } });
  await source.write('new\n');
  await reader.until(({ text }) => text.includes('new'));
  assert.deepEqual(linesOf(reader.text), ['new']);
});

test('new records from before since are left out when the clock was stepped back', async (t) => {
  const clock = new ManualClock();
  const logs = await startLogs(t, { clock });
  const source = await logs.open('web', 'stdout');
  const reader = await read(t, logs.api, { follow: true, filter: { ...EVERY_RECORD, sinceMs: clock.now() } });
  const write = async (text: string) => {
    await source.write(`${text}\n`);
    await eventually(text, () => contentOf(logs.dir, 'web', 'stdout').includes(`${text}\n`));
  };
  await write('one');
  clock.epochMs -= 60_000;
  await write('from before');
  clock.epochMs += 60_000;
  await write('two');
  await reader.until(({ text }) => text.includes('two'));
  assert.deepEqual(linesOf(reader.text), ['one', 'two']);
});

const PATIENT = Number.POSITIVE_INFINITY;

/** Fails for times that a timer of the host cannot be set to. */
class HostLikeClock extends ManualClock {
  override after(delayMs: number, callback: () => void): () => void {
    assert.ok(delayMs < 2 ** 31 || delayMs === PATIENT);
    return super.after(delayMs, callback);
  }
}

test('following ends when until has passed, with all records written by then', async (t) => {
  const clock = new HostLikeClock();
  // A page that runs when the clock jumps must not count as silent.
  const logs = await startLogs(t, { clock, pageSilenceMs: PATIENT });
  const source = await logs.open('web', 'stdout');
  const filters = [null, { source: 'line', ignoreCase: false }].map((grep) => ({
    ...EVERY_RECORD,
    untilMs: clock.now() + 40 * 86_400e3,
    grep,
  }));
  const readers = await Promise.all(filters.map((wanted) => read(t, logs.api, { follow: true, filter: wanted })));
  await source.write('line one\n');
  for (const reader of readers) await reader.until(({ text }) => text.includes('line one'));
  clock.advance(30 * 86_400e3);
  assert.deepEqual(
    readers.map(({ last }) => last),
    [null, null],
  );
  // Not delivered yet when the time has passed.
  await source.write('line two\n');
  await eventually('the line', () => contentOf(logs.dir, 'web', 'stdout').includes('line two'));
  clock.advance(10 * 86_400e3 + 1);
  for (const reader of readers) assert.deepEqual(linesOf(await reader.ended()), ['line one', 'line two']);
  const late = await read(t, logs.api, { follow: true, filter: filters[0]! });
  assert.deepEqual(linesOf(await late.ended()), ['line one', 'line two']);
});

for (const [when, limits] of [
  ['between two pages', () => ({ isDue: () => false, patienceMs: 0 })],
  ['during a page', () => ({ isDue: () => false, patienceMs: 60_000 })],
] as const) {
  test(`a slow search forgets logs that are removed ${when}, and delivers the new ones once and whole`, async (t) => {
    const logs = await startLogs(t, { limits });
    // The search is in the first file when they are removed, and has not opened the second one.
    const settings = { max_size_bytes: 400_000 };
    const first = await logs.open('web', 'stdout', settings);
    await first.write(`old ${'x'.repeat(100)}\n`.repeat(6000));
    await first.end();
    await logs.log.next('stream-ended');
    const wanted = filter(null, null, 'new|old');
    const slow = await read(t, logs.api, { follow: true, filter: wanted }, { isSlow: true });
    await slow.until(({ chunks }) => chunks.length === READ_WINDOW);
    await logs.api.removeLogs('web');
    const second = await logs.open('web', 'stdout', settings);
    // More than there was, so that positions in the old files would be positions in the new ones.
    const lines = Array.from({ length: 60_000 }, (_, index) => `new ${index}`);
    await second.write(`${lines.join('\n')}\n`);
    await eventually('the new lines', () => contentOf(logs.dir, 'web', 'stdout').endsWith('new 59999\n'));
    while (!slow.text.endsWith('new 59999\n')) {
      const { length } = slow.chunks;
      slow.more();
      await slow.until(({ chunks }) => chunks.length > length);
    }
    const found = linesOf(slow.text).filter((line) => line.startsWith('new'));
    assert.deepEqual(found, lines);
  });
}

test('a reader that closes its port during a search leaves no file open', async (t) => {
  const content = Array.from({ length: 50_000 }, (_, index) => record(index, `line ${index}`)).join('');
  const logs = await startOver(t, { 'web.stdout.000001.log': content, 'web.stdout.000002.log.gz': content });
  const reader = await read(t, logs.api, { filter: filter(null, null, 'line') }, { isSlow: true });
  await reader.until(({ chunks }) => chunks.length === 4);
  reader.close();
  await eventually('the files to be closed', () => openFilesBelow(logs.dir) === 0);
});

test('an invalid pattern is reported to the reader', async (t) => {
  const logs = await startOver(t, FILES);
  const reader = await read(t, logs.api, { filter: filter(null, null, '(') });
  await assert.rejects(reader.ended(), /Unterminated group/);
});
