import assert from 'node:assert/strict';
import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { FrameMemory, INPUT_START, recordLabel } from '../../../workers/logs/framer.ts';
import { RecordSink } from '../../../workers/logs/record-sink.ts';
import { type FileSystem, RollingFile } from '../../../workers/logs/rolling-file.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { contentOf, linesOf, ManualClock } from './harness.ts';

/** A sink on a disk that takes `disk.roomBytes` more bytes, then is full. */
async function setUp(t: TestContext) {
  const dir = join(await makeTempDir(t), 'log');
  const disk = { roomBytes: Number.POSITIVE_INFINITY };
  const fs: FileSystem = {
    ...nodeFs,
    writeSync: ((fd: number, bytes: Buffer, from: number, length: number) => {
      if (disk.roomBytes <= 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      const written = nodeFs.writeSync(fd, bytes, from, Math.min(length, disk.roomBytes));
      disk.roomBytes -= written;
      return written;
    }) as typeof nodeFs.writeSync,
  };
  const clock = new ManualClock();
  const memory = new FrameMemory();
  const file = new RollingFile({ logDir: dir, id: { service: 'web', stream: 'stdout' }, maxFileBytes: 1e6, fs });
  t.after(() => file.close());
  const told: string[] = [];
  const sink = new RecordSink({
    memory,
    file,
    label: recordLabel('web', 'stdout'),
    clock,
    onWritten: () => {},
    onStalled: (error) => told.push(`stalled: ${error}`),
    onRecovered: () => told.push('recovered'),
  });
  const put = (text: string) => {
    memory.bytes.write(text, INPUT_START, 'latin1');
    sink.write(INPUT_START, INPUT_START + text.length);
  };
  return { clock, disk, memory, sink, told, put, lines: () => linesOf(contentOf(dir, 'web', 'stdout')) };
}

test('while the disk is full what was given waits, and is written once, from where it stood', async (t) => {
  const { clock, disk, memory, sink, told, put, lines } = await setUp(t);
  put('one\n');
  disk.roomBytes = 50;
  put('two\nthree\nfour\n');
  assert.deepEqual(told, ['stalled: Error: ENOSPC: no space left on device']);
  // The memory belongs to other streams meanwhile.
  memory.bytes.fill(0x21);
  memory.setPrefix(recordLabel('other', 'stderr'), 0);
  put('five\nsi');
  disk.roomBytes = 30;
  clock.advance(250);
  assert.equal(told.length, 1);
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(500);
  assert.deepEqual(told.slice(1), ['recovered']);
  put('x\n');
  assert.deepEqual(lines(), ['one', 'two', 'three', 'four', 'five', 'six']);
  assert.equal(sink.lines, 6);
});

test('the delay doubles from 250 ms to 5 s, and starts anew with the next spell', async (t) => {
  const { clock, disk, told, put } = await setUp(t);
  const delays: (number | null)[] = [];
  disk.roomBytes = 0;
  put('one\n');
  for (let turn = 0; turn < 7; turn += 1) {
    delays.push(clock.nextDelayMs);
    clock.advance(clock.nextDelayMs!);
  }
  assert.deepEqual(delays, [250, 500, 1000, 2000, 4000, 5000, 5000]);
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(5000);
  assert.equal(clock.nextDelayMs, null);
  disk.roomBytes = 0;
  put('two\n');
  assert.equal(clock.nextDelayMs, 250);
  assert.deepEqual(
    told.map((text) => text.split(':')[0]),
    ['stalled', 'recovered', 'stalled'],
  );
});

test('what is called after writes waits for them, in order', async (t) => {
  const { clock, disk, sink, told, put, lines } = await setUp(t);
  disk.roomBytes = 0;
  put('last words');
  sink.endLine();
  sink.afterWrites(() => told.push(`called with ${lines()}`));
  put('more\n');
  assert.equal(told.length, 1);
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(250);
  assert.deepEqual(told.slice(1), ['recovered', 'called with last words']);
  assert.deepEqual(lines(), ['last words', 'more']);
});

test('a chunk that grows to many pieces is kept whole when the disk fills in the middle', async (t) => {
  const { clock, disk, put, lines } = await setUp(t);
  disk.roomBytes = 300_000;
  put('\n'.repeat(60_000));
  disk.roomBytes = Number.POSITIVE_INFINITY;
  clock.advance(250);
  assert.equal(lines().length, 60_000);
});

test('finish() tries once more and tells what is lost', async (t) => {
  const { clock, disk, sink, put } = await setUp(t);
  disk.roomBytes = 0;
  put('one\n');
  assert.equal(sink.finish(), '2026-11-23T08:00:00.123Z INFO [web] one\n'.length);
  assert.equal(clock.nextDelayMs, null);
});

test('finish() writes what waits when it can', async (t) => {
  const { disk, sink, put, lines } = await setUp(t);
  disk.roomBytes = 0;
  put('one\n');
  disk.roomBytes = Number.POSITIVE_INFINITY;
  assert.equal(sink.finish(), 0);
  assert.deepEqual(lines(), ['one']);
});
