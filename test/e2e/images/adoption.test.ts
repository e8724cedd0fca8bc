/** The daemon dies, a VM from an image lives on, and so does the image. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { HomePaths } from '../../../src/state/paths.ts';
import { eventually } from '../../helpers/eventually.ts';
import { makeTestHome } from '../../helpers/home.ts';
import { makeBusyboxImage } from '../../helpers/images/program-image.ts';
import { startRegistry } from '../../helpers/servers/registry.ts';

const MAIN = `#!/bin/sh
trap 'echo asked; exit 42' USR1
echo up
while :; do sleep 0.1; done
`;

/** Prints the user, variables and working folder that the image sets. */
const CHECK = '[ "$(id -u):$OF_IMAGE:$PWD" = "1001:a b:/data" ]';

test('a service from an image is adopted, is asked and stopped as its image says, and keeps its image', async (t) => {
  const image = await makeBusyboxImage(
    ['id', 'sh', 'sleep'],
    {
      User: 'web',
      Entrypoint: ['/bin/main'],
      Env: ['OF_IMAGE=a b', 'PATH=/bin'],
      WorkingDir: '/data',
      StopSignal: 'SIGUSR1',
    },
    [
      { name: 'bin/main', mode: 0o755, content: MAIN },
      { name: 'data', type: 'directory', uid: 1001, gid: 1002 },
    ],
  );
  const registry = await startRegistry(t);
  registry.add('app', '1', image);
  const name = `${registry.host}/app:1`;
  const home = await makeTestHome(t);
  const store = new HomePaths(home.dir).images;
  const file = join(home.dir, 'monocore.toml');
  writeFileSync(
    file,
    `[images]\ninsecure_registries = ["${registry.host}"]
[[service]]\nname = "app"\nimage = "${name}"
[service.healthcheck]\nexec = ["/bin/sh", "-c", '${CHECK}']\ninterval = "1s"\ntimeout = "30s"\nstart_period = "0s"\n`,
  );
  await home.ok('start', '-f', file);
  const before = await home.status('app');
  await eventually('the check', async () => (await home.status('app')).health === 'healthy', 60_000);

  await home.killDaemon();
  const asked = registry.requests.length;
  // Before any daemon is there: what is left are the state files.
  await home.ok('images', 'prune');
  assert.equal(existsSync(store.root(image.digest)), true, 'the image of a service whose daemon died stays');
  const refused = await home.run(['images', 'rm', name]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /is used by app/);

  await home.startDaemon();
  const after = await home.status('app');
  assert.deepEqual([after.status, after.pid, after.started_at], ['Started', before.pid, before.started_at]);
  // What another user, or a check without the variables of the image would fail at.
  await eventually('the check again', async () => (await home.status('app')).health === 'healthy', 60_000);
  await home.ok('images', 'prune');
  assert.equal(existsSync(store.root(image.digest)), true);

  await home.ok('stop', 'app');
  const stopped = await home.status('app');
  assert.deepEqual([stopped.status, stopped.exit_code, stopped.ended_by], ['Stopped', 42, 'stop_signal']);
  assert.deepEqual(home.lines('app', 'stdout'), ['up', 'asked']);
  assert.equal(registry.requests.length, asked, 'nothing was pulled again');
  await home.ok('images', 'prune');
  assert.equal(existsSync(store.root(image.digest)), true, 'what stands still uses its image, too');

  await home.ok('remove', '--yes', 'app');
  await home.ok('images', 'prune');
  assert.deepEqual(readdirSync(store.rootsDir), []);
  await home.ok('images', 'rm', name);
  assert.deepEqual(readdirSync(store.blobsDir), []);
});
