import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { StreamName } from '../../../../src/protocol/log-files/names.ts';
import { EVERY_RECORD, READ_WINDOW } from '../../../../src/protocol/log-files/queries.ts';
import { searchTail } from '../../../../workers/log-files/tail-search.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { contentOf, filesOf, linesOf, read, startLogs, type TestLogs } from '../../../helpers/logs/harness.ts';
import { openFilesBelow } from '../../../helpers/processes/open-files.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const EPOCH_MS = Date.parse('2026-11-23T08:00:00.000Z');
const CHUNK_BYTES = 65_536;

function record(atMs: number, text: string, service = 'web'): string {
  return `${new Date(EPOCH_MS + atMs).toISOString()} INFO [${service}] ${text}\n`;
}

/** A worker over a folder with the given files, whose streams nobody writes. */
async function startOver(t: TestContext, files: Record<string, string>): Promise<TestLogs> {
  const dir = join(await makeTempDir(t), 'log');
  mkdirSync(dir);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content, 'latin1');
  return startLogs(t, { dir });
}

const FILES = {
  'web.stdout.000001.log': record(1, 'o1') + record(4, 'o2'),
  'web.stdout.000002.log': record(6, 'o3'),
  'web.stdout.000004.log': record(8, 'o4') + record(9, 'o5'),
  'web.stderr.000001.log': record(2, 'e1') + record(6, 'e2') + record(9, 'e3'),
  'db.stdout.000001.log': record(3, 'd1', 'db') + record(10, 'd2', 'db'),
  'web.stdout.000001.log.zip': 'not a log file',
};
const IN_ORDER = ['o1', 'e1', 'd1', 'o2', 'o3', 'e2', 'o4', 'o5', 'e3', 'd2'];

test('without tail, a reader gets all records of all services, merged by time, then the end', async (t) => {
  const { api } = await startOver(t, FILES);
  const reader = await read(t, api);
  assert.deepEqual(linesOf(await reader.ended()), IN_ORDER);
});

test('tail counts records across all streams', async (t) => {
  const { api } = await startOver(t, FILES);
  for (let tail = 0; tail <= IN_ORDER.length + 1; tail += 1) {
    const reader = await read(t, api, { tail });
    assert.deepEqual(linesOf(await reader.ended()), tail === 0 ? [] : IN_ORDER.slice(-tail), `tail ${tail}`);
  }
});

test('a reader gets only the records of the requested streams and services', async (t) => {
  const { api } = await startOver(t, FILES);
  const ask = async (services: string[], streams: StreamName[], tail: number | null = null) =>
    linesOf(await (await read(t, api, { services, streams, tail })).ended());
  assert.deepEqual(await ask(['db'], ['stdout', 'stderr']), ['d1', 'd2']);
  assert.deepEqual(await ask(['web'], ['stderr'], 2), ['e2', 'e3']);
  assert.deepEqual(await ask(['web', 'db'], ['stdout'], 3), ['o4', 'o5', 'd2']);
  assert.deepEqual(await ask(['we'], ['stdout']), []);
});

test('a missing folder has no records', async (t) => {
  const { api } = await startLogs(t);
  assert.equal(await (await read(t, api, { tail: 10 })).ended(), '');
});

test('a torn record is delivered, with a newline', async (t) => {
  const { api } = await startOver(t, {
    'web.stdout.000001.log': `${record(1, 'a')}${record(2, 'cut').slice(0, -1)}`,
    'web.stdout.000002.log': `${record(3, 'b')}${record(4, 'cut too').slice(0, -1)}`,
  });
  for (const tail of [null, 4]) {
    assert.deepEqual(linesOf(await (await read(t, api, { tail })).ended()), ['a', 'cut', 'b', 'cut too']);
  }
  assert.deepEqual(linesOf(await (await read(t, api, { tail: 3 })).ended()), ['cut', 'b', 'cut too']);
});

test('records around the size of a block are found backward as well as forward', async (t) => {
  for (const size of [1, 16_330, 16_350, 16_384, 40_000, 65_500, 200_000]) {
    const records = Array.from({ length: 7 }, (_, index) => record(index, `${index}${'x'.repeat(size + index)}`));
    const { api } = await startOver(t, { 'web.stdout.000001.log': records.join('') });
    for (let tail = 1; tail <= 7; tail += 1) {
      const text = await (await read(t, api, { tail })).ended();
      assert.equal(text === records.slice(-tail).join(''), true, `tail ${tail} of records of ${size} bytes`);
    }
  }
});

test('a chunk is at most 64 KiB and ends with a record; a longer record comes in pieces', async (t) => {
  const small = Array.from({ length: 5000 }, (_, index) => record(index, `line ${index}`));
  const long = record(10_000, 'x'.repeat(300_000));
  const { api } = await startOver(t, {
    'web.stdout.000001.log': small.join(''),
    'web.stdout.000002.log': `${long}${record(10_001, 'end')}`,
  });
  const reader = await read(t, api);
  assert.equal((await reader.ended()) === [...small, long, record(10_001, 'end')].join(''), true);
  assert.ok(reader.chunks.every((chunk) => chunk.length <= CHUNK_BYTES));
  const inPieces = reader.chunks.filter((chunk) => !chunk.endsWith('\n'));
  assert.ok(inPieces.length >= 4 && inPieces.every((chunk) => chunk.includes('x'.repeat(100))));
});

test('a slow reader gets no more than its window until it returns a buffer', async (t) => {
  const content = Array.from({ length: 10_000 }, (_, index) => record(index, `line ${index}`)).join('');
  const { api } = await startOver(t, { 'web.stdout.000001.log': content });
  const slow = await read(t, api, {}, { isSlow: true });
  await slow.until(({ chunks }) => chunks.length === READ_WINDOW);
  // A whole reading by another reader is time enough for a fifth chunk.
  await (await read(t, api)).ended();
  assert.equal(slow.chunks.length, READ_WINDOW);
  slow.more();
  await slow.until(({ chunks }) => chunks.length === READ_WINDOW + 1);
  for (let count = 0; slow.last === null; count += 1) {
    slow.more();
    await slow.until(({ chunks, last }) => last !== null || chunks.length > READ_WINDOW + 1 + count);
  }
  assert.equal(slow.text, content);
});

test('a reader that closes its port leaves no file open', async (t) => {
  const { api, dir } = await startOver(t, { 'web.stdout.000001.log': record(1, 'x'.repeat(1_000_000)) });
  const slow = await read(t, api, {}, { isSlow: true });
  await slow.until(({ chunks }) => chunks.length === READ_WINDOW);
  assert.equal(openFilesBelow(dir), 1);
  slow.close();
  await eventually('the file is closed', () => openFilesBelow(dir) === 0);
});

test('a follower gets the tail, then every record once, across fifty rolls of two streams', async (t) => {
  const logs = await startLogs(t);
  const stdout = await logs.open('web', 'stdout', { max_size_bytes: 2000 });
  const stderr = await logs.open('web', 'stderr', { max_size_bytes: 2000 });
  const write = async (from: number, to: number) => {
    for (let index = from; index < to; index += 1) {
      await stdout.write(`out ${index} ${'x'.repeat(30)}\n`);
      if (index % 2 === 0) await stderr.write(`err ${index} ${'x'.repeat(60)}\n`);
    }
  };
  await write(0, 50);
  await eventually('the history', () => contentOf(logs.dir, 'web', 'stdout').includes('out 49 '));
  const early = await read(t, logs.api, { follow: true });
  const writing = write(50, 800);
  await early.until(({ text }) => text.includes('out 300 '));
  const late = await read(t, logs.api, { follow: true, tail: 7 });
  await writing;
  await late.until(({ text }) => text !== '');
  await write(800, 1600);
  await stdout.end();
  await stderr.end();
  for (const stream of ['stdout', 'stderr'] as const) await logs.log.next('stream-ended', stream);
  assert.ok(filesOf(logs.dir, 'web', 'stdout').length > 50);

  const only = (text: string, level: string) =>
    text
      .split(/(?<=\n)/)
      .filter((line) => line.includes(` ${level} `))
      .join('');
  const everything = { INFO: contentOf(logs.dir, 'web', 'stdout'), ERROR: contentOf(logs.dir, 'web', 'stderr') };
  const expected = everything.INFO.length + everything.ERROR.length;
  await early.until(({ text }) => text.length >= expected);
  await late.until(({ text }) => text.includes('out 1599 ') && text.includes('err 1598 '));
  for (const level of ['INFO', 'ERROR'] as const) {
    assert.equal(only(early.text, level), everything[level]);
    const part = only(late.text, level);
    assert.equal(everything[level].endsWith(part), true);
    assert.ok(part.length > 0);
  }
  linesOf(early.text);
  linesOf(late.text);
});

test('a follower gets streams of the requested services that open later', async (t) => {
  const logs = await startLogs(t);
  const one = await read(t, logs.api, { services: ['web'], follow: true });
  const all = await read(t, logs.api, { follow: true });
  const db = await logs.open('db', 'stdout');
  await db.write('from db\n');
  await all.until(({ text }) => text.includes('from db'));
  const web = await logs.open('web', 'stderr');
  await web.write('from web\n');
  await one.until(({ text }) => text !== '');
  await all.until(({ text }) => text.includes('from web'));
  assert.deepEqual(linesOf(one.text), ['from web']);
  assert.deepEqual(linesOf(all.text), ['from db', 'from web']);
});

test('a follower gets a line when it is complete, however long it is', async (t) => {
  const logs = await startLogs(t);
  const reader = await read(t, logs.api, { follow: true });
  const stdout = await logs.open('web', 'stdout', { max_line_bytes: 2 ** 30 });
  const stderr = await logs.open('web', 'stderr');
  const half = 'x'.repeat(150_000);
  await stdout.write(half);
  await eventually('the half', () => contentOf(logs.dir, 'web', 'stdout').length > half.length);
  await stderr.write('short\n');
  await reader.until(({ text }) => text !== '');
  assert.deepEqual(linesOf(reader.text), ['short']);
  await stdout.write(`${half}\n`);
  await reader.until(({ text }) => text.endsWith('x\n'));
  assert.deepEqual(linesOf(reader.text), ['short', half + half]);
});

test('a follower continues when the stream ends and is opened again', async (t) => {
  const logs = await startLogs(t);
  const reader = await read(t, logs.api, { follow: true });
  for (const line of ['first', 'second']) {
    const source = await logs.open('web', 'stdout');
    await source.write(`${line}\n`);
    await reader.until(({ text }) => text.includes(line));
    logs.log.events.length = 0;
    await source.end();
    await logs.log.next('stream-ended');
  }
  assert.deepEqual(linesOf(reader.text), ['first', 'second']);
});

test('a follower that attached before a torn record was repaired gets it once', async (t) => {
  const logs = await startOver(t, {
    'web.stdout.000001.log': `${record(1, 'whole')}${record(2, 'cut').slice(0, -1)}`,
  });
  const reader = await read(t, logs.api, { follow: true });
  await reader.until(({ text }) => text !== '');
  assert.deepEqual(linesOf(reader.text), ['whole']);
  const source = await logs.open('web', 'stdout');
  await source.write('next\n');
  await reader.until(({ text }) => text.includes('next'));
  assert.deepEqual(linesOf(reader.text), ['whole', 'cut', 'next']);
});

for (const [who, filter] of [
  ['a follower', EVERY_RECORD],
  ['a search that follows', { ...EVERY_RECORD, grep: { source: '.', ignoreCase: false } }],
] as const) {
  test(`when logs are removed and the numbers start again, ${who} gets the new records once`, async (t) => {
    const logs = await startLogs(t);
    const reader = await read(t, logs.api, { follow: true, filter });
    const first = await logs.open('web', 'stdout');
    await first.write('old\n');
    await reader.until(({ text }) => text.includes('old'));
    await first.end();
    await logs.log.next('stream-ended');
    await logs.api.removeLogs('web');
    const second = await logs.open('web', 'stdout');
    // Longer than what was there, so that places in the old file would be places in the new one.
    const lines = ['new one', 'new two', 'new three'];
    await second.write(`${lines.join('\n')}\n`);
    await reader.until(({ text }) => text.includes('new three'));
    assert.deepEqual(linesOf(reader.text), ['old', ...lines]);
  });
}

test('when the folder is deleted from outside, a follower gets the records written after that', async (t) => {
  const logs = await startLogs(t);
  const reader = await read(t, logs.api, { follow: true });
  const first = await logs.open('web', 'stdout');
  await first.write(`old ${'x'.repeat(100)}\n`);
  await reader.until(({ text }) => text.includes('old'));
  await first.end();
  await logs.log.next('stream-ended');
  rmSync(logs.dir, { recursive: true });
  const second = await logs.open('web', 'stdout');
  await second.write('new\n');
  await reader.until(({ text }) => text.includes('new'));
  assert.deepEqual(linesOf(reader.text).slice(1), ['new']);
});

test('a slow follower delays neither the VM nor other followers and misses no record', async (t) => {
  const logs = await startLogs(t);
  const slow = await read(t, logs.api, { follow: true }, { isSlow: true });
  const quick = await read(t, logs.api, { follow: true });
  const source = await logs.open('web', 'stdout', { max_size_bytes: 100_000 });
  await source.write('line of output\n'.repeat(40_000));
  await source.end();
  await logs.log.next('stream-ended');
  const content = contentOf(logs.dir, 'web', 'stdout');
  await quick.until(({ text }) => text.length === content.length);
  assert.equal(slow.chunks.length, READ_WINDOW);
  while (slow.text.length < content.length) {
    const { length } = slow.chunks;
    slow.more();
    await slow.until(({ chunks }) => chunks.length > length);
  }
  assert.equal(slow.text === content && quick.text === content, true);
});

/** A follower that asks for nothing more, with its window full and another chunk at hand; db's stderr filled it. */
async function startStuck(t: TestContext, logs: TestLogs) {
  const stuck = await read(t, logs.api, { follow: true }, { isSlow: true });
  const source = await logs.open('db', 'stderr');
  await source.write(`filler ${'x'.repeat(100)}\n`.repeat(6000));
  await stuck.until(({ chunks }) => chunks.length === READ_WINDOW);
  return { stuck, source };
}

test('a slow follower forgets removed logs and gets the new ones whole', async (t) => {
  const logs = await startLogs(t);
  const { stuck, source } = await startStuck(t, logs);
  await source.end();
  await logs.log.next('stream-ended');
  await logs.api.removeLogs('db');
  const next = await logs.open('db', 'stderr');
  // More than there was, so that places in the old file would be places in the new one.
  const lines = Array.from({ length: 60_000 }, (_, index) => `new ${index}`);
  await next.write(`${lines.join('\n')}\n`);
  await next.end();
  await eventually('the new lines', () => contentOf(logs.dir, 'db', 'stderr').endsWith('new 59999\n'));
  while (!stuck.text.endsWith('new 59999\n')) {
    const { length } = stuck.chunks;
    stuck.more();
    await stuck.until(({ chunks }) => chunks.length > length);
  }
  assert.deepEqual(
    linesOf(stuck.text).filter((line) => line.startsWith('new')),
    lines,
  );
});

test('a follower of named services ends with the removal of the last of them', async (t) => {
  const logs = await startLogs(t);
  for (const name of ['web', 'db']) {
    const source = await logs.open(name, 'stdout');
    await source.write(`from ${name}\n`);
    await source.end();
    await logs.log.next('stream-ended');
  }
  const both = await read(t, logs.api, { services: ['web', 'db'], follow: true });
  const filtered = await read(t, logs.api, {
    services: ['web'],
    follow: true,
    filter: { sinceMs: null, untilMs: null, grep: { source: 'from', ignoreCase: false } },
  });
  const all = await read(t, logs.api, { follow: true });
  await logs.api.removeLogs('web');
  assert.match(await filtered.ended(), /from web\n$/);
  const again = await logs.open('web', 'stdout');
  await again.write('web again\n');
  await both.until(({ text }) => text.endsWith('web again\n'));
  await again.end();
  await logs.log.next('stream-ended');
  await logs.api.removeLogs('db');
  await logs.api.removeLogs('web');
  await both.ended();
  const later = await logs.open('later', 'stdout');
  await later.write('later\n');
  await all.until(({ text }) => text.endsWith('later\n'));
});

test('a follower gets a long record unbroken while another stream writes many records', async (t) => {
  const logs = await startLogs(t);
  const { stuck, source } = await startStuck(t, logs);
  const web = await logs.open('web', 'stdout', { max_line_bytes: 2 ** 30 });
  const long = 'y'.repeat(400_000);
  await web.write(`${long}\n`);
  await source.write('more\n'.repeat(20_000));
  await eventually('the long line', () => contentOf(logs.dir, 'web', 'stdout').endsWith('y\n'));
  const total = () => contentOf(logs.dir, 'web', 'stdout').length + contentOf(logs.dir, 'db', 'stderr').length;
  await eventually('the rest', () => contentOf(logs.dir, 'db', 'stderr').split(' more\n').length > 20_000);
  while (stuck.text.length < total()) {
    const { length } = stuck.chunks;
    stuck.more();
    await stuck.until(({ chunks }) => chunks.length > length);
  }
  const lines = linesOf(stuck.text);
  assert.equal(lines.filter((line) => line === long).length, 1);
  assert.equal(lines.filter((line) => line === 'more').length, 20_000);
});

test('close() gives followers the last records, then the end', async (t) => {
  const logs = await startLogs(t);
  const reader = await read(t, logs.api, { follow: true });
  const stuck = await read(t, logs.api, { follow: true }, { isSlow: true });
  const source = await logs.open('web', 'stdout');
  await source.write('one\ntwo');
  await eventually('the bytes', () => contentOf(logs.dir, 'web', 'stdout').endsWith('two'));
  await logs.api.close();
  assert.deepEqual(linesOf(await reader.ended()), ['one', 'two']);
  await stuck.ended();
});

/** The files as they are when some of them have been compressed. */
async function startCompressed(t: TestContext, files: Record<string, string>, names: readonly string[]) {
  const logs = await startOver(t, files);
  for (const name of names) {
    writeFileSync(join(logs.dir, `${name}.gz`), gzipSync(Buffer.from(files[name]!, 'latin1')));
    rmSync(join(logs.dir, name));
  }
  return logs;
}

test('compressed files are read like plain ones, forwards and backwards', async (t) => {
  const { api } = await startCompressed(t, FILES, ['web.stdout.000001.log', 'web.stdout.000002.log']);
  assert.deepEqual(linesOf(await (await read(t, api)).ended()), IN_ORDER);
  for (let tail = 1; tail <= IN_ORDER.length + 1; tail += 1) {
    assert.deepEqual(linesOf(await (await read(t, api, { tail })).ended()), IN_ORDER.slice(-tail), `tail ${tail}`);
  }
});

test('a slow reader gets a compressed file of 20 MB completely, and its tail when reading backwards', async (t) => {
  const block = Array.from({ length: 20_000 }, (_, index) => record(index, 'x'.repeat(960))).join('');
  const files = { 'web.stdout.000001.log': block, 'web.stdout.000002.log': record(30_000, 'end') };
  const { api, dir } = await startCompressed(t, files, ['web.stdout.000001.log']);
  const last = await (await read(t, api, { tail: 100 })).ended();
  assert.equal(last, block.slice(-99 * (block.length / 20_000)) + files['web.stdout.000002.log']);
  const all = await read(t, api, {}, { isSlow: true });
  let bytes = 0;
  while (all.last === null) {
    await all.until(({ chunks, last: end }) => chunks.length > 0 || end !== null);
    for (const chunk of all.chunks.splice(0)) {
      bytes += chunk.length;
      all.more();
    }
  }
  assert.equal(bytes, block.length + files['web.stdout.000002.log'].length);
  await eventually('the files to be closed', () => openFilesBelow(dir) === 0);
});

test('a tail may be longer than the cached part of a compressed file', async (t) => {
  const records = Array.from({ length: 50_000 }, (_, index) => record(index, `line ${index}`));
  const files = { 'web.stdout.000001.log': records.join('') };
  const { api } = await startCompressed(t, files, ['web.stdout.000001.log']);
  assert.equal((await (await read(t, api, { tail: 45_000 })).ended()) === records.slice(5000).join(''), true);
});

test('a tail skips files that are removed while it is read', async (t) => {
  const dir = join(await makeTempDir(t), 'log');
  mkdirSync(dir);
  writeFileSync(join(dir, 'web.stdout.000001.log'), record(1, 'a') + record(2, 'b'));
  writeFileSync(join(dir, 'web.stdout.000004.log'), record(9, 'looked at'));
  const id = { service: 'web', stream: 'stdout' } as const;
  const end = { number: 5, offset: 1000 };
  for (const number of [2, 5]) {
    const streams = [{ id, end, start: end, startTime: '', at: { number, offset: 500 }, next: null }];
    const { state, isDone } = await searchTail({ missing: number === 5 ? 2 : 1, streams }, { logDir: dir });
    assert.ok(isDone);
    assert.deepEqual(state.streams[0]!.start, { number: 1, offset: record(1, 'a').length });
  }
});

test('a reader continues while its files are compressed and removed', async (t) => {
  const contents = Array.from({ length: 6 }, (_, file) =>
    Array.from({ length: 4000 }, (_, index) => record(file * 10_000 + index, `${file} ${index}`)).join(''),
  );
  const files = Object.fromEntries(contents.map((content, index) => [`web.stdout.00000${index + 1}.log`, content]));
  const { api, dir } = await startOver(t, files);
  const reader = await read(t, api, {}, { isSlow: true });
  await reader.until(({ chunks }) => chunks.length === READ_WINDOW);
  for (const [name, content] of Object.entries(files).slice(0, -1)) {
    writeFileSync(join(dir, `${name}.gz`), gzipSync(content));
    rmSync(join(dir, name));
  }
  rmSync(join(dir, 'web.stdout.000003.log.gz'));
  while (reader.last === null) {
    const { length } = reader.chunks;
    reader.more();
    await reader.until(({ chunks, last }) => last !== null || chunks.length > length);
  }
  assert.equal(reader.last.type, 'end');
  assert.equal(reader.text === contents.filter((_, index) => index !== 2).join(''), true);
});

test('a stream keeps the order of its files even if the clock was stepped back', async (t) => {
  const { api } = await startOver(t, {
    'web.stdout.000001.log': record(5000, 'a') + record(100, 'b'),
    'web.stdout.000002.log': record(50, 'c') + record(6000, 'd'),
  });
  for (const tail of [null, 4]) {
    assert.deepEqual(linesOf(await (await read(t, api, { tail })).ended()), ['a', 'b', 'c', 'd']);
  }
  assert.deepEqual(linesOf(await (await read(t, api, { tail: 2 })).ended()), ['c', 'd']);
});

test('records in JSON and in text are merged by their times', async (t) => {
  const json = (atMs: number, msg: string) =>
    `{"level":50,"time":${EPOCH_MS + atMs},"service":"web","stream":"stderr","msg":"${msg}"}\n`;
  const { api } = await startOver(t, {
    'web.stdout.000001.log': record(1, 'a') + record(3, 'c'),
    'web.stderr.000001.log': json(2, 'b') + json(4, 'd'),
  });
  for (const tail of [null, 4]) {
    assert.equal(
      await (await read(t, api, { tail })).ended(),
      record(1, 'a') + json(2, 'b') + record(3, 'c') + json(4, 'd'),
    );
  }
});
