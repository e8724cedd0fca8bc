import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { type CgroupPlace, findHostCgroups } from '../../../../src/vm/host/limits/host-cgroups.ts';
import { defer } from '../../../helpers/temp.ts';
import { makeFakeHost, v2Files } from '../../../helpers/vm/host-folders.ts';

const V2: Record<string, readonly [string, string, string]> = { '': ['/', 'cgroup2', 'rw'] };

function reasonOf(place: CgroupPlace): string {
  assert.equal(place.type, 'unusable');
  return place.type === 'unusable' ? place.reason : '';
}

test('under v1 each controller has a hierarchy of its own, and the daemon its place in it', async (t) => {
  const host = await makeFakeHost(t, ['9:name=systemd:/', '4:memory:/box/a:b', '1:cpu,cpuacct:/', '0::/'], {
    'cpu,cpuacct': ['/', 'cgroup', 'rw,cpu,cpuacct'],
    'of another container': ['/other', 'cgroup', 'rw,memory'],
    memory: ['/box', 'cgroup', 'rw,memory'],
    unified: ['/', 'cgroup2', 'rw'],
  });
  mkdirSync(join(host.mounts, 'cpu,cpuacct'), { recursive: true });
  mkdirSync(join(host.mounts, 'memory/a:b'), { recursive: true });
  assert.deepEqual(findHostCgroups(host.proc), {
    cpu: { type: 'usable', version: 1, dir: join(host.mounts, 'cpu,cpuacct'), evacuate: null },
    memory: { type: 'usable', version: 1, dir: join(host.mounts, 'memory/a:b'), evacuate: null },
  });
});

test('a hierarchy that is not mounted, or does not show the daemon, is unusable', async (t) => {
  const host = await makeFakeHost(t, ['4:memory:/elsewhere', '1:cpu:/'], { memory: ['/box', 'cgroup', 'rw,memory'] });
  const { cpu, memory } = findHostCgroups(host.proc);
  assert.equal(reasonOf(cpu), 'the cgroup hierarchy of the controller cpu is not mounted');
  assert.equal(reasonOf(memory), 'the cgroup hierarchy of the controller memory is not mounted');
});

test('under v2 a daemon moves out of a delegated cgroup with its own children', async (t) => {
  const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
  defer(t, () => child.kill('SIGKILL'));
  const host = await makeFakeHost(t, ['0::/daemons/monocore'], V2);
  const members = [process.pid, child.pid!];
  host.write({ ...v2Files('daemons/monocore', { members }), 'daemons/monocore/cgroup.type': 'domain\n' });
  const dir = join(host.mounts, 'daemons/monocore');
  const place: CgroupPlace = { type: 'usable', version: 2, dir, evacuate: members };
  assert.deepEqual(findHostCgroups(host.proc), { cpu: place, memory: place });
});

test('under v2 the cgroup of a unit of systemd keeps its processes: it could not be started again', async (t) => {
  const host = await makeFakeHost(t, ['0::/system.slice/monocore.service'], V2);
  host.write(v2Files('system.slice/monocore.service'));
  assert.match(reasonOf(findHostCgroups(host.proc).cpu), /DelegateSubgroup=monocore-daemon/);
});

test('under v2 a daemon that has moved finds its place above it, with all controllers enabled', async (t) => {
  const host = await makeFakeHost(t, ['0::/a.service/monocore-daemon'], V2);
  host.write(v2Files('a.service', { enabled: 'cpu memory', members: [] }));
  const place: CgroupPlace = { type: 'usable', version: 2, dir: join(host.mounts, 'a.service'), evacuate: null };
  assert.deepEqual(findHostCgroups(host.proc), { cpu: place, memory: place });
});

test('under v2 a session with other processes is left alone', async (t) => {
  const host = await makeFakeHost(t, ['0::/session-1.scope'], V2);
  host.write(v2Files('session-1.scope', { members: [1, process.pid] }));
  const { cpu, memory } = findHostCgroups(host.proc);
  assert.equal(reasonOf(cpu), `other processes share the daemon's cgroup ${join(host.mounts, 'session-1.scope')}`);
  assert.deepEqual(cpu, memory);
});

test('in a container that has its cgroups to itself all of its processes move', async (t) => {
  const host = await makeFakeHost(t, ['0::/docker/1'], { '': ['/docker/1', 'cgroup2', 'rw'] });
  host.write({ ...v2Files('', { members: [1, process.pid] }), 'cgroup.type': 'domain\n' });
  const { cpu } = findHostCgroups(host.proc);
  assert.deepEqual(cpu, { type: 'usable', version: 2, dir: host.mounts, evacuate: [1, process.pid] });
  // A process of another pid namespace shows as 0 and cannot be moved.
  host.write(v2Files('', { members: [0, process.pid] }));
  assert.match(reasonOf(findHostCgroups(host.proc).cpu), /^other processes share/);
});

test('nobody has to leave the real root', async (t) => {
  const host = await makeFakeHost(t, ['0::/'], V2);
  host.write(v2Files('', { members: [1, process.pid] }));
  assert.deepEqual(findHostCgroups(host.proc).memory, { type: 'usable', version: 2, dir: host.mounts, evacuate: [] });
});

test('a controller that is not delegated is named', async (t) => {
  const host = await makeFakeHost(t, ['0::/a'], V2);
  host.write(v2Files('a', { controllers: 'memory' }));
  const { cpu, memory } = findHostCgroups(host.proc);
  assert.equal(reasonOf(cpu), `the controller cpu is not delegated to ${join(host.mounts, 'a')}`);
  assert.equal(memory.type, 'usable');
});

test('a host without any of it has the reason', async (t) => {
  const { proc } = await makeFakeHost(t, ['0::/../other'], V2);
  assert.equal(reasonOf(findHostCgroups(proc).cpu), 'no cgroup hierarchy is mounted');
  assert.match(reasonOf(findHostCgroups(join(proc, 'nowhere')).cpu), /ENOENT/);
});
