/** Addresses of groups, and places of VMs within them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Groups } from '../../src/orchestrator/networks.ts';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import { type GroupMember, MAX_GROUP_MEMBERS, memberAddress, memberMac } from '../../src/protocol/network.ts';
import type { ServiceDefinition } from '../../src/supervisor/status.ts';
import { FakeContext } from '../helpers/fakes/fake-context.ts';
import { savedState } from '../helpers/fakes/saved-states.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';

/** Groups, and the members that the network was told of. */
function open() {
  const members = new Map<string, string[]>();
  const groups = new Groups({
    attach: () => {},
    detach: async () => {},
    setMembers: (group: string, list: readonly GroupMember[]) =>
      members.set(
        group,
        list.map(({ name, address }) => `${name} ${address}`),
      ),
  });
  const place = (name: string, group: string) =>
    groups.place(scriptService(name, 'true', { group }), { name: group, address: null, local_only: true });
  const definition = (name: string, group: string | null): ServiceDefinition => ({
    service: scriptService(name, 'true', { group }),
    group: null,
    groupIp: null,
    kernel: null,
  });
  return { groups, members, place, definition };
}

/** The saved state of a service of an earlier daemon. */
function saved(name: string, group: string, ip: string | null, index: number | null) {
  const base = savedState(name, 7);
  return { ...base, group: { name: group, address: null, local_only: true }, group_ip: ip, group_index: index };
}

test('groups get the lowest free address, and keep it', () => {
  const { place } = open();
  const addresses = ['blue', 'green', 'blue'].map((group) => place('a', group).groupIp);
  assert.deepEqual(addresses, ['127.0.0.2', '127.0.0.3', '127.0.0.2']);
});

test('an address is free again when the group has no service', () => {
  const { groups, place, definition } = open();
  for (const group of ['blue', 'green', 'red']) place('a', group);
  groups.keepOnly([definition('a', 'blue'), definition('a', 'red')]);
  assert.deepEqual([place('a', 'black').groupIp, place('a', 'red').groupIp], ['127.0.0.3', '127.0.0.4']);
});

test('an address of an earlier daemon stays with its group', () => {
  const { groups, place } = open();
  groups.restore([saved('a', 'blue', '127.0.0.3', null), saved('b', 'pink', '127.0.0.3', null)]);
  const addresses = ['green', 'red', 'blue', 'pink'].map((group) => place('a', group).groupIp);
  assert.deepEqual(addresses, ['127.0.0.2', '127.0.0.4', '127.0.0.3', '127.0.0.5']);
});

test('the group after the last address is refused', () => {
  const { place } = open();
  for (let group = 2; group <= 254; group += 1) assert.equal(place('a', `g${group}`).groupIp, `127.0.0.${group}`);
  assert.throws(() => place('a', 'late'), { code: 'StartFailed', message: /^no address is left for group late/ });
});

test('each group numbers its members, from the lowest free place on, and its VMs are told', () => {
  const { groups, members, place } = open();
  const places = [place('web', 'blue'), place('db', 'blue'), place('web', 'green'), place('web', 'blue')];
  assert.deepEqual(
    places.map(({ groupIndex }) => groupIndex),
    [1, 2, 1, 1],
  );
  groups.shareMembers();
  assert.deepEqual(
    [...members],
    [
      ['blue', ['db 10.83.0.2', 'web 10.83.0.1']],
      ['green', ['web 10.83.0.1']],
    ],
  );
});

test('a place is free again when its service is gone or has changed its group', () => {
  const { groups, members, place, definition } = open();
  for (const name of ['a', 'b', 'c']) place(name, 'blue');
  place('b', 'green');
  groups.keepOnly([definition('a', 'blue'), definition('b', 'green'), definition('c', 'blue'), definition('d', null)]);
  assert.equal(place('e', 'blue').groupIndex, 2);
  assert.deepEqual(members.get('green'), ['b 10.83.0.1']);
  groups.keepOnly([]);
  assert.deepEqual(members.get('blue'), []);
});

test('a place of an earlier daemon stays with its service, unless another one has it', () => {
  const { groups, place } = open();
  const odd = [0, -1, 1.5, MAX_GROUP_MEMBERS + 1].map((index) => saved('odd', 'blue', null, index));
  groups.restore([saved('web', 'blue', null, 2), saved('late', 'blue', null, 2), ...odd]);
  const indices = ['late', 'web', 'odd'].map((name) => place(name, 'blue').groupIndex);
  assert.deepEqual(indices, [1, 2, 3]);
});

test('the member after the last place is refused', () => {
  const { groups, place } = open();
  const first = saved('s', 'blue', null, 1);
  groups.restore(
    Array.from({ length: MAX_GROUP_MEMBERS - 1 }, (_, index) => ({
      ...first,
      service: { ...first.service, name: `s${index}` },
      group_index: index + 1,
    })),
  );
  assert.equal(place('last', 'blue').groupIndex, MAX_GROUP_MEMBERS);
  assert.throws(() => place('late', 'blue'), {
    code: 'StartFailed',
    message: 'group blue has no room for late: a group has at most 65533 services',
  });
});

test('addresses follow from the place', () => {
  assert.deepEqual([memberAddress(1), memberAddress(MAX_GROUP_MEMBERS)], ['10.83.0.1', '10.83.255.253']);
  assert.deepEqual([memberMac(1), memberMac(258)], ['02:00:0a:53:00:01', '02:00:0a:53:01:02']);
});

test('services of a group share its address, and the last one that is removed frees it', async () => {
  const orchestrator = new Orchestrator(new FakeContext({ obedient: true }));
  const groups = ['blue', 'green', 'red'].map((name) => ({ name, address: null, local_only: true }));
  const member = (name: string, group: string, host = 8080) =>
    scriptService(name, 'true', { group, ports: [{ host, guest: 80, protocol: 'tcp' }] });
  const services = [member('a', 'blue'), member('b', 'blue', 8081), member('c', 'green')];
  await orchestrator.start(configOf(services, groups));
  assert.deepEqual(
    orchestrator.services().map(({ group_ip, addresses }) => [group_ip, addresses[0]]),
    [
      ['127.0.0.2', 'http://127.0.0.2:8080'],
      ['127.0.0.2', 'http://127.0.0.2:8081'],
      ['127.0.0.3', 'http://127.0.0.3:8080'],
    ],
  );
  const nextAddress = async (name: string) => {
    await orchestrator.start(configOf([member(name, 'red')], groups));
    const address = orchestrator.services().find((candidate) => candidate.name === name)!.group_ip;
    await orchestrator.remove({ names: [name], group: null });
    return address;
  };
  await orchestrator.remove({ names: ['a'], group: null });
  assert.equal(await nextAddress('d'), '127.0.0.4', 'b still has the address of blue');
  await orchestrator.remove({ names: ['b'], group: null });
  assert.equal(await nextAddress('e'), '127.0.0.2');
});
