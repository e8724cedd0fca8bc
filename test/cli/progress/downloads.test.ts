import assert from 'node:assert/strict';
import test from 'node:test';
import { blobRow, createPlainDownloads, RateMeter, shortDigest } from '../../../src/cli/progress/downloads.ts';

const MIB = 2 ** 20;
const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const image = { name: 'docker.io/library/app:1', digest: digest('f'), unchanged: false };

test('a row has a bar, the sizes, the rate and the time that is left', () => {
  const blob = { digest: digest('a'), sizeBytes: 30 * MIB, doneBytes: 15 * MIB, bytesPerSecond: 5 * MIB } as const;
  const bar = '█'.repeat(12) + '░'.repeat(12);
  assert.equal(blobRow({ ...blob, phase: 'running' }), `aaaaaaaaaaaa  ${bar}  15 MiB of 30 MiB  5 MiB/s  3s left`);
  assert.match(blobRow({ ...blob, phase: 'running', bytesPerSecond: 0 }), /0 B\/s$/);
  assert.match(blobRow({ ...blob, phase: 'running', bytesPerSecond: null }), /of 30 MiB$/);
  assert.match(blobRow({ ...blob, phase: 'kept' }), /█{24} {2}30 MiB$/);
  assert.match(blobRow({ ...blob, sizeBytes: 0, doneBytes: 0, phase: 'running' }), /█{24}/);
  assert.equal(blobRow({ ...blob, phase: 'present' }), 'aaaaaaaaaaaa  30 MiB, already present');
  assert.equal(shortDigest(digest('b')), 'b'.repeat(12));
});

test('the rate follows the download, falls while it stands still and starts anew with it', () => {
  const meter = new RateMeter();
  meter.update(1000, 0);
  assert.equal(meter.bytesPerSecond, null);
  meter.update(2000, 1000);
  assert.equal(meter.bytesPerSecond, 1000);
  meter.update(2000, 1000);
  assert.equal(meter.bytesPerSecond, 1000);
  meter.update(2000, 21_000);
  assert.ok(meter.bytesPerSecond! < 10);
  meter.update(0, 22_000);
  assert.equal(meter.bytesPerSecond, null);
});

test('without a terminal there is a line for each event, and none for bytes', async () => {
  const lines: string[] = [];
  const downloads = createPlainDownloads((text) => lines.push(text));
  downloads.handle({ type: 'waiting' });
  downloads.handle({ type: 'blob', digest: digest('a'), size_bytes: MIB, present: false });
  downloads.handle({ type: 'bytes', digest: digest('a'), done_bytes: 1 });
  downloads.handle({ type: 'kept', digest: digest('a') });
  downloads.handle({ type: 'notice', text: 'a notice' });
  downloads.handle({ type: 'stored', image: { ...image, unchanged: true } });
  await downloads.close('done');
  assert.deepEqual(lines, [
    'waiting for another change of the images\n',
    'aaaaaaaaaaaa: 1 MiB\n',
    'aaaaaaaaaaaa: done\n',
    'a notice\n',
    `${image.name}: is up to date, ${image.digest}\n`,
  ]);
});
