import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import test from 'node:test';
import { memberAddress, memberMac } from '../../../src/protocol/network.ts';
import { MAX_FRAME_BYTES, MAX_QEMU_FRAME_BYTES } from '../../../workers/network/frame.ts';
import { BROADCASTS, QUEUE_BYTES } from '../../../workers/network/vm-link.ts';
import { eventually } from '../../helpers/eventually.ts';
import { arpOf, BROADCAST, framed, frameOf, Testbed } from '../../helpers/network/harness.ts';

async function makeThree(t: Parameters<typeof Testbed.open>[0]) {
  const bed = await Testbed.open(t);
  return { bed, web: await bed.add('web', 1), db: await bed.add('db', 2), cache: await bed.add('cache', 3) };
}

test('a frame goes to whom it is for, and to nobody else', async (t) => {
  const { web, db, cache } = await makeThree(t);
  const [first, second] = [frameOf({ to: 2, text: 'one' }), frameOf({ to: 3, text: 'two' })];
  await web.send(first, second, frameOf({ to: 9 }), frameOf({ to: 1 }), frameOf({ to: '52:54:00:12:34:56' }));
  await db.received(first);
  await cache.received(second);
  const answer = frameOf({ from: 2, to: 1, text: 'answer' });
  await db.send(answer);
  await web.received(answer);
});

test('what is for all goes to all but the sender', async (t) => {
  const { web, db, cache } = await makeThree(t);
  const frames = [frameOf({ to: BROADCAST }), frameOf({ to: '01:00:5e:00:00:fb' }), arpOf(1), arpOf(1, '0.0.0.0')];
  await web.send(...frames);
  await Promise.all([db.received(...frames), cache.received(...frames)]);
  const marker = frameOf({ from: 2, to: 1 });
  await db.send(marker);
  await web.received(marker);
});

test('groups with the same addresses never meet', async (t) => {
  const { bed, web, db } = await makeThree(t);
  const other = await bed.add('other', 1, 'elsewhere');
  const neighbour = await bed.add('neighbour', 2, 'elsewhere');
  const [here, there] = [frameOf({ text: 'here' }), frameOf({ text: 'there' })];
  const forAll = frameOf({ to: BROADCAST });
  await web.send(forAll, here);
  await other.send(there);
  await db.received(forAll, here);
  await neighbour.received(there);
});

test('nobody speaks for another, and nothing but IPv4 and ARP is spoken', async (t) => {
  const { bed, web, db, cache } = await makeThree(t);
  const foreign = [
    frameOf({ sourceMac: memberMac(3) }),
    frameOf({ sourceMac: '02:00:00:00:00:01' }),
    frameOf({ sourceIp: memberAddress(3) }),
    frameOf({ sourceIp: '192.0.2.1' }),
    arpOf(1, memberAddress(3)),
    arpOf(1, memberAddress(1), memberMac(3)),
    frameOf({ type: 0x86dd }),
    frameOf({ type: 0x8100 }),
    framed(Buffer.alloc(0)),
    framed(frameOf().subarray(4, 30)),
  ];
  const genuine = frameOf();
  await web.send(...foreign, genuine);
  await db.received(genuine);
  await cache.received();
  const drops = () =>
    bed.events.reduce(
      (sum, event) => sum + (event.type === 'dropped' && event.cause === 'foreign' ? event.frames : 0),
      0,
    );
  await eventually('the drops', () => drops() === foreign.length);
});

test('a frame may come in any pieces', async (t) => {
  const { web, db } = await makeThree(t);
  const frames = [frameOf({ text: 'a' }), frameOf({ text: 'b'.repeat(1400) }), frameOf({ text: 'c' })];
  const bytes = Buffer.concat(frames);
  for (const size of [1, 3, 700]) {
    for (let at = 0; at < bytes.length; at += size) {
      await web.send(bytes.subarray(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  await db.received(...frames, ...frames, ...frames);
});

test('a frame that Ethernet does not have is skipped, and what follows is not', async (t) => {
  const { bed, web, db } = await makeThree(t);
  const largest = framed(Buffer.concat([frameOf().subarray(4), Buffer.alloc(MAX_FRAME_BYTES - 41)]));
  assert.equal(largest.length, 4 + MAX_FRAME_BYTES);
  const jumbo = framed(Buffer.alloc(MAX_FRAME_BYTES + 1, 1));
  const huge = framed(Buffer.alloc(MAX_QEMU_FRAME_BYTES, 1));
  const small = frameOf();
  await web.send(largest, jumbo, small, huge.subarray(0, 2));
  await web.send(huge.subarray(2), small);
  await db.received(largest, small, small);
  await eventually('the drops', () =>
    bed.events.some((event) => event.type === 'dropped' && event.cause === 'oversize' && event.frames === 2),
  );
});

test('a VM whose QEMU sends what is no frame is cut off for good, and only that one', async (t) => {
  const { bed, web, db, cache } = await makeThree(t);
  const before = frameOf();
  const nonsense = Buffer.alloc(4);
  nonsense.writeUInt32BE(MAX_QEMU_FRAME_BYTES + 1);
  await web.send(before, nonsense, frameOf());
  await eventually('the end of the connection', () => web.server.connections[0]!.destroyed);
  assert.deepEqual(bed.events, [{ type: 'expelled', service: 'web', reason: 'it announced a frame of 69633 bytes' }]);
  await db.received(before);
  const between = frameOf({ from: 2, to: 3 });
  await db.send(frameOf({ from: 2, to: 1 }), between);
  await cache.received(between);
  assert.equal(web.server.connections.length, 1);
  bed.network.attach(web);
  assert.equal(web.server.connections.length, 1, 'not by asking again');
});

test('a VM that does not read holds nobody up, and costs no more memory than its queue has', async (t) => {
  const { bed, web, db, cache } = await makeThree(t);
  const slow = await db.server.connection(0);
  slow.pause();
  const frame = frameOf({ text: 'x'.repeat(1400) });
  const sentBytes = 40 * QUEUE_BYTES;
  const count = Math.ceil(sentBytes / frame.length);
  const marker = frameOf({ to: 3, text: 'marker' });
  await web.send(...Array<Buffer>(count).fill(frame), marker);
  await cache.received(marker);
  await eventually('the drops', () =>
    bed.events.some((event) => event.type === 'dropped' && event.cause === 'full' && event.service === 'db'),
  );
  slow.resume();
  const last = frameOf({ text: 'last' });
  // Whole frames arrive, of what there was room for; then all is as before.
  await eventually('the last frame', async () => {
    await web.send(last);
    return db.server.text(0)!.endsWith(last.toString('latin1'));
  });
  const receivedFrames = db.server.text(0)!.split(frame.toString('latin1')).length - 1;
  assert.ok(receivedFrames > 0 && receivedFrames < count, `${receivedFrames} of ${count}`);
  const rest = db.server.text(0)!.replaceAll(frame.toString('latin1'), '').replaceAll(last.toString('latin1'), '');
  assert.equal(rest, '');
});

test('one that talks to all without end is not listened to, but for what it says to one', async (t) => {
  const { bed, web, db } = await makeThree(t);
  const flood = frameOf({ to: BROADCAST });
  const marker = frameOf({ text: 'marker' });
  await web.send(...Array<Buffer>(3 * BROADCASTS.burst).fill(flood), marker);
  await eventually('the marker', () => db.server.text(0)!.endsWith(marker.toString('latin1')));
  const passed = db.server.text(0)!.split(flood.toString('latin1')).length - 1;
  assert.ok(passed >= BROADCASTS.burst && passed < 3 * BROADCASTS.burst, `${passed} passed`);
  await eventually('the drops', () => bed.events.some((event) => event.type === 'dropped' && event.cause === 'flood'));
});

test('a VM is connected when its socket comes, again when its connection ends, and never after it was detached', async (t) => {
  const { bed, web, db } = await makeThree(t);
  assert.equal(statSync(db.socketPath).mode & 0o777, 0o600);
  db.server.hangUp();
  await db.server.connection(1);
  await eventually('a frame', async () => {
    await web.send(frameOf());
    return db.server.text(1);
  });
  bed.network.detach('db');
  await eventually('the end of the connection', () => db.server.connections[1]!.destroyed);
  const marker = frameOf({ to: 3 });
  await web.send(frameOf(), marker);
  assert.equal(db.server.connections.length, 2);

  // Its place is free for another, and the new one hears what is for it.
  const heir = await bed.listen('heir', 2);
  heir.server.close();
  bed.network.attach(heir);
  await heir.server.listen();
  await heir.server.connection(0);
  await eventually('a frame', async () => {
    await web.send(frameOf());
    return heir.server.text(0);
  });
  bed.network.detach('never attached');
});
