/** The end of what is in a FIFO now, for a stream whose writer has ended and is to be let go. */
import assert from 'node:assert/strict';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import test from 'node:test';
import { startBlockedLogs } from '../../helpers/logs/blocked-logs.ts';
import { contentOf, linesOf, startLogs, type TestLogs } from '../../helpers/logs/harness.ts';

const stdoutLines = ({ dir }: TestLogs) => linesOf(contentOf(dir, 'web', 'stdout'));
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}`);

test('catching up is reported when everything printed so far is in the file, and the stream continues', async (t) => {
  const logs = await startLogs(t);
  const source = await logs.open('web', 'stdout');
  const lines = numbered(5000);
  // In the pipe at once, all of it: the worker, which is in this thread, cannot read before the next turn.
  const fd = openSync(source.path, constants.O_RDWR);
  writeSync(fd, `${lines.join('\n')}\n`);
  await logs.api.expectMarker('web', 'stdout', null);
  await logs.log.next('marker-seen');
  assert.deepEqual(stdoutLines(logs), lines);
  writeSync(fd, 'more\n');
  closeSync(fd);
  await source.end();
  const { lines: count } = await logs.log.next('stream-ended');
  assert.equal(count, lines.length + 1);
  assert.deepEqual(logs.log.types(), ['marker-seen', 'stream-ended']);
});

test('catching up is not reported while nothing can be written', async (t) => {
  const { logs, lines, unblock } = await startBlockedLogs(t);
  await logs.api.expectMarker('web', 'stdout', null);
  assert.deepEqual(logs.log.types(), ['stalled']);
  unblock();
  await logs.log.next('marker-seen');
  assert.deepEqual(stdoutLines(logs), lines);
});

test('a stream that is not open has caught up', async (t) => {
  const logs = await startLogs(t);
  await logs.api.expectMarker('web', 'stderr', null);
  assert.deepEqual(logs.log.types(), ['marker-seen']);
});
