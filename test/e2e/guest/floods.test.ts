/** A guest whose root misuses the ports of its VM. */
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { isRunning } from '../../../src/lib/proc.ts';
import { MIB } from '../../../src/lib/units.ts';
import { makePerlRoot } from '../../helpers/disks/perl-root.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { FLOOD_PROGRAM, makeEventFlood } from '../../helpers/vm/flood.ts';
import { makeGuestHost } from '../../helpers/vm/guest.ts';

/** Descriptors of the guest's init. */
const CONTROL = '5';
const EXIT_RECORD = '6';

async function launchFlood(t: TestContext, fd: string, text: string) {
  const root = await makeTempDir(t);
  makePerlRoot(root);
  const host = await makeGuestHost(t);
  const flood = scriptService('flood', '', { rootfs: root, command: 'perl', args: ['-e', FLOOD_PROGRAM, fd, text] });
  return host.launch(flood);
}

for (const text of ['ready', 'x', `failed ${'y'.repeat(5000)}`]) {
  it(`ends when it writes ${text.slice(0, 8)} to its control port without end, and reads no answer`, async (t) => {
    const guest = await launchFlood(t, CONTROL, text);
    const { reason, offence } = await guest.event('process-ended');
    assert.deepEqual([reason, offence], ['guest-flood', 'flooded its control port']);
    assert.equal(isRunning(guest.vm.identity), false);
  });
}

it('ends when it fills its exit record, which stays small', async (t) => {
  const guest = await launchFlood(t, EXIT_RECORD, 'x');
  const ended = await guest.event('process-ended');
  assert.deepEqual([ended.reason, ended.offence], ['guest-flood', 'flooded its exit port']);
  const { size, blocks } = statSync(guest.paths.vm('flood').exitRecord);
  assert.deepEqual([size % MIB, blocks * 512 < MIB], [4096, true]);
});

const skip = process.arch === 'x64' ? false : 'only the machine of x86-64 has this panic device';

it('ends when it causes events of its QEMU without end', { skip }, async (t) => {
  const root = await makeTempDir(t);
  writeFileSync(join(root, 'flood'), makeEventFlood(), { mode: 0o755 });
  const host = await makeGuestHost(t);
  const guest = await host.launch(scriptService('flood', '', { rootfs: root, command: '/flood', args: [] }));
  const { reason, offence } = await guest.event('process-ended');
  assert.deepEqual([reason, offence], ['guest-flood', 'flooded the monitor of its VM']);
});
