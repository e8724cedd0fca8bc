import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { errorCode, errorText, MonocoreError } from '../../src/lib/errors.ts';

test('an error has a code, details and its cause', () => {
  const cause = new Error('below');
  const error = new MonocoreError('StartFailed', 'web did not start', { cause, details: ['a line'] });
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'MonocoreError');
  assert.equal(error.code, 'StartFailed');
  assert.equal(error.message, 'web did not start');
  assert.equal(error.cause, cause);
  assert.deepEqual(error.details, ['a line']);
});

test('without details they are null, and without a cause there is none', () => {
  const error = new MonocoreError('Internal', 'x');
  assert.equal(error.details, null);
  assert.ok(!('cause' in error));
});

test('the text of anything thrown is its message, without class or stack', () => {
  assert.equal(errorText(new TypeError('wrong')), 'wrong');
  assert.equal(errorText('a string'), 'a string');
  assert.equal(errorText(undefined), 'undefined');
  assert.throws(
    () => readFileSync('/nonexistent'),
    (error) => errorText(error).startsWith('ENOENT: '),
  );
});

test('the code is that of a system error or of monocore, else undefined', () => {
  assert.throws(
    () => readFileSync('/nonexistent'),
    (error) => errorCode(error) === 'ENOENT',
  );
  assert.equal(errorCode(new MonocoreError('Usage', 'x')), 'Usage');
  for (const other of [new Error('x'), { code: 5 }, null, 'ENOENT', undefined])
    assert.equal(errorCode(other), undefined);
});
