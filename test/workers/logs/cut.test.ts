/** Streams that a process holds which outlived its VM. */
import assert from 'node:assert/strict';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import test from 'node:test';
import { replaceFs } from '../../helpers/fakes/fs-fault.ts';
import { startBlockedLogs } from '../../helpers/logs/blocked-logs.ts';
import { contentOf, linesOf, startLogs, type TestLogs } from '../../helpers/logs/harness.ts';
import { openFilesBelow } from '../../helpers/processes/open-files.ts';

const stdoutLines = ({ dir }: TestLogs) => linesOf(contentOf(dir, 'web', 'stdout'));
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}`);

test('the FIFO is drained, then the stream ends although a writer still holds the FIFO', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  const lines = numbered(5000);
  // In the pipe at once, all of it: the worker, which is in this thread, cannot read before the next turn.
  const fd = openSync(source.path, constants.O_RDWR);
  writeSync(fd, `${lines.join('\n')}\nwithout newline`);
  await logs.api.closeStream('web', 'stdout', true);
  const { lines: count } = await logs.log.next('stream-ended');
  assert.equal(count, lines.length + 1);
  assert.deepEqual(stdoutLines(logs), [...lines, 'without newline']);
  assert.deepEqual(logs.log.types(), ['stream-held', 'stream-ended']);
  assert.equal(openFilesBelow(logs.dir), 0);
  writeSync(fd, 'nobody reads this\n');
  closeSync(fd);
});

test('a stream without a writer reports only its end', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  await source.write('last words\n');
  await source.end();
  await logs.api.closeStream('web', 'stdout', true);
  await logs.api.closeStream('web', 'stdout', true);
  await logs.log.next('stream-ended');
  await logs.api.closeStream('web', 'stdout', true);
  await logs.api.closeStream('web', 'stderr', true);
  assert.deepEqual(logs.log.types(), ['stream-ended']);
  assert.deepEqual(stdoutLines(logs), ['last words']);
});

test('a process that never stops writing does not keep the stream from ending', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  let reads = 0;
  // A FIFO that is full again at once, until a reader that reads for ever has been seen.
  replaceFs(t, 'readSync', (real) => (fd: number, buffer: Buffer, ...rest: []) => {
    if (fd !== source.fd) return real(fd, buffer, ...rest);
    reads += 1;
    return reads > 1000 ? 0 : buffer.fill('x').length;
  });
  await logs.api.closeStream('web', 'stdout', true);
  const { bytes } = await logs.log.next('stream-ended');
  assert.equal(bytes, 2 ** 20, 'as much as a pipe can hold');
  assert.deepEqual(logs.log.types(), ['stream-held', 'stream-ended']);
});

test('the contents of the FIFO wait while nothing can be written, then arrive', async (t) => {
  const { logs, lines, unblock } = await startBlockedLogs(t);
  await logs.api.closeStream('web', 'stdout', true);
  assert.deepEqual(logs.log.types(), ['stalled']);
  unblock();
  await logs.log.next('stream-ended');
  assert.deepEqual(stdoutLines(logs), lines);
  assert.deepEqual(logs.log.types(), ['stalled', 'recovered', 'stream-held', 'stream-ended']);
});

test('a stream that cannot be written is given up once, with the bytes that are lost', async (t) => {
  const { logs } = await startBlockedLogs(t);
  await logs.log.next('stalled');
  const giveUp = () => logs.api.closeStream('web', 'stdout', false);
  await Promise.all([giveUp(), giveUp()]);
  const { bytes } = await logs.log.next('lost');
  assert.ok(bytes >= numbered(5000).join('\n').length, `${bytes} bytes`);
  await logs.log.next('stream-ended');
  assert.deepEqual(logs.log.types(), ['stalled', 'lost', 'stream-ended']);
});

test('a stream that is given up when there is room again loses nothing', async (t) => {
  const { logs, lines, unblock } = await startBlockedLogs(t);
  await logs.log.next('stalled');
  unblock();
  await logs.api.closeStream('web', 'stdout', false);
  await logs.log.next('stream-ended');
  assert.deepEqual(stdoutLines(logs), lines);
  assert.deepEqual(logs.log.types(), ['stalled', 'recovered', 'stream-held', 'stream-ended']);
});

test('a marker is recognised, and a false start of one is written as output', async (t) => {
  const logs = await startLogs(t);
  const stdout = await logs.open('web', 'stdout');
  const stderr = await logs.open('web', 'stderr');
  for (const stream of ['stdout', 'stderr'] as const) await logs.api.expectMarker('web', stream, 'M4RK3R');
  await stdout.write('last words\nM4RK3R');
  await stderr.write('last words\nM4RK');
  for (const stream of ['stdout', 'stderr'] as const) {
    await logs.api.closeStream('web', stream, true);
    await logs.log.next('stream-ended', stream);
  }
  assert.deepEqual(stdoutLines(logs), ['last words']);
  assert.deepEqual(linesOf(contentOf(logs.dir, 'web', 'stderr')), ['last words', 'M4RK']);
  assert.deepEqual(logs.log.types().filter((type) => type === 'marker-seen').length, 1);
});
