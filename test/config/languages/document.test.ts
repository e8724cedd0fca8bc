import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemsOf, shortProblems } from '../../helpers/config/harness.ts';

test('a syntax error is one problem, at the place where the parser gave up', () => {
  assert.deepEqual(problemsOf('[[service]]\nname = "web"\ncommand = \nargs = []\n'), [
    {
      file: '/etc/demo/monocore.toml',
      line: 3,
      column: 11,
      length: 1,
      path: '',
      message: 'not TOML: invalid value',
      expected: null,
      source: 'command = ',
    },
  ]);
});

test('a missing quote is reported as such', () => {
  const [problem] = problemsOf('[[service]]\r\nname = "web\r\n');
  assert.equal(problem?.message, 'not TOML: this string has no closing quote');
  assert.deepEqual([problem?.line, problem?.column, problem?.source], [2, 12, 'name = "web']);
});

test('a key that is given twice is a syntax error at the second one', () => {
  const text = '[[service]]\nname = "a"\nname = "b"\n';
  assert.deepEqual(shortProblems(text), ['3:1 : not TOML: trying to redefine an already defined table or value']);
});

test('an array that is never closed is reported where the file ends', () => {
  assert.deepEqual(shortProblems('kernel = "k"\nservice = [\n  {},\n'), [
    '4:1 : not TOML: the file ends too early, in the middle of a value or key',
  ]);
});

test('nesting without end is refused, not followed', () => {
  for (const open of ['[', '{a=']) {
    const [problem] = problemsOf(`service = ${open.repeat(100_000)}`);
    assert.match(problem?.message ?? '', /nested more than 64 levels deep/);
  }
});
