import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { isObjectLine, MAX_LEVELS } from '../../../src/protocol/log-files/object-lines.ts';
import { rounds } from '../../helpers/rounds.ts';

/** Answer for a line that has other bytes on both sides. */
function isObject(line: string): boolean {
  const bytes = Buffer.from(line);
  return isObjectLine(Buffer.concat([Buffer.from('{"'), bytes, Buffer.from('"}')]), 2, 2 + bytes.length);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** The answer by the parser of Node, for lines without the things that are JSON and yet refused. */
const isParsed = (line: string) => line.startsWith('{') && parse(line) !== undefined;

const token = fc.constantFrom(
  ...['{', '}', '[', ']', ',', ':', '"', '""', '\\', '\\n', '\\x', '\\u00', '\\u0041', ' ', 'é', '\u0001'],
  ...['0', '1', '01', '-', '+', '.', '.5', 'e', 'E', 'e1', 'true', 'false', 'null', 'nul', '"a":', '{"a":'],
);
const json = fc
  .jsonValue({ maxDepth: 4 })
  .map((value) => `{"a":${JSON.stringify(value)}}`)
  // Numbers with an exponent and escaped halves of pairs have tests of their own.
  .filter((line) => !/e[-+0-9]|\\ud/i.test(line));

test('a line is an object exactly if the parser of Node says so', () => {
  const places = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 2 }), token), { maxLength: 3 });
  let found = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        json,
        fc.array(token).map((parts) => `{${parts.join('')}`),
      ),
      places,
      (whole, changes) => {
        let line = whole;
        for (const [place, removed, added] of changes) {
          const at = place % (line.length + 1);
          line = line.slice(0, at) + added + line.slice(at + removed);
        }
        fc.pre(!/[eE][-+]?\d{3}|\\u[dD][89a-fA-F]/.test(line));
        if (isParsed(line)) found += 1;
        assert.equal(isObject(line), isParsed(line), line);
      },
    ),
    { numRuns: rounds(5000) },
  );
  assert.ok(found > 100, `${found} objects`);
});

test('only a line that begins with a brace is an object', () => {
  for (const line of ['{}', '{ }', '{"":0}', '{"a":[]} ', '{"a" : -0.5e-3 , "a":[1 , {}]}'])
    assert.ok(isObject(line), line);
  for (const line of ['', ' {}', '[]', '1', '"a"', '{', '{}{}', '{"a":1},', '{"a":1}x'])
    assert.ok(!isObject(line), line);
});

test('control characters are refused, also where JSON has them as spaces', () => {
  for (const character of ['\t', '\r', '\n', '\u0000', '\u001f']) {
    for (const line of [`{${character}"a":1}`, `{"a":${character}1}`, `{"a":"${character}"}`, `{"a":1}${character}`]) {
      assert.ok(!isObject(line), JSON.stringify(line));
    }
  }
});

test('a number that no double holds is refused, however it is written', () => {
  const digits = '1'.repeat(308);
  for (const number of ['12345678901234567890', '1e308', '-1E+308', '1e-999', digits, `${digits}.${digits}`]) {
    assert.ok(isObject(`{"a":${number}}`), number);
  }
  for (const number of ['1e309', '-1e999', '1e+99999', `${digits}99`, `${digits}99.5`]) {
    assert.ok(!isObject(`{"a":${number}}`), number);
  }
});

test('half a surrogate pair is refused, in values and in keys', () => {
  const whole = ['\\ud83d\\ude00', '\\uD83D\\uDE00', '\\ue000', '\\u0d80', '\\\\ud83d', '\\\\\\ud83d\\ude00'];
  const half = ['\\ud83d', '\\ude00', '\\ude00\\ud83d', '\\ud83dx\\ude00', '\\\\ud83d\\ude00', '\\ud83d\\ud83d\\ude00'];
  for (const [texts, expected] of [
    [whole, true],
    [half, false],
  ] as const) {
    for (const text of texts) {
      for (const line of [`{"a":"${text}"}`, `{"${text}":1}`]) assert.equal(isObject(line), expected, line);
    }
  }
});

test('the number of levels is limited, however long the line is', () => {
  const nested = (levels: number) => `${'{"a":['.repeat(levels / 2)}${']}'.repeat(levels / 2)}`;
  assert.ok(isObject(nested(MAX_LEVELS)));
  assert.ok(!isObject(nested(MAX_LEVELS + 2)));
  assert.ok(!isObject('{"a":'.repeat(200_000)));
  assert.ok(!isObject(`{"a":${'['.repeat(200_000)}`));
  assert.ok(isObject(`{"a":[${'{},'.repeat(100_000)}{}]}`));
});
