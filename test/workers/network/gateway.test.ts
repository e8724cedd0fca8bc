/** The host's end of each network: UDP ports of the host, and frames to and from a VM. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { GATEWAY_INDEX, memberAddress, memberMac } from '../../../src/protocol/network.ts';
import { MAX_DATAGRAM_BYTES } from '../../../workers/network/datagram.ts';
import { eventually } from '../../helpers/eventually.ts';
import { arpFrame, datagramOf, type FakeVm, frameOf, Testbed } from '../../helpers/network/harness.ts';
import { findFreePort } from '../../helpers/servers/free-port.ts';
import { openUdpClient } from '../../helpers/servers/udp-client.ts';

const ADDRESS = '127.0.0.2';
const GUEST_PORT = 53;
/** Bytes before the payload: length, Ethernet, IPv4, UDP. */
const HEAD_BYTES = 4 + 14 + 20 + 8;
const GATEWAY = { mac: memberMac(GATEWAY_INDEX), ip: memberAddress(GATEWAY_INDEX) };

/** Members of a group, the first of which has a UDP port. */
async function makeGroup(t: TestContext) {
  const bed = await Testbed.open(t);
  const port = await findFreePort('udp', ADDRESS);
  const web = await bed.add('web', 1, 'shop', [{ address: ADDRESS, host: port, guest: GUEST_PORT }]);
  const db = await bed.add('db', 2);
  await eventually('the port', () => bed.events.some(({ type }) => type === 'udp-ports'));
  return { bed, web, db, port };
}

/** Says another length in a UDP header, and that there is no checksum, which would tell. */
function claimBytes(header: Buffer, bytes: number): void {
  header.writeUInt16BE(bytes, 4);
  header.writeUInt16BE(0, 6);
}

/** Frames that a VM has received so far. */
function framesOf(vm: FakeVm): Buffer[] {
  const bytes = Buffer.from(vm.server.text(0) ?? '', 'latin1');
  const frames: Buffer[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  return frames;
}

/** Waits for the frame with a text, and returns the port of the gateway that it came from. */
async function gatewayPort(vm: FakeVm, text: string): Promise<number> {
  const frame = await eventually(text, () =>
    framesOf(vm).find((each) => each.subarray(HEAD_BYTES).equals(Buffer.from(text))),
  );
  return frame.readUInt16BE(4 + 14 + 20);
}

test('a datagram reaches the VM as a whole packet of the gateway, and the answer whom it came from', async (t) => {
  const { web, port } = await makeGroup(t);
  const [one, two] = [await openUdpClient(t), await openUdpClient(t)];
  one.send('from one', port, ADDRESS);
  two.send('from the other', port, ADDRESS);
  const [first, second] = [await gatewayPort(web, 'from one'), await gatewayPort(web, 'from the other')];
  assert.notEqual(first, second);
  for (const [sourcePort, text] of [
    [first, 'from one'],
    [second, 'from the other'],
  ] as const) {
    const expected = datagramOf({
      ...{ from: GATEWAY_INDEX, to: 1, sourcePort, destinationPort: GUEST_PORT, text },
      fragment: 0x4000,
    });
    assert.ok(
      framesOf(web).some((frame) => frame.equals(expected)),
      `${text}, as the RFCs have it`,
    );
  }

  // Several answers, in any order, with and without a checksum, of odd and even length, empty, padded.
  const answer = (destinationPort: number, text: string) =>
    datagramOf({ sourcePort: GUEST_PORT, destinationPort, text });
  const padded = Buffer.concat([answer(first, 'padded'), Buffer.alloc(18)]);
  padded.writeUInt32BE(padded.length - 4);
  const unchecked = datagramOf({
    ...{ sourcePort: GUEST_PORT, destinationPort: first, text: 'unchecked' },
    alterUdp: (header) => header.writeUInt16BE(0, 6),
  });
  await web.send(answer(second, 'to the other'), answer(first, 'to one'), unchecked, padded, answer(first, ''));
  const from = `${ADDRESS}:${port}`;
  await eventually('all answers', () => one.answers.length === 4 && two.answers.length === 1);
  assert.deepEqual(
    one.answers,
    ['to one', 'unchecked', 'padded', ''].map((text) => `${from} ${text}`),
  );
  assert.deepEqual(two.answers, [`${from} to the other`]);

  // Who is known keeps its port.
  one.send('once more', port, ADDRESS);
  assert.equal(await gatewayPort(web, 'once more'), first);
});

test('the largest datagram that fits arrives, in both directions, and what is larger is counted', async (t) => {
  const { bed, web, port } = await makeGroup(t);
  const client = await openUdpClient(t);
  const largest = 'x'.repeat(MAX_DATAGRAM_BYTES);
  assert.equal(MAX_DATAGRAM_BYTES, 1472);
  client.send(`${largest}y`, port, ADDRESS);
  client.send(largest, port, ADDRESS);
  const destinationPort = await gatewayPort(web, largest);
  await eventually('the drop', () => bed.drops('web', 'too-long') === 1);
  assert.equal(framesOf(web).length, 1);
  await web.send(datagramOf({ sourcePort: GUEST_PORT, destinationPort, text: largest }));
  await eventually('the answer', () => client.answers[0] === `${ADDRESS}:${port} ${largest}`);
});

test('nothing is passed on but whole answers of that port to who has asked it', async (t) => {
  const { bed, web, db, port } = await makeGroup(t);
  const client = await openUdpClient(t);
  client.send('hello', port, ADDRESS);
  const destinationPort = await gatewayPort(web, 'hello');
  const answer = { sourcePort: GUEST_PORT, destinationPort };
  const strays = [
    datagramOf({ ...answer, sourcePort: GUEST_PORT + 1 }),
    datagramOf({ ...answer, destinationPort: destinationPort + 1 }),
    datagramOf({ ...answer, destinationPort: port }),
    datagramOf({ ...answer, destinationIp: ADDRESS }),
    datagramOf({ ...answer, destinationIp: memberAddress(2) }),
    datagramOf({ ...answer, destinationIp: '10.83.255.255' }),
    // The checksums of IPv4 and UDP.
    datagramOf({ ...answer, alter: (frame) => frame.writeUInt16BE(frame.readUInt16BE(28) ^ 1, 28) }),
    datagramOf({ ...answer, alterUdp: (header) => header.writeUInt16BE(header.readUInt16BE(6) ^ 0x100, 6) }),
    // Lengths that are too small, too large, or do not fit together.
    datagramOf({ ...answer, alterUdp: (header) => claimBytes(header, 7) }),
    datagramOf({ ...answer, alterUdp: (header) => claimBytes(header, 16) }),
    datagramOf({ ...answer, alterUdp: (header) => claimBytes(header, 0xffff) }),
    datagramOf({ ...answer, alterIp: (header) => header.writeUInt16BE(27, 2) }),
    datagramOf({ ...answer, alterIp: (header) => header.writeUInt16BE(36, 2) }),
    datagramOf({ ...answer, alterIp: (header) => header.writeUInt8(0x44, 0) }),
    datagramOf({ ...answer, alterIp: (header) => header.writeUInt8(0x4f, 0) }),
    datagramOf({ ...answer, alterIp: (header) => header.writeUInt8(0x65, 0) }),
    // A first fragment, and a later one.
    datagramOf({ ...answer, fragment: 0x2000 }),
    datagramOf({ ...answer, fragment: 0x0001 }),
    // TCP and ICMP.
    datagramOf({ ...answer, alterIp: (header) => header.writeUInt8(6, 9) }),
    datagramOf({ ...answer, alterIp: (header) => header.writeUInt8(1, 9) }),
    arpFrame({ from: 1, to: GATEWAY.mac, operation: 2, targetIp: GATEWAY.ip }),
  ];
  await web.send(...strays);
  await eventually('the drops', () => bed.drops('web', 'stray') === strays.length);
  // The client of one is none of another, and nobody speaks for another.
  const spoofed = datagramOf({ ...answer, alter: (frame) => frame.writeUInt16BE(2, 14) });
  await db.send(datagramOf({ ...answer, from: 2 }), datagramOf({ ...answer, from: 1 }), spoofed);
  await eventually('the drops', () => bed.drops('db', 'stray') === 1 && bed.drops('db', 'foreign') === 2);
  await web.send(datagramOf({ ...answer, text: 'the answer' }));
  await eventually('the answer', () => client.answers.length > 0);
  assert.deepEqual(client.answers, [`${ADDRESS}:${port} the answer`]);
  await db.received();
});

test('a VM with UDP ports finds the gateway by ARP, and nobody else finds one', async (t) => {
  const { web, db } = await makeGroup(t);
  const question = arpFrame({ from: 1, targetIp: GATEWAY.ip });
  const check = arpFrame({ from: 1, to: GATEWAY.mac, targetMac: GATEWAY.mac, targetIp: GATEWAY.ip });
  const probe = arpFrame({ from: 1, senderIp: '0.0.0.0', targetIp: GATEWAY.ip });
  await web.send(question, check, probe);
  const reply = (targetIp: string) =>
    arpFrame({
      ...{ from: GATEWAY_INDEX, to: memberMac(1), operation: 2, targetMac: memberMac(1), targetIp },
    });
  await web.received(reply(memberAddress(1)), reply(memberAddress(1)), reply('0.0.0.0'));
  const other = arpFrame({ from: 1, targetIp: memberAddress(2) });
  await web.send(other);
  await db.received(other);
  const asked = arpFrame({ from: 2, targetIp: GATEWAY.ip });
  const marker = frameOf({ from: 2, to: 1 });
  await db.send(asked, marker);
  await web.received(reply(memberAddress(1)), reply(memberAddress(1)), reply('0.0.0.0'), asked, marker);
  await db.received(other);
});

test('VMs without a group have the same addresses and never meet', async (t) => {
  const bed = await Testbed.open(t);
  const ports = [await findFreePort('udp', ADDRESS), await findFreePort('udp', ADDRESS)] as const;
  const vms = [];
  for (const [index, host] of ports.entries()) {
    vms.push(await bed.add(`alone-${index}`, 1, null, [{ address: ADDRESS, host, guest: GUEST_PORT }]));
  }
  const client = await openUdpClient(t);
  await eventually('the ports', () => bed.events.length === 2);
  for (const [index, vm] of vms.entries()) {
    client.send(`to ${index}`, ports[index]!, ADDRESS);
    const destinationPort = await gatewayPort(vm, `to ${index}`);
    await vm.send(
      frameOf({ to: 'ff:ff:ff:ff:ff:ff' }),
      datagramOf({ sourcePort: GUEST_PORT, destinationPort, text: `of ${index}` }),
    );
  }
  await eventually('the answers', () => client.answers.length === 2);
  assert.deepEqual(client.answers, [`${ADDRESS}:${ports[0]} of 0`, `${ADDRESS}:${ports[1]} of 1`]);
  assert.deepEqual(
    vms.map((vm) => framesOf(vm).length),
    [1, 1],
  );
});

test('a port that is taken is told, opened when it is free, and free at once when the VM is detached', async (t) => {
  const bed = await Testbed.open(t);
  const other = createSocket('udp4').bind(0, ADDRESS);
  await once(other, 'listening');
  const taken = { address: ADDRESS, host: (other.address() as AddressInfo).port, guest: GUEST_PORT };
  const free = { ...taken, host: await findFreePort('udp', ADDRESS) };
  const web = await bed.add('web', 1, 'shop', [taken, free]);
  await eventually('what was told', () => bed.events.length === 1);
  const closed = [{ ...taken, error: 'another program uses it' }];
  assert.deepEqual(bed.events, [{ type: 'udp-ports', service: 'web', closed }]);
  other.close();
  await eventually('what was told', () => bed.events.length === 2);
  assert.deepEqual(bed.events[1], { type: 'udp-ports', service: 'web', closed: [] });

  const inherit = async () => {
    for (const { host } of [taken, free]) {
      const heir = createSocket('udp4').bind({ address: ADDRESS, port: host, exclusive: true });
      await once(heir, 'listening');
      heir.close();
    }
  };
  bed.network.detach('web');
  await inherit();
  // So is one that was about to be opened.
  bed.network.attach(web);
  bed.network.detach('web');
  await inherit();
  assert.equal(bed.events.length, 2);
});

test('what comes before the VM is connected is lost, and what comes later is not', async (t) => {
  const bed = await Testbed.open(t);
  const host = await findFreePort('udp', ADDRESS);
  const web = await bed.listen('web', 1, null, [{ address: ADDRESS, host, guest: GUEST_PORT }]);
  web.server.close();
  bed.network.attach(web);
  await eventually('the port', () => bed.events.length === 1);
  const client = await openUdpClient(t);
  client.send('too early', host, ADDRESS);
  await web.server.listen();
  await web.server.connection(0);
  await eventually('a datagram', () => {
    client.send('in time', host, ADDRESS);
    return framesOf(web).length > 0;
  });
  assert.equal(framesOf(web)[0]!.subarray(HEAD_BYTES).toString(), 'in time');
});
