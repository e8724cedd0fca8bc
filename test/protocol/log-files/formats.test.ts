/** Properties that every log format has, and the details of the two there are. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  formatOf,
  LOG_FORMATS,
  type LogFormat,
  recordText,
  recordTime,
  repairTail,
} from '../../../src/protocol/log-files/formats.ts';
import { STREAM_NAMES } from '../../../src/protocol/log-files/names.ts';
import { LEVELS, MAX_HEAD_BYTES } from '../../../src/protocol/log-files/record.ts';
import { TEXT_HEAD } from '../../../src/protocol/log-files/text.ts';
import { FrameMemory, INPUT_START } from '../../../workers/logs/format/framer.ts';
import { createFramer } from '../../../workers/logs/format/framers.ts';
import { objectLine } from '../../helpers/logs/object-line.ts';
import { parseRecord, strip } from '../../helpers/logs/strip.ts';
import { rounds } from '../../helpers/rounds.ts';

const ID = { service: 'web', stream: 'stdout' } as const;
const LONGEST_NAME = 'x'.repeat(63);
const TIME = '2026-11-23T08:00:01.456Z';
const NOW_MS = Date.parse(TIME);
const TEXT = '2026-11-23T08:00:00.123Z INFO [web] hello';
const JSON_HEAD = '{"level":30,"time":1795420800123,"service":"web","stream":"stdout","msg":"';
const NAMES = Object.keys(LOG_FORMATS) as LogFormat[];
const GAP = { lines: 3, bytes: 40, reason: 'the disk is full' };

const anyLine = fc
  .array(fc.oneof(fc.constantFrom(0x22, 0x5c, 0x7b, 0xc3, 0xa9), fc.integer({ min: 0, max: 255 })), { maxLength: 40 })
  .map((bytes) => Buffer.from(bytes.filter((byte) => byte !== 10 && byte !== 13)).toString('latin1'));
/** Bytes of a line, one character per byte. */
const line = fc.oneof(anyLine, objectLine());

/** Records of a line, with their newlines, as they are in a file. */
function recordsOf(name: LogFormat, text: string, maxLineBytes = 2 ** 20): string[] {
  const memory = new FrameMemory();
  const framer = createFramer(name, { memory, id: ID, maxLineBytes });
  memory.bytes.write(`${text}\n`, INPUT_START, 'latin1');
  framer.frame(INPUT_START, INPUT_START + text.length + 1, NOW_MS);
  const records = memory.output.toString('latin1', memory.outputStart, memory.outputEnd);
  return records.split(/(?<=\n)/);
}

/** The end of a file after a repair. */
function repaired(tail: string, continues = false): string {
  return tail + repairTail(Buffer.from(tail, 'latin1'), { id: ID, continues, nowMs: NOW_MS }).toString('latin1');
}

test('no two formats begin records with the same byte', () => {
  const bytes = Object.values(LOG_FORMATS).flatMap(({ firstBytes }) => [...firstBytes]);
  assert.equal(new Set(bytes).size, bytes.length);
});

for (const name of NAMES) {
  const format = LOG_FORMATS[name];

  test(`${name}: a head has room in the memory of framers, and tells its format`, () => {
    for (const stream of STREAM_NAMES) {
      for (const isContinued of [false, true]) {
        const head = format.head({ service: LONGEST_NAME, stream }, NOW_MS, isContinued);
        assert.ok(head.length <= MAX_HEAD_BYTES && /^[ -~]*$/.test(head), head);
        assert.equal(formatOf(head), format);
      }
    }
  });

  test(`${name}: the records of a line have its level, time and stream, and their texts are the line`, () => {
    fc.assert(
      fc.property(line, fc.integer({ min: 4, max: 60 }), (text, maxLineBytes) => {
        const records = recordsOf(name, text, maxLineBytes).map((record) => record.slice(0, -1));
        const parsed = records.map((record) => format.parse(record)!);
        assert.equal(parsed.map((record) => record.text).join(''), text);
        for (const { level, timeMs, service, stream } of parsed) {
          assert.deepEqual({ level, timeMs, service, stream }, { level: 30, timeMs: NOW_MS, ...ID });
        }
        // Either what goes on is marked or what continues it.
        const links = records.slice(1).map((_, at) => parsed[at]!.isPartial || parsed[at + 1]!.isContinued);
        assert.ok(links.every(Boolean) && !parsed[0]!.isContinued && !parsed.at(-1)!.isPartial);
        for (const [at, record] of records.entries()) {
          const bytes = Buffer.from(`{x ${record}\n{"`, 'latin1');
          assert.ok(format.has(record));
          assert.equal(recordTime(bytes, 3, ''), TIME);
          assert.equal(recordText(bytes, 3, 3 + record.length), Buffer.from(parsed[at]!.text, 'latin1').toString());
        }
      }),
    );
  });

  test(`${name}: a record of another format can be encoded and parsed again`, () => {
    fc.assert(
      fc.property(line, fc.constantFrom(...NAMES), (text, other) => {
        const [record = ''] = recordsOf(other, text);
        const parsed = LOG_FORMATS[other].parse(record.slice(0, -1))!;
        const encoded = format.encode(parsed);
        assert.ok(!encoded.includes('\n'));
        assert.deepEqual(format.parse(encoded), parsed);
      }),
    );
  });

  test(`${name}: a record cut anywhere is repaired to whole records`, () => {
    fc.assert(
      fc.property(line, fc.nat(), fc.boolean(), (text, cut, continues) => {
        const record = recordsOf(name, text, 20).join('');
        const tail = record.slice(0, cut % record.length);
        const last = tail.slice(tail.lastIndexOf('\n', tail.length - 2) + 1);
        const whole = repaired(last, continues);
        assert.ok(whole === '' || whole.endsWith('\n'));
        for (const part of whole.split('\n').slice(0, -1)) assert.ok(format.parse(part), part);
      }),
      { numRuns: rounds(2000) },
    );
  });

  test(`${name}: dropped output is a warning`, () => {
    const parsed = format.parse(format.notice(ID, GAP, NOW_MS).slice(0, -1))!;
    assert.deepEqual([parsed.level, parsed.timeMs, parsed.service], [40, NOW_MS, 'web']);
    assert.match(parsed.text, /3 lines \(40 bytes\) were dropped: the disk is full/);
  });
}

test('a file that ends in a whole record stays unchanged', () => {
  for (const tail of ['', `${TEXT}\n`, recordsOf('json', 'hello').join('')]) assert.equal(repaired(tail), tail);
});

test('a text record cut anywhere is repaired', () => {
  for (let length = 1; length <= TEXT.length; length += 1) {
    const text = repaired(TEXT.slice(0, length));
    assert.equal(strip('text', text).length, 1, text);
    assert.equal('hello'.startsWith(strip('text', text)[0]!), true, text);
  }
});

test('a continuation cut anywhere is repaired', () => {
  const record = TEXT.replace('INFO', 'INFO+');
  for (let length = 1; length <= record.length; length += 1) strip('text', repaired(record.slice(0, length)));
});

test('a line of another program only gets its newline', () => {
  assert.equal(repaired('something else'), 'something else\n');
});

test('a JSON record cut anywhere is repaired and flagged, and its bytes stay', () => {
  const lines = [
    'a "quote" \\ \u0001\t',
    'caf\xe9 \xff\xff',
    Buffer.from('é漢😀').toString('latin1'),
    '',
    'x'.repeat(30),
  ];
  for (const line of lines) {
    for (const record of recordsOf('json', line, 12)) {
      for (let length = 1; length < record.length; length += 1) {
        for (const continues of [false, true]) {
          const text = repaired(record.slice(0, length), continues);
          assert.ok(text.startsWith(record.slice(0, length)) && text.endsWith('\n'));
          const [first, ...others] = text.slice(0, -1).split('\n').map(parseRecord);
          assert.ok(length === record.length - 1 || first?.torn || first?.partial, text);
          assert.ok(others.every(({ msg }) => msg === ''));
        }
      }
    }
  }
});

test('a record cut off in its object gets back all that was printed', () => {
  const lines = [
    '{}',
    '{"a":"\\"\\\\", "a":12345678901234567890}',
    Buffer.from('{"é漢😀":[1,{"b":null}]}').toString('latin1'),
  ];
  for (const line of lines) {
    const [record = ''] = recordsOf('json', line);
    const object = record.lastIndexOf(',"json":');
    assert.equal(record.slice(object), `,"json":${line}}\n`);
    for (let length = object + 3; length < record.length; length += 1) {
      for (const continues of [false, true]) assert.equal(repaired(record.slice(0, length), continues), record);
    }
    for (let length = 1; length < object + 3; length += 1) {
      const parsed = parseRecord(repaired(record.slice(0, length)).split('\n')[0]!);
      assert.ok(parsed.torn && !parsed.json, 'what is torn is a string');
    }
  }
});

test('the object of a line that is none is not completed', () => {
  const record = repaired(`${JSON_HEAD}no object","js`).trimEnd();
  assert.equal(parseRecord(record).msg, 'no object');
  assert.ok(!record.includes('"json"'), record);
});

test('a line whose rest will never come is ended, unless its stream goes on', () => {
  const [partial = ''] = recordsOf('json', 'abcdef', 3);
  assert.match(partial, /"partial":true\}\n$/);
  assert.deepEqual(strip('json', `${repaired(partial)}${recordsOf('json', 'next').join('')}`), ['abc', 'next']);
  assert.equal(repaired(partial, true), partial);
});

/** Text of a record between others. */
function textOf(record: string | Buffer): string {
  const bytes = Buffer.from(record);
  const around = Buffer.concat([Buffer.from('[a] "b\\'), bytes, Buffer.from('\n[c] "d\\')]);
  return recordText(around, 7, 7 + bytes.length);
}

test('the text of a record comes after its head', () => {
  for (const level of ['INFO', 'ERROR', 'DEBUG', 'WARN', 'INFO+', 'ERROR+']) {
    assert.equal(textOf(`${TIME} ${level} [web] hello [x] y`), 'hello [x] y', level);
  }
  assert.equal(textOf(`${TIME} INFO [${'w'.repeat(63)}] x`), 'x');
  assert.equal(textOf(`${TIME} INFO [web] `), '');
  assert.equal(textOf(Buffer.concat([Buffer.from(`${TIME} INFO [web] a`), Buffer.from([0xff])])), 'a\ufffd');
});

test('a line that is not a record is all text', () => {
  const cutOff = [TIME, `${TIME} INFO`, `${TIME} INFO [web`, `${TIME} INFO [web]`];
  for (const line of ['hello', '', ...cutOff, '[x] y', '{', '{"a":1}']) assert.equal(textOf(line), line);
});

test('text: the text of a record agrees with its parsed head', () => {
  const part = fc.constantFrom(TIME, ' ', 'INFO', 'ERROR+', '[', 'web', ']', 'x', '] ', ' [web] ', 'Z');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const record = `${TIME} INFO [web] ${parts.join('')}`;
      assert.equal(textOf(record), record.replace(TEXT_HEAD, ''));
    }),
  );
});

test('the text of a JSON record is decoded', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (msg) => {
      assert.equal(textOf(`${JSON_HEAD}${JSON.stringify(msg).slice(1)}}`), msg);
    }),
  );
});

test('the text of a torn JSON record is the part that is there', () => {
  const text = 'a "quoted" \u001b text';
  const whole = JSON_HEAD + JSON.stringify(text).slice(1, -1);
  assert.equal(textOf(whole), text);
  for (let length = JSON_HEAD.length; length < whole.length; length += 1) {
    assert.ok(text.startsWith(textOf(whole.slice(0, length))), `${length} bytes`);
  }
});

test('records of stderr with another level keep their stream, in every format and from one to another', () => {
  for (const name of NAMES) {
    const format = LOG_FORMATS[name];
    for (const { name: level, number } of LEVELS) {
      const origin = { service: 'web', stream: 'stderr', level } as const;
      const memory = new FrameMemory();
      const framer = createFramer(name, { memory, id: origin, maxLineBytes: 1000 });
      memory.bytes.write('hello\n', INPUT_START, 'latin1');
      framer.frame(INPUT_START, INPUT_START + 6, NOW_MS);
      const record = memory.output.toString('latin1', memory.outputStart, memory.outputEnd - 1);
      const parsed = format.parse(record)!;
      assert.deepEqual([parsed.level, parsed.service, parsed.stream, parsed.text], [number, 'web', 'stderr', 'hello']);
      assert.equal(format.text(Buffer.from(record), 0, record.length), 'hello');
      for (const other of Object.values(LOG_FORMATS)) {
        assert.deepEqual(other.parse(other.encode(parsed)), parsed);
      }
      const longest = format.head({ ...origin, service: LONGEST_NAME }, NOW_MS, true);
      assert.ok(longest.length <= MAX_HEAD_BYTES);
      assert.equal(format.text(Buffer.from(`${longest}hello`), 0, longest.length + 5).slice(-5), 'hello');
      // What a crash cut off in the head is completed.
      const head = format.head(origin, NOW_MS, false);
      for (let length = 1; length < head.length; length += 1) {
        const tail = head.slice(0, length);
        const whole = tail + repairTail(Buffer.from(tail), { id: origin, continues: false, nowMs: NOW_MS }).toString();
        assert.equal(format.parse(whole.trimEnd().concat(name === 'text' ? ' ' : ''))?.level, number, whole);
      }
    }
  }
  assert.equal(
    LOG_FORMATS.text.head({ service: 'web', stream: 'stderr', level: 'INFO' }, NOW_MS, false),
    `${TIME} INFO [web.stderr] `,
  );
  assert.equal(
    LOG_FORMATS.text.head({ service: 'web', stream: 'stderr', level: 'ERROR' }, NOW_MS, false),
    `${TIME} ERROR [web] `,
  );
});
