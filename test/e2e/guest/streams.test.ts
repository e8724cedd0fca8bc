/** Streams of real guests: they arrive byte for byte, and a reader that stalls holds up nobody else. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { exitOfShellStatus, readExitRecord } from '../../../src/vm/host/exit-record.ts';
import type { QemuVm } from '../../../src/vm/qemu/qemu-backend.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { launchGuest } from '../../helpers/vm/guest.ts';

const MARKER = 'c0ffee'.repeat(5);

describe('the streams of a guest', () => {
  it('carry all byte values and 16 MB without a change, the tail at power-off included, and keep apart', async (t) => {
    // The digest goes to stderr: equal digests at both ends say that stdout came through whole.
    const script = `
      head -c 16777216 /dev/urandom >/tmp/data
      cat /tmp/data
      sha256sum </tmp/data >&2
      exit 7`;
    const guest = await launchGuest(t, scriptService('bytes', script, { ram_mib: 256 }));
    const stdout = guest.read('stdout');
    const stderr = guest.read('stderr');
    assert.deepEqual((await guest.event('job-exited')).exit, exitOfShellStatus(7));
    guest.vm.drain(MARKER);
    await eventually('both markers', () => stdout.endsWith(MARKER) && stderr.endsWith(MARKER));
    guest.vm.release();
    await guest.event('process-ended');

    const bytes = await stdout.ended;
    assert.equal(bytes.subarray(-MARKER.length).toString(), MARKER);
    const data = bytes.subarray(0, -MARKER.length);
    assert.equal(data.length, 16_777_216);
    assert.equal(new Set(data).size, 256);
    const digest = createHash('sha256').update(data).digest('hex');
    assert.equal((await stderr.ended).toString(), `${digest}  -\n${MARKER}`);
    assert.equal((await guest.read('console').ended).includes(digest), false);
  });

  it('hold up only the process that writes when nobody reads, and lose nothing', async (t) => {
    // 16 MB on stdout while nobody reads it: the guest's queue to the host holds up to 128 buffers of 32 KiB.
    const script = `
      head -c 16777216 /dev/zero &
      writer=$!
      i=0
      while [ $i -lt 20 ]; do i=$((i + 1)); echo "stderr line $i" >&2; sleep 0.1; done
      if kill -0 $writer; then echo "the writer waits" >&2; fi
      wait`;
    const guest = await launchGuest(t, scriptService('stalled', script));
    const stderr = guest.read('stderr');
    await guest.event('job-started');
    await eventually('the report on stderr', () => stderr.endsWith('stderr line 20\nthe writer waits\n'));
    assert.deepEqual(await (guest.vm as QemuVm).monitor.qmp.execute('query-status'), {
      running: true,
      singlestep: false,
      status: 'running',
    });
    assert.equal(readExitRecord(guest.paths.vm('stalled').exitRecord).exit, null);

    const stdout = guest.read('stdout');
    assert.equal((await guest.event('job-exited')).exit.code, 0);
    guest.vm.release();
    await guest.event('process-ended');
    assert.equal((await stdout.ended).length, 16_777_216);
  });

  it('leave the exit code in a file that the VM wrote, for a host that was not listening', async (t) => {
    const guest = await launchGuest(t, scriptService('record', 'exit 42'));
    await guest.event('job-exited');
    const { exit } = readExitRecord(guest.paths.vm('record').exitRecord);
    assert.deepEqual(exit, { code: 42, signal: null });
  });
});

it('delivers any signal to the command of a guest, which ignores none by itself', { timeout: 60_000 }, async (t) => {
  const script = `
    trap 'echo interrupted' INT
    grep SigIgn /proc/self/status
    ls /proc/self/fd
    echo ready
    while :; do sleep 0.1; done`;
  const { vm, event, read } = await launchGuest(t, scriptService('signalled', script));
  const stdout = read('stdout');
  const console = read('console');
  await eventually('the command', () => stdout.endsWith('ready\n'));
  vm.signalJob('SIGINT');
  await eventually('its answer', () => stdout.endsWith('interrupted\n'));
  vm.signalJob('SIGTERM');
  assert.deepEqual((await event('job-exited')).exit, { code: 143, signal: 'SIGTERM' });
  vm.release();
  await event('process-ended');
  assert.equal((await stdout.ended).toString(), 'SigIgn:\t0000000000000000\n0\n1\n2\n3\nready\ninterrupted\n');
  assert.doesNotMatch((await console.ended).toString(), /terminated/i, 'the shell says nothing of it');
});
