import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { mendTail } from '../../../../workers/logs/capture/repair.ts';
import { FrameMemory, INPUT_START } from '../../../../workers/logs/format/framer.ts';
import { JsonFramer } from '../../../../workers/logs/format/json-framer.ts';
import { parseRecord, strip } from '../strip.ts';

const ID = { service: 'web', stream: 'stdout' } as const;
const NOW_MS = Date.parse('2026-11-23T08:00:01.456Z');
const TEXT = '2026-11-23T08:00:00.123Z INFO [web] hello';

/** What a file that ends in `tail` ends in when it is mended. */
function mended(tail: string, continues = false): string {
  const bytes = Buffer.from(tail, 'latin1');
  return tail + mendTail(bytes, { id: ID, continues, nowMs: NOW_MS }).toString('latin1');
}

function jsonRecord(line: string, maxLineBytes: number): string {
  const memory = new FrameMemory();
  const framer = new JsonFramer({ memory, id: ID, maxLineBytes });
  memory.bytes.write(`${line}\n`, INPUT_START, 'latin1');
  framer.frame(INPUT_START, INPUT_START + line.length + 1, NOW_MS);
  return memory.output.toString('latin1', memory.outputStart, memory.outputEnd);
}

test('a file that ends in a whole record stays as it is', () => {
  for (const tail of ['', `${TEXT}\n`, jsonRecord('hello', 100)]) assert.equal(mended(tail), tail);
});

test('a text record is whole again wherever it was cut', () => {
  for (let length = 1; length <= TEXT.length; length += 1) {
    const text = mended(TEXT.slice(0, length));
    assert.equal(strip('text', text).length, 1, text);
    assert.equal('hello'.startsWith(strip('text', text)[0]!), true, text);
  }
});

test('so is one that continues another', () => {
  const record = TEXT.replace('INFO', 'INFO+');
  for (let length = 1; length <= record.length; length += 1) strip('text', mended(record.slice(0, length)));
});

test('a line of another program gets its newline and nothing else', () => {
  assert.equal(mended('something else'), 'something else\n');
});

test('a JSON record is JSON again wherever it was cut, and flagged; nothing of it changes', () => {
  const lines = [
    'a "quote" \\ \u0001\t',
    'caf\xe9 \xff\xff',
    Buffer.from('é漢😀').toString('latin1'),
    '',
    'x'.repeat(30),
  ];
  for (const line of lines) {
    for (const record of jsonRecord(line, 12).split(/(?<=\n)/)) {
      for (let length = 1; length < record.length; length += 1) {
        for (const continues of [false, true]) {
          const text = mended(record.slice(0, length), continues);
          assert.ok(text.startsWith(record.slice(0, length)) && text.endsWith('\n'));
          const [first, ...others] = text.slice(0, -1).split('\n').map(parseRecord);
          assert.ok(length === record.length - 1 || first?.torn || first?.partial, text);
          assert.ok(others.every(({ msg }) => msg === ''));
        }
      }
    }
  }
});

test('a line of which the rest will never come is ended, unless its stream goes on', () => {
  const [partial = ''] = jsonRecord('abcdef', 3).split(/(?<=\n)/);
  assert.match(partial, /"partial":true\}\n$/);
  assert.deepEqual(strip('json', `${mended(partial)}${jsonRecord('next', 10)}`), ['abc', 'next']);
  assert.equal(mended(partial, true), partial);
});

test('any line, cut anywhere, is mended', () => {
  const line = fc
    .uint8Array({ maxLength: 30 })
    .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 10 ? 11 : byte))));
  fc.assert(
    fc.property(line, fc.nat(), fc.boolean(), (bytes, cut, continues) => {
      const record = jsonRecord(bytes.toString('latin1'), 2 ** 20);
      const text = mended(record.slice(0, cut % record.length), continues);
      if (text !== '') for (const part of text.slice(0, -1).split('\n')) parseRecord(part);
    }),
    { numRuns: 2000 },
  );
});
