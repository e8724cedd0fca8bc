import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quote } from '../../src/config/languages/document.ts';
import { type ConfigProblem, configInvalid, formatPath, formatProblem } from '../../src/config/problems.ts';

const PROBLEM: ConfigProblem = {
  file: 'monocore.toml',
  line: 7,
  column: 8,
  length: 3,
  path: 'service[1].port',
  message: 'is not a port mapping',
  expected: '"host:guest"',
  source: 'port = "x"',
};

test('formatProblem prints the position, the problem, the line and carets below the offending text', () => {
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

/** The source line and the carets below it, of a problem with what stands between `«` and `»`. */
function underlined(marked: string): string[] {
  const source = marked.replace(/[«»]/g, '');
  const column = marked.indexOf('«') + 1;
  const length = marked.indexOf('»') - column;
  return formatProblem({ ...PROBLEM, source, column, length })
    .split('\n')
    .slice(1);
}

test('formatProblem shows tabs as blanks, before the offending text and in it', () => {
  assert.deepEqual(underlined('\tport\t= «"x"»'), ['    port    = "x"', '              ^^^']);
  assert.deepEqual(underlined('port = «"x\ty"»'), ['port = "x    y"', '       ^^^^^^^^']);
});

test('formatProblem puts the carets below the offending text, whatever stands before it and in it', () => {
  assert.deepEqual(underlined('"名前" = «"ポート"»'), ['"名前" = "ポート"', '         ^^^^^^^^']);
  assert.deepEqual(underlined('a = ["🚀", «"x"»]'), ['a = ["🚀", "x"]', '           ^^^']);
  assert.deepEqual(underlined('e\u0301 = «1»'), ['e\u0301 = 1', '    ^'], 'a mark above a letter takes no column');
  assert.deepEqual(underlined('«👨‍👩‍👧» = 1'), ['👨‍👩‍👧 = 1', '^^'], 'several characters may be one picture');
});

test('formatProblem never cuts a character of a long line in two', () => {
  const many = '🚀'.repeat(100);
  for (const [gap, rockets, shift] of [
    ['', 30, 0],
    [' ', 29, 1],
  ] as const) {
    assert.deepEqual(underlined(`${many}${gap}«1»${gap}${many}`), [
      `…${'🚀'.repeat(rockets)}${gap}1${gap}${'🚀'.repeat(30)}…`,
      `${' '.repeat(1 + 2 * rockets + shift)}^`,
    ]);
  }
});

test('formatProblem shows the part of a long line around the offending text', () => {
  const source = `args = [${'1, '.repeat(1000)}x, ${'2, '.repeat(1000)}]`;
  const [, text, carets] = formatProblem({ ...PROBLEM, source, column: 3009, length: 1 }).split('\n');
  assert.equal(text?.length, 122);
  assert.match(text ?? '', /^….*1, x, 2, .*…$/);
  assert.equal(text?.[carets!.indexOf('^')], 'x');
  const [, start] = formatProblem({ ...PROBLEM, source, column: 1, length: 4 }).split('\n');
  assert.match(start ?? '', /^args = .*…$/);
});

test('formatProblem underlines no more than the line has', () => {
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
  assert.equal(one.message, 'monocore.toml has 1 problem');
  assert.deepEqual(one.details, [PROBLEM]);
  const three = configInvalid('a/b.toml', [PROBLEM, PROBLEM, PROBLEM]);
  assert.equal(three.message, 'a/b.toml has 3 problems');
});

test('formatPath writes indexes in brackets and odd keys in quotes', () => {
  assert.equal(formatPath([]), '');
  assert.equal(formatPath(['kernel']), 'kernel');
  assert.equal(formatPath(['service', 1, 'args', 0]), 'service[1].args[0]');
  assert.equal(formatPath(['service', 0, 'envs', 'a.b "c"']), 'service[0].envs."a.b \\"c\\""');
  assert.equal(formatPath(['', 'x']), '"".x');
});

test('quote escapes every control character and cuts long text', () => {
  assert.equal(quote('a "b"'), '"a \\"b\\""');
  assert.equal(quote('\u001b\u007f\u009b\n'), '"\\u001b\\u007f\\u009b\\n"');
  assert.equal(quote('x'.repeat(61)), `"${'x'.repeat(60)}…"`);
});
