/** The name of a service with replicas in commands. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { makeTestHome } from '../../helpers/home.ts';

const CONFIG = `
[[service]]
name = "web"
isolation = "none"
command = "/bin/sh"
args = ["-c", "echo up; exec sleep 1000"]
replicas = 2

[[service]]
name = "web-3"
isolation = "none"
command = "/bin/sh"
args = ["-c", "echo alone; exec sleep 1000"]
`;

it('stands for all of them, and for nothing else', { timeout: 60_000 }, async (t) => {
  const home = await makeTestHome(t);
  const file = join(home.dir, 'monocore.toml');
  writeFileSync(file, CONFIG);
  await home.ok('start', '-f', file);
  const statuses = async (...args: string[]) => {
    const { services } = JSON.parse(await home.ok('status', '--json', ...args));
    return services.map(({ name, status }: { name: string; status: string }) => `${name} ${status}`);
  };
  assert.deepEqual(await statuses('web'), ['web-1 Started', 'web-2 Started']);
  assert.deepEqual((await home.ok('logs', 'web')).match(/\[web-\d\] .*/g)?.sort(), ['[web-1] up', '[web-2] up']);
  await home.ok('restart', 'web');
  assert.equal((await home.ok('logs', 'web')).match(/ up$/gm)?.length, 4);
  await home.ok('stop', 'web');
  assert.deepEqual(await statuses(), ['web-1 Stopped', 'web-2 Stopped', 'web-3 Started']);
  await home.ok('remove', '--yes', 'web');
  assert.deepEqual(await statuses(), ['web-3 Started']);
  const { code, stderr } = await home.run(['stop', 'web']);
  assert.equal(code, 2);
  assert.match(stderr, /the daemon has no service "web"/);
});
