/** Boots of guests on a home or a host that is not as it should be. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import type { QemuVm } from '../../../src/vm/qemu/qemu-backend.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { launchGuest, makeGuestHost } from '../../helpers/vm/guest.ts';

it('boots although the cached file that guests boot from was truncated, or removed, since the last start', async (t) => {
  const host = await makeGuestHost(t);
  const start = async (name: string) => (await host.launch(scriptService(name, 'exit 0'))).event('job-exited');
  await start('first');
  const [file] = readdirSync(host.paths.initramfsDir);
  const path = join(host.paths.initramfsDir, file!);
  truncateSync(path, 1000);
  await start('second');
  rmSync(path);
  await start('third');
});

it('has a clock that runs at the speed of the host’s', async (t) => {
  const guest = await launchGuest(t, scriptService('clock', 'cat /proc/uptime; sleep 4; cat /proc/uptime'));
  const stdout = guest.read('stdout');
  await eventually('the first time', () => stdout.endsWith('\n'));
  const beganMs = performance.now();
  await guest.event('job-exited');
  const hostS = (performance.now() - beganMs) / 1000;
  guest.vm.release();
  const [first = 0, last = 0] = (await stdout.ended).toString().split('\n').map(Number.parseFloat);
  const guestS = last - first;
  assert.ok(guestS / hostS > 0.85 && guestS / hostS < 1.15, `${guestS} s in the guest, ${hostS} s on the host`);
});

it('tells where its processors are, for the report about a boot that hangs', async (t) => {
  const guest = await launchGuest(t, scriptService('busy', 'while :; do :; done'));
  await guest.event('job-started');
  const found = await (guest.vm as QemuVm).examine();
  assert.match(found, /^its processors are at [0-9a-f]{8,16}(; [0-9a-f]{8,16}){4}$/);
});
