import assert from 'node:assert/strict';
import test from 'node:test';
import { escapeForJson, escapeForTerminal } from '../../../src/cli/render/terminal-text.ts';

const ESC = '\u001b';

/** The text for a terminal, of these bytes. */
function shown(record: string | Buffer): string {
  return Buffer.from(escapeForTerminal(Buffer.from(record).toString('latin1')), 'latin1').toString();
}

test('text, tabs and characters of any language stay', () => {
  for (const text of ['', 'plain', 'a\tb', 'grün 漢字 🐙']) assert.equal(shown(text), text);
});

test('colours stay and end with the record', () => {
  assert.equal(shown(`${ESC}[1;31mred${ESC}[0m`), `${ESC}[1;31mred${ESC}[0m${ESC}[0m`);
  assert.equal(shown(`${ESC}[38:5:3mx`), `${ESC}[38:5:3mx${ESC}[0m`);
});

test('whatever else could steer a terminal is made visible', () => {
  assert.equal(shown(`${ESC}[2J${ESC}[H`), '\\x1b[2J\\x1b[H');
  assert.equal(shown(`${ESC}]0;title\u0007`), '\\x1b]0;title\\x07');
  assert.equal(shown(`${ESC}P+q544e${ESC}\\`), '\\x1bP+q544e\\x1b\\');
  assert.equal(shown('50 %\r100 %\b\u007f\u0000'), '50 %\\x0d100 %\\x08\\x7f\\x00');
  assert.equal(shown('\u009b2J'), '\\x9b2J');
  assert.equal(shown(`${ESC}[31`), '\\x1b[31');
  assert.equal(shown(`${ESC}${ESC}[31m`), `\\x1b${ESC}[31m${ESC}[0m`);
});

test('a text cannot change the direction in which the rest is read', () => {
  assert.equal(shown('exit \u202e0 \u2066x\u2069'), 'exit \\u202e0 \\u2066x\\u2069');
  assert.equal(shown('שלום'), 'שלום');
});

test('invalid UTF-8 does not reach the terminal', () => {
  assert.equal(shown(Buffer.from([0x61, 0x9b, 0x32, 0x4a, 0xff])), 'a\ufffd2J\ufffd');
});

test('no control character is left in any input', () => {
  const all = Array.from({ length: 0x200 }, (_, code) => String.fromCodePoint(code)).join('');
  assert.doesNotMatch(shown(all).replaceAll('\t', ''), /\p{Cc}/u);
});

test('JSON stays the same JSON without control characters', () => {
  const json = '{"msg":"a\u007fb\u009bc\u202e"}';
  const escaped = Buffer.from(escapeForJson(Buffer.from(json).toString('latin1')), 'latin1').toString();
  assert.equal(escaped, '{"msg":"a\\u007fb\\u009bc\\u202e"}');
  assert.deepEqual(JSON.parse(escaped), JSON.parse(json));
});
