import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import {
  escapeJson,
  maskColoredLines,
  maskControls,
  maskLines,
  toPrintableJson,
} from '../../src/lib/control-characters.ts';
import { rounds } from '../helpers/rounds.ts';

const COLORS = new RegExp(`${String.fromCharCode(0x1b)}\\[[\\d;:]*m`, 'g');

/** Texts of what terminals act on, among others. */
const hostile = fc
  .array(
    fc.constantFrom(
      '\u001b',
      '[',
      ']0;X\u0007',
      '31m',
      '2J',
      '\u009b',
      '\u007f',
      '\r',
      '\b',
      '\n',
      '\t',
      '\u202e',
      'a',
      '界',
    ),
  )
  .map((parts) => parts.join(''));

test('no control character is left, whatever a text is made of', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      assert.doesNotMatch(maskControls(text), /[^\P{Cc}\t]|\u202e/u);
      assert.doesNotMatch(maskLines(text), /[^\P{Cc}\t\n]|\u202e/u);
      const colorless = maskColoredLines(text).replaceAll(COLORS, '');
      assert.doesNotMatch(colorless, /[^\P{Cc}\t\n]|\u202e/u);
      const json = toPrintableJson({ text });
      assert.doesNotMatch(json, /\p{Cc}|\u202e/u);
      assert.deepEqual(JSON.parse(json), { text });
    }),
    { numRuns: rounds(500) },
  );
});

test('other characters stay', () => {
  const text = 'grün\t界 🐙';
  for (const mask of [maskControls, maskLines, maskColoredLines, escapeJson]) assert.equal(mask(text), text);
  assert.equal(maskColoredLines('\u001b[31mred\u001b[0m\n'), '\u001b[31mred\u001b[0m\n');
});
