import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import pc from 'picocolors';
import { RecordDecorator } from '../../src/cli/record-decorator.ts';

const ESC = String.fromCharCode(27);
const COLOR = new RegExp(`${ESC}\\[\\d+m`, 'g');
const HEAD = '2026-11-23T08:00:00.123Z ERROR [web] ';

/** Cuts bytes at places given as numbers of any size. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

test('every byte of every record comes through, however the records are cut', () => {
  // Without escape characters, which colours could not be told apart from.
  const line = fc.array(
    fc.integer({ min: 0, max: 255 }).filter((byte) => byte !== 27),
    { maxLength: 40 },
  );
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(), { maxLength: 8 }), (lines, places) => {
      const bytes = Buffer.concat(lines.map((line) => Buffer.from([...Buffer.from(HEAD), ...line, 10])));
      const decorator = new RecordDecorator(pc.createColors(true));
      const written = Buffer.concat([...cut(bytes, places).map((chunk) => decorator.push(chunk)), decorator.end()]);
      const plain = written.toString('latin1').replaceAll(COLOR, '');
      assert.equal(plain, bytes.toString('latin1'));
    }),
  );
});

test('a record is held back until it is whole, so that its head can be coloured', () => {
  const decorator = new RecordDecorator(pc.createColors(true));
  assert.equal(decorator.push(Buffer.from(HEAD.slice(0, 30))).length, 0);
  assert.match(decorator.push(Buffer.from(`${HEAD.slice(30)}hello\nrest`)).toString(), /ERROR.*\[web\].*hello\n$/);
  assert.equal(decorator.end().toString(), 'rest');
});
