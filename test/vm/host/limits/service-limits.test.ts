import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { identify, isRunning } from '../../../../src/lib/proc.ts';
import { HomePaths } from '../../../../src/state/paths.ts';
import { makeHome } from '../../../../src/state/store.ts';
import type { CgroupLimits } from '../../../../src/vm/host/limits/cgroup-settings.ts';
import { findHostCgroups, type HostCgroups } from '../../../../src/vm/host/limits/host-cgroups.ts';
import type { Command } from '../../../../src/vm/host/limits/launcher.ts';
import { type LimitsHost, ServiceLimits } from '../../../../src/vm/host/limits/service-limits.ts';
import { eventually } from '../../../helpers/eventually.ts';
import { scriptService } from '../../../helpers/fakes/services.ts';
import { defer, makeTempDir } from '../../../helpers/temp.ts';
import { makeFakeHost, v2Files } from '../../../helpers/vm/host-folders.ts';

const WANTED: CgroupLimits = { memoryBytes: 64 * 2 ** 20, cpus: 1, cpuShares: 512 };
const UNUSABLE: HostCgroups = {
  cpu: { type: 'unusable', reason: 'no cpu here' },
  memory: { type: 'unusable', reason: 'no memory here' },
};

/** True on a host that lets a daemon make cgroups: tests of real ones expect notes in their place where it does not. */
const hostOffers = Object.values(findHostCgroups()).every(({ type }) => type === 'usable');

const service = scriptService('web', '');
const sh = (script: string): Command => ({ program: '/bin/sh', args: ['-c', script] });

/** A host without systemd. */
function ownCgroups(findCgroups: () => HostCgroups = findHostCgroups): LimitsHost {
  return { findManager: () => null, findCgroups };
}

/** A home with the runtime folder of `web`. */
async function makeRuntimeHome(t: TestContext): Promise<HomePaths> {
  const paths = new HomePaths(await makeTempDir(t));
  await makeHome(paths);
  mkdirSync(paths.vm('web').dir);
  return paths;
}

function cgroupsOf(paths: HomePaths): string[] {
  return JSON.parse(readFileSync(paths.vm('web').limits, 'utf8')).cgroups;
}

/** Starts a command and waits for its first line; it is killed when the test has ended. */
async function start(t: TestContext, { program, args }: Command): Promise<{ child: ChildProcess; line: string }> {
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  defer(t, () => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  return { child, line: line.toString().trim() };
}

test('under v2 the daemon moves, enables the controllers and makes one cgroup for each service', async (t) => {
  const host = await makeFakeHost(t, ['0::/a'], { '': ['/', 'cgroup2', 'rw'] });
  host.write(v2Files('a'));
  const paths = await makeRuntimeHome(t);
  const { notes } = await new ServiceLimits(
    paths,
    ownCgroups(() => findHostCgroups(host.proc)),
  ).apply(service, WANTED);
  assert.deepEqual(notes, []);
  const base = join(host.mounts, 'a');
  assert.equal(readFileSync(join(base, 'monocore-daemon/cgroup.procs'), 'utf8'), String(process.pid));
  // A plain file has what was written last; the kernel adds one to the other.
  assert.equal(readFileSync(join(base, 'cgroup.subtree_control'), 'utf8'), '+memory');
  const [dir, ...others] = cgroupsOf(paths);
  assert.deepEqual(others, []);
  assert.match(basename(dir!), /^monocore-[0-9a-f]{8}-web$/);
  const written = Object.fromEntries(readdirSync(dir!).map((name) => [name, readFileSync(join(dir!, name), 'utf8')]));
  assert.deepEqual(written, { 'cpu.weight': '50', 'cpu.max': '100000 100000', 'memory.max': String(64 * 2 ** 20) });
});

test('services of two homes have cgroups of their own', async (t) => {
  const host = await makeFakeHost(t, ['0::/a'], { '': ['/', 'cgroup2', 'rw'] });
  host.write(v2Files('a', { enabled: 'cpu memory' }));
  for (let home = 0; home < 2; home += 1) {
    const limits = new ServiceLimits(
      await makeRuntimeHome(t),
      ownCgroups(() => findHostCgroups(host.proc)),
    );
    await limits.apply(service, WANTED);
  }
  assert.equal(readdirSync(join(host.mounts, 'a')).filter((name) => name.endsWith('-web')).length, 2);
});

test('what the host does not offer is said with its reason, once for each controller', async (t) => {
  const limits = new ServiceLimits(
    await makeRuntimeHome(t),
    ownCgroups(() => UNUSABLE),
  );
  const notesFor = async (wanted: CgroupLimits) => (await limits.apply(service, wanted)).notes;
  assert.deepEqual(await notesFor(WANTED), [
    'cpu_shares and cpus have no effect: no cpu here',
    'the memory of its process is not limited: no memory here',
  ]);
  assert.deepEqual(await notesFor({ memoryBytes: null, cpus: 1, cpuShares: null }), [
    'cpus does not limit its process: no cpu here',
  ]);
  assert.deepEqual(await notesFor({ memoryBytes: null, cpus: null, cpuShares: 2 }), [
    'cpu_shares has no effect: no cpu here',
  ]);
  assert.deepEqual(await notesFor({ memoryBytes: null, cpus: null, cpuShares: null }), []);
});

test('a controller that cannot be enabled is one that the host does not offer', async (t) => {
  const cpu = { type: 'usable', version: 2, dir: '/no/such/cgroup', evacuate: [] } as const;
  const limits = new ServiceLimits(
    await makeRuntimeHome(t),
    ownCgroups(() => ({ ...UNUSABLE, cpu })),
  );
  const { notes } = await limits.apply(service, { ...WANTED, memoryBytes: null });
  assert.equal(notes.length, 1);
  assert.match(
    notes[0]!,
    /^cpu_shares and cpus .*: the controller cpu cannot be enabled in \/no\/such\/cgroup: .* \(ENOENT\)/,
  );
});

test('a cgroup that cannot be made is said, and not joined', async (t) => {
  const host = await makeFakeHost(t, ['0::/a'], { '': ['/', 'cgroup2', 'rw'] });
  host.write(v2Files('a', { enabled: 'cpu memory' }));
  const paths = await makeRuntimeHome(t);
  const limits = new ServiceLimits(
    paths,
    ownCgroups(() => findHostCgroups(host.proc)),
  );
  await limits.apply(service, WANTED);
  // Unlike a cgroup, a folder with files in it cannot be removed to be made anew.
  const { notes, launch } = await limits.apply(service, WANTED);
  assert.equal(notes.length, 1);
  assert.match(notes[0]!, /^its process is not limited: \/.*-web: .* \(EEXIST\)/);
  assert.deepEqual(cgroupsOf(paths), []);
  const command = sh('true');
  assert.equal(launch(command), command);
});

test('a setting that the kernel refuses is said, and the process runs with the others', async (t) => {
  const paths = await makeRuntimeHome(t);
  const limits = new ServiceLimits(paths, ownCgroups());
  defer(t, () => limits.release('web'));
  // A quota below a millisecond is none, see the kernel's documentation of CFS bandwidth control.
  const { notes } = await limits.apply(service, { ...WANTED, cpus: 0.001 });
  if (hostOffers) assert.match(notes.join('\n'), /^100( 100000)? cannot be written to .*\/cpu\.[a-z_]+: .* \(EINVAL\)/);
  assert.equal(cgroupsOf(paths).length > 0, hostOffers);
});

test('notes and the limit of open files outlive the daemon', async (t) => {
  const paths = await makeRuntimeHome(t);
  const { notes } = await new ServiceLimits(
    paths,
    ownCgroups(() => UNUSABLE),
  ).apply({ ...service, open_files: 99 }, WANTED);
  const recalled = await new ServiceLimits(
    paths,
    ownCgroups(() => UNUSABLE),
  ).recall('web');
  assert.deepEqual([recalled.notes.length, recalled.notes], [2, notes]);
  const { line } = await start(t, recalled.join(sh('ulimit -n; exec sleep 1000')));
  assert.equal(line, '99');
  assert.deepEqual((await new ServiceLimits(paths, ownCgroups()).recall('never-launched')).notes, []);
});

test('on this host a process is in its cgroups with the limits, or notes say why not', async (t) => {
  const paths = await makeRuntimeHome(t);
  const limits = new ServiceLimits(paths, ownCgroups());
  defer(t, () => limits.release('web'));
  const applied = await limits.apply(service, WANTED);
  const { child, line } = await start(t, applied.launch(sh('echo $$; exec sleep 1000')));
  assert.equal(line, String(child.pid));
  assert.equal(applied.notes.length === 0, hostOffers);
  const dirs = cgroupsOf(paths);
  assert.equal(dirs.length > 0, hostOffers);
  for (const dir of dirs) {
    assert.ok(readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').includes(line));
    const memory = ['memory.max', 'memory.limit_in_bytes'].map((name) => join(dir, name)).find(existsSync);
    if (memory) assert.equal(readFileSync(memory, 'utf8'), `${WANTED.memoryBytes}\n`);
  }
});

test('the next daemon removes the cgroups of a service that is gone, and what is left in them', async (t) => {
  const paths = await makeRuntimeHome(t);
  const applied = await new ServiceLimits(paths, ownCgroups()).apply(service, WANTED);
  // It leaves the session, so that no signal to the process group reaches it.
  const { line } = await start(t, applied.launch(sh('setsid sh -c "echo \\$\\$; exec sleep 1000" &')));
  const escaped = identify(Number(line))!;
  assert.equal(isRunning(escaped), true);
  defer(t, () => isRunning(escaped) && process.kill(escaped.pid, 'SIGKILL'));
  const dirs = cgroupsOf(paths);
  await new ServiceLimits(paths, ownCgroups()).release('web');
  assert.deepEqual(dirs.filter(existsSync), []);
  if (hostOffers) await eventually('the process to end', () => !isRunning(escaped));
  await new ServiceLimits(paths, ownCgroups()).release('web');
});

test('memory beyond the limit ends the process, where the host offers the limit', async (t) => {
  const limits = new ServiceLimits(await makeRuntimeHome(t), ownCgroups());
  defer(t, () => limits.release('web'));
  const applied = await limits.apply(service, { memoryBytes: 16 * 2 ** 20, cpus: null, cpuShares: null });
  const { program, args } = applied.launch(sh('head -c 100000000 /dev/zero | tail -n 1 >/dev/null'));
  const child = spawn(program, args, { stdio: 'ignore' });
  await once(child, 'exit');
  assert.equal(child.exitCode === 137 || child.signalCode === 'SIGKILL', hostOffers);
});
