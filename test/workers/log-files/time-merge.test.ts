import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { Block } from '../../../workers/log-files/stream-cursor.ts';
import { type MergeSource, TimeMerge } from '../../../workers/log-files/time-merge.ts';
import { rounds } from '../../helpers/rounds.ts';

const EPOCH_MS = Date.parse('2026-11-23T08:00:00.000Z');
const record = (atMs: number, text: string) => `${new Date(EPOCH_MS + atMs).toISOString()} INFO [web] ${text}\n`;

/** Blocks as a cursor gives them: whole records, or pieces of one that is longer than a block; all in one buffer. */
function sourceOf(records: readonly string[], blockBytes: number): MergeSource {
  const all = records.join('');
  const memory = Buffer.alloc(blockBytes);
  let offset = 0;
  const next = async (): Promise<Block | null> => {
    const piece = all.slice(offset, offset + blockBytes);
    if (piece === '') return null;
    const block = piece.includes('\n') ? piece.slice(0, piece.lastIndexOf('\n') + 1) : piece;
    const start = { number: 1, offset };
    offset += block.length;
    return { bytes: memory.subarray(0, memory.write(block, 'latin1')), start, end: { number: 1, offset } };
  };
  return { next };
}

async function merge(streams: readonly (readonly string[])[], blockBytes = 100): Promise<string> {
  const merging = await TimeMerge.open(streams.map((records) => sourceOf(records, blockBytes)));
  let output = '';
  for (let run = await merging.next(); run; run = await merging.next()) {
    output += run.block.bytes.toString('latin1', run.from, run.to);
  }
  return output;
}

test('records come in the order of their times and, at equal times, of the sources', async () => {
  const stdout = [record(1, 'a'), record(3, 'c'), record(3, 'd'), record(9, 'g')];
  const stderr = [record(2, 'b'), record(3, 'e'), record(4, 'f')];
  assert.equal(
    await merge([stdout, stderr]),
    [stdout[0], stderr[0], stdout[1], stdout[2], stderr[1], stderr[2], stdout[3]].join(''),
  );
});

test('no record of another stream comes between the pieces of a long one', async () => {
  const long = record(1, 'x'.repeat(1000));
  const stdout = [long, record(5, 'end')];
  const stderr = [record(1, 'a'), record(2, 'b'), record(6, 'c')];
  assert.equal(await merge([stdout, stderr]), [long, stderr[0], stderr[1], stdout[1], stderr[2]].join(''));
});

test('a record without a time stays behind the one before it', async () => {
  const stdout = [record(1, 'a'), 'no time\n', record(5, 'b')];
  const stderr = [record(2, 'c')];
  assert.equal(await merge([stdout, stderr]), [stdout[0], stdout[1], stderr[0], stdout[2]].join(''));
});

test('a merge of no streams is empty', async () => {
  assert.equal(await merge([]), '');
  assert.equal(await merge([[], []]), '');
});

test('a merge of streams in order is a stable sort by time', async () => {
  const stream = fc.array(fc.record({ atMs: fc.nat(20), size: fc.nat(150) }), { maxLength: 15 });
  await fc.assert(
    fc.asyncProperty(fc.array(stream, { maxLength: 4 }), async (inputs) => {
      const streams = inputs.map((records, index) =>
        records.map(({ atMs, size }) => record(atMs, `${index}${'x'.repeat(size)}`)).sort(byTime),
      );
      assert.equal(await merge(streams), streams.flat().sort(byTime).join(''));
    }),
    { numRuns: rounds(300) },
  );
});

function byTime(a: string, b: string): number {
  const [timeA, timeB] = [a.slice(0, 24), b.slice(0, 24)];
  return timeA < timeB ? -1 : timeA > timeB ? 1 : 0;
}
