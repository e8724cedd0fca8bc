import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Handover } from '../../src/logs/handover.ts';
import type { HeldOutput } from '../../src/protocol/logs.ts';
import { openFilesBelow } from '../helpers/processes/open-files.ts';
import { makeTempDir } from '../helpers/temp.ts';

const ID = { service: 'web', stream: 'stdout' } as const;

async function setUp(t: TestContext) {
  const dir = await makeTempDir(t);
  const reports: string[] = [];
  const streams = new Handover((level, message) => reports.push(`${level}: ${message}`));
  t.after(() => streams.close());
  const path = join(dir, 'web.stdout.000001.log');
  const fd = openSync(path, 'ax');
  const { dev, ino } = fstatSync(fd);
  const held: HeldOutput = {
    place: { number: 1, offset: 0, dev, ino, fd },
    items: [
      { type: 'framed', bytes: Buffer.from('ten bytes\n') },
      { type: 'raw', bytes: Buffer.from('two') },
    ],
    framer: { type: 'buffering', line: Buffer.from('four'), epochMs: 0, isContinued: false },
    withheld: Buffer.alloc(0),
  };
  return { dir, path, fd, held, streams, reports };
}

test('held bytes reach their file wherever it was moved, even after their thread closed it', async (t) => {
  const { dir, path, fd, held, streams } = await setUp(t);
  streams.keep(ID, held);
  closeSync(fd);
  // The last words of a thread name a descriptor that is closed by then.
  streams.keep(ID, held);
  renameSync(path, join(dir, 'moved'));
  writeSync(streams.give(ID)!.place!.fd!, 'more');
  assert.equal(readFileSync(join(dir, 'moved'), 'utf8'), 'more');
  streams.keep(ID, null);
  assert.equal(streams.give(ID), null);
  assert.equal(openFilesBelow(dir), 0);
});

test('a descriptor that now refers to another file is not mistaken for the first one', async (t) => {
  const { dir, path, fd, held, streams } = await setUp(t);
  closeSync(fd);
  unlinkSync(path);
  // The lowest number that is free: that of the file before.
  const other = openSync(join(dir, 'other'), 'ax');
  t.after(() => closeSync(other));
  assert.equal(other, fd);
  const ino = held.place!.ino === fstatSync(other).ino ? held.place!.ino + 1 : held.place!.ino;
  streams.keep(ID, { ...held, place: { ...held.place!, ino } });
  assert.equal(streams.give(ID)!.place!.fd, null);
});

test('bytes that crashed three threads in a row are given up and reported', async (t) => {
  const { dir, fd, held, streams, reports } = await setUp(t);
  streams.keep(ID, held);
  assert.ok(streams.give(ID) && streams.give(ID));
  // It came as far as telling of them.
  streams.keep(ID, held);
  closeSync(fd);
  for (let death = 1; death <= 3; death += 1) assert.deepEqual(streams.give(ID)!.items, held.items);
  assert.deepEqual(reports, []);
  assert.equal(streams.give(ID), null);
  assert.deepEqual(reports, ['error: web: 17 bytes of its stdout are lost: log threads crashed while writing them']);
  assert.equal(streams.give(ID), null);
  assert.equal(openFilesBelow(dir), 0);
});
