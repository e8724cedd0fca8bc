/** VMs within limits, and as another user of the host. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Service } from '../../../src/protocol/service.ts';
import { findStaticBusybox } from '../../../src/vm/host/host-tools.ts';
import { findHostCgroups } from '../../../src/vm/host/limits/host-cgroups.ts';
import { eventually } from '../../helpers/eventually.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { findProcesses } from '../../helpers/processes/command-lines.ts';
import { openTestRuntime, type TestRuntime } from '../../helpers/runtime.ts';
import { makeTempDir } from '../../helpers/temp.ts';

const NOBODY = Number(execFileSync('id', ['-u', 'nobody'], { encoding: 'utf8' }));

/** Real, effective, saved and file system user of a process. */
function usersOf(pid: number): number[] {
  return /^Uid:\s+(.*)$/m
    .exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]!
    .split('\t')
    .map(Number);
}

describe('limits of a VM', () => {
  let host: TestRuntime;
  before(async () => {
    host = await openTestRuntime();
  });
  after(() => host.close());

  const startOne = async (service: Service) => (await host.orchestrator.start(configOf([service]))).services[0]!;
  const stopOne = async (name: string) =>
    (await host.orchestrator.stop({ names: [name], group: null })).services[0]!.service;
  const printed = (name: string, line: string) =>
    eventually(`${name} to print`, () => host.lines(name, 'stdout').includes(line));
  const cgroupsOf = (name: string): string[] =>
    JSON.parse(readFileSync(host.runtime.paths.vm(name).limits, 'utf8')).cgroups;

  it('hold for QEMU while it runs, as far as the host offers them, and leave nothing behind', async () => {
    const limits = { open_files: 200, cpu_shares: 512 };
    const { error, service } = await startOne(scriptService('limited', 'echo up; sleep 1000', limits));
    assert.equal(error, null);
    assert.match(readFileSync(`/proc/${service.pid}/limits`, 'utf8'), /^Max open files +200 +200 /m);
    const cgroups = cgroupsOf('limited');
    const usable = Object.values(findHostCgroups()).filter(({ type }) => type === 'usable');
    assert.equal(cgroups.length === 0, usable.length === 0);
    for (const dir of cgroups) {
      assert.ok(readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').includes(String(service.pid)));
    }
    await stopOne('limited');
    assert.deepEqual(cgroups.filter(existsSync), []);
  });

  it('include the user: QEMU runs as it, owns nothing of the home, and stops in order', async () => {
    const script = 'trap "echo bye; exit 4" TERM; echo up; while :; do sleep 1; done';
    const { error, service } = await startOne(scriptService('other-user', script, { host_user: 'nobody' }));
    assert.equal(error, null);
    assert.deepEqual(usersOf(service.pid!), [NOBODY, NOBODY, NOBODY, NOBODY]);
    const entries = readdirSync(host.home, { recursive: true, encoding: 'utf8' });
    const owned = entries.filter((name) => statSync(join(host.home, name), { throwIfNoEntry: false })?.uid === NOBODY);
    assert.deepEqual(owned, []);
    await printed('other-user', 'up');
    assert.equal((await stopOne('other-user')).exit_code, 4);
    assert.deepEqual(host.lines('other-user', 'stdout'), ['up', 'bye']);
  });

  it('let a user boot from a rootfs: the program that shares it stays root', async (t) => {
    const root = await makeTempDir(t);
    mkdirSync(join(root, 'bin'));
    cpSync(findStaticBusybox(), join(root, 'bin/busybox'));
    symlinkSync('busybox', join(root, 'bin/sh'));
    chmodSync(root, 0o700);
    const script = 'echo from the rootfs; while :; do busybox sleep 1; done';
    const { error, service } = await startOne(
      scriptService('shared', script, { host_user: 'nobody', rootfs: root, command: 'sh' }),
    );
    assert.equal(error, null);
    assert.equal(usersOf(service.pid!)[1], NOBODY);
    const sharing = findProcesses(`--socket-path=${join(host.home, 'run/shared')}`).map(({ pid }) => usersOf(pid)[1]);
    assert.ok(sharing.length > 0 && sharing.every((uid) => uid === 0), `virtiofsd runs as ${sharing}`);
    await printed('shared', 'from the rootfs');
    await stopOne('shared');
  });

  it('fail the start where there is no such user', async () => {
    const { outcome, error } = await startOne(scriptService('nobody-at-all', 'true', { host_user: 'no-such-user' }));
    assert.deepEqual([outcome, error], ['failed', 'the user no-such-user does not exist on this host']);
  });
});
