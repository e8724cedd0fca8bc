import assert from 'node:assert/strict';
import test from 'node:test';
import { GroupAddresses } from '../../src/orchestrator/group-addresses.ts';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import { FakePorts } from '../helpers/fakes/fake-ports.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';

test('groups get the lowest free address, and keep it', () => {
  const addresses = new GroupAddresses();
  assert.equal(addresses.assign('blue'), '127.0.0.2');
  assert.equal(addresses.assign('green'), '127.0.0.3');
  assert.equal(addresses.assign('blue'), '127.0.0.2');
});

test('an address is free again when its group is gone', () => {
  const addresses = new GroupAddresses();
  for (const group of ['blue', 'green', 'red']) addresses.assign(group);
  addresses.keepOnly(new Set(['blue', 'red']));
  assert.equal(addresses.assign('black'), '127.0.0.3');
  assert.equal(addresses.assign('red'), '127.0.0.4');
});

test('an address of an earlier daemon stays with its group', () => {
  const addresses = new GroupAddresses();
  addresses.restore('blue', '127.0.0.3');
  assert.equal(addresses.assign('green'), '127.0.0.2');
  assert.equal(addresses.assign('red'), '127.0.0.4');
  assert.equal(addresses.assign('blue'), '127.0.0.3');
});

test('the group after the last address is refused', () => {
  const addresses = new GroupAddresses();
  for (let group = 2; group <= 254; group += 1) assert.equal(addresses.assign(`g${group}`), `127.0.0.${group}`);
  assert.throws(() => addresses.assign('one-too-many'), {
    code: 'StartFailed',
    message: /one-too-many gets no address/,
  });
});

test('services of a group share its address, and the last one that is removed frees it', async () => {
  const orchestrator = new Orchestrator(new FakePorts({ obedient: true }));
  const groups = ['blue', 'green', 'red'].map((name) => ({ name, local_only: true }));
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
