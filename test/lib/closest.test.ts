import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { closest } from '../../src/lib/closest.ts';

const KEYS = ['name', 'command', 'cpus', 'ram', 'port', 'ports', 'depends_on', 'stop_timeout'];

for (const [word, meant] of [
  ['nam', 'name'],
  ['names', 'name'],
  ['nane', 'name'],
  ['naem', 'name'],
  ['comand', 'command'],
  ['depends-on', 'depends_on'],
  ['dependson', 'depends_on'],
  ['stoptimeuot', 'stop_timeout'],
  ['RAM', 'ram'],
  ['prts', 'ports'],
] as const) {
  test(`closest takes ${word} for ${meant}`, () => assert.equal(closest(word, KEYS), meant));
}

test('closest is null where nothing comes near', () => {
  for (const word of ['volumes', 'healthcheck', '', 'x', 'zz']) assert.equal(closest(word, KEYS), null, word);
});

test('closest does not suggest a word that shares no character', () => {
  assert.equal(closest('b', ['a']), null);
  assert.equal(closest('B', ['b']), 'b');
});

test('closest prefers the nearest, then the first', () => {
  assert.equal(closest('port', ['ports', 'port']), 'port');
  assert.equal(closest('wex', ['web', 'wed']), 'web');
});

test('closest finds every word again after one edit', () => {
  const word = fc.stringMatching(/^[a-z]{3,12}$/);
  fc.assert(
    fc.property(word, fc.nat(), fc.stringMatching(/^[a-z]$/), (original, position, letter) => {
      const at = position % original.length;
      const dropped = original.slice(0, at) + original.slice(at + 1);
      const added = original.slice(0, at) + letter + original.slice(at);
      const changed = original.slice(0, at) + letter + original.slice(at + 1);
      for (const misspelt of [dropped, added, changed]) assert.equal(closest(misspelt, [original]), original);
    }),
  );
});

test('closest counts characters, some of which have two UTF-16 code units', () => {
  assert.equal(closest('a🦀b', ['ab🦀']), 'ab🦀', 'a swap');
  assert.equal(closest('🦀🦀', ['🦀🐙']), '🦀🐙', 'a change of one of two characters');
  assert.equal(closest('🦀', ['🐙']), null, 'no character in common');
});
