import assert from 'node:assert/strict';
import test from 'node:test';
import { GroupMembers } from '../../src/orchestrator/group-members.ts';
import { MAX_GROUP_MEMBERS, memberAddress, memberMac } from '../../src/protocol/network.ts';

test('each group counts its members on its own, from the lowest free place on', () => {
  const members = new GroupMembers();
  assert.deepEqual(
    [members.assign('blue', 'web'), members.assign('blue', 'db'), members.assign('green', 'web')],
    [1, 2, 1],
  );
  assert.equal(members.assign('blue', 'web'), 1);
  assert.deepEqual(members.list('blue'), [
    { name: 'db', address: '10.83.0.2' },
    { name: 'web', address: '10.83.0.1' },
  ]);
  assert.deepEqual(members.list('red'), []);
});

test('a place is free again when its service is not known any more, or is in another group', () => {
  const members = new GroupMembers();
  for (const name of ['a', 'b', 'c']) members.assign('blue', name);
  members.assign('green', 'b');
  members.keepOnly([
    { name: 'a', group: 'blue' },
    { name: 'b', group: 'green' },
    { name: 'c', group: 'blue' },
    { name: 'd', group: null },
  ]);
  assert.equal(members.assign('blue', 'e'), 2);
  assert.deepEqual(
    members.list('green').map(({ name }) => name),
    ['b'],
  );
  members.keepOnly([]);
  assert.deepEqual(members.list('blue'), []);
});

test('a place of an earlier daemon stays with its service, unless another one has it', () => {
  const members = new GroupMembers();
  members.restore('blue', 'web', 2);
  members.restore('blue', 'late', 2);
  for (const wrong of [0, -1, 1.5, MAX_GROUP_MEMBERS + 1]) members.restore('blue', 'odd', wrong);
  assert.deepEqual([members.assign('blue', 'late'), members.assign('blue', 'web')], [1, 2]);
  assert.equal(members.assign('blue', 'odd'), 3);
});

test('the member after the last place is refused', () => {
  const members = new GroupMembers();
  for (let index = 1; index < MAX_GROUP_MEMBERS; index += 1) members.restore('blue', `s${index}`, index);
  assert.equal(members.assign('blue', 'last'), MAX_GROUP_MEMBERS);
  assert.throws(() => members.assign('blue', 'one-too-many'), {
    code: 'StartFailed',
    message: /^group blue has 65533/,
  });
});

test('addresses follow from the place', () => {
  assert.deepEqual([memberAddress(1), memberAddress(MAX_GROUP_MEMBERS)], ['10.83.0.1', '10.83.255.253']);
  assert.deepEqual([memberMac(1), memberMac(258)], ['02:00:0a:53:00:01', '02:00:0a:53:01:02']);
});
