/** The disk of a service that gets replicas, or loses them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { Config, Service } from '../../src/protocol/service.ts';
import { FakeContext, settle } from '../helpers/fakes/fake-context.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';

const ALL = { names: [], group: null };

const declare = (services: readonly Service[]): Config => ({
  ...configOf(services, []),
  project: { name: 'shop', folder: '/srv/shop' },
});
const service = (name: string, overrides: Partial<Service> = {}) =>
  scriptService(name, 'true', { disk_mib: 16, ...overrides });
const replica = (index: number) => service(`db-${index}`, { replica_of: 'db' });

const ALONE = declare([service('db')]);
const TWO = declare([replica(1), replica(2)]);

function orchestrate() {
  const context = new FakeContext({ obedient: true });
  const disks = () => [...context.disks].sort().join();
  return { context, orchestrator: new Orchestrator(context), disks };
}

/** The next daemon, with the state files and disks that `context` left. */
async function reopen(context: FakeContext) {
  const next = new FakeContext({ obedient: true });
  for (const name of context.disks) next.disks.add(name);
  const ended = [...context.disk.values()];
  return { next, orchestrator: await Orchestrator.open(Object.assign(next, { left: [], lost: [], ended })) };
}

function plan(orchestrator: Orchestrator, config: Config): string[] {
  return orchestrator.plan(config).actions.map(({ action, name, reason }) => `${action} ${name} ${reason}`);
}

test('the disk goes to the first replica and back, between the stop and the start', async () => {
  const { context, orchestrator, disks } = orchestrate();
  await orchestrator.start(ALONE);
  assert.deepEqual(plan(orchestrator, TWO).slice(1), ['create db-1 takes the disk of db', 'create db-2 null']);
  assert.equal(disks(), 'db', 'a plan moves nothing');
  context.clear();
  assert.equal((await orchestrator.start(TWO)).notes, undefined);
  const order = ['conclude db Stopped', 'moveData db db-1', 'launch db-1'].map((call) => context.calls.indexOf(call));
  assert.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  );
  assert.ok(order[0] !== -1, context.calls.join());
  assert.equal(disks(), 'db-1,db-2');
  assert.equal(plan(orchestrator, ALONE).at(-1), 'start db takes the disk of db-1');
  await orchestrator.start(ALONE);
  assert.equal(disks(), 'db,db-2');
});

test('a disk moves only if the first replica starts, wants one and has none', async () => {
  const { orchestrator, disks } = orchestrate();
  await orchestrator.start(ALONE);
  await orchestrator.start(TWO, { names: ['db-2'], group: null });
  assert.equal(disks(), 'db,db-2');
  await orchestrator.start(declare([1, 2].map((index) => ({ ...replica(index), disk_mib: null }))));
  assert.equal(disks(), 'db,db-2');
  await orchestrator.start(TWO);
  assert.equal(disks(), 'db-1,db-2', 'db was stopped long before');
});

test('two disks stay where they are, and the start tells', async () => {
  const { context, orchestrator, disks } = orchestrate();
  context.disks.add('db-1');
  await orchestrator.start(ALONE);
  const notes = ['the disk of db stays beside that of db-1, which exists already'];
  assert.deepEqual(orchestrator.plan(TWO).notes, notes);
  assert.deepEqual((await orchestrator.start(TWO)).notes, notes);
  assert.equal(disks(), 'db,db-1,db-2');
  assert.equal((await orchestrator.start(TWO)).notes, undefined, 'once');
});

test('a disk that cannot be moved fails the start instead of leaving the replica an empty one', async () => {
  const { context, orchestrator, disks } = orchestrate();
  await orchestrator.start(ALONE);
  context.onMoveData = async () => {
    throw new Error('the disk is read-only');
  };
  await assert.rejects(orchestrator.start(TWO), {
    code: 'StartFailed',
    message: 'the disk of db cannot be moved to db-1: the disk is read-only',
  });
  assert.equal(disks(), 'db');
  // As after a crash of the daemon right before the move.
  const { next, orchestrator: later } = await reopen(context);
  await later.start(TWO);
  assert.deepEqual([...next.disks].sort(), ['db-1', 'db-2']);
});

test('after a crash right behind the move the same start goes on with the disk', async () => {
  const { context, orchestrator, disks } = orchestrate();
  await orchestrator.start(ALONE);
  context.onPrepare = async () => {
    throw new Error('the daemon is gone');
  };
  await orchestrator.start(TWO);
  assert.equal(disks(), 'db-1');
  for (const name of ['db-1', 'db-2']) context.disk.delete(name);
  const { next, orchestrator: later } = await reopen(context);
  assert.equal((await later.start(TWO)).notes, undefined);
  assert.deepEqual([...next.disks].sort(), ['db-1', 'db-2']);
  assert.ok(!next.calls.some((call) => call.startsWith('moveData')));
});

test('an atomic start that fails puts the disk back before the service starts again', async () => {
  const { context, orchestrator, disks } = orchestrate();
  await orchestrator.start(ALONE);
  context.onLaunch = async (name) => {
    if (name === 'db-2') throw new Error('no kernel');
  };
  context.clear();
  await orchestrator.start(TWO, ALL, { atomic: true });
  assert.equal(disks(), 'db,db-2');
  assert.ok(context.calls.indexOf('moveData db-1 db') < context.calls.indexOf('launch db'), context.calls.join());
  assert.equal(orchestrator.services().find(({ name }) => name === 'db')?.status, 'Started');
});

test('a daemon that starts services of policy always leaves those that the config no longer declares', async () => {
  const always = { when: 'always' } as Partial<Service['restart']>;
  const withPolicy = (one: Service) => ({ ...one, restart: { ...one.restart, ...always } });
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(declare([withPolicy(service('db'))]));
  await orchestrator.start(declare([withPolicy(replica(1))]));
  await orchestrator.stop();
  const next = new FakeContext({ obedient: true });
  const ended = [...context.disk.values()];
  await Orchestrator.open(Object.assign(next, { left: [], lost: [], ended }), { startsAll: true });
  await settle();
  assert.deepEqual(
    next.calls.filter((call) => call.startsWith('prepare')),
    ['prepare db-1'],
  );
});
