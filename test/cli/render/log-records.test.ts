import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { RecordPrinter } from '../../../src/cli/render/log-records.ts';

const HEAD = '2026-11-23T08:00:00.123Z ERROR [web] ';

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

test('with text kept, only records that begin with a brace are rendered', () => {
  fc.assert(
    fc.property(fc.array(record), fc.array(fc.nat(), { maxLength: 8 }), (records, places) => {
      const text = records.map((each) => `${each}\n`).join('');
      const render = (each: string) => (each.startsWith('{') ? `<${each}>` : each);
      const printer = new RecordPrinter(render, { keepsText: true });
      const printed = print(printer, cut(Buffer.from(text, 'latin1'), places));
      assert.equal(printed, records.map((each) => `${render(each)}\n`).join(''));
    }),
  );
});

test('a record is held back until it is whole, so that its head can be coloured', () => {
  const printer = new RecordPrinter((each) => each.toUpperCase());
  assert.equal(printer.push(Buffer.from(HEAD.slice(0, 30))).length, 0);
  assert.equal(printer.push(Buffer.from(`${HEAD.slice(30)}hello\nrest`)).toString(), `${HEAD}hello\n`.toUpperCase());
  assert.equal(printer.end().toString(), 'REST');
});

test('with text kept, a record in text comes out as it comes in', () => {
  const printer = new RecordPrinter(() => assert.fail('nothing is to be rendered'), { keepsText: true });
  for (const part of [HEAD, 'hel', '', 'lo', '\n', HEAD, '{"not":"json"}\n']) {
    assert.equal(printer.push(Buffer.from(part)).toString(), part);
  }
});
