import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { CommandReply, ControlEvent } from '../../src/protocol/api.ts';
import type { Service } from '../../src/protocol/service.ts';
import { FakeContext, gate, settle } from '../helpers/fakes/fake-context.ts';
import { afterStart, configOf, scriptService } from '../helpers/fakes/services.ts';

const service = (name: string, overrides: Partial<Service> = {}) => scriptService(name, 'true', overrides);

/** `web` needs `api`, `api` needs `db`; `cron` needs nobody. */
const STACK = configOf([
  service('web', { depends_on: afterStart('api') }),
  service('api', { depends_on: afterStart('db') }),
  service('db'),
  service('cron'),
]);

function orchestrate({ obedient = true, concurrentBoots = 2 } = {}) {
  const context = new FakeContext({ obedient, concurrentBoots });
  return { context, orchestrator: new Orchestrator(context) };
}

/** `name outcome` of each service of a reply. */
function outcomes({ services }: CommandReply): string[] {
  return services.map(({ service: { name }, outcome }) => `${name} ${outcome}`);
}

/** Services of all calls of that kind, in order. */
function order(context: FakeContext, verb: string): string[] {
  return context.calls.filter((call) => call.startsWith(`${verb} `)).map((call) => call.split(' ')[1]!);
}

test('a service is launched when its dependencies have started', async () => {
  const { context, orchestrator } = orchestrate();
  const reply = await orchestrator.start(STACK);
  assert.deepEqual(outcomes(reply), ['api changed', 'cron changed', 'db changed', 'web changed']);
  const at = (call: string) => context.calls.indexOf(call);
  assert.ok(at('save db Started') < at('launch api'));
  assert.ok(at('save api Started') < at('launch web'));
  assert.ok(at('launch cron') < at('launch api'), 'who needs nobody waits for nobody');
});

test('starting a service starts its dependencies, and nothing else', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(STACK, { names: ['api'], group: null });
  assert.deepEqual(order(context, 'launch'), ['db', 'api']);
});

test('a service that fails also fails its dependents, each with the name of the one before', async () => {
  const { context, orchestrator } = orchestrate();
  context.onPrepare = async (name) => {
    if (name === 'db') throw new Error('no kernel');
  };
  const reply = await orchestrator.start(STACK);
  assert.deepEqual(
    reply.services.map(({ service: { name, status }, error }) => [name, status, error]),
    [
      ['api', 'Unstarted', 'it depends on db, which failed'],
      ['cron', 'Started', null],
      ['db', 'Failed', 'no kernel'],
      ['web', 'Unstarted', 'it depends on api, which depends on db, which failed'],
    ],
  );
  assert.deepEqual(reply.services[2]!.last_lines, ['the last words of db']);
  const details = orchestrator.services().map(({ name, detail }) => [name, detail]);
  assert.deepEqual(details.slice(0, 2), [
    ['api', 'it depends on db, which failed'],
    ['cron', null],
  ]);
});

test('dependent services are stopped first', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(STACK);
  context.clear();
  const reply = await orchestrator.stop();
  const at = (call: string) => context.calls.indexOf(call);
  assert.ok(at('conclude web Stopped') < at('signal api SIGTERM'));
  assert.ok(at('conclude api Stopped') < at('signal db SIGTERM'));
  assert.deepEqual(outcomes(reply), ['api changed', 'cron changed', 'db changed', 'web changed']);
  assert.deepEqual(outcomes(await orchestrator.stop()), [
    'api unchanged',
    'cron unchanged',
    'db unchanged',
    'web unchanged',
  ]);
});

test('starting again restarts changed services, and leaves the others alone', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(STACK);
  context.clear();
  assert.deepEqual(
    outcomes(await orchestrator.start(STACK)).filter((outcome) => outcome.endsWith(' changed')),
    [],
  );
  assert.deepEqual(context.calls, []);

  const changed = configOf(STACK.services.map((one) => (one.name === 'cron' ? { ...one, ram_mib: 256 } : one)));
  assert.deepEqual(outcomes(await orchestrator.start(changed)), [
    'api unchanged',
    'cron changed',
    'db unchanged',
    'web unchanged',
  ]);
  assert.deepEqual(
    context.callsOf('cron').filter((call) => /^(conclude|launch)/.test(call)),
    ['conclude Stopped', 'launch'],
  );
  assert.equal(orchestrator.services().find(({ name }) => name === 'cron')!.ram_mib, 256);
});

test('a restart stops and starts services as they were', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(STACK);
  context.clear();
  assert.deepEqual(outcomes(await orchestrator.restart({ names: ['api'], group: null })), ['api changed']);
  assert.deepEqual(order(context, 'launch'), ['api']);
});

test('a removed service is stopped, and its logs, its disk and its status are removed', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(STACK);
  context.clear();
  const events: ControlEvent[] = [];
  orchestrator.on('event', (event) => events.push(event));
  await orchestrator.remove({ names: ['cron'], group: null });
  assert.deepEqual(context.callsOf('cron').slice(-5), [
    ...['conclude Stopped', 'removeLogs', 'removeData', 'removeData', 'remove'],
  ]);
  assert.deepEqual(events.at(-1), { type: 'removed', name: 'cron' });
  assert.deepEqual(
    orchestrator.services().map(({ name }) => name),
    ['api', 'db', 'web'],
  );
});

test('two removals of the same service at once both succeed', async () => {
  const { orchestrator } = orchestrate();
  await orchestrator.start(STACK);
  const [first, second] = await Promise.all([orchestrator.remove(), orchestrator.remove()]);
  assert.equal(first.services.length, 4);
  assert.equal(second.services.length, 4);
  assert.deepEqual(orchestrator.services(), []);
});

test('an unknown name or group is refused before anything is done', async () => {
  const { context, orchestrator } = orchestrate();
  await assert.rejects(orchestrator.start(STACK, { names: ['web', 'wbe'], group: null }), {
    code: 'ServiceUnknown',
    message: 'the config has no service "wbe"; did you mean "web"?',
  });
  assert.deepEqual(context.calls, []);
  await assert.rejects(orchestrator.start(STACK, { names: [], group: 'blue' }), { code: 'ServiceUnknown' });
  await assert.rejects(orchestrator.stop({ names: ['web'], group: null }), /the daemon has no service "web"/);
  await assert.rejects(orchestrator.remove({ names: ['web'], group: null }), { code: 'ServiceUnknown' });
});

test('the name of a replicated service selects all its replicas in every command', async () => {
  const { orchestrator } = orchestrate();
  const replicas = ['web-1', 'web-2'].map((name) => service(name, { replica_of: 'web' }));
  const [web, all] = [{ names: ['web'], group: null }, ['web-1 changed', 'web-2 changed']];
  assert.deepEqual(outcomes(await orchestrator.start(configOf([...replicas, service('web-3')]), web)), all);
  await orchestrator.start(configOf([service('web-3')]));
  assert.deepEqual(outcomes(await orchestrator.restart(web)), all);
  assert.deepEqual(outcomes(await orchestrator.stop(web)), all);
  assert.deepEqual(outcomes(await orchestrator.remove(web)), all);
  assert.deepEqual(
    orchestrator.services().map(({ name, status }) => `${name} ${status}`),
    ['web-3 Started'],
    'a name that only looks like that of a replica is none',
  );
});

test('no more VMs boot at once than there are slots', async () => {
  const { context, orchestrator } = orchestrate({ obedient: false, concurrentBoots: 2 });
  const names = ['a', 'b', 'c', 'd', 'e'];
  const started = orchestrator.start(configOf(names.map((name) => service(name))));
  for (let booted = 0; booted < names.length; booted += 1) {
    await settle();
    assert.equal(context.vms.size, Math.min(booted + 2, names.length));
    context.vms.get(names[booted]!)!.start();
  }
  assert.equal((await started).services.length, names.length);
});

test('two concurrent starts of the same services launch each once', async () => {
  const { context, orchestrator } = orchestrate({ concurrentBoots: 1 });
  await Promise.all([orchestrator.start(STACK), orchestrator.start(STACK), orchestrator.start(STACK)]);
  assert.deepEqual(order(context, 'launch').sort(), ['api', 'cron', 'db', 'web']);
});

test('two concurrent starts with the same change restart the service once', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(configOf([service('web')]));
  context.clear();
  const changed = configOf([service('web', { cpus: 2 })]);
  await Promise.all([orchestrator.start(changed), orchestrator.start(changed)]);
  assert.deepEqual(order(context, 'launch'), ['web']);
});

test('a stop cancels starts that wait for a slot or a dependency', async () => {
  const { context, orchestrator } = orchestrate({ obedient: false, concurrentBoots: 1 });
  const started = orchestrator.start(
    configOf([service('a'), service('b'), service('c', { depends_on: afterStart('a') })]),
  );
  await settle();
  const stopped = orchestrator.stop();
  await settle();
  for (const vm of context.vms.values()) vm.end();
  await stopped;
  const { services } = await started;
  assert.equal(order(context, 'launch').length, 1);
  assert.deepEqual(
    services.map(({ outcome, error }) => [outcome, error]),
    services.map(() => ['failed', 'it was stopped before its command ran']),
  );
});

test('a start waits until the end of the last run is saved', async () => {
  const { context, orchestrator } = orchestrate();
  const config = configOf([service('web')]);
  await orchestrator.start(config);
  const cleanedUp = gate();
  context.onCleanUp = () => cleanedUp.opened;
  context.vms.get('web')!.end();
  await settle();
  assert.equal(orchestrator.services()[0]!.status, 'Failed');
  context.clear();
  const started = orchestrator.start(config);
  await settle();
  assert.deepEqual(context.calls, [], 'its runtime folder would be removed under it');
  cleanedUp.open();
  await started;
  assert.deepEqual(context.callsOf('web').slice(0, 3), ['conclude Failed', 'save Starting', 'prepare']);
});

test('services that ended under an earlier daemon are listed with their end', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(configOf([service('web')]));
  context.vms.get('web')!.emit({ type: 'job-exited', exit: { code: 3, signal: null } });
  await settle();
  const leftovers = { left: [], lost: [], ended: [context.saved.at(-1)!] };
  const later = await Orchestrator.open(Object.assign(new FakeContext(), leftovers));
  const [row] = later.services();
  assert.deepEqual([row!.name, row!.status, row!.exit_code], ['web', 'Stopped', 3]);
});

test('every change of a service is emitted in order, and no end twice', async () => {
  const follow = (orchestrator: Orchestrator) => {
    const seen: string[] = [];
    orchestrator.on('event', (event) => {
      if (event.type === 'service') seen.push(`${event.service.status} ${event.service.detail ?? ''}`.trim());
    });
    return seen;
  };
  const { context, orchestrator } = orchestrate();
  const seen = follow(orchestrator);
  const start = ['Starting preparing', 'Starting booting', 'Started'];
  const stop = ['Stopping stopping', 'Stopping reading the last output', 'Stopping powering off', 'Stopped'];
  await orchestrator.start(configOf([service('web')]));
  await orchestrator.stop();
  assert.deepEqual(seen, ['Unstarted', ...start, ...stop]);
  await orchestrator.start(configOf([service('web')]));
  assert.deepEqual(seen.slice(8), start);
  await orchestrator.stop();

  const leftovers = { left: [], lost: [], ended: [context.saved.at(-1)!] };
  const later = await Orchestrator.open(Object.assign(new FakeContext({ obedient: true }), leftovers));
  const seenLater = follow(later);
  await later.start(configOf([service('web')]));
  assert.deepEqual(seenLater, start);
});

test('a stop resolves when its run has ended, although the service was started again', async () => {
  const { context, orchestrator } = orchestrate({ obedient: false });
  const config = configOf([service('web')]);
  const started = orchestrator.start(config);
  await settle();
  context.vms.get('web')!.start();
  await started;
  const stopped = orchestrator.stop();
  const restarted = orchestrator.start(config);
  const closing = gate();
  void stopped.then(closing.open);
  await settle();
  context.vms.get('web')!.end();
  await closing.opened;
  await settle();
  context.vms.get('web')!.start();
  assert.deepEqual(outcomes(await restarted), ['web changed']);
});

test('nothing is started during the shutdown', async () => {
  const { orchestrator } = orchestrate();
  const config = configOf([service('web')]);
  await orchestrator.start(config);
  await orchestrator.end();
  assert.equal(orchestrator.services()[0]!.status, 'Stopped');
  await assert.rejects(orchestrator.start(config), { code: 'Aborted', message: 'the daemon is ending' });
});
