import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import {
  checkCgroups,
  checkFileSharing,
  checkImages,
  checkJail,
  checkUsers,
  runDoctor,
} from '../../src/doctor/doctor.ts';
import { describeHostLimits } from '../../src/vm/host/limits/host-limits.ts';
import type { ScopeManager } from '../../src/vm/host/limits/systemd-scope.ts';
import { makeTempDir } from '../helpers/temp.ts';
import { writeModules } from '../helpers/vm/kernel-modules.ts';

test('root that may make mount namespaces can share files', async () => {
  const { state, finding, advice } = await checkFileSharing(0);
  assert.deepEqual([state, advice], ['ok', null]);
  assert.match(finding, /virtiofsd, for rootfs and volumes; guests see changes of the host (at once|within a second)$/);
});

test('another user is told that it takes root', async () => {
  const { state, finding, advice } = await checkFileSharing(1000);
  assert.equal(state, 'warning');
  assert.match(finding, /but only root can share files$/);
  assert.match(advice!, /start the daemon as root/);
});

test('a host that allows no mount namespace is told so with the reason', async () => {
  const { state, finding, advice } = await checkFileSharing(0, ['sh', '-c', 'echo "unshare failed: no" >&2; exit 1']);
  assert.deepEqual([state, finding], ['warning', 'no mount namespace can be created: unshare failed: no']);
  assert.match(advice!, /CAP_SYS_ADMIN/);
});

test('a kernel that lacks what images need is a warning that names it', async (t) => {
  const modulesDir = await makeTempDir(t);
  const kernel = { image: '/boot/vmlinuz-1.2', release: '1.2', modulesDir };
  writeModules(modulesDir, { 'drivers/block/virtio-blk.ko.gz': '', 'fs/other.ko': '' });
  const { state, finding, advice } = checkImages(kernel);
  assert.deepEqual(
    [state, finding],
    ['warning', 'the kernel 1.2 has no erofs, overlay, so no service with an image starts'],
  );
  assert.match(advice!, /package linux-image-/);
  writeModules(modulesDir, { 'fs/erofs/erofs.ko': '' });
  writeFileSync(join(modulesDir, 'modules.builtin'), 'kernel/fs/overlayfs/overlay.ko\n');
  assert.equal(checkImages(kernel).state, 'ok');
  assert.equal(checkImages({ ...kernel, modulesDir: null }).state, 'ok');
});

const USABLE = { type: 'usable', version: 2, dir: '/sys/fs/cgroup/a', evacuate: null } as const;
const UNUSABLE = { type: 'unusable', reason: 'not delegated' } as const;
const MANAGER: ScopeManager = {
  program: '/usr/bin/systemd-run',
  runtimeDir: null,
  dir: '/sys/fs/cgroup',
  controllers: ['cpu', 'memory'],
  ownUnit: 'monocore.service',
};

test('a host that offers both controllers is told where', () => {
  assert.deepEqual(checkCgroups(describeHostLimits(null, () => ({ cpu: USABLE, memory: USABLE }))), {
    state: 'ok',
    finding: 'cpu in /sys/fs/cgroup/a (v2), memory in /sys/fs/cgroup/a (v2)',
    advice: null,
  });
  const { state, finding } = checkCgroups(describeHostLimits(MANAGER));
  assert.deepEqual([state, finding], ['ok', 'cpu and memory by a scope of systemd for each service']);
});

test('what is missing is a warning with what to do, each reason once', () => {
  const { state, finding, advice } = checkCgroups(
    describeHostLimits(null, () => ({ cpu: UNUSABLE, memory: UNUSABLE })),
  );
  assert.deepEqual([state, finding], ['warning', 'not delegated']);
  assert.match(advice!, /monocore daemon install/);
  assert.equal(checkCgroups(describeHostLimits(null, () => ({ cpu: USABLE, memory: UNUSABLE }))).state, 'warning');
  const usersManager = { ...MANAGER, runtimeDir: '/run/user/1000', controllers: ['memory'] as const };
  assert.match(checkCgroups(describeHostLimits(usersManager)).finding, /controller cpu is not delegated/);
});

test('only root runs services as other users', () => {
  assert.match(checkUsers(0).finding, /^services may run as any user, by .*setpriv$/);
  const { state, finding, advice } = checkUsers(1000);
  assert.deepEqual([state, finding], ['warning', `services run as ${userInfo().username} only`]);
  assert.match(advice!, /host_user.*root/);
});

test('the jail is told by what holds, and is a warning where there is none', async () => {
  const full = await checkJail({ namespaces: 'host', obstacle: null });
  assert.match(`${full.state} ${full.finding}`, /^ok each QEMU has a user of its own, no capabilities/);
  const ofUser = await checkJail({ namespaces: 'user', obstacle: 'the daemon is not root' });
  assert.match(
    `${ofUser.state} ${ofUser.finding}`,
    /^ok each QEMU has no capabilities.*; as the daemon is not root, it /,
  );
  const none = await checkJail({ namespaces: 'none', obstacle: 'no namespaces' });
  assert.deepEqual([none.state, none.finding], ['warning', 'QEMU sees the host as the daemon does: no namespaces']);
  assert.match(none.advice!, /allow user namespaces/);
});

test('limits of the daemon that runs are told, and not those of the shell', async (t) => {
  const home = await makeTempDir(t);
  const limits = { places: [], obstacles: ['not delegated'], open_files: 1024, file_bytes: 2 ** 20 };
  const { checks } = await runDoctor(home, limits);
  const told = checks
    .filter(({ name }) => ['open files', 'file size', 'cgroups'].includes(name))
    .map(({ state, finding }) => [state, finding]);
  assert.deepEqual(told, [
    ['warning', 'only 1024 open files are allowed'],
    ['warning', 'files end at 1 MiB'],
    ['warning', 'not delegated'],
  ]);
});
