/** Commands during an unfinished start: they cannot take its addresses and ports, nor those that a rollback may restore. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { CommandReply } from '../../src/protocol/api.ts';
import type { Service } from '../../src/protocol/service.ts';
import { FakeContext, gate, settle } from '../helpers/fakes/fake-context.ts';
import { afterStart, configOf, scriptService } from '../helpers/fakes/services.ts';

const ALL = { names: [], group: null };
const GROUPS = ['blue', 'green', 'red'].map((name) => ({ name, address: null, local_only: true }));
const member = (name: string, group: string | null, overrides: Partial<Service> = {}) =>
  scriptService(name, 'true', { group, ...overrides });
const config = (...services: Service[]) => configOf(services, GROUPS);

function open() {
  const context = new FakeContext({ obedient: true });
  const orchestrator = new Orchestrator(context);
  /** `name address status` of every service. */
  const rows = () => orchestrator.services().map((row) => `${row.name} ${row.group_ip} ${row.status}`);
  return { context, orchestrator, rows };
}

function outcomes({ services }: CommandReply): string[] {
  return services.map(({ service: { name }, outcome, error }) => [name, outcome, error].filter(Boolean).join(' '));
}

/** A start that has moved `web` from blue to green, and is about to fail and to put it back. */
async function holdUpMove() {
  const { context, orchestrator, rows } = open();
  const web = member('web', 'blue', { ports: [{ host: 80, guest: 80, protocol: 'tcp' }] });
  await orchestrator.start(config(web));
  const { opened, open: fail } = gate();
  context.onPrepare = async (name) => {
    if (name !== 'bad') return;
    await opened;
    throw new Error('no kernel');
  };
  const bad = member('bad', null, { depends_on: afterStart('web') });
  const started = orchestrator.start(config({ ...web, group: 'green' }, bad), ALL, { atomic: true });
  await settle();
  await settle();
  assert.deepEqual(rows(), ['bad null Starting', 'web 127.0.0.3 Started']);
  // Every command frees what nobody has.
  orchestrator.plan(config());
  const rolledBack = () => {
    fail();
    return started;
  };
  return { context, orchestrator, rows, rolledBack };
}

test('an address that a start may put back goes to no other group meanwhile', async () => {
  const { orchestrator, rows, rolledBack } = await holdUpMove();
  await orchestrator.start(config(member('other', 'red')));
  assert.deepEqual(outcomes(await rolledBack()), ['bad failed no kernel', 'web failed restored, because bad failed']);
  assert.deepEqual(rows(), ['bad null Failed', 'other 127.0.0.4 Started', 'web 127.0.0.2 Started']);
  await orchestrator.start(config(member('second', 'blue'), member('third', 'green')));
  assert.deepEqual(
    rows().slice(2),
    ['second 127.0.0.2 Started', 'third 127.0.0.3 Started', 'web 127.0.0.2 Started'],
    'its group has it again, and the other one is free',
  );
});

test('a place in a group that a start may put back goes to no other service meanwhile', async () => {
  const { context, orchestrator, rolledBack } = await holdUpMove();
  await orchestrator.start(config(member('other', 'blue')));
  assert.ok(context.callsOf('other').includes('attach blue 2'));
  context.clear();
  await rolledBack();
  assert.ok(context.callsOf('web').includes('attach blue 1'));
});

test('a port that a start may put back goes to no other service meanwhile', async () => {
  const { orchestrator, rows, rolledBack } = await holdUpMove();
  const rival = member('rival', 'blue', { ports: [{ host: 80, guest: 80, protocol: 'tcp' }] });
  await assert.rejects(orchestrator.start(config(rival)), {
    code: 'StartFailed',
    message: /is taken by service web of group blue, which may be restored; /,
  });
  await rolledBack();
  assert.deepEqual(rows(), ['bad null Failed', 'web 127.0.0.2 Started']);
});

test('a service that is removed before its rollback stays removed, and frees its places', async () => {
  const { orchestrator, rows, rolledBack } = await holdUpMove();
  await orchestrator.remove({ names: ['web'], group: null });
  await rolledBack();
  assert.deepEqual(rows(), ['bad null Failed']);
  await orchestrator.start(config(member('other', 'red')));
  assert.deepEqual(rows(), ['bad null Failed', 'other 127.0.0.2 Started']);
});

test('a start that waits for a pruned service has its addresses and ports already', async () => {
  const { context, orchestrator, rows } = open();
  await orchestrator.start(config(member('old', null)));
  const { opened, open: release } = gate();
  context.onCleanUp = (name) => (name === 'old' ? opened : Promise.resolve());
  const web = member('web', 'green', { ports: [{ host: 80, guest: 80, protocol: 'tcp' }] });
  const pruned = orchestrator.start(config(web), ALL, { prune: true });
  await settle();
  orchestrator.plan(config(web));
  await orchestrator.start(config(member('other', 'red')));
  await assert.rejects(orchestrator.start(config({ ...web, name: 'rival' })), {
    message: /is taken by service web of group green, which is being started; /,
  });
  release();
  await pruned;
  assert.deepEqual(rows(), ['old null Stopped', 'other 127.0.0.3 Started', 'web 127.0.0.2 Started']);
});

test('a restart starts a service with its latest definition, and none that was removed', async () => {
  const { context, orchestrator, rows } = open();
  await orchestrator.start(config(member('web', 'blue'), member('gone', 'blue'), member('slow', null)));
  const { opened, open: release } = gate();
  context.onCleanUp = (name) => (name === 'slow' ? opened : Promise.resolve());
  const restarted = orchestrator.restart();
  await settle();
  await orchestrator.remove({ names: ['gone'], group: null });
  await orchestrator.start(config(member('web', 'green')));
  await orchestrator.start(config(member('other', 'red')));
  release();
  await restarted;
  assert.deepEqual(rows(), ['other 127.0.0.4 Started', 'slow null Started', 'web 127.0.0.3 Started']);
  await orchestrator.start(config(member('last', 'blue')));
  assert.ok(rows().includes('last 127.0.0.2 Started'), 'what nobody has any more is free');
});

test('a start during a removal waits for it, and the service that it starts is known', async () => {
  const { context, orchestrator, rows } = open();
  const web = config(member('web', null));
  await orchestrator.start(web);
  const { opened, open: removeLogs } = gate();
  context.removeLogs = () => opened;
  const removed = orchestrator.remove({ names: ['web'], group: null });
  await settle();
  const started = orchestrator.start(web);
  await settle();
  assert.deepEqual(rows(), ['web null Stopped'], 'nothing runs that the removal would forget');
  removeLogs();
  assert.deepEqual(outcomes(await removed), ['web changed']);
  assert.deepEqual(outcomes(await started), ['web changed']);
  assert.deepEqual(rows(), ['web null Started']);
});

test('a removal ends the start that is in progress', async () => {
  const { context, orchestrator, rows } = open();
  const { opened, open: prepare } = gate();
  context.onPrepare = () => opened;
  const started = orchestrator.start(config(member('web', null)));
  await settle();
  const removed = orchestrator.remove({ names: ['web'], group: null });
  await settle();
  prepare();
  assert.deepEqual(outcomes(await removed), ['web changed']);
  assert.equal((await started).services[0]?.outcome, 'failed');
  assert.deepEqual(rows(), []);
});
