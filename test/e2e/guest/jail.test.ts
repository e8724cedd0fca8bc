/** Jail of the QEMU of a running VM, read from /proc. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { makeGuestHost } from '../../helpers/vm/guest.ts';
import { NO_CAPABILITIES, readHolding } from '../../helpers/vm/jail-table.ts';

it('each VM has a QEMU with a user of its own, and none holds more of the host than its jail gives it', async (t) => {
  const host = await makeGuestHost(t);
  const services = ['one', 'two'].map((name) => scriptService(name, 'sleep 1000', { disk_mib: 16, open_files: 300 }));
  const guests = await Promise.all(services.map((service) => host.launch(service)));
  const users = new Set<number>();
  for (const [index, guest] of guests.entries()) {
    const { pid } = await guest.event('job-started');
    const jail = guest.vm.identity.pid;
    assert.match(readFileSync(`/proc/${pid}/comm`, 'utf8'), /^qemu-system/);
    const { name } = services[index]!;
    const { dir, exitRecord } = host.paths.vm(name);
    const holding = readHolding(pid);
    const own = 0x4d000000 + jail;
    users.add(own);
    assert.deepEqual([holding.uids, holding.gids, holding.groups], [Array(4).fill(own), Array(4).fill(own), [own]]);
    assert.deepEqual([holding.capabilities, holding.noNewPrivs, holding.seccomp], [NO_CAPABILITIES, true, true]);
    assert.deepEqual(holding.privateNamespaces, ['mnt', 'pid', 'ipc', 'uts', 'net']);
    assert.equal(holding.environment, '');
    const { core, files, fileBytes } = holding.limits;
    assert.deepEqual([core, files], [0, 300]);
    assert.ok(fileBytes < 200 * 1024 * 1024, String(fileBytes));
    const writable = holding.mounts.filter(({ options }) => !options.includes('ro')).map(({ path }) => path);
    assert.deepEqual(writable, []);
    const allowed = /^\/($|dev\/|usr\/|lib\/|lib64\/)/;
    const strange = holding.mounts.map(({ path }) => path).filter((path) => !allowed.test(path));
    assert.deepEqual(
      strange.filter((path) => !/vmlinuz|initramfs/.test(path)),
      [],
    );
    const given = [host.paths.disk(name), exitRecord, '/dev/null'];
    const foreign = holding.files.filter((path) => !given.includes(path) && !path.startsWith(`${dir}/`));
    assert.deepEqual(foreign, []);
  }
  assert.equal(users.size, 2);
  assert.deepEqual(guests[0]!.notes, []);
});

it('a kernel that only its owner can read boots in a jail', async (t) => {
  const host = await makeGuestHost(t);
  const dir = await makeTempDir(t);
  const [name] = readdirSync(join(host.paths.kernelDir, 'boot')).filter((file) => file.startsWith('vmlinuz-'));
  const kernel = join(dir, 'boot', name!);
  mkdirSync(join(dir, 'boot'), { mode: 0o700 });
  copyFileSync(join(host.paths.kernelDir, 'boot', name!), kernel);
  symlinkSync(join(host.paths.kernelDir, 'lib'), join(dir, 'lib'));
  chmodSync(kernel, 0o600);
  const guest = await host.launch(scriptService('one', 'sleep 1000'), null, kernel);
  const { pid } = await guest.event('job-started');
  assert.deepEqual(guest.notes, []);
  const { size } = statSync(host.paths.vm('one').exitRecord);
  assert.ok(size <= 4096, `it writes no other file, so its exit record of ${size} bytes needs no hole`);
  assert.equal(readHolding(pid).uids[0], 0x4d000000 + guest.vm.identity.pid);
  assert.equal(statSync(host.paths.cacheDir).mode & 0o777, 0o700, 'nobody else can read the copy');
});
