import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configInvalid, formatProblem, type Problem } from '../../src/config/problem.ts';

const PROBLEM: Problem = {
  file: 'monocore.toml',
  line: 7,
  column: 8,
  length: 3,
  path: 'service[1].port',
  message: 'is not a port mapping',
  expected: '"host:guest"',
  source: 'port = "x"',
};

test('formatProblem prints the place, the fault, the line and carets below what is meant', () => {
  assert.equal(
    formatProblem(PROBLEM),
    [
      'monocore.toml:7:8: service[1].port: is not a port mapping (expected "host:guest")',
      'port = "x"',
      '       ^^^',
    ].join('\n'),
  );
});

test('formatProblem leaves out an empty path, expectation and source', () => {
  const bare = { ...PROBLEM, line: 1, column: 1, path: '', expected: null, source: '' };
  assert.equal(formatProblem(bare), 'monocore.toml:1:1: is not a port mapping');
});

test('formatProblem indents the caret by the tabs of the line', () => {
  const indented = { ...PROBLEM, source: '\tport\t= "x"', column: 9 };
  assert.deepEqual(formatProblem(indented).split('\n').slice(1), ['\tport\t= "x"', '\t    \t  ^^^']);
});

test('formatProblem shows the part of a long line around the fault', () => {
  const source = `args = [${'1, '.repeat(1000)}x, ${'2, '.repeat(1000)}]`;
  const [, text, carets] = formatProblem({ ...PROBLEM, source, column: 3009, length: 1 }).split('\n');
  assert.equal(text?.length, 122);
  assert.match(text ?? '', /^….*1, x, 2, .*…$/);
  assert.equal(text?.[carets!.indexOf('^')], 'x');
  const [, start] = formatProblem({ ...PROBLEM, source, column: 1, length: 4 }).split('\n');
  assert.match(start ?? '', /^args = .*…$/);
});

test('formatProblem underlines no more than there is', () => {
  const [, , carets] = formatProblem({ ...PROBLEM, length: 1000 }).split('\n');
  assert.equal(carets, '       ^^^');
});

test('formatProblem shows control characters instead of sending them to the terminal', () => {
  const hostile = { ...PROBLEM, source: 'a = "\u001b[2J\u009b\u007f"', message: 'odd \u001b[31m', file: 'a\nb.toml' };
  const text = formatProblem(hostile);
  assert.match(text, /^a\uFFFDb\.toml:7:8: service\[1\]\.port: odd \uFFFD\[31m/);
  assert.match(text, /\na = "\uFFFD\[2J\uFFFD\uFFFD"\n/);
});

test('configInvalid counts the problems in its message and carries them as details', () => {
  const one = configInvalid('monocore.toml', [PROBLEM]);
  assert.equal(one.code, 'ConfigInvalid');
  assert.equal(one.message, 'monocore.toml has 1 problem; nothing was started');
  assert.deepEqual(one.details, [PROBLEM]);
  const three = configInvalid('a/b.toml', [PROBLEM, PROBLEM, PROBLEM]);
  assert.equal(three.message, 'a/b.toml has 3 problems; nothing was started');
});
