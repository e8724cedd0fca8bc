/** The framer in WebAssembly does what the one in JavaScript does; what that does is in framer.test.ts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { LogFormat } from '../../../../src/protocol/log-files/formats.ts';
import {
  FrameMemory,
  HEAD_START,
  INPUT_BYTES,
  INPUT_START,
  OUTPUT_END,
  OUTPUT_START,
} from '../../../../workers/logs/format/framer.ts';
import { createFramer } from '../../../../workers/logs/format/framers.ts';
import { rounds } from '../../../helpers/rounds.ts';

const EPOCH_MS = Date.parse('2026-11-23T08:00:00.123Z');
const FORMAT_NAMES: readonly LogFormat[] = ['text', 'json'];

const simdMemory = new FrameMemory();
const plainMemory = new FrameMemory({ simd: false });
const { simd } = simdMemory;
assert.ok(simd, 'this Node cannot do what the tests are about');
/** Nobody may write here. */
const behindOutput = Buffer.from(simd.memory.buffer, OUTPUT_END).fill(0xa5);
const untouched = Buffer.from(behindOutput);
/** More than is read behind a chunk. */
const AROUND_BYTES = 64;

interface Setting {
  readonly format: LogFormat;
  readonly service?: string;
  readonly maxLineBytes?: number;
  /** Byte that fills the memory around a chunk. */
  readonly litter?: number;
}

/** Frames a stream of `chunks`. Throws when anything but the output and the prefixes was written to. */
function frameAll(memory: FrameMemory, chunks: readonly Buffer[], setting: Setting) {
  const { format, service = 'web', maxLineBytes = 2 ** 20, litter = 0 } = setting;
  const framer = createFramer(format, { memory, id: { service, stream: 'stdout' }, maxLineBytes });
  const pieces: Buffer[] = [];
  const take = () => pieces.push(Buffer.from(memory.output.subarray(memory.outputStart, memory.outputEnd)));
  for (const chunk of chunks) {
    const to = INPUT_START + chunk.length;
    const around = memory.bytes.subarray(0, Math.min(to + AROUND_BYTES, HEAD_START)).fill(litter);
    around.set(chunk, INPUT_START);
    const before = Buffer.from(around);
    for (let at = INPUT_START; at < to; ) {
      at = framer.frame(at, to, EPOCH_MS);
      take();
    }
    assert.ok(around.equals(before), 'the input has changed');
  }
  framer.endLine(EPOCH_MS);
  take();
  assert.ok(behindOutput.equals(untouched), 'bytes behind the output have changed');
  return { output: Buffer.concat(pieces).toString('latin1'), lines: framer.lines };
}

function assertSame(chunks: readonly Buffer[], setting: Setting): void {
  assert.deepEqual(frameAll(simdMemory, chunks, setting), frameAll(plainMemory, chunks, setting));
}

/** `bytes` in pieces of these lengths, again and again. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const end = at + lengths[turn % lengths.length]!;
    chunks.push(bytes.subarray(at, end));
    at = end;
  }
  return chunks;
}

for (const format of FORMAT_NAMES) {
  test(`${format}: any bytes, split anywhere, become the same records with and without SIMD`, () => {
    const special = fc.constantFrom(
      '\n',
      '\r\n',
      '\r',
      '"',
      '\\',
      '{',
      '{"a":1}',
      '{"a":1}\n',
      '\t',
      '\x00',
      '\x1f',
      ' ',
      '\x7f',
      '\x80',
      '\xff',
      'Ã©',
    );
    const plain = fc.integer({ min: 1, max: 50 }).map((length) => 'x'.repeat(length));
    const stream = fc
      .array(fc.oneof(special, plain, fc.constant('\n')), { maxLength: 80 })
      .map((parts) => Buffer.from(parts.join(''), 'latin1'));
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(2000)), {
      minLength: 1,
      maxLength: 5,
    });
    const maxLineBytes = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constant(2 ** 20));
    const service = fc.constantFrom('a', 'web', 'x'.repeat(63));
    const litter = fc.constantFrom(10, 13, 0x22, 0x78);
    fc.assert(
      fc.property(stream, lengths, maxLineBytes, service, litter, (bytes, cuts, limit, name, around) =>
        assertSame(cut(bytes, cuts), { format, maxLineBytes: limit, service: name, litter: around }),
      ),
      { numRuns: rounds(3000) },
    );
  });

  test(`${format}: chunks that fill the input buffer become the same records, however little output space is left`, () => {
    for (const service of ['web', 'x'.repeat(63)]) {
      for (const line of [
        '\n',
        '\r\n',
        '{}\n',
        '{"a":"\\\\"}\n',
        '{\r\n',
        '"\n',
        '\\"\r\n',
        'x\n',
        `${'x'.repeat(15)}\n`,
        `${'"'.repeat(16)}\n`,
      ]) {
        const bytes = Buffer.from(line.repeat(Math.ceil((2 * INPUT_BYTES) / line.length)));
        assertSame(cut(bytes, [INPUT_BYTES]), { format, service });
      }
    }
  });

  test(`${format}: a long line that begins near the end of the output buffer is written whole`, () => {
    const roomBytes = OUTPUT_END - OUTPUT_START;
    const emptyBytes = frameAll(plainMemory, [Buffer.from('\n')], { format }).output.length;
    for (const byte of ['x', '"']) {
      for (const grownBytes of format === 'json' ? [1, 2, 6] : [1]) {
        // So many empty lines that the last one of the chunk has just room, or just none.
        const empty = Math.floor((roomBytes - INPUT_BYTES * grownBytes) / (emptyBytes - grownBytes));
        for (let lines = Math.max(0, empty - 12); lines < empty + 4; lines += 1) {
          const bytes = Buffer.alloc(INPUT_BYTES, byte).fill('\n', 0, lines);
          bytes[INPUT_BYTES - 1] = 10;
          assertSame([bytes], { format });
        }
      }
    }
  });

  test(`${format}: a line of every length up to 100 bytes, at every end of the input, is found`, () => {
    for (let length = 0; length < 100; length += 1) {
      for (const end of ['\n', '\r\n', '']) {
        const line = Buffer.from(`${'x'.repeat(length)}${end}`);
        const filled = Buffer.alloc(INPUT_BYTES - line.length, `${'y'.repeat(99)}\n`);
        filled[filled.length - 1] = 10;
        assertSame([Buffer.concat([filled, line])], { format, litter: 10 });
      }
    }
  });
}

test('complete lines do not reach the JavaScript framer', () => {
  for (const [format, line] of [
    ['text', 'a line "as" it\tcomes \xff\n'],
    ['json', 'a "line" with a \\ in it\r\n'],
  ] as const) {
    frameAll(simdMemory, [Buffer.from(line.repeat(3), 'latin1')], { format });
    assert.equal(simd.lines.value, 3, format);
  }
  // One at a time: it may be an object.
  for (const line of ['{"a":"\\\\"}\r\n', '{ a: 1 }\n']) {
    frameAll(simdMemory, [Buffer.from(line.repeat(3))], { format: 'json' });
    assert.equal(simd.lines.value, 1, line);
  }
});

test('the JavaScript framer handles everything without WebAssembly', () => {
  const scope = globalThis as { WebAssembly?: unknown };
  const { WebAssembly } = scope;
  try {
    delete scope.WebAssembly;
    const memory = new FrameMemory();
    assert.equal(memory.simd, null);
    const { output } = frameAll(memory, [Buffer.from('one\n')], { format: 'text' });
    assert.equal(output, '2026-11-23T08:00:00.123Z INFO [web] one\n');
  } finally {
    scope.WebAssembly = WebAssembly;
  }
});
