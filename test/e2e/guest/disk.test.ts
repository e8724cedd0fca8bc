/** Persistence of a guest's disk across starts, however the guest ended. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { it } from 'node:test';
import { findProgram } from '../../../src/vm/host/host-tools.ts';
import type { QemuVm } from '../../../src/vm/qemu/qemu-backend.ts';
import { makeRoot } from '../../helpers/disks/guest-root.ts';
import { mountSmallDisk } from '../../helpers/disks/small-disk.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { type Guest, makeGuestHost } from '../../helpers/vm/guest.ts';

/** Returns QEMU's error when it opens the image a second time for writing. */
function openTwice(image: string): string {
  return spawnSync(findProgram('qemu-img')!, ['resize', '-f', 'raw', image, '16M'], { encoding: 'utf8' }).stderr;
}

/** Returns true if the journal must be replayed before the file system is consistent. */
function needsRecovery(image: string): boolean {
  return execFileSync('dumpe2fs', ['-h', image], { encoding: 'utf8', stdio: 'pipe' }).includes('needs_recovery');
}

it('a disk keeps what was written before a stop, and what was synced before the VM was killed', async (t) => {
  // Each run prints what the runs before have left, and adds to it.
  const script = `
    cat /runs /var/lib/data/* /tmp/gone 2>/dev/null
    echo run >>/runs
    mkdir -p /var/lib/data
    head -c 300000 /dev/urandom >/var/lib/data/$(wc -l </runs)
    echo here >/tmp/gone
    sha256sum /var/lib/data/* >&2
    sync
    echo synced >&2
    exec sleep 1000`;
  const host = await makeGuestHost(t);
  const rootfs = await makeTempDir(t);
  makeRoot(rootfs, ['cat', 'head', 'mkdir', 'sh', 'sha256sum', 'sleep', 'sync', 'wc']);
  const service = scriptService('keeper', script, { disk_mib: 16, rootfs });
  const image = host.paths.disk('keeper');

  /** Runs until everything is written; returns what it printed once it has ended. */
  const runUntil = async (end: (guest: Guest) => Promise<void>) => {
    const guest = await host.launch(service);
    const stdout = guest.read('stdout');
    const stderr = guest.read('stderr');
    guest.read('console');
    await guest.event('job-started');
    await eventually('the data to be synced', () => stderr.endsWith('synced\n'));
    await end(guest);
    await guest.event('process-ended');
    const digests = (await stderr.ended).toString().split('\n').slice(0, -2);
    return { printed: await stdout.ended, digests };
  };
  const stop = async (guest: Guest) => {
    guest.vm.signalJob('SIGTERM');
    assert.equal((await guest.event('job-exited')).exit.signal, 'SIGTERM');
    guest.vm.release();
  };

  const first = await runUntil(async (guest) => {
    assert.match(openTwice(image), /Failed to get "write" lock/);
    await stop(guest);
  });
  assert.equal(first.printed.length, 0);
  assert.ok(statSync(image).blocks * 512 < 8 * 2 ** 20, 'the image is sparse');
  assert.equal(openTwice(image), '', 'the lock is gone with the VM');
  assert.equal(needsRecovery(image), false);

  const second = await runUntil(async (guest) => guest.vm.kill('SIGKILL'));
  assert.equal(needsRecovery(image), true);
  assert.equal(second.printed.subarray(0, 4).toString(), 'run\n');
  assert.equal(second.printed.length, 300_004);
  assert.deepEqual(second.digests.slice(0, 1), first.digests);

  const third = await runUntil(stop);
  assert.equal(third.printed.subarray(0, 8).toString(), 'run\nrun\n');
  assert.equal(third.printed.length, 600_008);
  assert.deepEqual(third.digests.slice(0, 2), second.digests);

  assert.deepEqual(readdirSync(rootfs), ['bin'], 'the shared root is not written to');
  await host.backend.removeData('keeper');
  assert.equal(existsSync(image), false);
});

it('a guest waits while the host’s disk is full, and what it removes is room for the host again', async (t) => {
  const script = `
    trap 'go=1' USR1
    await_leave() {
      go=
      echo "$1"
      until [ "$go" ]; do sleep 0.1; done
    }
    head -c 6000000 /dev/urandom >/first && sync && await_leave first
    rm /first && sync && await_leave removed
    head -c 12000000 /dev/urandom >/second && sync && echo second`;
  const host = await makeGuestHost(t);
  const small = await mountSmallDisk(t, 'size=10m');
  const image = host.paths.disk('patient');
  const sizeOnHost = () => statSync(image).blocks * 512;
  symlinkSync(small, dirname(image));
  const guest = await host.launch(scriptService('patient', script, { disk_mib: 64 }));
  const stdout = guest.read('stdout');
  // On a loaded host a boot takes most of a minute, and random bytes the same.
  await guest.event('job-started');
  await eventually('the first file', () => stdout.endsWith('first\n'));
  assert.ok(sizeOnHost() > 6_000_000);
  guest.vm.signalJob('SIGUSR1');
  await eventually('its end', () => stdout.endsWith('removed\n'));
  await eventually('the image to shrink', () => sizeOnHost() < 2_000_000);

  guest.vm.signalJob('SIGUSR1');
  const {
    monitor: { qmp },
  } = guest.vm as QemuVm;
  const isPaused = async () => ((await qmp.execute('query-status')) as { status: string }).status === 'io-error';
  await eventually('the machine to wait', isPaused);
  execFileSync('mount', ['-o', 'remount,size=64m', small]);
  assert.equal((await guest.event('job-exited')).exit.code, 0);
  await eventually('the second file', () => stdout.endsWith('second\n'));
});
