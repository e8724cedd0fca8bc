import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import test from 'node:test';
import {
  errorCode,
  errorText,
  errorTextWithHint,
  errorTextWithPath,
  fromWireError,
  MonocoreError,
  toWireError,
} from '../../src/lib/errors.ts';

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
    (error) => errorText(error) === 'no such file or directory (ENOENT)',
  );
});

test('the text of a system error has the path that its message does not name', async () => {
  const readError = await readFile('/nonexistent').catch((error: unknown) => error);
  assert.equal(errorTextWithPath(readError), '/nonexistent: no such file or directory (ENOENT)');
  assert.equal(errorTextWithPath(readError, '/nonexistent'), 'no such file or directory (ENOENT)');
  assert.equal(errorTextWithPath(readError, '/'), '/nonexistent: no such file or directory (ENOENT)');
  assert.equal(errorTextWithHint(readError), errorTextWithPath(readError));
  const [spawnError] = await once(spawn('no-such-program'), 'error');
  assert.equal(errorTextWithPath(spawnError), 'no-such-program: no such file or directory (ENOENT)');
  const [unixError] = await once(connect('/nonexistent/socket'), 'error');
  assert.equal(errorTextWithPath(unixError), '/nonexistent/socket: no such file or directory (ENOENT)');
  const [tcpError] = await once(connect({ host: '127.0.0.1', port: 1 }), 'error');
  assert.equal(errorTextWithPath(tcpError), 'connection refused (ECONNREFUSED)');
});

test('the text of any other error is its message, also with a path', () => {
  assert.equal(errorTextWithPath(new MonocoreError('Usage', '/srv/a cannot be read')), '/srv/a cannot be read');
  assert.equal(errorTextWithPath(Object.assign(new Error('wrong'), { path: '/srv/a' })), 'wrong');
  assert.equal(errorTextWithPath('a string'), 'a string');
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

/** The error at the other end of a thread boundary or of HTTP. */
const cross = (error: unknown) => fromWireError(JSON.parse(JSON.stringify(toWireError(error))));

test('code, message, details and the code of the cause cross', () => {
  const cause = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  const error = cross(new MonocoreError('HomeUnusable', 'the home is full', { cause, details: { free_bytes: 0 } }));
  assert.ok(error instanceof MonocoreError);
  assert.equal(error.code, 'HomeUnusable');
  assert.equal(error.message, 'the home is full');
  assert.deepEqual(error.details, { free_bytes: 0 });
  assert.equal(errorCode(error.cause), 'ENOSPC');
});

test('what is not from monocore becomes Internal, its text and system code kept', () => {
  const error = cross(Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }));
  assert.equal(error.code, 'Internal');
  assert.equal(error.message, 'EACCES: permission denied');
  assert.equal(errorCode(error.cause), 'EACCES');
  assert.equal(cross('just text').message, 'just text');
  assert.equal(cross(undefined).message, 'undefined');
});

test('an error without a cause gets none on the way', () => {
  const error = cross(new MonocoreError('Aborted', 'x'));
  assert.equal(error.cause, undefined);
  assert.equal(error.details, null);
});

test('crossing twice changes nothing more', () => {
  const cause = Object.assign(new Error('x'), { code: 'EIO' });
  const error = new MonocoreError('StartFailed', 'web', { cause, details: [1] });
  assert.deepEqual(toWireError(cross(cross(error))), toWireError(error));
});
