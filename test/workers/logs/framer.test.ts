import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  endLine,
  FrameMemory,
  frame,
  INPUT_BYTES,
  INPUT_START,
  newFramerState,
  OUTPUT_START,
  recordLabel,
} from '../../../workers/logs/framer.ts';
import { linesOf } from './harness.ts';

const EPOCH_MS = Date.parse('2026-11-23T08:00:00.123Z');
const PREFIX = '2026-11-23T08:00:00.123Z INFO [web] ';
const memory = new FrameMemory();

/** Frames a stream that comes in `chunks` and then ends. */
function frameAll(chunks: readonly Uint8Array[], label = recordLabel('web', 'stdout')) {
  const state = newFramerState();
  const pieces: Buffer[] = [];
  const take = () => pieces.push(Buffer.from(memory.bytes.subarray(OUTPUT_START, memory.outputEnd)));
  for (const chunk of chunks) {
    memory.bytes.set(chunk, INPUT_START);
    memory.setPrefix(label, EPOCH_MS);
    const to = INPUT_START + chunk.length;
    for (let at = INPUT_START; at < to; ) {
      at = frame(memory, state, at, to);
      take();
    }
  }
  endLine(memory, state);
  take();
  return { text: Buffer.concat(pieces).toString('latin1'), lines: state.lines, pieces: pieces.length };
}

function frameText(...chunks: string[]): string {
  return frameAll(chunks.map((chunk) => Buffer.from(chunk, 'latin1'))).text;
}

test('a line becomes a record with its time, level and service', () => {
  assert.equal(frameText('hello\n'), `${PREFIX}hello\n`);
  const levels = (['stdout', 'stderr', 'console'] as const).map(
    (stream) => frameAll([Buffer.from('x\n')], recordLabel('db-1', stream)).text,
  );
  assert.deepEqual(levels, [
    '2026-11-23T08:00:00.123Z INFO [db-1] x\n',
    '2026-11-23T08:00:00.123Z ERROR [db-1] x\n',
    '2026-11-23T08:00:00.123Z DEBUG [db-1] x\n',
  ]);
});

test('a line that comes in several chunks is one record', () => {
  assert.equal(frameText('a', 'b', 'c\nd', '\n'), `${PREFIX}abc\n${PREFIX}d\n`);
});

test('an empty line is a record', () => {
  assert.equal(frameText('\n\n'), `${PREFIX}\n${PREFIX}\n`);
});

test('a last line without newline gets one, and only then', () => {
  assert.equal(frameText('a\nb'), `${PREFIX}a\n${PREFIX}b\n`);
  assert.equal(frameText('a\n'), `${PREFIX}a\n`);
  assert.equal(frameText(), '');
});

test('a carriage return is dropped only straight before a newline, in one chunk or two', () => {
  assert.equal(frameText('a\r\nb\r', '\nc\r', 'd\n'), `${PREFIX}a\n${PREFIX}b\n${PREFIX}c\rd\n`);
  assert.equal(frameText('\r', '\n'), `${PREFIX}\n`);
  assert.equal(frameText('\r', '\r', '\n'), `${PREFIX}\r\n`);
  assert.equal(frameText('a\r'), `${PREFIX}a\r\n`);
});

test('the time is that of the chunk in which a line begins', () => {
  const state = newFramerState();
  const texts = ['one\ntw', 'o\nthree\n'].map((chunk, index) => {
    memory.setPrefix(recordLabel('web', 'stdout'), EPOCH_MS + index);
    memory.bytes.write(chunk, INPUT_START, 'latin1');
    frame(memory, state, INPUT_START, INPUT_START + chunk.length);
    return memory.bytes.toString('latin1', OUTPUT_START, memory.outputEnd);
  });
  assert.equal(texts.join(''), `${PREFIX}one\n${PREFIX}two\n${PREFIX.replace('.123Z', '.124Z')}three\n`);
});

test('all 256 values pass', () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
  const kept = Buffer.from(bytes).toString('latin1');
  assert.equal(linesOf(frameAll([bytes]).text).join('\n'), kept);
});

test('a chunk of bare newlines grows beyond the output and comes in pieces', () => {
  const { text, lines, pieces } = frameAll([new Uint8Array(INPUT_BYTES).fill(10)]);
  assert.equal(lines, INPUT_BYTES);
  assert.equal(text, `${PREFIX}\n`.repeat(INPUT_BYTES));
  assert.ok(pieces > 5);
});

test('the longest service name fits', () => {
  const name = 'x'.repeat(63);
  const { text } = frameAll([new Uint8Array(INPUT_BYTES).fill(10)], recordLabel(name, 'stderr'));
  assert.equal(text, `2026-11-23T08:00:00.123Z ERROR [${name}] \n`.repeat(INPUT_BYTES));
});

test('bytes around the given range are neither read nor changed', () => {
  memory.setPrefix(recordLabel('web', 'stdout'), EPOCH_MS);
  memory.bytes.write('xx\nabc\nyy\n', INPUT_START, 'latin1');
  const at = frame(memory, newFramerState(), INPUT_START + 3, INPUT_START + 5);
  assert.equal(at, INPUT_START + 5);
  assert.equal(memory.bytes.toString('latin1', OUTPUT_START, memory.outputEnd), `${PREFIX}ab`);
  assert.equal(memory.bytes.toString('latin1', INPUT_START, INPUT_START + 10), 'xx\nabc\nyy\n');
});

test('any bytes, cut anywhere, come out as they went in', () => {
  const byte = fc.oneof(fc.constantFrom(10, 13), fc.integer({ min: 0, max: 255 }));
  const stream = fc.array(fc.array(byte, { minLength: 1, maxLength: 40 }), { maxLength: 20 });
  fc.assert(
    fc.property(stream, (chunks) => {
      const { text, lines } = frameAll(chunks.map((chunk) => Uint8Array.from(chunk)));
      const input = Buffer.from(chunks.flat()).toString('latin1').replaceAll('\r\n', '\n');
      const expected = input === '' || input.endsWith('\n') ? input : `${input}\n`;
      const output = linesOf(text).map((line) => `${line}\n`);
      assert.equal(output.join(''), expected);
      assert.equal(lines, output.length);
    }),
    { numRuns: 2000 },
  );
});
