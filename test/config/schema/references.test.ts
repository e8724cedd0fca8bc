// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the test is about such references
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { findVariableProblem } from '../../../src/config/schema/pairs.ts';
import { interpolate } from '../../../src/config/schema/references.ts';
import { rounds } from '../../helpers/rounds.ts';

const SET: Record<string, string> = { NAME: 'value', _x1: 'under', EMPTY: '', REFERENCE: '${NAME} $$' };
const lookup = (name: string): string | undefined => SET[name];

test('references are replaced and everything else is kept', () => {
  for (const [text, value] of [
    ['', ''],
    ['plain', 'plain'],
    ['${NAME}', 'value'],
    ['a${NAME}b${_x1}c', 'avaluebunderc'],
    ['${NAME}${NAME}', 'valuevalue'],
    ['${EMPTY}', ''],
    // A default is for what is unset or empty, and is text.
    ['${NAME:-other}', 'value'],
    ['${UNSET:-other}', 'other'],
    ['${EMPTY:-other}', 'other'],
    ['${UNSET:-}', ''],
    ['${UNSET:-a b:-$c$$}', 'a b:-$c$$'],
    // Two make one, which is no beginning of a reference.
    ['$$', '$'],
    ['$$$$', '$$'],
    ['$${NAME}', '${NAME}'],
    ['$$${NAME}', '$value'],
    // These are for the command.
    ['$', '$'],
    ['$NAME', '$NAME'],
    ['$(id) $1 5$', '$(id) $1 5$'],
    ['{NAME}', '{NAME}'],
    // What is put in is not read again.
    ['${REFERENCE}', '${NAME} $$'],
    ['line\n${NAME}\n', 'line\nvalue\n'],
  ] as const) {
    assert.deepEqual(interpolate(text, lookup), { ok: true, value }, text);
  }
});

test('a variable that is not set is named, the first of several', () => {
  assert.deepEqual(interpolate('${NAME} ${ONE} ${TWO}', lookup), { ok: false, fault: { type: 'unset', name: 'ONE' } });
});

test('what begins like a reference and is none is an error at its place', () => {
  for (const [text, at] of [
    ['${', 0],
    ['a ${}', 2],
    ['${NAME', 0],
    ['${1}', 0],
    ['${NA-ME}', 0],
    ['${ NAME }', 0],
    ['${NAME:other}', 0],
    ['${UNSET:-open', 0],
    ['${UNSET:-${NAME}}', 0],
    ['$$ ${grüße}', 3],
  ] as const) {
    assert.deepEqual(interpolate(text, lookup), { ok: false, fault: { type: 'malformed', at } }, text);
  }
});

test('the config finds fault with what cannot be resolved, and with nothing else', () => {
  const part = fc.constantFrom('$', '$$', '${', '}', ':-', ':', '-', 'NAME', 'a b', '1', '\n', '${NAME}', '${NAME:-x}');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const text = parts.join('');
      const isRefused = findVariableProblem('VALUE', text) !== null;
      assert.equal(isRefused, !interpolate(text, () => 'set').ok, text);
    }),
    { numRuns: rounds(2000) },
  );
});

test('any text survives when each $ in it is doubled', () => {
  const double = (text: string) => text.replaceAll('$', '$$$$');
  const text = fc.string({ unit: fc.constantFrom('$', '{', '}', ':', '-', 'A', ' ', 'ü'), maxLength: 20 });
  fc.assert(
    fc.property(text, (value) => {
      assert.deepEqual(interpolate(double(value), lookup), { ok: true, value });
    }),
  );
});
