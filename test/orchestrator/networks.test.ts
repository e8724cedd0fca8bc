/** Shared parts of a group: its address, its ports, its names. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { Port, Service } from '../../src/protocol/service.ts';
import { FakeContext, gate, settle } from '../helpers/fakes/fake-context.ts';
import { savedState } from '../helpers/fakes/saved-states.ts';
import { afterStart, configOf, scriptService } from '../helpers/fakes/services.ts';
import { stopped } from '../helpers/fakes/states.ts';

const GROUPS = ['blue', 'green', 'red'].map((name) => ({ name, address: null, local_only: true }));
const port = (host: number, protocol: Port['protocol'] = 'tcp'): Port => ({ host, guest: 80, protocol });
const member = (name: string, group: string | null, overrides: Partial<Service> = {}) =>
  scriptService(name, 'true', { group, ...overrides });
const config = (...services: Service[]) => configOf(services, GROUPS);

function open() {
  const context = new FakeContext({ obedient: true });
  return { context, orchestrator: new Orchestrator(context) };
}

const ipOf = (orchestrator: Orchestrator, name: string) =>
  orchestrator.services().find((service) => service.name === name)!.group_ip;

test('two services of a start that claim the same port are found before either is started', async () => {
  const { context, orchestrator } = open();
  const services = [member('a', 'blue', { ports: [port(80)] }), member('b', 'blue', { ports: [port(80)] })];
  await assert.rejects(orchestrator.start(config(...services)), {
    code: 'StartFailed',
    message:
      'port 127.0.0.2:80 (tcp) is claimed by service a of group blue and service b of group blue; ' +
      'choose another host port for one of them',
  });
  assert.deepEqual([context.calls, orchestrator.services()], [[], []]);
  const twice = member('a', null, { ports: [port(80), port(80)] });
  await assert.rejects(orchestrator.start(config(twice)), {
    message: 'port 127.0.0.1:80 (tcp) is forwarded twice by service a; leave one of them out',
  });
});

test('the same port number with another protocol or address is another port', async () => {
  const { orchestrator } = open();
  const { services } = await orchestrator.start(
    config(
      member('a', 'blue', { ports: [port(80)] }),
      member('b', 'blue', { ports: [port(80, 'udp')] }),
      member('c', 'green', { ports: [port(80)] }),
      member('d', null, { ports: [port(80)] }),
    ),
  );
  assert.deepEqual(
    services.map(({ outcome }) => outcome),
    ['changed', 'changed', 'changed', 'changed'],
  );
});

test('a port of a running service is refused with the name of that service, until it has ended or moved', async () => {
  const { context, orchestrator } = open();
  const a = member('a', 'blue', { ports: [port(80)] });
  const b = member('b', 'blue', { ports: [port(80)] });
  await orchestrator.start(config(a));
  context.clear();
  await assert.rejects(orchestrator.start(config(b)), {
    code: 'StartFailed',
    message:
      'port 127.0.0.2:80 (tcp) of service b of group blue is taken by service a of group blue, which runs; ' +
      'stop a or choose another host port',
  });
  assert.deepEqual(context.calls, []);
  await orchestrator.start(config({ ...a, ports: [port(81)] }));
  await orchestrator.start(config(b));
  await orchestrator.stop({ names: ['b'], group: null });
  await orchestrator.start(config(a));
});

test('a refused start keeps no address', async () => {
  const { orchestrator } = open();
  const clash = [member('b', 'green', { ports: [port(80)] }), member('c', 'green', { ports: [port(80)] })];
  await assert.rejects(orchestrator.start(config(member('a', 'blue'), ...clash)), { code: 'StartFailed' });
  await orchestrator.start(config(member('d', 'red')));
  assert.equal(ipOf(orchestrator, 'd'), '127.0.0.2');
  await orchestrator.start(config(member('a', 'blue')));
  assert.equal(ipOf(orchestrator, 'a'), '127.0.0.3');
});

test('a group without an address blocks no address of other groups', async () => {
  const { orchestrator } = open();
  const groups = Array.from({ length: 254 }, (_, index) => ({ name: `g${index}`, address: null, local_only: true }));
  const services = groups.map(({ name }) => member(`of-${name}`, name));
  await assert.rejects(orchestrator.start(configOf(services, groups)), {
    message: /^no address is left for group g253/,
  });
  assert.deepEqual(orchestrator.services(), []);
  await orchestrator.start(config(member('a', 'blue')));
  assert.equal(ipOf(orchestrator, 'a'), '127.0.0.2');
});

test('a group whose last service left frees its address; a service that waits for its start keeps it', async () => {
  const { context, orchestrator } = open();
  await orchestrator.start(config(member('a', 'blue')));
  await orchestrator.start(config(member('a', 'green')));
  assert.equal(ipOf(orchestrator, 'a'), '127.0.0.3');
  const { opened, open: release } = gate();
  context.onPrepare = (service) => (service === 'slow' ? opened : Promise.resolve());
  const slow = orchestrator.start(config(member('slow', null), member('a', 'red', { depends_on: afterStart('slow') })));
  await settle();
  await orchestrator.start(config(member('b', 'blue')));
  release();
  await slow;
  assert.deepEqual([ipOf(orchestrator, 'a'), ipOf(orchestrator, 'b')], ['127.0.0.2', '127.0.0.4']);
});

test('VMs of a group are connected from their launch to their end, and know the names of all members', async () => {
  const { context, orchestrator } = open();
  const late = member('late', 'blue', { isolation: 'vm' });
  const plain = member('plain', 'blue', { isolation: 'none' });
  await orchestrator.start(config(member('a', 'blue'), member('b', 'green'), member('alone', null), plain));
  const about = (name: string) => context.callsOf(name).filter((call) => /^(attach|names|detach)/.test(call));
  assert.deepEqual(about('a'), ['attach blue 1', 'names a=10.83.0.1']);
  assert.deepEqual(about('b'), ['attach green 1', 'names b=10.83.0.1']);
  assert.deepEqual([about('alone'), about('plain')], [[], []]);
  context.clear();
  await orchestrator.start(config(late));
  assert.deepEqual(new Set(about('a')), new Set(['names a=10.83.0.1 late=10.83.0.2']));
  assert.equal(about('late')[0], 'attach blue 2');
  context.clear();
  await orchestrator.stop({ names: ['a'], group: null });
  assert.deepEqual(about('a'), ['detach']);
  assert.deepEqual(about('late'), [], 'who has stopped may come back');
  context.clear();
  await orchestrator.remove({ names: ['a'], group: null });
  assert.deepEqual(about('late'), ['names late=10.83.0.2']);
});

test('the name of a service with replicas resolves to those that the config has now', async () => {
  const { context, orchestrator } = open();
  const replica = (name: string) => ({ ...member(name, 'blue'), replica_of: 'api' });
  const names = () =>
    context
      .callsOf('a')
      .filter((call) => call.startsWith('names '))
      .at(-1);
  const [one, two] = ['api-1=10.83.0.2', 'api-2=10.83.0.3'];
  await orchestrator.start(config(member('a', 'blue'), replica('api-1'), replica('api-2')));
  assert.equal(names(), `names a=10.83.0.1 ${one} ${two} api=10.83.0.2 api=10.83.0.3`);
  await orchestrator.start(config(member('a', 'blue'), replica('api-1')));
  assert.equal(names(), `names a=10.83.0.1 ${one} api=10.83.0.2`, 'the other one is not found any more');
  await orchestrator.start(config(member('a', 'blue'), member('api', 'blue')));
  assert.equal(names(), 'names a=10.83.0.1 api=10.83.0.4');
  await orchestrator.start(config(member('a', 'blue'), replica('api-1'), replica('api-2')));
  assert.equal(names(), `names a=10.83.0.1 ${one} ${two} api=10.83.0.2 api=10.83.0.3`);
  const left = [...context.disk.values()];
  const next = new FakeContext({ obedient: true });
  const reopened = await Orchestrator.open(Object.assign(next, { left: [], lost: [], ended: left }));
  await reopened.start(config(member('a', 'blue')));
  const last = next
    .callsOf('a')
    .filter((call) => call.startsWith('names '))
    .at(-1);
  assert.equal(last, `names a=10.83.0.1 ${one} ${two} api=10.83.0.2 api=10.83.0.3`, 'as the next daemon knows');
});

test('UDP ports of a VM are opened, with or without a group', async () => {
  const { context, orchestrator } = open();
  const udp = { ports: [port(53, 'udp'), port(80)] };
  const plain = member('plain', null, { ports: [port(54, 'udp')], isolation: 'none' });
  await orchestrator.start(config(member('a', 'blue', udp), member('alone', null, udp), plain));
  assert.ok(context.callsOf('a').includes('attach blue 1 127.0.0.2:53-80'));
  assert.ok(context.callsOf('alone').includes('attach null 1 127.0.0.1:53-80'));
  assert.deepEqual([...context.attached.keys()], ['a', 'alone']);

  const notes = () => orchestrator.services().find(({ name }) => name === 'alone')!.notes;
  const changes: (readonly string[])[] = [];
  orchestrator.on('event', (event) => event.type === 'service' && changes.push(event.service.notes));
  context.attached.get('alone')!.onNotes(['port 53 is taken']);
  assert.deepEqual([notes(), changes], [['port 53 is taken'], [['port 53 is taken']]]);
});

test('a run ends only when the UDP ports of its VM are free for the next one', async () => {
  const { context, orchestrator } = open();
  await orchestrator.start(config(member('a', 'blue', { ports: [port(53, 'udp')] })));
  const { opened, open: release } = gate();
  context.onDetach = () => opened;
  let hasEnded = false;
  const stopped = orchestrator.stop({ names: ['a'], group: null }).then(() => {
    hasEnded = true;
  });
  await settle();
  assert.deepEqual([context.callsOf('a').includes('detach'), hasEnded], [true, false]);
  release();
  await stopped;
});

test('a VM that has died is disconnected at once', async () => {
  const { context, orchestrator } = open();
  await orchestrator.start(config(member('a', 'blue')));
  context.vms.get('a')!.endProcess();
  assert.equal(context.callsOf('a').at(-1), 'detach');
  context.vms.get('a')!.endStreams();
});

test('places and addresses outlive the daemon, and running services keep theirs first', async () => {
  const { context, orchestrator } = open();
  await orchestrator.start(config(member('gone', 'green'), member('a', 'blue'), member('b', 'blue')));
  await orchestrator.stop();
  const ended = ['gone', 'a', 'b'].map((name) => context.saved.findLast(({ service }) => service.name === name)!);
  assert.deepEqual(
    ended.map(({ group_index, group_ip }) => [group_index, group_ip]),
    [
      [1, '127.0.0.2'],
      [1, '127.0.0.3'],
      [2, '127.0.0.3'],
    ],
  );
  // As if the daemon had died between a move and its note.
  const [gone, ...others] = ended;
  const left = [{ ...gone!, group: GROUPS[2]!, service: member('gone', 'red'), status: 'Started' as const }];
  const stale = { ...gone!, service: member('stale', 'green') };
  const next = new FakeContext({ obedient: true });
  const reopened = await Orchestrator.open(Object.assign(next, { lost: [], left, ended: [stale, ...others] }));
  assert.deepEqual(
    ['gone', 'a', 'b', 'stale'].map((name) => ipOf(reopened, name)),
    ['127.0.0.2', '127.0.0.3', '127.0.0.3', '127.0.0.4'],
  );
  await reopened.start(config(member('b', 'blue')));
  assert.equal(next.callsOf('b').includes('attach blue 2'), true);
});

test('a service of an earlier daemon for which no address is left is reported once', async () => {
  const ended = Array.from({ length: 254 }, (_, index) => {
    const group = { name: `g${index}`, address: null, local_only: true };
    const state = savedState(`s${index}`, 1, stopped());
    return { ...state, group, service: { ...state.service, group: group.name } };
  });
  const context = Object.assign(new FakeContext(), { left: [], lost: [], ended });
  const orchestrator = await Orchestrator.open(context, { startsAll: false });
  assert.equal(orchestrator.services().length, ended.length);
  assert.deepEqual(context.reports, ['warn: s253: no address is left for group g253: 127.0.0.2 to 254 are all taken']);
});

const portOn = (address: string, host: number) => ({ ...port(host), address });

test('a port of all addresses is that of every address', async () => {
  const { orchestrator } = open();
  await orchestrator.start(config(member('a', 'blue', { ports: [port(80)] })));
  await assert.rejects(orchestrator.start(config(member('b', null, { ports: [portOn('0.0.0.0', 80)] }))), {
    message:
      'port 0.0.0.0:80 (tcp) of service b is taken by service a of group blue, as 127.0.0.2:80, which runs; ' +
      'stop a or choose another host port',
  });
  await orchestrator.start(config(member('b', null, { ports: [portOn('0.0.0.0', 81)] })));
  await assert.rejects(orchestrator.start(config(member('c', 'green', { ports: [port(81)] }))), {
    message:
      /^port 127\.0\.0\.\d:81 \(tcp\) of service c of group green is taken by service b, as 0\.0\.0\.0:81, which/,
  });
  await orchestrator.start(config(member('c', 'green', { ports: [portOn('127.0.0.1', 80), portOn('192.0.2.1', 82)] })));
  assert.deepEqual(
    orchestrator.services().map(({ addresses }) => addresses),
    [['http://127.0.0.2:80'], ['http://0.0.0.0:81'], ['http://127.0.0.1:80', 'http://192.0.2.1:82']],
  );
});

test('a group has the address that the config names, and others get another one', async () => {
  const { context, orchestrator } = open();
  const groups = [
    { name: 'blue', address: null, local_only: true },
    { name: 'green', address: '127.0.0.2', local_only: true },
  ];
  const [a, b] = [member('a', 'blue', { ports: [port(80)] }), member('b', 'green', { ports: [port(80)] })];
  await orchestrator.start(configOf([a, b], groups));
  assert.deepEqual([ipOf(orchestrator, 'a'), ipOf(orchestrator, 'b')], ['127.0.0.3', '127.0.0.2']);

  const moved = [groups[0]!, { ...groups[1]!, address: '192.0.2.7' }];
  const { actions } = orchestrator.plan(configOf([a, b], moved));
  assert.deepEqual(
    actions.map(({ action, reason }) => [action, reason]),
    [
      ['keep', null],
      ['restart', 'address of group green changed from 127.0.0.2 to 192.0.2.7'],
    ],
  );
  context.clear();
  await orchestrator.start(configOf([a, b], moved));
  assert.deepEqual(
    orchestrator.services().map(({ addresses }) => addresses[0]),
    ['http://127.0.0.3:80', 'http://192.0.2.7:80'],
  );
  // The address is free again for groups that have none.
  await orchestrator.start(configOf([member('c', 'red')], [{ name: 'red', address: null, local_only: true }]));
  assert.equal(ipOf(orchestrator, 'c'), '127.0.0.2');
});

test('a service that the config lacks gets the new address of its group, too', async () => {
  const { orchestrator } = open();
  const group = { name: 'blue', address: null, local_only: true };
  await orchestrator.start(configOf([member('a', 'blue'), member('b', 'blue')], [group]));
  await orchestrator.start(configOf([member('a', 'blue')], [{ ...group, address: '127.0.0.9' }]));
  assert.deepEqual([ipOf(orchestrator, 'a'), ipOf(orchestrator, 'b')], ['127.0.0.9', '127.0.0.9']);
});
