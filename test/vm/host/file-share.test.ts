/** A real virtiofsd, to which no QEMU connects. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { HomePaths } from '../../../src/state/paths.ts';
import { makeHome } from '../../../src/state/store.ts';
import { FifoMaker } from '../../../src/vm/host/fifos.ts';
import { shareFiles } from '../../../src/vm/host/file-share.ts';
import type { AppliedLimits } from '../../../src/vm/host/limits/service-limits.ts';
import { findSharedFiles } from '../../../src/vm/host/shared-files.ts';
import { QemuBackend } from '../../../src/vm/qemu/qemu-backend.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { findProcesses } from '../../helpers/home.ts';
import { openSpawner } from '../../helpers/processes/spawner.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';

const NO_LIMITS: AppliedLimits = { notes: [], wrap: (command) => command, join: (command) => command };

const readMounts = () => readFileSync('/proc/self/mountinfo', 'utf8');

/** A home with the runtime folder of `web`, which is given a folder. */
async function makeShare(t: TestContext) {
  const dir = await makeTempDir(t);
  const paths = new HomePaths(join(dir, 'home'));
  await makeHome(paths);
  const vm = paths.vm('web');
  mkdirSync(vm.dir);
  const host = join(dir, 'data');
  mkdirSync(host);
  const volumes = [{ host, guest: '/data', read_only: true }];
  const files = await findSharedFiles(scriptService('web', '', { volumes }));
  const said = vm.fifo('console');
  writeFileSync(said, '');
  const spawner = openSpawner(t);
  const backend = new QemuBackend(paths, spawner, new FifoMaker(spawner), () =>
    assert.fail('nothing is launched here'),
  );
  defer(t, () => backend.cleanUp('web'));
  return { paths, vm, files, spawner, backend, said: () => readFileSync(said, 'utf8') };
}

test('a share whose launch fails is ended, and the host’s mounts are as they were', async (t) => {
  const { vm, files, spawner } = await makeShare(t);
  const before = readMounts();
  const share = await shareFiles(files, vm, NO_LIMITS, spawner);
  assert.equal(readMounts(), before);
  assert.ok(findProcesses(vm.share).length > 0);
  share.stop();
  await eventually('its processes to end', () => findProcesses(vm.share).length === 0);
});

test('a share that a daemon left, which was killed before it launched QEMU, ends with what is left of the launch', async (t) => {
  const { paths, vm, files, spawner, backend } = await makeShare(t);
  await shareFiles(files, vm, NO_LIMITS, spawner);
  const adoption = await backend.adopt({
    service: scriptService('web', ''),
    localOnly: true,
    groupIndex: null,
    identity: null,
    runJob: true,
  });
  assert.equal(adoption.type, 'gone');
  await backend.cleanUp('web');
  await eventually('its processes to end', () => findProcesses(vm.share).length === 0);
  assert.ok(!existsSync(paths.vm('web').dir));
});

test('a path that leads elsewhere when it is shared is refused', async (t) => {
  const { vm, files, spawner, said } = await makeShare(t);
  const [file] = files;
  const other = { ...file!, identity: `${file!.identity}0` };
  await assert.rejects(shareFiles([other], vm, NO_LIMITS, spawner), {
    code: 'StartFailed',
    message: `${file!.path} cannot be shared with the guest: virtiofsd did not start; its console may say why`,
  });
  assert.match(said(), /data was replaced while it was being shared/);
  assert.equal(findProcesses(vm.share).length, 0);
});

test('a path is only a path, whatever it is made of', async (t) => {
  const { vm, spawner } = await makeShare(t);
  const dir = await makeTempDir(t);
  const volumes = ["it's $HOME", '-o bind', 'a,b\\:c', '--', 'new\nline', 'UUID=1'].map((name, index) => {
    writeFileSync(join(dir, name), '');
    return { host: join(dir, name), guest: `/v${index}`, read_only: index % 2 === 0 };
  });
  const share = await shareFiles(await findSharedFiles(scriptService('web', '', { volumes })), vm, NO_LIMITS, spawner);
  const [process] = findProcesses(vm.share);
  const mounts = readFileSync(`/proc/${process!.pid}/mountinfo`, 'utf8').split('\n');
  const shared = mounts.filter((line) => / \/sys\/\d /.test(line)).map((line) => line.split(' ').slice(4, 6).join(' '));
  assert.deepEqual(
    shared,
    volumes.map(({ read_only }, index) => `/sys/${index} ${read_only ? 'ro' : 'rw'},nosuid,nodev,relatime`),
  );
  share.stop();
});
