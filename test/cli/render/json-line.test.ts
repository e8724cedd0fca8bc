import assert from 'node:assert/strict';
import test from 'node:test';
import { jsonLine } from '../../../src/cli/render/json-line.ts';

const TIME = '2026-11-23T08:00:00.123Z';
const time = Date.parse(TIME);

/** The object that a record, given as bytes, is printed as. */
function parse(record: string | Buffer): unknown {
  const line = jsonLine(Buffer.from(record).toString('latin1'));
  assert.ok(!line.includes('\n'));
  return JSON.parse(Buffer.from(line, 'latin1').toString());
}

test('a record in text becomes one in the shape of the files in JSON', () => {
  assert.equal(
    jsonLine(`${TIME} INFO [web] say "hello"`),
    `{"level":30,"time":${time},"service":"web","stream":"stdout","msg":"say \\"hello\\""}`,
  );
  assert.deepEqual(parse(`${TIME} ERROR [web] x`), { level: 50, time, service: 'web', stream: 'stderr', msg: 'x' });
  assert.deepEqual(parse(`${TIME} DEBUG [web] `), { level: 20, time, service: 'web', stream: 'console', msg: '' });
});

test('a continuation is flagged, and what monocore says belongs to no stream', () => {
  const continued = { level: 30, time, service: 'web', stream: 'stdout', msg: 'rest', continued: true };
  assert.deepEqual(parse(`${TIME} INFO+ [web] rest`), continued);
  assert.deepEqual(parse(`${TIME} WARN [web] x`), { level: 40, time, service: 'web', stream: null, msg: 'x' });
});

test('bytes that are no UTF-8 are readable in msg and whole in raw', () => {
  const bytes = Buffer.from([0x61, 0xff]);
  assert.deepEqual(parse(Buffer.concat([Buffer.from(`${TIME} INFO [web] `), bytes])), {
    ...{ level: 30, time, service: 'web', stream: 'stdout', msg: 'a\ufffd' },
    ...{ invalid_utf8: true, raw: bytes.toString('base64') },
  });
});

test('a record in JSON stays as it is, byte for byte', () => {
  for (const record of ['{"level":30,  "msg":"ü"}', `{"level":30,"time":${time},"msg":"x","partial":true}`]) {
    const text = Buffer.from(record).toString('latin1');
    assert.equal(jsonLine(text), text);
  }
});

test('a line that is no record is all message', () => {
  for (const line of ['hello', '{"torn', '']) {
    assert.deepEqual(parse(line), { level: null, time: null, service: null, stream: null, msg: line });
  }
});
