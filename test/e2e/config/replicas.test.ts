/** A service with replicas: its name in commands, and its disk. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { ServiceStatus } from '../../../src/protocol/service.ts';
import { eventually } from '../../helpers/eventually.ts';
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

it('hands its disk to the first replica, and gets it back', { timeout: 300_000 }, async (t) => {
  const home = await makeTestHome(t);
  const file = join(home.dir, 'monocore.toml');
  const script = 'cat /runs; echo "$NAME" >>/runs; sync; echo ready; exec sleep 1000';
  const start = async (name: string, more = '') => {
    writeFileSync(
      file,
      `[[service]]\nname = "db"\ndisk = "16MiB"\ncommand = "/bin/sh"\nargs = ["-c", ${JSON.stringify(script)}]\n` +
        `envs = ["NAME=${name}"]\nhealthcheck = { log_line = "ready", interval = "100ms" }\n${more}`,
    );
    const planned = await home.ok('start', '-f', file, '--dry-run');
    await home.ok('start', '-f', file);
    await eventually('all that run to be ready', async () => {
      const { services } = JSON.parse(await home.ok('status', '--json')) as { services: ServiceStatus[] };
      return services.every(({ status, health }) => status === 'Stopped' || health === 'healthy');
    });
    return planned;
  };
  await start('first');
  assert.match(await start('second', 'replicas = 2\n'), /^create +db-1 +takes the disk of db$/m);
  assert.deepEqual(home.lines('db-1', 'stdout'), ['first', 'ready']);
  assert.deepEqual(home.lines('db-2', 'stdout'), ['ready'], 'it has a disk of its own');
  assert.match(await start('third'), /^start +db .*; takes the disk of db-1$/m);
  assert.deepEqual(home.lines('db', 'stdout'), ['ready', 'first', 'second', 'ready']);
  await home.ok('remove', '--yes', 'db');
  assert.deepEqual(readdirSync(join(home.dir, 'disk')), []);
});
