/** A guest whose root misuses the ports of its VM. */
import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { isRunning } from '../../../src/lib/proc.ts';
import { MIB } from '../../../src/lib/units.ts';
import { renderMessage } from '../../../src/vm/guest/agent-frames.ts';
import { makePerlRoot } from '../../helpers/disks/perl-root.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { makeTempDir } from '../../helpers/temp.ts';
import { FLOOD_PROGRAM, makeEventFlood } from '../../helpers/vm/flood.ts';
import { makeGuestHost } from '../../helpers/vm/guest.ts';

/** Numbers of ports, see `renderCommandLine`. */
const CONTROL = '3';
const EXIT_RECORD = '4';

async function launchFlood(t: TestContext, port: string, bytes: Buffer) {
  const root = await makeTempDir(t);
  makePerlRoot(root);
  const host = await makeGuestHost(t);
  const args = ['-e', FLOOD_PROGRAM, port, bytes.toString('hex')];
  return host.launch(scriptService('flood', '', { rootfs: root, command: 'perl', args }));
}

const HUGE = renderMessage('output', 1, Buffer.alloc(100));
HUGE.writeUInt16LE(0xffff, 2);

for (const [what, bytes, offence] of [
  ['messages', renderMessage('ready'), 'flooded'],
  ['long reasons', renderMessage('failed', 0, Buffer.alloc(5000, 'y')), 'flooded'],
  ['output of sessions that there are not', renderMessage('output', 77, Buffer.alloc(5000, 'y')), 'flooded'],
  ['garbage', Buffer.from('x'), 'broke the protocol of'],
  ['frames of a huge length', HUGE, 'broke the protocol of'],
] as const) {
  it(`ends when it writes ${what} to its control port without end, and reads no answer`, async (t) => {
    const guest = await launchFlood(t, CONTROL, bytes);
    const ended = await guest.event('process-ended');
    assert.deepEqual([ended.reason, ended.offence], ['guest-flood', `${offence} its control port`]);
    assert.equal(isRunning(guest.vm.identity), false);
  });
}

it('ends when it fills its exit record, which stays small', async (t) => {
  const guest = await launchFlood(t, EXIT_RECORD, Buffer.from('x\n'));
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
