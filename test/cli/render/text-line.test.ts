import assert from 'node:assert/strict';
import test from 'node:test';
import { TextLines } from '../../../src/cli/render/text-line.ts';

const TIME = '2026-11-23T08:00:00.123Z';

/** A record in JSON as a binary string. */
function json(fields: Readonly<Record<string, unknown>>): string {
  const record = { level: 30, time: Date.parse(TIME), service: 'web', stream: 'stdout', msg: 'hello', ...fields };
  return Buffer.from(JSON.stringify(record)).toString('latin1');
}

test('a record in JSON is shown as one in text', () => {
  const lines = new TextLines();
  assert.equal(lines.render(json({})), `${TIME} INFO [web] hello`);
  assert.equal(lines.render(json({ level: 50, stream: 'stderr' })), `${TIME} ERROR [web] hello`);
  assert.equal(lines.render(json({ level: 20, stream: 'console' })), `${TIME} DEBUG [web] hello`);
  assert.equal(lines.render(json({ level: 40, dropped_lines: 3 })), `${TIME} WARN [web] hello`);
  assert.equal(lines.render(json({ msg: '"a"\t\\' })), `${TIME} INFO [web] "a"\t\\`);
});

test('the text comes out in the bytes that were printed', () => {
  const lines = new TextLines();
  assert.equal(Buffer.from(lines.render(json({ msg: 'grün' })), 'latin1').toString(), `${TIME} INFO [web] grün`);
  const raw = Buffer.from([0xff, 0x00, 0x41]);
  const invalid = json({ msg: '\ufffd\u0000A', invalid_utf8: true, raw: raw.toString('base64') });
  assert.equal(lines.render(invalid), `${TIME} INFO [web] ${raw.toString('latin1')}`);
});

test('what continues a part has a plus behind its level, stream by stream', () => {
  const lines = new TextLines();
  const shown = [
    json({ msg: 'a', partial: true }),
    json({ msg: 'other', stream: 'stderr', level: 50 }),
    json({ msg: 'b', partial: true }),
    json({ msg: 'c' }),
    json({ msg: 'd' }),
  ].map((record) => lines.render(record));
  assert.deepEqual(shown, [
    `${TIME} INFO [web] a`,
    `${TIME} ERROR [web] other`,
    `${TIME} INFO+ [web] b`,
    `${TIME} INFO+ [web] c`,
    `${TIME} INFO [web] d`,
  ]);
});

test('what is no record in JSON stays as it is', () => {
  const lines = new TextLines();
  for (const record of [
    `${TIME} INFO [web] hello`,
    '',
    '{"level":30,"msg":"hello"}',
    '{"level":30,"time":',
    '{',
    json({ time: 1e300 }),
  ]) {
    assert.equal(lines.render(record), record);
  }
});

test('a newline in a record of another program makes no second line', () => {
  assert.equal(new TextLines().render(json({ msg: 'a\nb' })), `${TIME} INFO [web] a\\nb`);
});
