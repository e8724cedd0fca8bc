import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { MAX_BYTES } from '../../../../src/protocol/input.ts';
import { makeStore } from '../../../helpers/images/harness.ts';

test('an index that is damaged or too large is refused by name', async (t) => {
  const { store } = await makeStore(t);
  const { index } = store.paths;
  writeFileSync(index, '{');
  await assert.rejects(store.readIndex(), { code: 'ImageInvalid', message: /index\.json is malformed: not JSON/ });
  truncateSync(index, MAX_BYTES.index + 1);
  await assert.rejects(store.readIndex(), { code: 'Internal', message: /index\.json has more than 64/ });
});
