import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import pc from 'picocolors';
import {
  createConverter,
  createRecordPrinter,
  decorateRecord,
  RecordPrinter,
} from '../../../src/cli/render/log-records.ts';
import { LOG_FORMATS } from '../../../src/protocol/log-files/formats.ts';
import { FrameMemory, INPUT_START } from '../../../workers/logs/format/framer.ts';
import { createFramer } from '../../../workers/logs/format/framers.ts';
import { objectLine } from '../../helpers/logs/object-line.ts';

const HEAD = '2026-11-23T08:00:00.123Z ERROR [web] ';
const TIME = '2026-11-23T08:00:00.123Z';
const time = Date.parse(TIME);
const colors = pc.createColors(true);
const toJson = (record: string) => createConverter(LOG_FORMATS.json)(record);

/** Cuts bytes at places given as numbers of any size. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

function print(printer: RecordPrinter, chunks: readonly Buffer[]): string {
  return Buffer.concat([...chunks.map((chunk) => printer.push(chunk)), printer.end()]).toString('latin1');
}

const line = fc.array(fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0x7b, 0x7d)), { maxLength: 30 });
const record = fc
  .tuple(fc.constantFrom(HEAD, '{"level":30', 'x'), line)
  .map(([head, bytes]) => head + Buffer.from(bytes).toString('latin1').replaceAll('\n', ' '));

test('every record is rendered once and in order, however it is cut', () => {
  fc.assert(
    fc.property(fc.array(record), fc.array(fc.nat(), { maxLength: 8 }), fc.boolean(), (records, places, isWhole) => {
      const end = isWhole && records.length > 0 ? '\n' : '';
      const printer = new RecordPrinter((each) => `<${each}>`);
      const printed = print(printer, cut(Buffer.from(records.join('\n') + end, 'latin1'), places));
      assert.equal(printed, records.map((each) => `<${each}>`).join('\n') + end);
    }),
  );
});

test('a printer that passes text on renders only records that begin with a brace', () => {
  fc.assert(
    fc.property(fc.array(record), fc.array(fc.nat(), { maxLength: 8 }), (records, places) => {
      const text = records.map((each) => `${each}\n`).join('');
      const render = (each: string) => (each.startsWith('{') ? `<${each}>` : each);
      const printer = new RecordPrinter(render, LOG_FORMATS.text);
      const printed = print(printer, cut(Buffer.from(text, 'latin1'), places));
      assert.equal(printed, records.map((each) => `${render(each)}\n`).join(''));
    }),
  );
});

test('a line is printed as the service printed it, whichever format it was stored in', () => {
  const id = { service: 'web', stream: 'stdout' } as const;
  const lines = fc.array(
    fc.oneof(
      objectLine(),
      line.map((bytes) => Buffer.from(bytes).toString('latin1')),
    ),
  );
  fc.assert(
    fc.property(
      lines,
      fc.constantFrom('text' as const, 'json' as const),
      fc.array(fc.nat()),
      (each, format, places) => {
        const expected = each.map((text) => text.replace(/[\r\n]/g, ' '));
        const input = Buffer.from(expected.map((text) => `${text}\n`).join(''), 'latin1');
        const memory = new FrameMemory();
        const framer = createFramer(format, { memory, id, maxLineBytes: 1000 });
        memory.bytes.set(input, INPUT_START);
        framer.frame(INPUT_START, INPUT_START + input.length, time);
        const stored = Buffer.from(memory.output.subarray(memory.outputStart, memory.outputEnd));
        const printed = print(createRecordPrinter('text', false, colors), cut(stored, places));
        assert.equal(printed, expected.map((text) => `${TIME} INFO [web] ${text}\n`).join(''));
      },
    ),
  );
});

test('a record is held back until it is whole, so that its head can be coloured', () => {
  const printer = new RecordPrinter((each) => each.toUpperCase());
  assert.equal(printer.push(Buffer.from(HEAD.slice(0, 30))).length, 0);
  assert.equal(printer.push(Buffer.from(`${HEAD.slice(30)}hello\nrest`)).toString(), `${HEAD}hello\n`.toUpperCase());
  assert.equal(printer.end().toString(), 'REST');
});

test('a printer that passes text on returns text records as they come', () => {
  const printer = new RecordPrinter(() => assert.fail('nothing is to be rendered'), LOG_FORMATS.text);
  for (const part of [HEAD, 'hel', '', 'lo', '\n', HEAD, '{"not":"json"}\n']) {
    assert.equal(printer.push(Buffer.from(part)).toString(), part);
  }
});

/** Object that a record, given as bytes, becomes. */
function parseJson(record: string | Buffer): unknown {
  const line = toJson(Buffer.from(record).toString('latin1'));
  assert.ok(!line.includes('\n'));
  return JSON.parse(Buffer.from(line, 'latin1').toString());
}

test('a text record becomes a JSON record as in the files', () => {
  assert.equal(
    toJson(`${TIME} INFO [web] say "hello"`),
    `{"level":30,"time":${time},"service":"web","stream":"stdout","msg":"say \\"hello\\""}`,
  );
  assert.deepEqual(parseJson(`${TIME} ERROR [web] x`), { level: 50, time, service: 'web', stream: 'stderr', msg: 'x' });
  assert.deepEqual(parseJson(`${TIME} DEBUG [web] `), { level: 20, time, service: 'web', stream: 'console', msg: '' });
});

test('a continuation is flagged, and a WARN record has no stream', () => {
  const continued = { level: 30, time, service: 'web', stream: 'stdout', msg: 'rest', continued: true };
  assert.deepEqual(parseJson(`${TIME} INFO+ [web] rest`), continued);
  assert.deepEqual(parseJson(`${TIME} WARN [web] x`), { level: 40, time, service: 'web', stream: null, msg: 'x' });
});

test('invalid UTF-8 is readable in msg and whole in raw', () => {
  const bytes = Buffer.from([0x61, 0xff]);
  assert.deepEqual(parseJson(Buffer.concat([Buffer.from(`${TIME} INFO [web] `), bytes])), {
    ...{ level: 30, time, service: 'web', stream: 'stdout', msg: 'a\ufffd' },
    ...{ invalid_utf8: true, raw: bytes.toString('base64') },
  });
});

test('a JSON record stays unchanged', () => {
  for (const record of ['{"level":30,  "msg":"ü"}', `{"level":30,"time":${time},"msg":"x","partial":true}`]) {
    const text = Buffer.from(record).toString('latin1');
    assert.equal(toJson(text), text);
  }
});

test('a line that is not a record is all message', () => {
  for (const line of ['hello', '{"torn', '']) {
    assert.deepEqual(parseJson(line), { level: null, time: null, service: null, stream: null, msg: line });
  }
});

/** Record in JSON, one character per byte. */
function json(fields: Readonly<Record<string, unknown>>): string {
  const record = { level: 30, time: Date.parse(TIME), service: 'web', stream: 'stdout', msg: 'hello', ...fields };
  return Buffer.from(JSON.stringify(record)).toString('latin1');
}

test('a JSON record becomes a text record', () => {
  const lines = createConverter(LOG_FORMATS.text);
  assert.equal(lines(json({})), `${TIME} INFO [web] hello`);
  assert.equal(lines(json({ level: 50, stream: 'stderr' })), `${TIME} ERROR [web] hello`);
  assert.equal(lines(json({ level: 20, stream: 'console' })), `${TIME} DEBUG [web] hello`);
  assert.equal(lines(json({ level: 40, dropped_lines: 3 })), `${TIME} WARN [web] hello`);
  assert.equal(lines(json({ msg: '"a"\t\\' })), `${TIME} INFO [web] "a"\t\\`);
});

test('a text record has the printed bytes', () => {
  const lines = createConverter(LOG_FORMATS.text);
  assert.equal(Buffer.from(lines(json({ msg: 'grün' })), 'latin1').toString(), `${TIME} INFO [web] grün`);
  const raw = Buffer.from([0xff, 0x00, 0x41]);
  const invalid = json({ msg: '\ufffd\u0000A', invalid_utf8: true, raw: raw.toString('base64') });
  assert.equal(lines(invalid), `${TIME} INFO [web] ${raw.toString('latin1')}`);
});

test('a continuation has a plus behind its level, for each stream', () => {
  const lines = createConverter(LOG_FORMATS.text);
  const shown = [
    json({ msg: 'a', partial: true }),
    json({ msg: 'other', stream: 'stderr', level: 50 }),
    json({ msg: 'b', partial: true }),
    json({ msg: 'c' }),
    json({ msg: 'd' }),
  ].map((record) => lines(record));
  assert.deepEqual(shown, [
    `${TIME} INFO [web] a`,
    `${TIME} ERROR [web] other`,
    `${TIME} INFO+ [web] b`,
    `${TIME} INFO+ [web] c`,
    `${TIME} INFO [web] d`,
  ]);
});

test('a line that is not a JSON record stays unchanged', () => {
  const lines = createConverter(LOG_FORMATS.text);
  for (const record of [
    `${TIME} INFO [web] hello`,
    '',
    '{"level":30,"msg":"hello"}',
    '{"level":30,"time":',
    '{',
    json({ time: 1e300 }),
  ]) {
    assert.equal(lines(record), record);
  }
});

test('a newline in a record of another program does not start a second line', () => {
  assert.equal(createConverter(LOG_FORMATS.text)(json({ msg: 'a\nb' })), `${TIME} INFO [web] a\\nb`);
});

test('the time of a record is dimmed and its service name coloured', () => {
  const painted = decorateRecord(`${TIME} INFO [web] hello [db] ERROR`, colors);
  const foreground = '\x1b[39m';
  assert.ok(painted.startsWith(`${colors.dim(TIME)} INFO \x1b[`), painted);
  assert.ok(painted.endsWith(`m[web]${foreground} hello [db] ERROR`), painted);
});

test('ERROR is red and WARN is yellow', () => {
  assert.ok(decorateRecord(`${TIME} ERROR [web] hello`, colors).includes(` ${colors.red('ERROR')} `));
  assert.ok(decorateRecord(`${TIME} ERROR+ [web] hello`, colors).includes(` ${colors.red('ERROR')}+ `));
  assert.ok(decorateRecord(`${TIME} WARN [web] hello`, colors).includes(` ${colors.yellow('WARN')} `));
});

test('a service has the same colour in every record, and services differ', () => {
  const paint = (name: string) => decorateRecord(`${TIME} INFO [${name}] x`, colors).replace(`[${name}]`, '');
  assert.equal(paint('web'), paint('web'));
  assert.ok(new Set(['web', 'db', 'cache', 'worker', 'proxy'].map(paint)).size > 1);
});

test('a line that is not a text record stays unchanged', () => {
  for (const record of ['{"level":30,"msg":"hello"}', '', 'hello', `${TIME} NOTE [web] x`, `${TIME} INFO web`]) {
    assert.equal(decorateRecord(record, colors), record);
  }
});
