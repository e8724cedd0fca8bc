/** The daemon is dead, and a guest that has nothing to do does nothing. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { HomePaths } from '../../../src/state/paths.ts';
import { readExitRecord } from '../../../src/vm/host/exit-record.ts';
import { eventually } from '../../helpers/eventually.ts';
import { makeTestHome } from '../../helpers/home.ts';

/** Prints, twelve times a second apart, how many processes the guest has begun since its boot, and begins none itself. */
const SCRIPT = `
mkfifo /tmp/nothing
exec 9<>/tmp/nothing
seconds=0
while [ $seconds -lt 12 ]; do
  while read -r key value rest; do [ "$key" = processes ] && echo "begun $value"; done </proc/stat
  read -t 1 -r nothing <&9
  seconds=$((seconds + 1))
done
echo over
`;

/** The kernel has threads of its own that come and go; one process for each look at the control port is 50 in this time. */
const MAX_BEGUN = 20;

test('a guest whose daemon is dead begins no process, and is heard again when the next daemon comes', async (t) => {
  const home = await makeTestHome(t);
  const file = join(home.dir, 'monocore.toml');
  writeFileSync(file, `[[service]]\nname = "idle"\ncommand = "/bin/sh"\nargs = ["-c", '''${SCRIPT}''']\n`);
  await home.ok('start', '-f', file);
  const { pid } = await home.status('idle');
  await home.killDaemon();
  // Written by the VM's side, so no daemon is needed.
  const record = new HomePaths(home.dir).vm('idle').exitRecord;
  await eventually('its exit record', () => readExitRecord(record).exit !== null, 60_000);
  await home.startDaemon();
  await eventually('its end', async () => (await home.status('idle')).status === 'Stopped', 60_000);
  const ended = await home.status('idle');
  assert.deepEqual([ended.exit_code, ended.ended_by], [0, 'command']);
  assert.ok(pid !== null);
  const text = readFileSync(join(home.dir, 'log/idle.stdout.log'), 'utf8');
  const begun = [...text.matchAll(/begun (\d+)$/gm)].map(([, count]) => Number(count));
  assert.equal(begun.length, 12);
  assert.match(text, /over$/m);
  assert.ok(begun.at(-1)! - begun[1]! < MAX_BEGUN, `begun: ${begun.join(' ')}`);
});
