import assert from 'node:assert/strict';
import test from 'node:test';
import { exitCodeOf } from '../../../src/cli/exit-codes.ts';
import { renderFailure } from '../../../src/cli/render/failure.ts';
import { NO_COLORS } from '../../../src/cli/render/terminal-text.ts';
import { loadConfig } from '../../../src/config/load.ts';
import { configInvalid } from '../../../src/config/problems.ts';
import { MonocoreError } from '../../../src/lib/errors.ts';

const PLAIN = { colors: NO_COLORS, columns: Number.POSITIVE_INFINITY };

test('an error is its message and a hint, never a stack', () => {
  assert.equal(
    renderFailure(new MonocoreError('ToolMissing', 'qemu-system-x86_64 is not installed'), PLAIN, false),
    'monocore: qemu-system-x86_64 is not installed\n  monocore doctor checks this host\n',
  );
  assert.doesNotMatch(renderFailure(new TypeError('x is undefined'), PLAIN, false), /\n +at /);
});

test('a hint of the error itself comes before the general one', () => {
  const error = new MonocoreError('Usage', 'no', { details: { hint: 'do this' } });
  assert.equal(renderFailure(error, PLAIN, false), 'monocore: no\n  do this\n');
});

test('on a terminal lines break between words, and a source line is cut around the problem', () => {
  const options = { colors: NO_COLORS, columns: 40 };
  const hint = 'name another file with the -f option or so';
  const error = new MonocoreError('Usage', 'the file cannot be read: it is a directory', { details: { hint } });
  assert.deepEqual(renderFailure(error, options, false).split('\n'), [
    'monocore: the file cannot be read: it is',
    '  a directory',
    '  name another file with the -f option',
    '  or so',
    '',
  ]);
  const source = `\t\t{ "args": [${'1, '.repeat(20)}x, ${'2, '.repeat(20)}] }`;
  const place = { file: 'm.json', line: 3, column: source.indexOf('x') + 1, length: 1, path: 'args', source };
  const invalid = configInvalid('m.json', [{ ...place, message: 'is not valid', expected: 'a text or a number' }]);
  const lines = renderFailure(invalid, options, false).trimEnd().split('\n');
  assert.ok(
    lines.every(({ length }) => length <= 40),
    lines.join('\n'),
  );
  assert.equal(lines.at(-2)![lines.at(-1)!.indexOf('^')], 'x');
});

test('every problem of a config is shown, with its place and line', () => {
  const problem = { file: 'm.toml', line: 3, column: 7, length: 1, path: 'service[0].cpus', expected: null };
  const error = configInvalid('m.toml', [
    { ...problem, message: 'is not a number', source: 'cpus = "x"' },
    { ...problem, line: 9, message: 'is too many', source: '' },
  ]);
  const text = renderFailure(error, PLAIN, false);
  assert.match(text, /^monocore: m\.toml has 2 problems/);
  assert.match(text, /\n {2}m\.toml:3:7: service\[0\]\.cpus: is not a number\n {2}cpus = "x"\n {8}\^\n/);
  assert.match(text, /\n {2}m\.toml:9:7: .*is too many\n$/);
});

test('the first hundred problems are shown, and the number of further ones', () => {
  const problem = {
    file: 'm.toml',
    line: 1,
    column: 1,
    length: 1,
    path: '',
    expected: null,
    message: 'is odd',
    source: '',
  };
  const lines = renderFailure(configInvalid('m.toml', Array(1234).fill(problem)), PLAIN, false)
    .trimEnd()
    .split('\n');
  assert.equal(lines.length, 102);
  assert.equal(lines.at(-1), '  … and 1134 more');
});

test('for debugging the stack and the cause are shown too', () => {
  const error = new MonocoreError('Internal', 'outer', { cause: new Error('inner') });
  const text = renderFailure(error, PLAIN, true);
  assert.match(text, /\n +at /);
  assert.match(text, /inner/);
});

test('exit codes tell wrong usage, a missing daemon and other failures apart', () => {
  const codes = (['Usage', 'ConfigInvalid', 'ServiceUnknown', 'DaemonUnreachable', 'StartFailed'] as const).map(
    (code) => exitCodeOf(new MonocoreError(code, '')),
  );
  assert.deepEqual(codes, [2, 2, 2, 3, 1]);
  assert.equal(exitCodeOf(new Error('anything')), 1);
});

test('an unreadable config is reported once', async () => {
  const error = await loadConfig('/').catch((cause: unknown) => cause);
  assert.match(renderFailure(error, PLAIN, false), /^monocore: \/ cannot be read: it is a directory; .*\n$/);
});

test('what a registry or a guest says in an error cannot steer the terminal', () => {
  const details = { hint: 'run \u001b[2Jit' };
  const error = new MonocoreError('ImageInvalid', 'the platform linux\u001b]0;X\u0007 is\nnot \u009bthis', { details });
  for (const debug of [false, true]) {
    const text = renderFailure(error, PLAIN, debug);
    assert.doesNotMatch(text, /[^\P{Cc}\n]/u);
    assert.match(text, /^monocore: the platform linux\ufffd\]0;X\ufffd is\n/);
  }
});
