import assert from 'node:assert/strict';
import test from 'node:test';
import type { GroupMember } from '../../src/protocol/network.ts';
import { NetworkThread } from '../../src/threads/network-thread.ts';
import { eventually } from '../helpers/eventually.ts';
import { frameOf, Testbed } from '../workers/network/harness.ts';

async function open(t: Parameters<typeof Testbed.open>[0]) {
  const bed = await Testbed.open(t);
  const reports: string[] = [];
  const network = new NetworkThread((level, message) => reports.push(`${level}: ${message}`), 1);
  t.after(() => network.stop());
  return { bed, reports, network };
}

const ignore = () => {};

test('the thread is there from the first VM on, and connects all of them again when it died', async (t) => {
  const { bed, reports, network } = await open(t);
  const [web, db, gone] = [await bed.listen('web', 1), await bed.listen('db', 2), await bed.listen('gone', 3)];
  network.detach('web');
  assert.equal(network.thread.status().state, 'stopped');
  for (const vm of [web, db, gone]) {
    const { service, group, index, socketPath } = vm;
    network.attach({ service, group, index, socketPath }, ignore);
  }
  await gone.server.connection(0);
  network.detach('gone');
  const frame = frameOf();
  const arrives = (connection: number) =>
    eventually('a frame', async () => {
      await web.send(frame);
      return db.server.text(connection);
    });
  await arrives(0);
  await eventually('the end of the connection', () => gone.server.connections[0]!.destroyed);

  await network.thread.crash();
  await Promise.all([web.server.connection(1), db.server.connection(1)]);
  await arrives(1);
  assert.deepEqual([network.thread.status().restarts, network.thread.status().state], [1, 'ready']);
  assert.match(reports[0]!, /^error: the network thread ended: .*; it is started again$/);
  assert.equal(gone.server.connections.length, 1, 'what was detached stays so');
});

test('each VM is told the names of its group, and of every change', async (t) => {
  const { bed, network } = await open(t);
  const web = await bed.listen('web', 1);
  const told: (readonly GroupMember[])[] = [];
  const [first, second] = [
    { name: 'web', address: '10.83.0.1' },
    { name: 'db', address: '10.83.0.2' },
  ];
  network.setMembers('shop', [first]);
  network.attach({ service: 'web', group: 'shop', index: 1, socketPath: web.socketPath }, (names) => told.push(names));
  network.setMembers('shop', [first, second]);
  network.setMembers('other', [first]);
  network.detach('web');
  network.setMembers('shop', []);
  assert.deepEqual(told, [[first], [first, second]]);
});

test('what is dropped, and who is cut off, is said in the log', async (t) => {
  const { bed, reports, network } = await open(t);
  const web = await bed.listen('web', 1);
  network.attach({ service: 'web', group: 'shop', index: 1, socketPath: web.socketPath }, ignore);
  await web.send(frameOf({ from: 2 }));
  await eventually('the report', () => reports.length === 1);
  assert.equal(reports[0], 'warn: web: 1 frames that it sent were dropped: neither IPv4 nor ARP from its own address');
  await web.send(Buffer.alloc(4, 0xff));
  await eventually('the report', () => reports.length === 2);
  assert.equal(reports[1], 'error: web: cut off from its group: it announced a frame of 4294967295 bytes');
});
