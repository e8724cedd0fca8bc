/** The config that `monocore init` writes is a beginning: it boots as it is. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { eventually } from '../../helpers/eventually.ts';
import { makeTestHome } from '../../helpers/home.ts';

it('boots what init wrote', async (t) => {
  const home = await makeTestHome(t);
  const file = join(home.dir, 'monocore.toml');
  await home.ok('init', '-f', file);
  // Only the port may be taken where this runs.
  const text = readFileSync(file, 'utf8');
  assert.match(text, /^port = "8080:80"$/m);
  writeFileSync(file, text.replace('"8080:80"', '"18089:80"'));
  await home.ok('start', '-f', file);
  const { isolation, addresses } = await home.status('web');
  assert.equal(isolation, 'vm');
  const answer = await eventually('the web service to answer', () => fetch(addresses[0]!).catch(() => null));
  assert.equal(await answer.text(), 'hello\n');
});
