import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { openProcFiles, type ProcFiles, readStat } from '../../../src/lib/proc.ts';
import { makeCgroup, removeCgroup } from '../../../src/vm/host/limits/cgroup.ts';
import { findHostCgroups } from '../../../src/vm/host/limits/host-cgroups.ts';
import { Sampler } from '../../../workers/metrics/sampler.ts';
import { UsagePoller } from '../../../workers/metrics/usage.ts';
import { eventually } from '../../helpers/eventually.ts';
import { startFixture } from '../../helpers/processes/fixture.ts';
import { readCpuMs, readResidentBytes } from '../../helpers/processes/usage.ts';
import { defer, makeTempDir } from '../../helpers/temp.ts';

const MAX_AGE_MS = 60_000;
const TMPFS_MAGIC = 0x01021994; // statfs(2)

function makeSampler(open: typeof openProcFiles = openProcFiles, maxAgeMs = MAX_AGE_MS) {
  return new Sampler(open, new UsagePoller(maxAgeMs));
}

/** Files of which something is different. */
function openWith(change: () => Partial<ProcFiles>): typeof openProcFiles {
  return (pid) => ({ ...openProcFiles(pid)!, ...change() });
}

test('the first sample has no CPU usage and no disk deltas', async (t) => {
  const idle = startFixture(t, 'idle.js');
  await idle.readLine();
  const sampler = makeSampler();
  sampler.watch('web', idle.pid);
  const { web } = await sampler.sample();
  assert.equal(web?.cpu_usage, null);
  assert.equal(web?.disk_read_bytes, null);
  assert.equal(web?.disk_write_bytes, null);
  assert.equal(typeof web?.total_disk_read_bytes, 'number');
});

test('CPU usage is the time that the kernel counts, over the time between two samples', async (t) => {
  const busy = startFixture(t, 'busy.js');
  await busy.readLine();
  const sampler = makeSampler();
  sampler.watch('busy', busy.pid);
  const read = () => ({ cpuMs: readCpuMs(busy.pid), atMs: performance.now() });
  const [beforeFirst, , afterFirst] = [read(), await sampler.sample(), read()];
  await eventually('some CPU time', () => readCpuMs(busy.pid) - afterFirst.cpuMs >= 500);
  const [beforeSecond, samples, afterSecond] = [read(), await sampler.sample(), read()];
  const percent = samples.busy!.cpu_usage!;
  // Both clocks have steps of 10 ms.
  const least = (100 * (beforeSecond.cpuMs - afterFirst.cpuMs - 20)) / (afterSecond.atMs - beforeFirst.atMs + 20);
  const most = (100 * (afterSecond.cpuMs - beforeFirst.cpuMs + 20)) / (beforeSecond.atMs - afterFirst.atMs - 20);
  assert.ok(percent >= least && percent <= most, `${percent} % is not between ${least} and ${most}`);
});

test('a process that sleeps uses no CPU', async (t) => {
  const idle = startFixture(t, 'idle.js');
  await idle.readLine();
  const sampler = makeSampler();
  sampler.watch('idle', idle.pid);
  const isStill = async () => (await sampler.sample()).idle!.cpu_usage === 0;
  await eventually('a sample without CPU time', isStill);
});

test('memory is the resident set that the kernel reports', async (t) => {
  const idle = startFixture(t, 'idle.js');
  await idle.readLine();
  const sampler = makeSampler();
  sampler.watch('web', idle.pid);
  const { web } = await sampler.sample();
  const residentKib = readResidentBytes(idle.pid) / 1024;
  const ratio = web!.memory_usage! / (residentKib * 1024);
  assert.ok(ratio > 0.8 && ratio < 1.2, `${web!.memory_usage} bytes sampled, ${residentKib} KiB resident`);
});

test('what a process writes to the disk is counted once, in the sample after', async (t) => {
  const isMemory = (await statfs(tmpdir())).type === TMPFS_MAGIC;
  const dir = await makeTempDir(t, isMemory ? process.cwd() : tmpdir());
  const writer = startFixture(t, 'disk-writer.js', [join(dir, 'file')]);
  await writer.readLine();
  const sampler = makeSampler();
  sampler.watch('db', writer.pid);
  const before = (await sampler.sample()).db!;
  writer.writeLine('go');
  await writer.readLine();
  const after = (await sampler.sample()).db!;
  const idle = (await sampler.sample()).db!;
  assert.ok(after.disk_write_bytes! >= 4 * 2 ** 20, `${after.disk_write_bytes} bytes`);
  assert.ok(after.disk_write_bytes! < 6 * 2 ** 20, `${after.disk_write_bytes} bytes`);
  assert.equal(after.total_disk_write_bytes, before.total_disk_write_bytes! + after.disk_write_bytes!);
  assert.equal(idle.disk_write_bytes, 0);
});

test('a process that has ended is dropped, alone and among others', async (t) => {
  const [gone, staying] = [startFixture(t, 'idle.js'), startFixture(t, 'idle.js')];
  await Promise.all([gone.readLine(), staying.readLine()]);
  const sampler = makeSampler();
  sampler.watch('gone', gone.pid);
  sampler.watch('staying', staying.pid);
  await sampler.sample();
  await gone.kill();
  assert.deepEqual(Object.keys(await sampler.sample()), ['staying']);
  await staying.kill();
  assert.deepEqual(await sampler.sample(), {});
  assert.equal(sampler.size, 0);
});

test('a process that ends while the batch is being read is dropped', async (t) => {
  const [gone, staying] = [startFixture(t, 'idle.js'), startFixture(t, 'idle.js')];
  await Promise.all([gone.readLine(), staying.readLine()]);
  class LatePoller extends UsagePoller {
    override async poll(processes: Parameters<UsagePoller['poll']>[0]) {
      await gone.kill();
      return super.poll(processes);
    }
  }
  const sampler = new Sampler(openProcFiles, new LatePoller(MAX_AGE_MS));
  sampler.watch('gone', gone.pid);
  sampler.watch('staying', staying.pid);
  assert.deepEqual(Object.keys(await sampler.sample()), ['staying']);
});

test('a pid that another process has by now is not sampled', async (t) => {
  const idle = startFixture(t, 'idle.js');
  await idle.readLine();
  const sampler = makeSampler();
  sampler.watch('web', idle.pid);
  assert.deepEqual(Object.keys(await sampler.sample()), ['web']);
  await idle.kill();
  await takePid(t, idle.pid);
  assert.deepEqual(await sampler.sample(), {});
  sampler.watch('web', idle.pid);
  assert.deepEqual(Object.keys(await sampler.sample()), ['web']);
});

/** The kernel gives the free pid behind this one to the next process, see proc_sys_kernel(5). */
const LAST_PID = '/proc/sys/kernel/ns_last_pid';

/** Starts a process with that pid, which is free; no other one is given again. */
async function takePid(t: TestContext, pid: number): Promise<void> {
  await eventually('a process with the pid', async () => {
    const last = readFileSync(LAST_PID);
    writeFileSync(LAST_PID, String(pid - 1));
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    writeFileSync(LAST_PID, last);
    t.after(() => child.kill());
    return child.pid === pid;
  });
}

test('a zombie has ended', async (t) => {
  // A shell that becomes a program which does not wait for its child.
  const parent = spawn('/bin/sh', ['-c', 'sleep 0.2 & echo $!; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => parent.kill());
  const [line] = await once(parent.stdout, 'data');
  const pid = Number(line);
  await eventually('a zombie', () => readStat(pid)?.state === 'Z');
  assert.equal(openProcFiles(pid), null);
});

test('a pid that was used before has unknown usage until the file of the one before is closed', async (t) => {
  const idle = startFixture(t, 'idle.js');
  await idle.readLine();
  let startTicks = 1000;
  const sampler = makeSampler(
    openWith(() => ({ startTicks })),
    200,
  );
  sampler.watch('before', idle.pid);
  await sampler.sample();
  sampler.unwatch('before');
  startTicks = 2000;
  sampler.watch('after', idle.pid);
  assert.equal((await sampler.sample()).after?.memory_usage, null);
  await eventually('usage of the new process', async () => (await sampler.sample()).after?.memory_usage);
});

test('disk numbers of a process whose io file cannot be read are unknown', async (t) => {
  const idle = startFixture(t, 'idle.js');
  await idle.readLine();
  const sampler = makeSampler(openWith(() => ({ readDiskBytes: () => null })));
  sampler.watch('web', idle.pid);
  await sampler.sample();
  const { web } = await sampler.sample();
  assert.deepEqual(
    [web?.disk_read_bytes, web?.disk_write_bytes, web?.total_disk_read_bytes, web?.total_disk_write_bytes],
    [null, null, null, null],
  );
  assert.equal(typeof web?.memory_usage, 'number');
});

test('nothing is polled when nothing is watched', async (t) => {
  const idle = startFixture(t, 'idle.js');
  await idle.readLine();
  const sampler = makeSampler();
  assert.deepEqual(await sampler.sample(), {});
  sampler.watch('web', idle.pid);
  sampler.unwatch('web');
  sampler.unwatch('unknown');
  assert.deepEqual(await sampler.sample(), {});
});

/** Holds 50 MB in a process that is no child of the shell's, and waits. */
const HOLD = '(head -c 60000000 /dev/zero; exec sleep 1000) | tail -c 50000000 >/dev/null & ';

test('the processes that a process starts count with it: their memory, and their CPU time once', async (t) => {
  const script = `${HOLD} sh -c 'while :; do :; done' & wait`;
  const child = spawn('sh', ['-c', script], { stdio: 'ignore', detached: true });
  t.after(() => process.kill(-child.pid!, 'SIGKILL'));
  const sampler = makeSampler();
  sampler.watch('web', child.pid!);
  const sample = async () => (await sampler.sample()).web!;
  await eventually('the memory', async () => (await sample()).memory_usage! > 45e6);
  await eventually('the CPU time', async () => {
    const { cpu_usage } = await sample();
    assert.ok(cpu_usage === null || cpu_usage < 350, `${cpu_usage} % of three busy processes`);
    return cpu_usage !== null && cpu_usage > 5;
  });
});

test('the processes of a cgroup count, in whatever session they are', async (t) => {
  const { memory } = findHostCgroups();
  if (memory.type === 'unusable') {
    // Then those count that the main process has started, as above.
    assert.match(memory.reason, /cgroup|controller|the daemon/);
    return;
  }
  const dir = join(memory.dir, `monocore-00000000-${process.pid}`);
  await makeCgroup(dir);
  defer(t, () => removeCgroup(dir));
  const script = `echo $$ >"$1/cgroup.procs"; (setsid sh -c '${HOLD} wait' &); exec sleep 1000`;
  const child = spawn('sh', ['-c', script, 'sh', dir], { stdio: 'ignore' });
  defer(t, () => child.kill('SIGKILL'));
  await eventually('the process to join', () => readFileSync(join(dir, 'cgroup.procs'), 'utf8') !== '');
  const sampler = makeSampler();
  sampler.watch('web', child.pid!);
  await eventually('the memory', async () => (await sampler.sample()).web!.memory_usage! > 45e6);
});
