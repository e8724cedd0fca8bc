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
  const ports = new FakeContext({ obedient, concurrentBoots });
  return { ports, orchestrator: new Orchestrator(ports) };
}

/** `name outcome` of each service of a reply. */
function outcomes({ services }: CommandReply): string[] {
  return services.map(({ service: { name }, outcome }) => `${name} ${outcome}`);
}

/** Names of the services about which that call was made, in order. */
function order(ports: FakeContext, verb: string): string[] {
  return ports.calls.filter((call) => call.startsWith(`${verb} `)).map((call) => call.split(' ')[1]!);
}

test('a service is launched when what it depends on has started', async () => {
  const { ports, orchestrator } = orchestrate();
  const reply = await orchestrator.start(STACK);
  assert.deepEqual(outcomes(reply), ['api changed', 'cron changed', 'db changed', 'web changed']);
  const at = (call: string) => ports.calls.indexOf(call);
  assert.ok(at('save db Started') < at('launch api'));
  assert.ok(at('save api Started') < at('launch web'));
  assert.ok(at('launch cron') < at('launch api'), 'who needs nobody waits for nobody');
});

test('starting one service starts what it depends on, and nothing else', async () => {
  const { ports, orchestrator } = orchestrate();
  await orchestrator.start(STACK, { names: ['api'], group: null });
  assert.deepEqual(order(ports, 'launch'), ['db', 'api']);
});

test('a service that fails takes those with it that depend on it, each naming the one before', async () => {
  const { ports, orchestrator } = orchestrate();
  ports.onPrepare = async (name) => {
    if (name === 'db') throw new Error('no kernel');
  };
  const reply = await orchestrator.start(STACK);
  assert.deepEqual(
    reply.services.map(({ service: { name, status }, error }) => [name, status, error]),
    [
      ['api', 'Unstarted', 'it depends on db, which failed: no kernel'],
      ['cron', 'Started', null],
      ['db', 'Failed', 'no kernel'],
      ['web', 'Unstarted', 'it depends on api, which depends on db, which failed: no kernel'],
    ],
  );
  assert.deepEqual(reply.services[2]!.last_lines, ['the last words of db']);
});

test('a stop comes to those first that depend on others', async () => {
  const { ports, orchestrator } = orchestrate();
  await orchestrator.start(STACK);
  ports.clear();
  const reply = await orchestrator.stop();
  const at = (call: string) => ports.calls.indexOf(call);
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

test('starting again leaves alone what runs as it is, and restarts what was changed', async () => {
  const { ports, orchestrator } = orchestrate();
  await orchestrator.start(STACK);
  ports.clear();
  assert.deepEqual(
    outcomes(await orchestrator.start(STACK)).filter((outcome) => outcome.endsWith(' changed')),
    [],
  );
  assert.deepEqual(ports.calls, []);

  const changed = configOf(STACK.services.map((one) => (one.name === 'cron' ? { ...one, ram_mib: 256 } : one)));
  assert.deepEqual(outcomes(await orchestrator.start(changed)), [
    'api unchanged',
    'cron changed',
    'db unchanged',
    'web unchanged',
  ]);
  assert.deepEqual(
    ports.callsOf('cron').filter((call) => /^(conclude|launch)/.test(call)),
    ['conclude Stopped', 'launch'],
  );
  assert.equal(orchestrator.services().find(({ name }) => name === 'cron')!.ram_mib, 256);
});

test('a restart stops and starts services as they were', async () => {
  const { ports, orchestrator } = orchestrate();
  await orchestrator.start(STACK);
  ports.clear();
  assert.deepEqual(outcomes(await orchestrator.restart({ names: ['api'], group: null })), ['api changed']);
  assert.deepEqual(order(ports, 'launch'), ['api']);
});

test('a removed service is stopped and forgotten, its logs, its disk and its row included', async () => {
  const { ports, orchestrator } = orchestrate();
  await orchestrator.start(STACK);
  ports.clear();
  const events: ControlEvent[] = [];
  orchestrator.on('event', (event) => events.push(event));
  await orchestrator.remove({ names: ['cron'], group: null });
  assert.deepEqual(ports.callsOf('cron').slice(-5), [
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
  const { ports, orchestrator } = orchestrate();
  await assert.rejects(orchestrator.start(STACK, { names: ['web', 'wbe'], group: null }), {
    code: 'ServiceUnknown',
    message: 'the config knows no service wbe',
    details: ['wbe'],
  });
  assert.deepEqual(ports.calls, []);
  await assert.rejects(orchestrator.start(STACK, { names: [], group: 'blue' }), { code: 'ServiceUnknown' });
  await assert.rejects(orchestrator.stop({ names: ['web'], group: null }), /the daemon knows no service web/);
  await assert.rejects(orchestrator.remove({ names: ['web'], group: null }), { code: 'ServiceUnknown' });
});

test('the name of a service with replicas stands for all of them in every command', async () => {
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

test('no more VMs boot at once than there are slots for', async () => {
  const { ports, orchestrator } = orchestrate({ obedient: false, concurrentBoots: 2 });
  const names = ['a', 'b', 'c', 'd', 'e'];
  const started = orchestrator.start(configOf(names.map((name) => service(name))));
  for (let booted = 0; booted < names.length; booted += 1) {
    await settle();
    assert.equal(ports.vms.size, Math.min(booted + 2, names.length));
    ports.vms.get(names[booted]!)!.start();
  }
  assert.equal((await started).services.length, names.length);
});

test('two starts of the same services at once launch each once', async () => {
  const { ports, orchestrator } = orchestrate({ concurrentBoots: 1 });
  await Promise.all([orchestrator.start(STACK), orchestrator.start(STACK), orchestrator.start(STACK)]);
  assert.deepEqual(order(ports, 'launch').sort(), ['api', 'cron', 'db', 'web']);
});

test('two starts with the same change at once restart the service once', async () => {
  const { ports, orchestrator } = orchestrate();
  await orchestrator.start(configOf([service('web')]));
  ports.clear();
  const changed = configOf([service('web', { cpus: 2 })]);
  await Promise.all([orchestrator.start(changed), orchestrator.start(changed)]);
  assert.deepEqual(order(ports, 'launch'), ['web']);
});

test('a stop calls off the starts that still wait for a slot or for what they depend on', async () => {
  const { ports, orchestrator } = orchestrate({ obedient: false, concurrentBoots: 1 });
  const started = orchestrator.start(
    configOf([service('a'), service('b'), service('c', { depends_on: afterStart('a') })]),
  );
  await settle();
  const stopped = orchestrator.stop();
  await settle();
  for (const vm of ports.vms.values()) vm.end();
  await stopped;
  const { services } = await started;
  assert.equal(order(ports, 'launch').length, 1);
  assert.deepEqual(
    services.map(({ outcome, error }) => [outcome, error]),
    services.map(() => ['failed', 'it was stopped before its command ran']),
  );
});

test('a start that comes while the end of the last run is being noted waits for that', async () => {
  const { ports, orchestrator } = orchestrate();
  const config = configOf([service('web')]);
  await orchestrator.start(config);
  const cleanedUp = gate();
  ports.onCleanUp = () => cleanedUp.opened;
  ports.vms.get('web')!.end();
  await settle();
  assert.equal(orchestrator.services()[0]!.status, 'Failed');
  ports.clear();
  const started = orchestrator.start(config);
  await settle();
  assert.deepEqual(ports.calls, [], 'its runtime folder would be removed under it');
  cleanedUp.open();
  await started;
  assert.deepEqual(ports.callsOf('web').slice(0, 3), ['conclude Failed', 'save Starting', 'prepare']);
});

test('services that ended under an earlier daemon are listed as they ended', async () => {
  const { ports, orchestrator } = orchestrate();
  await orchestrator.start(configOf([service('web')]));
  ports.vms.get('web')!.emit({ type: 'job-exited', exit: { code: 3, signal: null } });
  await settle();
  const leftovers = { left: [], ended: [ports.documents.at(-1)!] };
  const later = await Orchestrator.open(Object.assign(new FakeContext(), leftovers));
  const [row] = later.services();
  assert.deepEqual([row!.name, row!.status, row!.exit_code], ['web', 'Stopped', 3]);
});

test('every change of a service is told, in order', async () => {
  const { orchestrator } = orchestrate();
  const seen: string[] = [];
  orchestrator.on('event', (event) => {
    if (event.type === 'service') seen.push(event.service.status);
  });
  await orchestrator.start(configOf([service('web')]));
  await orchestrator.stop();
  assert.deepEqual(
    seen.filter((status, index) => status !== seen[index - 1]),
    ['Unstarted', 'Starting', 'Started', 'Stopping', 'Stopped'],
  );
});

test('a stop ends when its run has, though somebody has started the service again', async () => {
  const { ports, orchestrator } = orchestrate({ obedient: false });
  const config = configOf([service('web')]);
  const started = orchestrator.start(config);
  await settle();
  ports.vms.get('web')!.start();
  await started;
  const stopped = orchestrator.stop();
  const restarted = orchestrator.start(config);
  const closing = gate();
  void stopped.then(closing.open);
  await settle();
  ports.vms.get('web')!.end();
  await closing.opened;
  await settle();
  ports.vms.get('web')!.start();
  assert.deepEqual(outcomes(await restarted), ['web changed']);
});

test('nothing is started after the end was asked for', async () => {
  const { orchestrator } = orchestrate();
  const config = configOf([service('web')]);
  await orchestrator.start(config);
  await orchestrator.end();
  assert.equal(orchestrator.services()[0]!.status, 'Stopped');
  await assert.rejects(orchestrator.start(config), { code: 'Aborted', message: 'the daemon is ending' });
});
