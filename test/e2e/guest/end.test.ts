/** Ends of a guest and of its command, which are told apart. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { StopSignalSchema } from '../../../src/protocol/service.ts';
import type { BackendEvent, VmProbe } from '../../../src/vm/backend.ts';
import { readExitRecord } from '../../../src/vm/host/exit-record.ts';
import type { QemuVm } from '../../../src/vm/qemu/qemu-backend.ts';
import { eventually } from '../../helpers/eventually.ts';
import { scriptService } from '../../helpers/fakes/services.ts';
import { launchGuest, makeGuestHost } from '../../helpers/vm/guest.ts';

/** Ends in the kernel's memory killer, whose victims are of the process's own control group, see cgroups(7). */
const EAT_MEMORY_OF_OWN_GROUP = `
  set -e
  mkdir /tmp/groups
  mount -t cgroup2 groups /tmp/groups
  echo +memory >/tmp/groups/cgroup.subtree_control
  mkdir /tmp/groups/hungry
  echo 4M >/tmp/groups/hungry/memory.max
  echo $$ >/tmp/groups/hungry/cgroup.procs
  exec tail /dev/zero`;

it('every stop signal reaches the command, and one that ended it is no lack of memory', async (t) => {
  const names = StopSignalSchema.options;
  const traps = names.map((name) => `trap 'echo ${name}' ${name.slice(3)}`).join('\n');
  const guest = await launchGuest(t, scriptService('signalled', `${traps}\necho ready\nwhile :; do sleep 0.05; done`));
  const stdout = guest.read('stdout');
  // On a loaded host a boot takes most of the time that a wait has.
  await guest.event('job-started');
  await eventually('the command', () => stdout.endsWith('ready\n'));
  for (const name of names) {
    guest.vm.signalJob(name);
    await eventually(name, () => stdout.endsWith(`${name}\n`));
  }
  // Without a disk or a shared root the service has the root of the guest itself.
  const probe: VmProbe = { type: 'exec', command: ['test', '-x', '/init'] };
  const never = new AbortController().signal;
  assert.equal((await guest.vm.probe(probe, 60_000, never)).detail, 'exit code 0');
  // This one runs out of memory, which is not why the command ends. The memory is that of a group of its own: where the
  // whole guest has none left, the kernel may kill the command, too.
  const hungry: VmProbe = { type: 'exec', command: ['sh', '-c', EAT_MEMORY_OF_OWN_GROUP] };
  assert.equal((await guest.vm.probe(hungry, 60_000, never)).detail, 'exit code 137');
  guest.vm.signalJob('SIGKILL');
  const exited = { type: 'job-exited', exit: { code: 137, signal: 'SIGKILL' }, oomKilled: false };
  assert.deepEqual(await guest.event('job-exited'), exited);
  guest.vm.release();
  assert.deepEqual(await guest.event('process-ended'), { type: 'process-ended', exit: { code: 0, signal: null } });
});

it('a command that the guest’s kernel kills for lack of memory is reported, and recorded, as such', async (t) => {
  const host = await makeGuestHost(t);
  const [guest, other] = await Promise.all([
    host.launch(scriptService('hungry', 'echo before; tail /dev/zero')),
    host.launch(scriptService('suicidal', `sh -c 'kill -KILL $$'; exit $?`)),
  ]);
  const stdout = guest.read('stdout');
  const exited = { type: 'job-exited', exit: { code: 137, signal: 'SIGKILL' }, oomKilled: true };
  assert.deepEqual(await guest.event('job-exited'), exited);
  assert.deepEqual(await other.event('job-exited'), { ...exited, oomKilled: false });
  assert.deepEqual(readExitRecord(guest.paths.vm('hungry').exitRecord), {
    commandPid: null,
    exit: { code: 137, signal: 'SIGKILL' },
    oomKilled: true,
  });
  // The guest itself has survived.
  guest.vm.drain('m4rk3r');
  await eventually('the marker', () => stdout.endsWith('m4rk3r'));
  guest.vm.release();
  await guest.event('process-ended');
  assert.equal((await stdout.ended).toString(), 'before\nm4rk3r');
});

it('a guest whose kernel panicked while nobody listened waits to be found', async (t) => {
  const host = await makeGuestHost(t);
  const script = `trap 'echo c >/proc/sysrq-trigger' USR1; echo ready; while :; do sleep 0.05; done`;
  const service = scriptService('panicked', script);
  const guest = await host.launch(service);
  const console = guest.read('console');
  const stdout = guest.read('stdout');
  await guest.event('job-started');
  await eventually('the command', () => stdout.endsWith('ready\n'));
  (guest.vm as QemuVm).monitor.qmp.close();
  guest.vm.signalJob('SIGUSR1');
  await eventually('the last line of the panic', () => console.endsWith(' </TASK>\r\n'));

  const { identity } = guest.vm;
  const adoption = await host.backend.adopt({ service, localOnly: true, groupIndex: null, identity, runJob: false });
  assert.equal(adoption.type, 'running');
  if (adoption.type !== 'running') return;
  const ended = new Promise<BackendEvent>((resolve) => {
    adoption.attach((event) => event.type === 'process-ended' && resolve(event));
  });
  assert.deepEqual(await ended, {
    type: 'process-ended',
    exit: { code: null, signal: null },
    reason: 'guest-panic',
  });
  assert.match((await console.ended).toString(), /Kernel panic - not syncing: sysrq triggered crash/);
});

it('a guest that resets its machine is told from a QEMU that was killed', async (t) => {
  const host = await makeGuestHost(t);
  const [reset, killed] = await Promise.all([
    host.launch(scriptService('reset', 'sleep 1; exec reboot -f')),
    host.launch(scriptService('killed', 'sleep 1000')),
  ]);
  await killed.event('job-started');
  process.kill(killed.vm.identity.pid, 'SIGKILL');
  assert.deepEqual(await killed.event('process-ended'), {
    type: 'process-ended',
    exit: { code: 137, signal: 'SIGKILL' },
    reason: 'vm-crash',
  });
  const ended = { type: 'process-ended', exit: { code: 0, signal: null }, reason: 'guest-reset' };
  assert.deepEqual(await reset.event('process-ended'), ended);
});
