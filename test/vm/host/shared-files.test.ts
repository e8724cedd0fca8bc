import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, realpathSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { findPlaceFault, type Service } from '../../../src/protocol/service.ts';
import { describeLinks, findSharedFiles, guestVolumes } from '../../../src/vm/host/shared-files.ts';
import { serviceText, shortProblems } from '../../helpers/config/harness.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { startUnixServer } from '../../helpers/servers/unix-server.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const ROOT = 0;
const volume = (host: string, guest = '/data', read_only = false) => ({ host, guest, read_only });
const find = (overrides: Partial<Service>, uid = ROOT) => findSharedFiles(scriptService('web', '', overrides), uid);

async function makeFiles(t: TestContext): Promise<string> {
  const dir = realpathSync(await makeTempDir(t));
  mkdirSync(join(dir, 'folder'));
  writeFileSync(join(dir, 'file'), '');
  symlinkSync('folder', join(dir, 'link'));
  return dir;
}

test('the root is read-only, volumes are numbered, and links are followed once', async (t) => {
  const dir = await makeFiles(t);
  const identity = (name: string) => `${statSync(join(dir, name)).dev}:${statSync(join(dir, name)).ino}`;
  const volumes = [volume(join(dir, 'link'), '/a'), volume(join(dir, 'file'), '/b', true)];
  assert.deepEqual(await find({ rootfs: join(dir, 'link'), volumes }), [
    { name: 'root', path: join(dir, 'folder'), kind: 'directory', readOnly: true, identity: identity('folder') },
    { name: '0', path: join(dir, 'folder'), kind: 'directory', readOnly: false, identity: identity('folder') },
    { name: '1', path: join(dir, 'file'), kind: 'file', readOnly: true, identity: identity('file') },
  ]);
  assert.deepEqual(await describeLinks(volumes), [
    `the volume ${dir}/link leads to ${dir}/folder through a symbolic link`,
  ]);
  assert.deepEqual(await describeLinks([volume(join(dir, 'gone')), volume(`${dir}/folder/`)]), []);
});

test('a service without files of the host needs neither root nor a look', async () => {
  assert.deepEqual(await find({}, 1000), []);
});

test('only root shares files', async (t) => {
  const dir = await makeFiles(t);
  const message = (what: string) => ({
    code: 'StartFailed',
    message: `web has ${what}, which only a daemon running as root can share with a guest; start the daemon as root`,
  });
  await assert.rejects(find({ volumes: [volume(dir)] }, 1000), message('volumes'));
  await assert.rejects(find({ rootfs: dir }, 1000), message('rootfs'));
});

test('what cannot be shared is refused by its service and path', async (t) => {
  const dir = await makeFiles(t);
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  const socket = await startUnixServer(t);
  symlinkSync('nowhere', join(dir, 'dangling'));
  symlinkSync('loop', join(dir, 'loop'));
  const special = 'it is neither a directory nor a file';
  for (const [path, reason] of [
    [join(dir, 'missing'), 'it does not exist'],
    [join(dir, 'dangling'), 'it does not exist'],
    [join(dir, 'loop'), /ELOOP/],
    [join(dir, 'file/below'), /ENOTDIR/],
    [join(dir, 'fifo'), special],
    [socket.path, special],
    ['/dev/null', special],
    ['folder', 'its path is not absolute'],
  ] as const) {
    const error = await find({ volumes: [volume(path)] }).catch(
      (thrown: unknown) => thrown as Error & { code: string },
    );
    assert.ok(error instanceof Error && error.code === 'StartFailed', path);
    assert.ok(error.message.startsWith(`the volume ${path} of web cannot be shared: `), error.message);
    if (typeof reason === 'string') assert.ok(error.message.endsWith(`: ${reason}`), error.message);
    else assert.match(error.message, reason);
  }
  await assert.rejects(
    find({ rootfs: join(dir, 'file') }),
    /the rootfs .*file of web cannot be shared: it is not a directory/,
  );
});

test('a volume cannot lie where the guest’s own files are', async (t) => {
  const dir = await makeFiles(t);
  for (const guest of [
    '/',
    '/dev',
    '/dev/shm',
    '/proc',
    '/proc/1',
    '/sys',
    '/run',
    '/run/secrets',
    '/run/secrets/key',
  ]) {
    const fault = findPlaceFault(guest);
    assert.ok(fault !== null);
    const message = `the volume ${dir} of web cannot be shared: ${fault}`;
    await assert.rejects(find({ volumes: [volume(dir, guest)] }), { code: 'StartFailed', message }, guest);
    const asConfig = shortProblems(serviceText(`volumes = ["${dir}:${guest}"]`));
    assert.deepEqual(asConfig, [`4:12 service[0].volumes[0]: ${fault}`], 'a config is refused in the same words');
  }
  for (const guest of ['data', '', './data', '/data/..', '/a/../b', '/a//b']) {
    await assert.rejects(find({ volumes: [volume(dir, guest)] }), /is not an absolute path/, guest);
  }
  for (const guest of ['/device', '/run/app', '/run/secrets2', '/data']) {
    assert.equal((await find({ volumes: [volume(dir, guest)] })).length, 1);
  }
});

test('a volume below another one is bound after it', () => {
  const volumes = [volume('/c', '/data/deep/er'), volume('/b', '/other', true), volume('/a', '/data')];
  assert.deepEqual(guestVolumes({ volumes }), [
    { name: '2', guest: '/data', readOnly: false },
    { name: '0', guest: '/data/deep/er', readOnly: false },
    { name: '1', guest: '/other', readOnly: true },
  ]);
});
