/** Whatever comes, each door takes or refuses it. `npm run fuzz` does the same for longer. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import test from 'node:test';
import { rounds } from '../helpers/rounds.ts';
import { DOORS } from './doors.ts';
import { corpusOf, runDoor } from './run.ts';

for (const door of Object.keys(DOORS)) {
  test(`${door}: changed inputs are taken or refused`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    t.diagnostic(`seed ${seed}`);
    await runDoor(door, seed, (count) => count < rounds(800));
  });
}

test('each corpus has a door, and each door has inputs', () => {
  const corpora = readdirSync(corpusOf(''));
  assert.deepEqual(
    corpora.filter((name) => !(name in DOORS)),
    [],
  );
  for (const [name, { seeds }] of Object.entries(DOORS)) assert.ok(seeds || existsSync(corpusOf(name)), name);
});
