import assert from 'node:assert/strict';
import test from 'node:test';
import { WriteFailures } from '../../src/logs/write-failures.ts';
import type { StreamName } from '../../src/protocol/log-files/names.ts';
import { ManualClock } from '../helpers/fakes/manual-clock.ts';

const FULL = { error: 'ENOSPC: no space left on device, write', code: 'ENOSPC' };
const READ_ONLY = { error: 'EROFS: read-only file system, open', code: 'EROFS' };

function makeReport() {
  const clock = new ManualClock();
  const said: string[] = [];
  const stalls = new WriteFailures((level, message) => said.push(`${level}: ${message}`), clock);
  const id = (service: string, stream: StreamName = 'stdout') => ({ service, stream });
  return { clock, said, stalls, id };
}

test('a full disk is reported once, however many streams are on it and however space fluctuates', () => {
  const { clock, said, stalls, id } = makeReport();
  const streams = ['web', 'db', 'queue'].flatMap((service) => [id(service), id(service, 'stderr')]);
  for (const stream of streams) stalls.begin(stream, FULL);
  for (let minute = 0; minute < 60; minute += 1) {
    clock.advance(50_000);
    for (const stream of streams) stalls.end(stream);
    clock.advance(9999);
    for (const stream of streams) stalls.begin(stream, FULL);
  }
  assert.deepEqual(said, [
    `warn: web: its stdout cannot be written: ${FULL.error}; others may be affected, see \`monocore status\``,
  ]);
  for (const stream of streams) stalls.end(stream);
  clock.advance(9999);
  assert.equal(said.length, 1);
  clock.advance(1);
  assert.deepEqual(said.slice(1), [
    'info: output can be written again: ' + 'db.stderr, db.stdout, queue.stderr, queue.stdout, web.stderr, web.stdout',
  ]);
  assert.equal(clock.timers, 0);
});

test('the operation and the file do not make a different reason; without a code the text is the reason', () => {
  const { said, stalls, id } = makeReport();
  stalls.begin(id('web'), FULL);
  stalls.begin(id('db'), { ...FULL, error: "ENOSPC: no space left on device, open '/log/db.stdout.000001.log'" });
  assert.equal(said.length, 1);
  for (const error of ['odd', 'odd', 'odder']) stalls.begin(id('queue'), { error, code: null });
  assert.equal(said.length, 3);
});

test('recovery is not reported while one stream still waits', () => {
  const { clock, said, stalls, id } = makeReport();
  stalls.begin(id('web'), FULL);
  stalls.begin(id('db'), FULL);
  stalls.end(id('web'));
  clock.advance(3600e3);
  assert.equal(said.length, 1);
});

test('a new reason, and a new failure later, are reported again', () => {
  const { clock, said, stalls, id } = makeReport();
  stalls.begin(id('web'), FULL);
  stalls.begin(id('db'), READ_ONLY);
  assert.equal(said.length, 2);
  stalls.end(id('web'));
  clock.advance(10_000);
  stalls.begin(id('web'), FULL);
  assert.deepEqual(
    said.map((line) => line.split(':')[0]),
    ['warn', 'warn', 'info', 'warn'],
  );
});

test('close() makes the pending report and leaves no timer', () => {
  const { clock, said, stalls, id } = makeReport();
  stalls.begin(id('web'), FULL);
  stalls.begin(id('db'), READ_ONLY);
  stalls.end(id('web'));
  stalls.end(id('queue'));
  stalls.close();
  assert.match(said.at(-1)!, /^info: .*: web\.stdout$/);
  assert.equal(said.length, 3);
  assert.equal(clock.timers, 0);
});
