import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { eventually } from '../../helpers/eventually.ts';
import { frameOf, Testbed } from '../../helpers/network/harness.ts';

/** Lets time pass for who looks at the clock. */
function makeClock(t: TestContext): { advance(ms: number): void } {
  const now = performance.now.bind(performance);
  let aheadMs = 0;
  t.mock.method(performance, 'now', () => now() + aheadMs);
  return {
    advance(ms) {
      aheadMs += ms;
    },
  };
}

const unreachable = (bed: Testbed) => bed.events.filter(({ type }) => type === 'unreachable');

test('a VM that cannot be connected for a while is told of once, and again only after a connection', async (t) => {
  const clock = makeClock(t);
  const bed = await Testbed.open(t);
  const web = await bed.listen('web', 1);
  web.server.close();
  bed.network.attach(web);
  clock.advance(10_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(bed.events, []);
  clock.advance(10_000);
  await eventually('an event', () => unreachable(bed).length > 0);
  clock.advance(20_000);
  await web.server.listen();
  const connection = await web.server.connection(0);
  assert.equal(unreachable(bed).length, 1);
  web.server.close();
  connection.destroy();
  // Not before the connection has ended for the other side, too.
  const isToldAgain = () => {
    clock.advance(1000);
    return unreachable(bed).length === 2;
  };
  await eventually('an event', isToldAgain, 1_000_000);
});

test('a connection that breaks after a long time was one', async (t) => {
  const clock = makeClock(t);
  const bed = await Testbed.open(t);
  const web = await bed.add('web', 1);
  const db = await bed.add('db', 2);
  const cache = await bed.add('cache', 3);
  const connection = await db.server.connection(0);
  connection.pause();
  // What the kernel still holds when a socket is closed resets its connection: ECONNRESET, and no end of file.
  const marker = frameOf({ to: 3 });
  await web.send(...Array<Buffer>(200).fill(frameOf({ text: 'x'.repeat(1400) })), marker);
  await cache.received(marker);
  clock.advance(60_000);
  connection.destroy();
  await db.server.connection(1);
  assert.deepEqual(unreachable(bed), []);
});
