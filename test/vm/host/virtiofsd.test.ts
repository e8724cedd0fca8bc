import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { readMounts } from '../../../src/lib/proc.ts';
import { HomePaths } from '../../../src/state/paths.ts';
import { makeHome } from '../../../src/state/store.ts';
import { findVirtiofsd } from '../../../src/vm/host/host-tools.ts';
import type { AppliedLimits } from '../../../src/vm/host/limits/service-limits.ts';
import { findSharedFiles } from '../../../src/vm/host/shared-files.ts';
import {
  identifyVirtiofsd,
  parseVirtiofsdKind,
  renderVirtiofsdArgs,
  shareFiles,
} from '../../../src/vm/host/virtiofsd.ts';
import { QemuBackend } from '../../../src/vm/qemu/qemu-backend.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { writeProgram } from '../../helpers/processes/program.ts';
import { openSpawner } from '../../helpers/processes/spawner.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';
import { makeBackendHost } from '../../helpers/vm/backend-host.ts';

const C_VERSION = 'virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7)\nusing FUSE kernel interface version 7.36\n';

test('the two programs are told apart by what they say of their version', async (t) => {
  assert.equal(parseVirtiofsdKind(C_VERSION), 'c');
  assert.equal(parseVirtiofsdKind('virtiofsd 1.13.2\n'), 'rust');
  assert.equal(parseVirtiofsdKind('virtiofsd backend 1.1.0\n'), 'rust');
  const dir = await makeTempDir(t);
  assert.equal(await identifyVirtiofsd(writeProgram(join(dir, 'c'), `echo '${C_VERSION}'`)), 'c');
  assert.equal(await identifyVirtiofsd(writeProgram(join(dir, 'rust'), 'echo virtiofsd 1.10.0')), 'rust');
  await assert.rejects(identifyVirtiofsd(writeProgram(join(dir, 'broken'), 'exit 1')), { code: 'StartFailed' });
  assert.match(await identifyVirtiofsd(findVirtiofsd()), /^(c|rust)$/);
});

test('each gets the options that it knows', () => {
  const socket = '/run/a,b/share.sock';
  const options = ['source=/sys', 'cache=auto', 'sandbox=namespace', 'modcaps=-mknod', 'announce_submounts'];
  const inC = (...added: string[]) => [
    '--socket-path=/run/a,b/share.sock',
    ...[...options, ...added].flatMap((option) => ['-o', option]),
  ];
  assert.deepEqual(renderVirtiofsdArgs('c', socket, false), inC());
  assert.deepEqual(renderVirtiofsdArgs('c', socket, true), inC('timeout=0', 'no_readdirplus'));
  assert.deepEqual(renderVirtiofsdArgs('rust', socket, true), [
    '--socket-path=/run/a,b/share.sock',
    '--shared-dir=/sys',
    '--cache=auto',
    '--sandbox=namespace',
    '--modcaps=-mknod',
    '--announce-submounts',
  ]);
});

// A real virtiofsd, to which no QEMU connects.

const NO_LIMITS: AppliedLimits = {
  notes: [],
  launch: (command) => command,
  assist: (command) => command,
  join: (command) => command,
};

/** Mount points of the host that the share could have added: its own place, and those in its folders. */
const ownMounts = (dir: string) => readMounts().filter((mount) => mount.dir === '/sys' || mount.dir.startsWith(dir));

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
  const backend = new QemuBackend(makeBackendHost(paths, spawner));
  defer(t, () => backend.cleanUp('web'));
  return { paths, vm, files, spawner, backend, said: () => readFileSync(said, 'utf8') };
}

test('a share whose launch fails is ended, and the host’s mounts are as they were', async (t) => {
  const { vm, files, spawner } = await makeShare(t);
  const before = ownMounts(vm.dir);
  const share = await shareFiles(files, vm, NO_LIMITS, spawner);
  assert.deepEqual(ownMounts(vm.dir), before);
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
