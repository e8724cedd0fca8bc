import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { makeTestHome } from '../helpers/home.ts';

const SLEEP =
  '[[service]]\nname = "sleep"\nisolation = "none"\ncommand = "/bin/sleep"\nargs = ["1000"]\nworkdir = "/"\n';

/** `/autogroup-<number> nice <value>`, proc(5). */
const niceOf = (pid: number): number =>
  Number(/ nice (-?\d+)$/m.exec(readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1]);

test('the session of a daemon in the background has a higher priority than those of its children', async (t) => {
  const home = await makeTestHome(t);
  const file = join(home.dir, 'monocore.toml');
  writeFileSync(file, SLEEP);
  await home.ok('start', '-f', file);
  const { pid } = await home.status('sleep');
  const daemon = JSON.parse(await home.ok('daemon', 'status', '--json')) as { pid: number };
  assert.equal(niceOf(daemon.pid), -10);
  assert.equal(niceOf(pid!), 0);
});
