import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { parseTextHead } from '../../../../src/protocol/log-record.ts';
import { makeRecordTest, recordText } from '../../../../workers/jobs/logs/record-filter.ts';

const TIME = '2026-11-23T08:00:00.123Z';
const JSON_HEAD = '{"level":30,"time":1795420800123,"service":"web","stream":"stdout","msg":"';

/** The text of a record that stands between others. */
function textOf(record: string | Buffer): string {
  const bytes = Buffer.from(record);
  const around = Buffer.concat([Buffer.from('[a] "b\\'), bytes, Buffer.from('\n[c] "d\\')]);
  return recordText(around, 7, 7 + bytes.length);
}

test('the text of a record is what comes behind its head', () => {
  for (const level of ['INFO', 'ERROR', 'DEBUG', 'WARN', 'INFO+', 'ERROR+']) {
    assert.equal(textOf(`${TIME} ${level} [web] hello [x] y`), 'hello [x] y', level);
  }
  assert.equal(textOf(`${TIME} INFO [${'w'.repeat(63)}] x`), 'x');
  assert.equal(textOf(`${TIME} INFO [web] `), '');
  assert.equal(textOf(Buffer.concat([Buffer.from(`${TIME} INFO [web] a`), Buffer.from([0xff])])), 'a\ufffd');
});

test('a line that is no record is all text', () => {
  const cutOff = [TIME, `${TIME} INFO`, `${TIME} INFO [web`, `${TIME} INFO [web]`];
  for (const line of ['hello', '', ...cutOff, '[x] y', '{', '{"a":1}']) assert.equal(textOf(line), line);
});

test('the head is found as other readers find it', () => {
  const part = fc.constantFrom(TIME, ' ', 'INFO', 'ERROR+', '[', 'web', ']', 'x', '] ', ' [web] ', 'Z');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const record = `${TIME} INFO [web] ${parts.join('')}`;
      assert.equal(textOf(record), record.slice(parseTextHead(record)!.length));
    }),
  );
});

test('the text of a record in JSON is decoded', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (msg) => {
      assert.equal(textOf(`${JSON_HEAD}${JSON.stringify(msg).slice(1)}}`), msg);
    }),
  );
});

test('of a record in JSON that is cut off, the text is what there is', () => {
  const text = 'a "quoted" \u001b text';
  const whole = JSON_HEAD + JSON.stringify(text).slice(1, -1);
  assert.equal(textOf(whole), text);
  for (let length = JSON_HEAD.length; length < whole.length; length += 1) {
    assert.ok(text.startsWith(textOf(whole.slice(0, length))), `${length} bytes`);
  }
});

test('a pattern is one of JavaScript with the flag u, and is tried anew on each record', () => {
  const match = (source: string, line: string, ignoreCase = false) => {
    const wants = makeRecordTest({ sinceMs: null, untilMs: null, grep: { source, ignoreCase } });
    const bytes = Buffer.from(`${TIME} INFO [web] ${line}`);
    return [1, 2].map(() => wants(bytes, 0, bytes.length, TIME));
  };
  assert.deepEqual(match('^.$', '🐙'), [true, true]);
  assert.deepEqual(match('\\p{Lu}', 'ü'), [false, false]);
  assert.deepEqual(match('Ü', 'ü', true), [true, true]);
  assert.deepEqual(match('b', 'abc'), [true, true]);
});
