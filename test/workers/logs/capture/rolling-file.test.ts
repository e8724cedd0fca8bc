import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Worker } from 'node:worker_threads';
import { repairTail } from '../../../../src/protocol/log-files/formats.ts';
import { callFs, Disk, type MakeCall } from '../../../../workers/logs/capture/disk.ts';
import { RollingFile } from '../../../../workers/logs/capture/rolling-file.ts';
import { contentOf, filesOf } from '../../../helpers/logs/harness.ts';
import { makeTempDir } from '../../../helpers/temp.ts';

const ID = { service: 'web', stream: 'stdout' } as const;
const CHECK_INTERVAL_MS = 1000;

interface Fixture {
  readonly dir: string;
  readonly file: RollingFile;
  /** Numbers of files that were told to be finished. */
  readonly finished: readonly number[];
  open(): void;
  /** Writes the text as a stream writer does. Throws the system's error. */
  write(text: string, nowMs?: number): void;
}

interface SetUp {
  readonly maxFileBytes?: number;
  readonly maxAgeMs?: number | null;
  readonly dir?: string;
  readonly makeCall?: MakeCall;
}

async function setUp(
  t: TestContext,
  { maxFileBytes = 100, maxAgeMs = null, dir, makeCall = callFs }: SetUp = {},
): Promise<Fixture> {
  const logDir = dir ?? join(await makeTempDir(t), 'log');
  const finished: number[] = [];
  const disk = new Disk(makeCall);
  const file = new RollingFile({
    logDir,
    id: ID,
    disk,
    maxFileBytes,
    maxAgeMs,
    repair: (lastRecord, nowMs) => repairTail(lastRecord, { id: ID, continues: false, nowMs }),
    onFinished: (number) => finished.push(number),
  });
  t.after(() => file.close());
  return {
    dir: logDir,
    file,
    finished,
    open: () => disk.runNow(file.open(0)),
    write(text, nowMs = 0) {
      const bytes = Buffer.from(text);
      const at = file.writeNow(bytes, 0, bytes.length, nowMs);
      if (at < bytes.length) disk.runNow(file.write(bytes.subarray(at), nowMs));
    },
  };
}

const mode = (path: string) => statSync(path).mode & 0o777;
const contents = (dir: string) => filesOf(dir, 'web', 'stdout').map((name) => readFileSync(join(dir, name), 'utf8'));

test('the folder is made with mode 0755 and the file with 0644, whatever the umask', async (t) => {
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const { dir, open } = await setUp(t);
  open();
  assert.equal(mode(dir), 0o755);
  assert.equal(mode(join(dir, 'web.stdout.000001.log')), 0o644);
});

test('an existing folder keeps its mode', async (t) => {
  const dir = await makeTempDir(t);
  chmodSync(dir, 0o750);
  const { open } = await setUp(t, { dir });
  open();
  assert.equal(mode(dir), 0o750);
});

test('a file ends exactly at the newline that reaches its size limit', async (t) => {
  const { dir, write } = await setUp(t, { maxFileBytes: 10 });
  write('aaaa\nbbbb\ncccc\nd\neeeeeeee\nf\n');
  assert.deepEqual(contents(dir), ['aaaa\nbbbb\n', 'cccc\nd\neeeeeeee\n', 'f\n']);
  assert.equal(readlinkSync(join(dir, 'web.stdout.log')), 'web.stdout.000003.log');
});

test('a record longer than the file size limit is not split', async (t) => {
  const { dir, write } = await setUp(t, { maxFileBytes: 10 });
  for (let count = 0; count < 50; count += 1) write('x'.repeat(7));
  write('\ny\n');
  assert.deepEqual(contents(dir), [`${'x'.repeat(350)}\n`, 'y\n']);
});

test('the next file is created by the next record, so the link never points to an empty file', async (t) => {
  const { dir, write } = await setUp(t, { maxFileBytes: 4 });
  write('abc\n');
  assert.deepEqual(contents(dir), ['abc\n']);
  write('d');
  assert.deepEqual(contents(dir), ['abc\n', 'd']);
});

test('writing continues in the newest file, whose number may have more than six digits', async (t) => {
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'web.stdout.000002.log'), 'older\n');
  writeFileSync(join(dir, 'web.stdout.1000000.log'), 'old\n');
  writeFileSync(join(dir, 'web.stdout.0000003.log'), 'not ours\n');
  const { write } = await setUp(t, { dir, maxFileBytes: 8 });
  write('new\nnext\n');
  assert.equal(readFileSync(join(dir, 'web.stdout.1000000.log'), 'utf8'), 'old\nnew\n');
  assert.equal(readFileSync(join(dir, 'web.stdout.1000001.log'), 'utf8'), 'next\n');
});

test('a record cut off by a crash is completed before anything else is written', async (t) => {
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'web.stdout.000001.log'), 'whole\ntor');
  const { file, open, write } = await setUp(t, { dir });
  open();
  assert.deepEqual(contents(dir), ['whole\ntor\n']);
  assert.deepEqual(file.settled, { number: 1, offset: 10 });
  write('new\n');
  assert.deepEqual(contents(dir), ['whole\ntor\nnew\n']);
});

test('the settled end is right after the last newline', async (t) => {
  const { file, write } = await setUp(t, { maxFileBytes: 6 });
  assert.equal(file.settled, null);
  write('ab\ncd');
  assert.deepEqual(file.settled, { number: 1, offset: 3 });
  write('e');
  assert.deepEqual(file.settled, { number: 1, offset: 3 });
  write('f\ng');
  assert.deepEqual(file.settled, { number: 2, offset: 0 });
  write('\n');
  assert.deepEqual(file.settled, { number: 2, offset: 2 });
});

/** Makes writes that take at most as many bytes as `take` returns. */
function shortWrites(take: (length: number) => number): MakeCall {
  return ({ name, args }, isOnPool) => {
    if (name !== 'write') return callFs({ name, args }, isOnPool);
    const [fd, bytes, from, length, position] = args as [number, Buffer, number, number, null];
    return callFs({ name, args: [fd, bytes, from, take(length), position] }, isOnPool);
  };
}

test('short writes are completed', async (t) => {
  const makeCall = shortWrites((length) => Math.min(length, 3));
  const { dir, write } = await setUp(t, { maxFileBytes: 10, makeCall });
  write('aaaa\nbbbb\ncccc\ndddddddd\n');
  assert.deepEqual(contents(dir), ['aaaa\nbbbb\n', 'cccc\ndddddddd\n']);
});

test('the rest can be written after a failed write', async (t) => {
  let room = 7;
  const makeCall = shortWrites((length) => {
    if (room === 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    const taken = Math.min(length, room);
    room -= taken;
    return taken;
  });
  const { dir, file, open, write } = await setUp(t, { maxFileBytes: 10, makeCall });
  open();
  const text = 'aaaa\nbbbb\ncccc\n';
  assert.equal(file.writeNow(Buffer.from(text), 0, text.length, 0), 7);
  room = 2;
  assert.throws(() => write(text.slice(7)), /ENOSPC/);
  assert.equal(file.takeProgress(), 0, 'the bytes of writeNow() are not counted again');
  room = Number.POSITIVE_INFINITY;
  write(text.slice(9));
  assert.deepEqual(contents(dir), ['aaaa\nbbbb\n', 'cccc\n']);
});

test('failing to open a file is reported like any other failure', async (t) => {
  const parent = await makeTempDir(t);
  writeFileSync(join(parent, 'log'), 'a file where the folder should be');
  const { dir, write } = await setUp(t, { dir: join(parent, 'log') });
  assert.throws(() => write('a\n'), { code: 'ENOTDIR' });
  rmSync(dir);
  write('a\n');
  assert.deepEqual(contents(dir), ['a\n']);
});

test('the next record rolls a file older than the age limit unless it is empty', async (t) => {
  const { dir, finished, write } = await setUp(t, { maxAgeMs: 1000 });
  write('one\n', 5000);
  write('two\nthr', 5999);
  write('ee\n', 6500);
  assert.deepEqual(contents(dir), ['one\ntwo\nthree\n']);
  assert.deepEqual(finished, []);
  write('four\n', 6500);
  assert.deepEqual(contents(dir), ['one\ntwo\nthree\n', 'four\n']);
  assert.deepEqual(finished, [1]);
});

test('stepping the clock back does not age a file', async (t) => {
  const { dir, write } = await setUp(t, { maxAgeMs: 1000 });
  write('one\n', 5_000_000);
  write('two\n', 0);
  assert.deepEqual(contents(dir), ['one\ntwo\n']);
});

test('the age of a resumed file counts from its first record', async (t) => {
  const first = '2026-11-23T08:00:00.000Z INFO [web] one\n';
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'web.stdout.000001.log'), first);
  const { write } = await setUp(t, { dir, maxAgeMs: 1000 });
  const startMs = Date.parse('2026-11-23T08:00:00.000Z');
  write('two\n', startMs + 999);
  write('three\n', startMs + 1000);
  assert.deepEqual(contents(dir), [`${first}two\n`, 'three\n']);
});

test('numbering continues after compressed files', async (t) => {
  const dir = await makeTempDir(t);
  writeFileSync(join(dir, 'web.stdout.000007.log.gz'), '');
  const { write } = await setUp(t, { dir });
  write('new\n');
  assert.equal(readFileSync(join(dir, 'web.stdout.000008.log'), 'utf8'), 'new\n');
});

const removals: [string, (dir: string) => void][] = [
  ['the current file was removed', (dir) => unlinkSync(join(dir, 'web.stdout.000001.log'))],
  ['the folder was removed', (dir) => rmSync(dir, { recursive: true })],
  ['the folder was moved away', (dir) => renameSync(dir, `${dir}.old`)],
  ['the file was moved away', (dir) => renameSync(join(dir, 'web.stdout.000001.log'), join(dir, 'old'))],
  ['the file was truncated', (dir) => truncateSync(join(dir, 'web.stdout.000001.log'))],
  [
    'another file took its place',
    (dir) => {
      renameSync(join(dir, 'web.stdout.000001.log'), join(dir, 'old'));
      writeFileSync(join(dir, 'web.stdout.000001.log'), '');
    },
  ],
];
for (const [what, remove] of removals) {
  test(`a writer notices within a second that ${what}, and begins a new file`, async (t) => {
    const { dir, write } = await setUp(t);
    write('before\n', 0);
    remove(dir);
    write('after\n', CHECK_INTERVAL_MS);
    assert.equal(readFileSync(join(dir, 'web.stdout.log'), 'utf8'), 'after\n');
    assert.equal(readlinkSync(join(dir, 'web.stdout.log')), 'web.stdout.000002.log');
  });
}

test('a record begun in a file that is moved away ends there, and the next one begins a new file', async (t) => {
  const { dir, write } = await setUp(t);
  write('one\ntw', 0);
  renameSync(dir, `${dir}.old`);
  write('o, which is', CHECK_INTERVAL_MS);
  write(' long\nthree\n', CHECK_INTERVAL_MS);
  assert.deepEqual(contents(`${dir}.old`), ['one\ntwo, which is long\n']);
  assert.deepEqual(contents(dir), ['three\n']);
  assert.deepEqual(filesOf(dir, 'web', 'stdout'), ['web.stdout.000002.log']);
});

test('a record begun in a file that is truncated ends there, and the next one begins a new file', async (t) => {
  const { dir, write } = await setUp(t);
  write('one\ntw', 0);
  truncateSync(join(dir, 'web.stdout.000001.log'));
  write('o\nthree\n', CHECK_INTERVAL_MS);
  assert.deepEqual(contents(dir), ['o\n', 'three\n']);
});

test('a record whose file was deleted continues in a new one', async (t) => {
  const { dir, write } = await setUp(t);
  write('one\ntw', 0);
  rmSync(dir, { recursive: true });
  write('o\nthree\n', CHECK_INTERVAL_MS);
  assert.deepEqual(contents(dir), ['o\nthree\n']);
});

test('a removed link is recreated, and the file is kept', async (t) => {
  const { dir, write } = await setUp(t);
  write('before\n', 0);
  unlinkSync(join(dir, 'web.stdout.log'));
  write('after\n', CHECK_INTERVAL_MS);
  assert.equal(readFileSync(join(dir, 'web.stdout.log'), 'utf8'), 'before\nafter\n');
});

test('the file is checked even if the clock was stepped back', async (t) => {
  const { dir, write } = await setUp(t);
  write('before\n', 10 * CHECK_INTERVAL_MS);
  rmSync(dir, { recursive: true });
  write('after\n', 0);
  assert.equal(contentOf(dir, 'web', 'stdout'), 'after\n');
});

test('a file of the next number that another program made is left alone', async (t) => {
  const { dir, write } = await setUp(t, { maxFileBytes: 2 });
  write('a\n');
  writeFileSync(join(dir, 'web.stdout.000002.log'), 'foreign\n');
  write('b\n');
  assert.deepEqual(contents(dir), ['a\n', 'foreign\n', 'b\n']);
});

test('a temporary link left by a crash is no obstacle', async (t) => {
  const dir = await makeTempDir(t);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, '.web.stdout.link'), '');
  const { open, write } = await setUp(t, { dir, maxFileBytes: 1 });
  open();
  write('a\n');
  write('b\n');
  assert.deepEqual(readdirSync(dir).sort(), ['web.stdout.000001.log', 'web.stdout.000002.log', 'web.stdout.log']);
});

test('text appended by other programs is not overwritten', async (t) => {
  const { dir, write } = await setUp(t);
  write('a\n');
  appendFileSync(join(dir, 'web.stdout.log'), 'foreign\n');
  write('b\n');
  assert.deepEqual(contents(dir), ['a\nforeign\nb\n']);
});

test('the link always points to a file, through a thousand rolls', async (t) => {
  const { dir, open, write } = await setUp(t, { maxFileBytes: 1 });
  open();
  const isDone = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(
    `const { openSync, closeSync } = require('node:fs');
     const { workerData: { path, isDone }, parentPort } = require('node:worker_threads');
     let opened = 0;
     while (Atomics.load(isDone, 0) === 0) {
       closeSync(openSync(path));
       opened += 1;
       if (opened === 1) parentPort.postMessage('started');
     }
     parentPort.postMessage(opened);`,
    { eval: true, execArgv: [], workerData: { path: join(dir, 'web.stdout.log'), isDone } },
  );
  t.after(() => worker.terminate());
  const message = () =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  await message();
  for (let line = 0; line < 1000; line += 1) write(`${line}\n`);
  const result = message();
  Atomics.store(isDone, 0, 1);
  assert.ok(Number(await result) > 1);
  assert.equal(filesOf(dir, 'web', 'stdout').length, 1000);
});
