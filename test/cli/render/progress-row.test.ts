import assert from 'node:assert/strict';
import test from 'node:test';
import { rowText, rowTitle } from '../../../src/cli/render/progress-row.ts';
import { makeService } from '../../helpers/fakes/listed-services.ts';

test('a row says what is being done, else the status', () => {
  assert.equal(rowText(makeService({ status: 'Starting', detail: 'booting' })), 'booting');
  assert.equal(rowText(makeService({ status: 'Stopping' })), 'stopping');
  assert.equal(rowText(makeService({ addresses: ['http://127.0.0.2:80'] })), 'Started, http://127.0.0.2:80');
});

test('a row shows tenths of a second, and whole ones after a minute', () => {
  assert.equal(rowTitle('web', 'booting', 1234), 'web  booting 1.2 s');
  assert.equal(rowTitle('web', 'booting', 75_400), 'web  booting 1m 15s');
  assert.equal(rowTitle('web', 'waiting', null), 'web  waiting');
});
