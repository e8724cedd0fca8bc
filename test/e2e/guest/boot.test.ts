/** Boots of guests on a home or a host that is not as it should be. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
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
  const script = `trap 'cat /proc/uptime; n=$((n + 1)); echo "told $n"' USR1; echo ready; while :; do sleep 0.1; done`;
  const guest = await launchGuest(t, scriptService('clock', script));
  const stdout = guest.read('stdout');
  await eventually('the guest to listen', () => stdout.endsWith('ready\n'));
  /** Asks the guest for its time, and tells when it may have looked: a busy host takes a while on both ways. */
  const ask = async (count: number) => {
    const fromMs = performance.now();
    guest.vm.signalJob('SIGUSR1');
    await eventually(`answer ${count}`, () => stdout.endsWith(`told ${count}\n`));
    return { fromMs, toMs: performance.now() };
  };
  const first = await ask(1);
  await eventually('some seconds', () => performance.now() > first.toMs + 4000);
  const last = await ask(2);
  guest.vm.kill('SIGKILL');
  const [, start = 0, , end = 0] = (await stdout.ended).toString().split('\n').map(Number.parseFloat);
  const guestMs = 1000 * (end - start);
  const [leastMs, mostMs] = [last.fromMs - first.toMs, last.toMs - first.fromMs];
  const message = `${guestMs} ms in the guest, ${leastMs} to ${mostMs} ms on the host`;
  assert.ok(guestMs > 0.85 * leastMs && guestMs < 1.15 * mostMs, message);
});

it('has the time of the host, also when its machine has stood still', async (t) => {
  const script = `trap 'date +%s' USR1; echo ready; while :; do sleep 0.1; done`;
  const guest = await launchGuest(t, scriptService('clock', script));
  const vm = guest.vm as QemuVm;
  const stdout = guest.read('stdout');
  await eventually('the command', () => stdout.endsWith('ready\n'));
  await vm.monitor.qmp.execute('stop');
  await delay(8000);
  await vm.monitor.qmp.execute('cont');
  vm.setClock();
  vm.signalJob('SIGUSR1');
  await eventually('the time', () => !stdout.endsWith('ready\n'));
  const hostS = Date.now() / 1000;
  vm.kill('SIGKILL');
  const guestS = Number((await stdout.ended).toString().split('\n').at(-2));
  assert.ok(Math.abs(guestS - hostS) < 5, `${guestS} s in the guest, ${hostS} s on the host`);
});

it('tells where its processors are, for the report about a boot that hangs', async (t) => {
  const guest = await launchGuest(t, scriptService('busy', 'while :; do :; done'));
  await guest.event('job-started');
  const found = await (guest.vm as QemuVm).examine();
  assert.match(found, /^its processors are at [0-9a-f]{8,16}(; [0-9a-f]{8,16}){4}$/);
});
