import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { MonocoreError } from '../../../../src/lib/errors.ts';
import { markerBytes, searchMarker } from '../../../../workers/logs/capture/end-marker.ts';
import { rounds } from '../../../helpers/rounds.ts';

const search = (text: string, marker: string) => searchMarker(Buffer.from(text, 'latin1'), Buffer.from(marker));

test('the first marker is found', () => {
  assert.deepEqual(search('abcEND\nxEND\n', 'END\n'), { at: 3, held: 0 });
});

test('the start of a marker is held back, and nothing else', () => {
  assert.deepEqual(search('abcEN', 'END\n'), { at: -1, held: 2 });
  assert.deepEqual(search('abcEENE', 'END\n'), { at: -1, held: 1 });
  assert.deepEqual(search('aaaa', 'aab'), { at: -1, held: 2 });
  assert.deepEqual(search('abc', 'END\n'), { at: -1, held: 0 });
  assert.deepEqual(search('', 'END\n'), { at: -1, held: 0 });
});

test('a marker is one to 128 ASCII characters', () => {
  assert.equal(markerBytes('x'.repeat(128)).length, 128);
  for (const marker of ['', 'x'.repeat(129), 'é']) {
    assert.throws(
      () => markerBytes(marker),
      (error) => error instanceof MonocoreError && error.code === 'Internal',
    );
  }
});

test('a search in pieces, each preceded by the bytes held back, finds the same as a search of the whole', () => {
  // Few letters and a marker that overlaps itself: false starts everywhere.
  const text = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 60 });
  const marker = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(text, marker, fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (whole, wanted, sizes) => {
      let passed = 0;
      let held = '';
      let found = -1;
      for (let at = 0, turn = 0; at < whole.length && found === -1; turn += 1) {
        const chunk = held + whole.slice(at, at + sizes[turn % sizes.length]!);
        at = passed + chunk.length;
        const result = search(chunk, wanted);
        if (result.at !== -1) found = passed + result.at;
        assert.ok(result.held < wanted.length);
        held = chunk.slice(chunk.length - result.held);
        passed += chunk.length - result.held;
      }
      assert.equal(found, whole.indexOf(wanted));
    }),
    { numRuns: rounds(2000) },
  );
});
