/** Merge of a config into running services: starts, stops and rollbacks. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { CommandReply, PlanReply } from '../../src/protocol/api.ts';
import type { Service } from '../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS } from '../../src/protocol/supervision.ts';
import { FakeContext, settle } from '../helpers/fakes/fake-context.ts';
import { afterStart, configOf, scriptService } from '../helpers/fakes/services.ts';

const ALL = { names: [], group: null };

const service = (name: string, overrides: Partial<Service> = {}) => scriptService(name, 'true', overrides);

function orchestrate({ obedient = true, concurrentBoots = 2 } = {}) {
  const context = new FakeContext({ obedient, concurrentBoots });
  const orchestrator = new Orchestrator(context);
  /** `name status` of every service. */
  const statuses = () => orchestrator.services().map(({ name, status }) => `${name} ${status}`);
  return { context, orchestrator, statuses };
}

function words({ actions }: PlanReply): string[] {
  return actions.map(({ name, action, reason }) => [action, name, reason].filter(Boolean).join(' '));
}

/** `name outcome error` of each service of a reply. */
function outcomes({ services }: CommandReply): string[] {
  return services.map(({ service: { name }, outcome, error }) => [name, outcome, error].filter(Boolean).join(' '));
}

test('services that the config lacks run on, and are stopped only to prune', async () => {
  const { context, orchestrator, statuses } = orchestrate();
  await orchestrator.start(configOf([service('web'), service('old')]));
  await orchestrator.start(configOf([service('web'), service('new')]));
  assert.deepEqual(statuses(), ['new Started', 'old Started', 'web Started']);

  context.clear();
  const reply = await orchestrator.start(configOf([service('web')]), ALL, { prune: true });
  assert.deepEqual(outcomes(reply), ['new changed', 'old changed', 'web unchanged']);
  assert.deepEqual(statuses(), ['new Stopped', 'old Stopped', 'web Started'], 'stopped, and not forgotten');
  assert.deepEqual(outcomes(await orchestrator.start(configOf([service('web')]), ALL, { prune: true })), [
    'web unchanged',
  ]);
});

test('to prune also stops services that wait to be restarted', async () => {
  const { context, orchestrator, statuses } = orchestrate();
  const restart = { ...DEFAULT_RESTART_SETTINGS, when: 'always' } as const;
  const crash = async () => {
    context.vms.get('old')!.emit({ type: 'job-exited', exit: { code: 3, signal: null } });
    await settle();
    context.vms.get('old')!.end();
    await settle();
    assert.equal(orchestrator.services().find(({ name }) => name === 'old')?.detail, 'waiting to be restarted');
  };
  await orchestrator.start(configOf([service('old', { restart })]));
  await crash();
  const config = configOf([service('web')]);
  assert.deepEqual(words(orchestrator.plan(config, ALL, { prune: true })), [
    'stop old not in the config',
    'create web',
  ]);
  const reply = await orchestrator.start(config, ALL, { prune: true });
  assert.deepEqual(outcomes(reply), ['old changed', 'web changed']);
  assert.deepEqual(statuses(), ['old Stopped', 'web Started']);
  context.clock.advance(60_000);
  await settle();
  assert.deepEqual(statuses(), ['old Stopped', 'web Started'], 'it does not come back');
});

test('to prune leaves services alone whose profiles are not chosen', async () => {
  const { context, orchestrator, statuses } = orchestrate();
  const members = ['web', 'debug', 'seed', 'old'].map((name) => service(name, { group: 'blue' }));
  const blue = { name: 'blue', address: null, local_only: true };
  await orchestrator.start(configOf(members, [blue]));
  await orchestrator.stop({ names: ['seed'], group: null });
  context.clear();
  const chosen = { ...configOf([members[0]!], [blue]), unselected: ['debug', 'seed', 'never-started'] };
  assert.deepEqual(words(orchestrator.plan(chosen, ALL, { prune: true })), ['stop old not in the config', 'keep web']);
  const reply = await orchestrator.start(chosen, ALL, { prune: true });
  assert.deepEqual(outcomes(reply), ['old changed', 'web unchanged']);
  assert.deepEqual(statuses(), ['debug Started', 'old Stopped', 'seed Stopped', 'web Started']);
  // Others of the group no longer find the one that no config declares.
  assert.deepEqual(context.callsOf('debug'), ['names debug=10.83.0.2 seed=10.83.0.3 web=10.83.0.1']);
  // A change of their group is one of theirs, as it is without pruning.
  const opened = { ...chosen, groups: [{ ...blue, local_only: false }] };
  assert.deepEqual(
    words(orchestrator.plan(opened, ALL, { prune: true })).map((line) => line.slice(0, 14)),
    ['restart web lo', 'restart debug '],
  );
});

test('to prune a group leaves other groups alone', async () => {
  const { orchestrator, statuses } = orchestrate();
  const groups = ['blue', 'red'].map((name) => ({ name, address: null, local_only: true }));
  const members = [service('a', { group: 'blue' }), service('b', { group: 'blue' }), service('c', { group: 'red' })];
  await orchestrator.start(configOf(members, groups));
  const config = configOf([members[0]!], groups);
  await orchestrator.start(config, { names: [], group: 'blue' }, { prune: true });
  assert.deepEqual(statuses(), ['a Started', 'b Stopped', 'c Started']);
  await assert.rejects(orchestrator.start(config, { names: ['a'], group: null }, { prune: true }), { code: 'Usage' });
});

test('a changed group restarts all its services, including those that the config lacks', async () => {
  const { context, orchestrator } = orchestrate();
  const [a, b, c] = [service('a', { group: 'blue' }), service('b', { group: 'blue' }), service('c')];
  await orchestrator.start(configOf([a!, b!, c!], [{ name: 'blue', address: null, local_only: true }]));
  await orchestrator.stop({ names: ['c'], group: null });
  context.clear();
  const changed = configOf([a!], [{ name: 'blue', address: null, local_only: false }]);
  assert.deepEqual(words(orchestrator.plan(changed)), [
    'restart a local_only of group blue changed from true to false',
    'restart b local_only of group blue changed from true to false',
  ]);
  assert.deepEqual(context.calls, [], 'a plan does nothing');
  assert.deepEqual(outcomes(await orchestrator.start(changed)), ['a changed', 'b changed']);
  assert.deepEqual(words(orchestrator.plan(changed)), ['keep a']);
  // Who names services means these alone.
  const again = configOf([a!], [{ name: 'blue', address: null, local_only: true }]);
  assert.deepEqual(words(orchestrator.plan(again, { names: ['a'], group: null })), [
    'restart a local_only of group blue changed from false to true',
  ]);
});

test('a plan lists the actions in the order of dependencies, with their reasons', async () => {
  const { context, orchestrator } = orchestrate();
  const web = service('web', { depends_on: afterStart('db') });
  await orchestrator.start(configOf([web, service('db'), service('old'), service('once')]));
  await orchestrator.stop({ names: ['once'], group: null });
  context.clear();
  const config = configOf([
    service('web', { depends_on: afterStart('db'), cpus: 2 }),
    service('db'),
    service('once'),
    service('new', { depends_on: afterStart('web') }),
  ]);
  assert.deepEqual(words(orchestrator.plan(config, ALL, { prune: true })), [
    'stop old not in the config',
    'start once',
    'keep db',
    'restart web cpus changed from 1 to 2',
    'create new',
  ]);
  assert.deepEqual(words(orchestrator.plan(config, { names: ['new'], group: null })), [
    'keep db',
    'restart web cpus changed from 1 to 2',
    'create new',
  ]);
  assert.throws(() => orchestrator.plan(config, { names: ['nwe'], group: null }), { code: 'ServiceUnknown' });
  assert.deepEqual(context.calls, []);
});

test('a plan takes no address', async () => {
  const { orchestrator } = orchestrate();
  const groups = [{ name: 'blue', address: null, local_only: true }];
  orchestrator.plan(configOf([service('a', { group: 'blue' })], groups));
  const other = [{ name: 'red', address: null, local_only: true }];
  await orchestrator.start(configOf([service('b', { group: 'red' })], other));
  assert.equal(orchestrator.services()[0]!.group_ip, '127.0.0.2');
});

test('an atomic start that fails puts back all changed services', async () => {
  const { context, orchestrator, statuses } = orchestrate();
  await orchestrator.start(configOf([service('web'), service('cache'), service('old'), service('ended')]));
  await orchestrator.stop({ names: ['ended'], group: null });
  context.clear();
  context.onPrepare = async (name) => {
    if (name === 'bad') throw new Error('no kernel');
  };
  const config = configOf([
    service('web', { cpus: 2 }),
    service('cache'),
    service('ended', { cpus: 2 }),
    service('new'),
    service('bad'),
  ]);
  const reply = await orchestrator.start(config, ALL, { prune: true, atomic: true });
  assert.deepEqual(outcomes(reply), [
    'old failed restored, because bad failed',
    'bad failed no kernel',
    'cache unchanged',
    'ended failed restored, because bad failed',
    'new failed restored, because bad failed',
    'web failed restored, because bad failed',
  ]);
  assert.deepEqual(statuses(), [
    'bad Failed',
    'cache Started',
    'ended Stopped',
    'new Stopped',
    'old Started',
    'web Started',
  ]);
  const cpus = new Map(orchestrator.services().map((row) => [row.name, row.cpus]));
  assert.deepEqual([cpus.get('web'), cpus.get('ended')], [1, 1]);
  assert.deepEqual(context.callsOf('cache'), []);
});

test('a service that cannot be put back is reported', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(configOf([service('web')]));
  let launches = 0;
  context.onPrepare = async (name) => {
    if (name === 'bad') throw new Error('no kernel');
    launches += 1;
    if (launches > 1) throw new Error('no disk');
  };
  const config = configOf([service('web', { cpus: 2 }), service('bad', { depends_on: afterStart('web') })]);
  assert.deepEqual(outcomes(await orchestrator.start(config, ALL, { atomic: true })), [
    'bad failed no kernel',
    'web failed restored, but it does not start with its former definition: no disk',
  ]);
});

test('without `atomic`, services that have started stay up', async () => {
  const { context, orchestrator, statuses } = orchestrate();
  context.onPrepare = async (name) => {
    if (name === 'bad') throw new Error('no kernel');
  };
  await orchestrator.start(configOf([service('web'), service('bad')]));
  assert.deepEqual(statuses(), ['bad Failed', 'web Started']);
});

test('the status shows what a start waits for', async () => {
  const { context, orchestrator } = orchestrate({ obedient: false, concurrentBoots: 1 });
  const details = () => orchestrator.services().map(({ name, detail }) => `${name}: ${detail}`);
  const config = configOf([service('a'), service('b'), service('c', { depends_on: afterStart('a', 'b') })]);
  const started = orchestrator.start(config);
  await settle();
  assert.deepEqual(details(), ['a: booting', 'b: waiting for a start slot (1 at a time)', 'c: waiting for a, b']);
  for (const name of ['a', 'b', 'c']) {
    context.vms.get(name)!.start();
    await settle();
  }
  await started;
  assert.deepEqual(details(), ['a: null', 'b: null', 'c: null']);
});

test('after a failed start the status shows no wait, and the reason of what was not started', async () => {
  const { context, orchestrator } = orchestrate();
  context.onPrepare = async (name) => {
    if (name === 'a') throw new Error('no kernel');
  };
  await orchestrator.start(configOf([service('a'), service('b', { depends_on: afterStart('a') })]));
  assert.deepEqual(
    orchestrator.services().map(({ detail }) => detail),
    [null, 'it depends on a, which failed'],
  );
});
