import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import fc from 'fast-check';
import type { LogFormat } from '../../../../src/protocol/log-files/formats.ts';
import type { StreamName } from '../../../../src/protocol/log-files/names.ts';
import { FrameMemory, type Framer, INPUT_BYTES, INPUT_START } from '../../../../workers/logs/format/framer.ts';
import { createFramer } from '../../../../workers/logs/format/framers.ts';
import { objectLine } from '../../../helpers/logs/object-line.ts';
import { linesIn, parseRecord, strip } from '../../../helpers/logs/strip.ts';
import { rounds } from '../../../helpers/rounds.ts';

const EPOCH_MS = Date.parse('2026-11-23T08:00:00.123Z');
const PREFIX = '2026-11-23T08:00:00.123Z INFO [web] ';
const CONTINUED = '2026-11-23T08:00:00.123Z INFO+ [web] ';
const memory = new FrameMemory();

interface Setting {
  readonly format?: LogFormat;
  readonly service?: string;
  readonly stream?: StreamName;
  readonly maxLineBytes?: number;
}

function newFramer({ format = 'text', service = 'web', stream = 'stdout', maxLineBytes = 2 ** 20 }: Setting): Framer {
  return createFramer(format, { memory, id: { service, stream }, maxLineBytes });
}

const takeOutput = () => Buffer.from(memory.output.subarray(memory.outputStart, memory.outputEnd));

/** Frames a stream that comes in `chunks` and then ends. */
function frameAll(chunks: readonly Uint8Array[], setting: Setting = {}) {
  const framer = newFramer(setting);
  const pieces: Buffer[] = [];
  for (const chunk of chunks) {
    const to = INPUT_START + chunk.length;
    for (let at = INPUT_START; at < to; ) {
      memory.bytes.set(chunk, INPUT_START);
      at = framer.frame(at, to, EPOCH_MS);
      pieces.push(takeOutput());
    }
  }
  framer.endLine(EPOCH_MS);
  pieces.push(takeOutput());
  return { text: Buffer.concat(pieces).toString('latin1'), lines: framer.lines, pieces: pieces.length };
}

const bytesOf = (...chunks: string[]) => chunks.map((chunk) => Buffer.from(chunk, 'latin1'));
const frameText = (...chunks: string[]) => frameAll(bytesOf(...chunks)).text;
const framePartly = (maxLineBytes: number, ...chunks: string[]) => frameAll(bytesOf(...chunks), { maxLineBytes }).text;

describe('text', () => {
  test('a line becomes a record with time, level and service', () => {
    assert.equal(frameText('hello\n'), `${PREFIX}hello\n`);
    const levels = (['stdout', 'stderr', 'console'] as const).map(
      (stream) => frameAll(bytesOf('x\n'), { service: 'db-1', stream }).text,
    );
    assert.deepEqual(levels, [
      '2026-11-23T08:00:00.123Z INFO [db-1] x\n',
      '2026-11-23T08:00:00.123Z ERROR [db-1] x\n',
      '2026-11-23T08:00:00.123Z DEBUG [db-1] x\n',
    ]);
  });

  test('a line split over several chunks is one record', () => {
    assert.equal(frameText('a', 'b', 'c\nd', '\n'), `${PREFIX}abc\n${PREFIX}d\n`);
  });

  test('an empty line is a record', () => {
    assert.equal(frameText('\n\n'), `${PREFIX}\n${PREFIX}\n`);
  });

  test('a newline is added to the last line only if it lacks one', () => {
    assert.equal(frameText('a\nb'), `${PREFIX}a\n${PREFIX}b\n`);
    assert.equal(frameText('a\n'), `${PREFIX}a\n`);
    assert.equal(frameText(), '');
  });

  test('a carriage return is dropped only before a newline, in the same chunk or the next', () => {
    assert.equal(frameText('a\r\nb\r', '\nc\r', 'd\n'), `${PREFIX}a\n${PREFIX}b\n${PREFIX}c\rd\n`);
    assert.equal(frameText('\r', '\n'), `${PREFIX}\n`);
    assert.equal(frameText('\r', '\r', '\n'), `${PREFIX}\r\n`);
    assert.equal(frameText('a\r'), `${PREFIX}a\r\n`);
  });

  test('a line above the limit becomes several records; all but the first are marked', () => {
    assert.equal(framePartly(3, 'abc\n'), `${PREFIX}abc\n`);
    assert.equal(framePartly(3, 'abcd\n'), `${PREFIX}abc\n${CONTINUED}d\n`);
    assert.equal(framePartly(3, 'a', 'bcdef', 'g\nh\n'), `${PREFIX}abc\n${CONTINUED}def\n${CONTINUED}g\n${PREFIX}h\n`);
    assert.equal(framePartly(3, 'abc', '\n'), `${PREFIX}abc\n`);
    assert.equal(framePartly(3, 'abc', 'd'), `${PREFIX}abc\n${CONTINUED}d\n`);
  });

  test('at the limit a carriage return counts only if no newline follows', () => {
    assert.equal(framePartly(3, 'abc\r\n'), `${PREFIX}abc\n`);
    assert.equal(framePartly(3, 'abc\r', '\n'), `${PREFIX}abc\n`);
    assert.equal(framePartly(3, 'abc\r', 'd\n'), `${PREFIX}abc\n${CONTINUED}\rd\n`);
    assert.equal(framePartly(3, 'abc\r'), `${PREFIX}abc\n${CONTINUED}\r\n`);
  });

  test('a record has the time of the chunk in which it begins', () => {
    const framer = newFramer({ maxLineBytes: 6 });
    const texts = ['one\ntw', 'o and more\nthree\n'].map((chunk, index) => {
      memory.bytes.write(chunk, INPUT_START, 'latin1');
      framer.frame(INPUT_START, INPUT_START + chunk.length, EPOCH_MS + index);
      return takeOutput().toString();
    });
    const later = (prefix: string) => prefix.replace('.123Z', '.124Z');
    assert.equal(texts.join(''), `${PREFIX}one\n${PREFIX}two an\n${later(CONTINUED)}d more\n${later(PREFIX)}three\n`);
  });

  test('two streams framed in the same millisecond keep separate record heads', () => {
    const [web, db] = [newFramer({}), newFramer({ service: 'db' })];
    const texts = [web, db, web].map((framer) => {
      memory.bytes.write('x\n', INPUT_START, 'latin1');
      framer.frame(INPUT_START, INPUT_START + 2, EPOCH_MS);
      return takeOutput().toString();
    });
    assert.deepEqual(texts, [`${PREFIX}x\n`, `${PREFIX.replace('web', 'db')}x\n`, `${PREFIX}x\n`]);
  });

  test('all 256 byte values are kept', () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
    assert.equal(strip('text', frameAll([bytes]).text).join('\n'), Buffer.from(bytes).toString('latin1'));
  });

  test('a chunk of newlines only, which outgrows the output buffer, is returned in pieces', () => {
    const { text, lines, pieces } = frameAll([new Uint8Array(INPUT_BYTES).fill(10)]);
    assert.equal(lines, INPUT_BYTES);
    assert.equal(text, `${PREFIX}\n`.repeat(INPUT_BYTES));
    assert.ok(pieces > 5);
  });

  test('the longest service name fits into a record head', () => {
    const service = 'x'.repeat(63);
    const { text } = frameAll([new Uint8Array(INPUT_BYTES).fill(10)], { service, stream: 'stderr' });
    assert.equal(text, `2026-11-23T08:00:00.123Z ERROR [${service}] \n`.repeat(INPUT_BYTES));
  });

  test('bytes outside the given range are neither read nor changed', () => {
    memory.bytes.write('xx\nabc\nyy\n', INPUT_START, 'latin1');
    const at = newFramer({}).frame(INPUT_START + 3, INPUT_START + 5, EPOCH_MS);
    assert.equal(at, INPUT_START + 5);
    assert.equal(takeOutput().toString(), `${PREFIX}ab`);
    assert.equal(memory.bytes.toString('latin1', INPUT_START, INPUT_START + 10), 'xx\nabc\nyy\n');
  });

  test('a stream that resumes after a crash continues the torn record', () => {
    const framer = newFramer({});
    framer.continueLine();
    memory.bytes.write('rest\nnext\n', INPUT_START, 'latin1');
    framer.frame(INPUT_START, INPUT_START + 10, EPOCH_MS);
    assert.equal(takeOutput().toString(), `${CONTINUED}rest\n${PREFIX}next\n`);
  });
});

describe('json', () => {
  const HEAD = `{"level":30,"time":${EPOCH_MS},"service":"web","stream":"stdout","msg":"`;
  const frameJson = (maxLineBytes: number, ...chunks: string[]) =>
    frameAll(
      chunks.map((chunk) => Buffer.from(chunk)),
      { format: 'json', maxLineBytes },
    ).text;

  test('a line becomes an object in the shape of pino', () => {
    assert.equal(frameJson(100, 'he', 'llo\r\n\n'), `${HEAD}hello"}\n${HEAD}"}\n`);
    const levels = (['stdout', 'stderr', 'console'] as const).map(
      (stream) => parseRecord(frameAll(bytesOf('x\n'), { format: 'json', stream }).text).level,
    );
    assert.deepEqual(levels, [30, 50, 20]);
  });

  test('only quotes, backslashes and control characters are escaped', () => {
    const line = `"\\\t\u0000\u001f\u007f é 漢 😀 \u2028`;
    const text = Buffer.from(frameJson(100, `${line}\n`), 'latin1').toString();
    assert.equal(text, `${HEAD}${JSON.stringify(line).slice(1)}}\n`);
  });

  test('invalid UTF-8 is flagged, readable, and kept byte for byte', () => {
    const record = parseRecord(frameAll(bytesOf('caf\xe9 "\xff"\n'), { format: 'json' }).text);
    assert.equal(record.msg, 'caf\ufffd "\ufffd"');
    assert.equal(record.invalid_utf8, true);
    assert.equal(Buffer.from(record.raw!, 'base64').toString('latin1'), 'caf\xe9 "\xff"');
  });

  test('a line above the limit becomes several records; all but the last are marked', () => {
    assert.equal(frameJson(3, 'abc\n'), `${HEAD}abc"}\n`);
    assert.equal(frameJson(3, 'abc\r', '\n'), `${HEAD}abc"}\n`);
    assert.equal(frameJson(3, 'ab', 'cd'), `${HEAD}abc","partial":true}\n${HEAD}d"}\n`);
    assert.equal(frameJson(3, 'abc\r'), `${HEAD}abc","partial":true}\n${HEAD}\\r"}\n`);
    assert.equal(frameJson(3, 'abcdefg\nh\n').match(/"partial":true/g)?.length, 2);
  });

  test('the limit does not split a character', () => {
    assert.equal(
      Buffer.from(frameJson(4, 'ab漢x\n'), 'latin1').toString(),
      `${HEAD}ab","partial":true}\n${HEAD}漢x"}\n`,
    );
  });

  test('a line that is an object is also in the record as it was printed', () => {
    const line = '{"a":1.50, "a":12345678901234567890,"b":[{"c":"\\u00e9\\n"}]}';
    const record = `${HEAD}${JSON.stringify(line).slice(1)},"json":${line}}\n`;
    assert.equal(frameJson(100, `${line}\n`), record);
    assert.equal(frameJson(100, `${line}\r\n`), record);
    assert.equal(frameJson(100, line.slice(0, 7), line.slice(7)), record);
    assert.equal(frameJson(100, `x\n${line}\n${line}\ny\n`), `${HEAD}x"}\n${record}${record}${HEAD}y"}\n`);
    assert.deepEqual(parseRecord(record).json, JSON.parse(line));
    const accented = '{"é":"漢"}';
    assert.ok(frameJson(100, `${accented}\n`).endsWith(Buffer.from(`,"json":${accented}}\n`).toString('latin1')));
  });

  test('other lines that begin with a brace are strings', () => {
    for (const line of [
      '{',
      '{}x',
      '{ a: 1 }',
      '{"a":1',
      '{"a":\t1}',
      '{"a":"\xff"}',
      '{"a":"\u0001"}',
      '[{}]',
      ' {}',
    ]) {
      for (const chunks of [[`${line}\n`], [line]]) {
        const record = parseRecord(frameAll(bytesOf(...chunks), { format: 'json' }).text);
        assert.ok(!('json' in record), line);
      }
    }
  });

  test('a part of a line is a string, even if it would be an object', () => {
    assert.equal(frameJson(7, '{"a":1}{}\n'), `${HEAD}{\\"a\\":1}","partial":true}\n${HEAD}{}"}\n`);
    assert.equal(frameJson(7, '{"a":1}{}', '\n{}\n').match(/"json":/g)?.length, 1);
  });

  test('what continues a line that a crash cut off is a string, also after another handover', () => {
    for (const isHandedOver of [false, true]) {
      let framer = newFramer({ format: 'json' });
      framer.continueLine();
      assert.ok(!framer.isBetweenLines);
      if (isHandedOver) {
        const state = framer.save();
        framer = newFramer({ format: 'json' });
        framer.restore(state);
      }
      memory.bytes.write('{}\n{}\n', INPUT_START);
      framer.frame(INPUT_START, INPUT_START + 6, EPOCH_MS);
      assert.equal(takeOutput().toString(), `${HEAD}{}"}\n${HEAD}{}","json":{}}\n`);
      assert.ok(framer.isBetweenLines);
    }
    const framer = newFramer({ format: 'json' });
    framer.continueLine();
    framer.endLine(EPOCH_MS);
    memory.bytes.write('{}\n', INPUT_START);
    framer.frame(INPUT_START, INPUT_START + 3, EPOCH_MS);
    assert.equal(takeOutput().toString(), `${HEAD}{}","json":{}}\n`);
  });

  test('a line is written when it is complete, with the time of its first chunk', () => {
    const framer = newFramer({ format: 'json' });
    memory.bytes.write('half', INPUT_START);
    framer.frame(INPUT_START, INPUT_START + 4, EPOCH_MS);
    assert.equal(takeOutput().length, 0);
    memory.bytes.write(' line\n', INPUT_START);
    framer.frame(INPUT_START, INPUT_START + 6, EPOCH_MS + 1000);
    assert.equal(takeOutput().toString(), `${HEAD}half line"}\n`);
  });

  test('a record larger than the output buffer is returned in one piece', () => {
    const line = '\u0001'.repeat(200_000);
    const chunks = [
      line.slice(0, 60_000),
      line.slice(60_000, 120_000),
      line.slice(120_000, 180_000),
      line.slice(180_000),
    ];
    const { text, lines } = frameAll(
      [...chunks, '\nnext\n'].map((chunk) => Buffer.from(chunk)),
      { format: 'json' },
    );
    assert.equal(lines, 2);
    assert.deepEqual(strip('json', text), [line, 'next']);
  });

  test('the longest service name fits into a record head', () => {
    const service = 'x'.repeat(63);
    const { text, lines } = frameAll([new Uint8Array(INPUT_BYTES).fill(10)], {
      format: 'json',
      service,
      stream: 'console',
    });
    assert.equal(lines, INPUT_BYTES);
    assert.equal(parseRecord(text.slice(0, text.indexOf('\n'))).service, service);
  });
});

for (const format of ['text', 'json'] as const) {
  test(`${format}: any bytes, split anywhere, are kept unchanged for every line limit`, () => {
    const byte = fc.oneof(fc.constantFrom(10, 13, 0x22, 0x5c, 0xc3, 0xa9), fc.integer({ min: 0, max: 255 }));
    const piece = objectLine().map((line) => [...Buffer.from(`\n${line}\n`, 'latin1')]);
    const stream = fc.array(fc.oneof(fc.array(byte, { minLength: 1, maxLength: 40 }), piece), { maxLength: 20 });

    const limit = fc.oneof(fc.integer({ min: 1, max: 10 }), fc.constant(2 ** 20));
    fc.assert(
      fc.property(stream, limit, (chunks, maxLineBytes) => {
        const { text, lines } = frameAll(
          chunks.map((chunk) => Uint8Array.from(chunk)),
          { format, maxLineBytes },
        );
        const expected = linesIn(Buffer.from(chunks.flat()).toString('latin1'));
        assert.deepEqual(strip(format, text), expected);
        assert.equal(lines, expected.length);
      }),
      { numRuns: rounds(2000) },
    );
  });
}
