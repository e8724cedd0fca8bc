import assert from 'node:assert/strict';
import test from 'node:test';
import { errorCode, MonocoreError } from '../../src/lib/errors.ts';
import { fromWireError, toWireError } from '../../src/lib/wire-error.ts';

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
