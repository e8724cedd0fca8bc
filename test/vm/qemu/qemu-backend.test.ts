import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import test, { type TestContext } from 'node:test';
import { HomePaths } from '../../../src/state/paths.ts';
import { describeNetworkLimits, QemuBackend } from '../../../src/vm/qemu/qemu-backend.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { openSpawner } from '../../helpers/processes/spawner.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { makeBackendHost } from '../../helpers/vm/backend-host.ts';

async function makeDriver(t: TestContext) {
  const paths = new HomePaths(await makeTempDir(t));
  const backend = new QemuBackend(makeBackendHost(paths, openSpawner(t)));
  return { paths, backend };
}

test('a VM that ended while no daemon ran has the exit that its record tells', async (t) => {
  const { paths, backend } = await makeDriver(t);
  const { dir, exitRecord } = paths.vm('web');
  mkdirSync(dir, { recursive: true });
  const request = {
    service: scriptService('web', ''),
    localOnly: true,
    groupIndex: null,
    identity: null,
    runJob: false,
  };
  const adopt = () => backend.adopt(request);
  assert.deepEqual(await adopt(), { type: 'gone', exit: null, oomKilled: false });
  writeFileSync(exitRecord, 'exit 3\n');
  assert.deepEqual(await adopt(), { type: 'gone', exit: { code: 3, signal: null }, oomKilled: false });
  writeFileSync(exitRecord, 'exit 137 oom\n');
  assert.deepEqual(await adopt(), { type: 'gone', exit: { code: 137, signal: 'SIGKILL' }, oomKilled: true });
});

test('the data of a service is its disk, and only its own', async (t) => {
  const { paths, backend } = await makeDriver(t);
  mkdirSync(dirname(paths.disk('web')), { recursive: true });
  for (const service of ['web', 'web2']) writeFileSync(paths.disk(service), 'data');
  await backend.removeData('web');
  await backend.removeData('web');
  assert.deepEqual([existsSync(paths.disk('web')), existsSync(paths.disk('web2'))], [false, true]);
});

test('a service is told what does not work of its network', () => {
  const udp = scriptService('web', '', { ports: [{ host: 53, guest: 53, protocol: 'udp' }] });
  const member = scriptService('web', '', { group: 'shop' });
  assert.deepEqual(describeNetworkLimits({ ...udp, group: 'shop' }, null), []);
  const [names, ports] = [
    'it reaches no service of its group by name: QEMU is old',
    'its UDP ports are closed: QEMU is old',
  ];
  assert.deepEqual(describeNetworkLimits(udp, 'QEMU is old'), [ports]);
  assert.deepEqual(describeNetworkLimits(member, 'QEMU is old'), [names]);
  assert.deepEqual(describeNetworkLimits({ ...udp, group: 'shop' }, 'QEMU is old'), [names, ports]);
});
