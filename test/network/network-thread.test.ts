import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test from 'node:test';
import { NetworkThread } from '../../src/network/network-thread.ts';
import type { GroupMember, GroupPort } from '../../src/protocol/network.ts';
import { eventually } from '../helpers/eventually.ts';
import { frameOf, Testbed } from '../helpers/network/harness.ts';
import { findFreePort } from '../helpers/servers/free-port.ts';
import { openUdpClient } from '../helpers/servers/udp-client.ts';

async function open(t: Parameters<typeof Testbed.open>[0]) {
  const bed = await Testbed.open(t);
  const reports: string[] = [];
  const network = new NetworkThread((level, message) => reports.push(`${level}: ${message}`), 1);
  t.after(() => network.thread.stop());
  return { bed, reports, network };
}

/** Attachment of a VM, without the server that plays its QEMU: only plain data reaches another thread. */
const portOf = ({ service, group, index, socketPath, udp }: GroupPort): GroupPort => ({
  service,
  group,
  index,
  socketPath,
  udp,
});

const ignore = { onNames: () => {}, onNotes: () => {} };

test('the thread is there from the first VM on, and connects all of them again when it died', async (t) => {
  const { bed, reports, network } = await open(t);
  const [web, db, gone] = [await bed.listen('web', 1), await bed.listen('db', 2), await bed.listen('gone', 3)];
  network.detach('web');
  assert.equal(network.thread.status().state, 'stopped');
  for (const vm of [web, db, gone]) {
    network.attach(portOf(vm), ignore);
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
  // Frames may pass before the thread has answered for all VMs.
  await network.thread.ready();
  assert.deepEqual([network.thread.status().restarts, network.thread.status().state], [1, 'ready']);
  assert.match(reports[0]!, /^error: the network thread ended: .*; restarting it$/);
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
  network.attach(portOf(web), { ...ignore, onNames: (names) => told.push(names) });
  network.setMembers('shop', [first, second]);
  network.setMembers('other', [first]);
  network.detach('web');
  network.setMembers('shop', []);
  assert.deepEqual(told, [[first], [first, second]]);
});

test('what is dropped, and who is cut off, is said in the log', async (t) => {
  const { bed, reports, network } = await open(t);
  const web = await bed.listen('web', 1);
  network.attach(portOf(web), ignore);
  await web.send(frameOf({ from: 2 }));
  await eventually('the report', () => reports.length === 1);
  assert.equal(reports[0], 'warn: web: 1 frames that it sent were dropped: neither IPv4 nor ARP from its own address');
  await web.send(Buffer.alloc(4, 0xff));
  await eventually('the report', () => reports.length === 2);
  assert.equal(reports[1], 'error: web: cut off from its network: it announced a frame of 4294967295 bytes');
});

/** A socket on a UDP port; the given one, else any that is free. */
async function occupy(address: string, port = 0) {
  const socket = createSocket('udp4').bind({ port, address, exclusive: true });
  await once(socket, 'listening');
  return { port: (socket.address() as AddressInfo).port, close: () => socket.close() };
}

test('UDP ports are opened again by a thread that takes the place of one that died, and free once it is detached', async (t) => {
  const { bed, reports, network } = await open(t);
  const host = await findFreePort('udp', '127.0.0.2');
  const web = await bed.listen('web', 1, null, [{ address: '127.0.0.2', host, guest: 53 }]);
  network.attach(portOf(web), ignore);
  const client = await openUdpClient(t);
  const arrives = (connection: number) =>
    eventually('a datagram', () => {
      client.send('question', host, '127.0.0.2');
      return web.server.text(connection)?.endsWith('question');
    });
  await arrives(0);
  await network.thread.crash();
  await arrives(1);
  await network.detach('web');
  (await occupy('127.0.0.2', host)).close();
  assert.equal(reports.length, 1, 'nothing but the death');
});

test('a port that is taken is said in the log and in the notes of its service, until it is had', async (t) => {
  const { bed, reports, network } = await open(t);
  const other = await occupy('127.0.0.2');
  const notes: (readonly string[])[] = [];
  const web = await bed.listen('web', 1, null, [{ address: '127.0.0.2', host: other.port, guest: 53 }]);
  network.attach(portOf(web), { ...ignore, onNotes: (told) => notes.push(told) });
  const note = `port 127.0.0.2:${other.port} (udp) cannot be opened: another program uses it; trying again`;
  await eventually('the note', () => notes.length === 1);
  other.close();
  await eventually('the end of the note', () => notes.length === 2);
  assert.deepEqual(notes, [[note], []]);
  assert.deepEqual(reports, [`error: web: ${note}`, 'info: web: its UDP ports are open']);
});

test('a thread that is not there holds up no detaching', async (t) => {
  const { bed, network } = await open(t);
  const host = await findFreePort('udp', '127.0.0.2');
  const web = await bed.listen('web', 1, null, [{ address: '127.0.0.2', host, guest: 53 }]);
  network.attach(portOf(web), ignore);
  await web.server.connection(0);
  await network.thread.crash();
  assert.equal(network.thread.status().state, 'restarting');
  await network.detach('web');
  (await occupy('127.0.0.2', host)).close();

  network.attach(portOf(web), ignore);
  await web.server.connection(1);
  await network.thread.stop();
  await network.detach('web');
  (await occupy('127.0.0.2', host)).close();
});

test('a port is free when its VM is detached while the thread is given its work again', async (t) => {
  const { bed, network } = await open(t);
  const address = '127.0.0.2';
  const host = await findFreePort('udp', address);
  const web = await bed.listen('web', 1, 'shop', [{ address, host, guest: 53 }]);
  network.attach(portOf(web), ignore);
  // Enough to be at it for a while.
  for (let index = 2; index < 2000; index += 1)
    network.attach({ ...portOf(web), service: `vm-${index}`, index, udp: [] }, ignore);
  await web.server.connection(0);
  await network.thread.ready();
  await network.thread.crash();
  await eventually('the port to be taken again', () =>
    occupy(address, host).then(
      (socket) => void socket.close(),
      () => true,
    ),
  );
  assert.equal(network.thread.status().state, 'restarting');
  // One that comes and goes meanwhile is never there.
  const late = { address, host: await findFreePort('udp', address), guest: 53 };
  network.attach({ ...portOf(web), service: 'late', udp: [late] }, ignore);
  await Promise.all([network.detach('late'), network.detach('web')]);
  (await occupy(address, host)).close();
  await network.thread.ready();
  await network.detach('vm-2');
  (await occupy(address, late.host)).close();
});
