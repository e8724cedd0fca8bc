import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import test, { type TestContext } from 'node:test';
import { identify } from '../../../src/lib/proc.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import type { BackendEvent, Exit } from '../../../src/vm/backend.ts';
import { MAX_RECORD_BYTES } from '../../../src/vm/host/exit-record.ts';
import { describeNetworkLimits, QemuBackend, QemuVm } from '../../../src/vm/qemu/qemu-backend.ts';
import { eventually } from '../../helpers/eventually.ts';
import { failFs } from '../../helpers/fakes/fs-fault.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { openSpawner } from '../../helpers/processes/spawner.ts';
import { UnixServer } from '../../helpers/servers/unix-server.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';
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
  const gone = { type: 'gone', exit: null, oomKilled: false, offence: null };
  assert.deepEqual(await adopt(), gone);
  writeFileSync(exitRecord, 'exit 3\n');
  assert.deepEqual(await adopt(), { ...gone, exit: { code: 3, signal: null } });
  writeFileSync(exitRecord, 'exit 137 oom\n');
  assert.deepEqual(await adopt(), { ...gone, exit: { code: 137, signal: 'SIGKILL' }, oomKilled: true });
  writeFileSync(exitRecord, 'x'.repeat(MAX_RECORD_BYTES));
  assert.deepEqual(await adopt(), { ...gone, offence: 'flooded its exit port' });
});

test('the data of a service is its disk, and only its own', async (t) => {
  const { paths, backend } = await makeDriver(t);
  mkdirSync(dirname(paths.disk('web')), { recursive: true });
  for (const service of ['web', 'web2']) writeFileSync(paths.disk(service), 'data');
  await backend.removeData('web');
  await backend.removeData('web');
  assert.deepEqual([existsSync(paths.disk('web')), existsSync(paths.disk('web2'))], [false, true]);
});

test('a disk is moved to a service that has none, and replaces no other one', async (t) => {
  const { paths, backend } = await makeDriver(t);
  mkdirSync(dirname(paths.disk('db')), { recursive: true });
  writeFileSync(paths.disk('db'), 'old');
  await backend.moveData('db', 'db-1');
  assert.deepEqual([backend.hasData('db'), backend.hasData('db-1')], [false, true]);
  writeFileSync(paths.disk('db'), 'new');
  await assert.rejects(backend.moveData('db', 'db-1'), { message: `${paths.disk('db-1')} exists` });
  assert.deepEqual(
    ['db', 'db-1'].map((name) => readFileSync(paths.disk(name), 'utf8')),
    ['new', 'old'],
  );
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

test('a QEMU that misuses its monitor is killed once a descriptor is free, and fails nothing until then', async (t) => {
  const { paths } = await makeDriver(t);
  const vm = paths.vm('web');
  mkdirSync(vm.dir, { recursive: true });
  const server = new UnixServer(vm.qmp);
  t.after(() => server.close());
  await server.listen();
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  defer(t, () => child.kill('SIGKILL'));
  const identity = identify(child.pid!)!;
  const exited = once(child, 'exit').then(([, signal]): Exit => ({ code: 137, signal }));
  const events: BackendEvent[] = [];
  const job = { make: null, stopSignal: 'TERM', inGroup: false };
  new QemuVm(
    { identity, exited: () => exited },
    vm,
    job,
    async () => null,
    (event) => events.push(event),
  );
  const peer = await server.connection(0);
  let tries = 0;
  failFs(t, 'readFileSync', 'EMFILE', (path) => String(path).startsWith(`/proc/${child.pid}/`) && ++tries <= 2);
  peer.write('{"event": "NOISE"}\n'.repeat(20_000));
  const end = await eventually('its end', () => events.find(({ type }) => type === 'process-ended'));
  const found = { reason: 'guest-flood', offence: 'flooded the monitor of its VM' };
  assert.deepEqual(end, { type: 'process-ended', exit: { code: 137, signal: 'SIGKILL' }, ...found });
  assert.ok(tries > 2);
});
