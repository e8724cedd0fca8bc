/** Services and groups belong to the project that declared them. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { CommandReply, PlanReply } from '../../src/protocol/api.ts';
import type { Config, Group, Project, Service } from '../../src/protocol/service.ts';
import { FakeContext } from '../helpers/fakes/fake-context.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';

const SHOP: Project = { name: 'shop', folder: '/srv/shop' };
const DEMO: Project = { name: 'demo', folder: '/opt/demo' };
const ALL = { names: [], group: null };

const service = (name: string, overrides: Partial<Service> = {}) => scriptService(name, 'true', overrides);

function declare(project: Project | null, services: readonly Service[], groups: readonly Group[] = []): Config {
  return { ...configOf(services, groups), project };
}

function replicas(name: string, count: number): Service[] {
  return Array.from({ length: count }, (_, index) => service(`${name}-${index + 1}`, { replica_of: name }));
}

function orchestrate() {
  const context = new FakeContext({ obedient: true });
  const orchestrator = new Orchestrator(context);
  /** `name status project` of every service. */
  const statuses = () =>
    orchestrator.services().map(({ name, status, project }) => `${name} ${status} ${project?.name ?? '-'}`);
  return { context, orchestrator, statuses };
}

function words({ actions }: PlanReply): string[] {
  return actions.map(({ name, action, reason }) => [action, name, reason].filter(Boolean).join(' '));
}

function changed({ services }: CommandReply): string[] {
  return services.filter(({ outcome }) => outcome === 'changed').map((outcome) => outcome.service.name);
}

test("a service of another project's name is refused with both places, also when that one has ended", async () => {
  const { orchestrator, statuses } = orchestrate();
  await orchestrator.start(declare(DEMO, [service('web')]));
  const shop = declare(SHOP, [service('db'), service('web')]);
  const refusal = {
    code: 'NameTaken',
    message: /service web belongs to project demo of \/opt\/demo, .* project shop of \/srv\/shop; .*--take-over/,
  };
  await assert.rejects(orchestrator.start(shop), refusal);
  assert.throws(() => orchestrator.plan(shop), refusal);
  await orchestrator.stop();
  await assert.rejects(orchestrator.start(shop), refusal);
  assert.deepEqual(statuses(), ['web Stopped demo'], 'nothing was started');
  // Neither the name nor the folder alone makes a project.
  await assert.rejects(orchestrator.start({ ...shop, project: { ...DEMO, folder: '/home/demo' } }), {
    code: 'NameTaken',
  });
  await assert.rejects(orchestrator.start({ ...shop, project: { ...DEMO, name: 'prod' } }), { code: 'NameTaken' });
  await assert.rejects(orchestrator.start({ ...shop, project: null }), { code: 'NameTaken' });
  await orchestrator.remove();
  await orchestrator.start(shop);
  assert.deepEqual(statuses(), ['db Started shop', 'web Started shop']);
});

test('a start in progress has its names as well', async () => {
  const { orchestrator } = orchestrate();
  const first = orchestrator.start(declare(DEMO, [service('web')]));
  await assert.rejects(orchestrator.start(declare(SHOP, [service('web')])), { code: 'NameTaken' });
  await first;
});

test('to take over moves a service, which is restarted only if it differs', async () => {
  const { context, orchestrator, statuses } = orchestrate();
  await orchestrator.start(declare(DEMO, [service('web'), service('api'), service('db')]));
  const shop = declare(SHOP, [service('web'), service('api', { cpus: 2 })]);
  const reply = await orchestrator.start(shop, ALL, { takeOver: true });
  assert.deepEqual(changed(reply), ['api']);
  assert.deepEqual(statuses(), ['api Started shop', 'db Started demo', 'web Started shop']);
  assert.deepEqual(context.saved.at(-1)?.project, SHOP, 'the next daemon knows it');
  await assert.rejects(orchestrator.start(declare(DEMO, [service('web')])), { code: 'NameTaken' });
});

test('a service of an earlier version, without a project, belongs to the first config that declares it', async () => {
  const { orchestrator, statuses } = orchestrate();
  await orchestrator.start(declare(null, [service('web')]));
  assert.deepEqual(changed(await orchestrator.start(declare(SHOP, [service('web')]))), [], 'and is not restarted');
  assert.deepEqual(statuses(), ['web Started shop']);
});

test('a group of another project is refused, unless all its services there are taken over', async () => {
  const { orchestrator, statuses } = orchestrate();
  const groups = [{ name: 'front', address: null, local_only: true }];
  const member = (name: string) => service(name, { group: 'front' });
  await orchestrator.start(declare(DEMO, [member('web'), member('api')], groups));
  await assert.rejects(orchestrator.start(declare(SHOP, [member('site')], groups)), {
    code: 'NameTaken',
    message: /group front of service site belongs to project demo of \/opt\/demo .*project shop of \/srv\/shop/,
  });
  const options = { takeOver: true };
  await assert.rejects(orchestrator.start(declare(SHOP, [member('web')], groups), ALL, options), { code: 'NameTaken' });
  await orchestrator.start(declare(SHOP, [member('web'), member('api')], groups), ALL, options);
  assert.deepEqual(statuses(), ['api Started shop', 'web Started shop']);
});

test('to prune stops services of the own project only', async () => {
  const { orchestrator, statuses } = orchestrate();
  await orchestrator.start(declare(DEMO, [service('web')]));
  await orchestrator.start(declare(SHOP, [service('db'), service('cron')]));
  await orchestrator.start(declare(SHOP, [service('db')]), ALL, { prune: true });
  assert.deepEqual(statuses(), ['cron Stopped shop', 'db Started shop', 'web Started demo']);
});

test('a command on a project leaves the others alone; without one it means the home', async () => {
  const { orchestrator, statuses } = orchestrate();
  await orchestrator.start(declare(DEMO, [service('web')]));
  await orchestrator.start(declare(SHOP, [service('db')]));
  await orchestrator.stop({ ...ALL, project: SHOP });
  assert.deepEqual(statuses(), ['db Stopped shop', 'web Started demo']);
  const unknown = { name: 'other', folder: '/srv/other' };
  for (const command of ['stop', 'restart', 'remove'] as const) {
    assert.deepEqual(await orchestrator[command]({ ...ALL, project: unknown }), { services: [] }, command);
  }
  assert.deepEqual(statuses(), ['db Stopped shop', 'web Started demo']);
  await orchestrator.restart({ ...ALL, project: SHOP });
  await orchestrator.remove({ ...ALL, project: DEMO });
  assert.deepEqual(statuses(), ['db Started shop']);
  await orchestrator.stop();
  assert.deepEqual(statuses(), ['db Stopped shop']);
});

test('replicas beyond their number are stopped, named in the plan, and started again only by their own names', async () => {
  const { orchestrator, statuses } = orchestrate();
  await orchestrator.start(declare(SHOP, [...replicas('web', 3), service('web-7')]));
  const fewer = declare(SHOP, [...replicas('web', 1), service('web-7')]);
  const reason = 'not in the config, where web means web-1';
  assert.deepEqual(words(orchestrator.plan(fewer)), [
    `stop web-2 ${reason}`,
    `stop web-3 ${reason}`,
    'keep web-1',
    'keep web-7',
  ]);
  assert.deepEqual(words(orchestrator.plan(fewer, { names: ['web-7'], group: null })), ['keep web-7']);
  assert.deepEqual(changed(await orchestrator.start(fewer)), ['web-2', 'web-3']);
  const now = ['web-1 Started shop', 'web-2 Stopped shop', 'web-3 Stopped shop', 'web-7 Started shop'];
  assert.deepEqual(statuses(), now);
  await orchestrator.restart({ names: ['web'], group: null });
  await orchestrator.restart();
  assert.deepEqual(statuses(), now);
  await orchestrator.start(declare(SHOP, [...replicas('web', 2), service('web-7')]));
  await orchestrator.restart({ names: ['web-3'], group: null });
  await orchestrator.stop();
  await orchestrator.restart({ names: ['web'], group: null });
  assert.deepEqual(statuses(), [
    'web-1 Started shop',
    'web-2 Started shop',
    'web-3 Stopped shop',
    'web-7 Stopped shop',
  ]);
});

test('a service that gets replicas hands its port over in one step, and gets it back', async () => {
  const { orchestrator, statuses } = orchestrate();
  const port = (host: number) => ({ ports: [{ host, guest: 80, protocol: 'tcp' as const }] });
  const alone = declare(SHOP, [service('web', port(8080))]);
  const two = declare(SHOP, [
    service('web-1', { replica_of: 'web', ...port(8080) }),
    service('web-2', { replica_of: 'web', ...port(8081) }),
  ]);
  await orchestrator.start(alone);
  assert.deepEqual(words(orchestrator.plan(two)), [
    'stop web not in the config, where web means web-1 to web-2',
    'create web-1',
    'create web-2',
  ]);
  await orchestrator.start(two);
  assert.deepEqual(statuses(), ['web Stopped shop', 'web-1 Started shop', 'web-2 Started shop']);
  await orchestrator.restart({ names: ['web'], group: null });
  assert.deepEqual(statuses(), ['web Stopped shop', 'web-1 Started shop', 'web-2 Started shop']);
  await orchestrator.start(alone);
  assert.deepEqual(statuses(), ['web Started shop', 'web-1 Stopped shop', 'web-2 Stopped shop']);
  await orchestrator.remove({ names: ['web'], group: null });
  assert.deepEqual(statuses(), []);
});

test('a start that is undone leaves services in the projects where they were', async () => {
  const { context, orchestrator, statuses } = orchestrate();
  await orchestrator.start(declare(DEMO, [service('web')]));
  context.onLaunch = async (name) => {
    if (name === 'bad') throw new Error('no kernel');
  };
  await orchestrator.start(declare(SHOP, [service('web'), service('bad')]), ALL, { takeOver: true, atomic: true });
  assert.ok(statuses().includes('web Started demo'), statuses().join());
});

test('the next daemon knows the project of a service, and that its config no longer declares it', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(declare(SHOP, replicas('web', 2)));
  await orchestrator.start(declare(SHOP, replicas('web', 1)));
  await orchestrator.stop();
  const next = await Orchestrator.open(
    Object.assign(new FakeContext({ obedient: true }), { left: [], lost: [], ended: [...context.disk.values()] }),
  );
  await next.restart();
  assert.deepEqual(
    next.services().map(({ name, status, project }) => `${name} ${status} ${project?.folder}`),
    ['web-1 Started /srv/shop', 'web-2 Stopped /srv/shop'],
  );
});

/** Config with `[logs] keep_total` and `[images]`; null and the default leave a limit to other projects. */
function limited(
  project: Project | null,
  name: string,
  keep_total_bytes: number | null,
  images: Partial<Config['images']> = {},
): Config {
  const config = declare(project, [service(name)]);
  return { ...config, logs: { keep_total_bytes }, images: { ...config.images, ...images } };
}

test('of the limits that projects set for the home the smallest is in force, and a start tells which', async () => {
  const { context, orchestrator } = orchestrate();
  const inForce = () => [context.logLimits?.keep_total_bytes, context.imageSettings?.max_image_size_bytes];
  const DEFAULT = 16 * 2 ** 30;
  assert.equal((await orchestrator.start(limited(DEMO, 'web', 2 ** 30))).notes, undefined);
  assert.deepEqual(inForce(), [2 ** 30, DEFAULT]);
  const looser = limited(SHOP, 'db', 2 ** 31, { max_image_size_bytes: 2 ** 40 });
  const notes = ['project demo of /opt/demo limits [logs] keep_total of the home to 1 GiB; this config says 2 GiB'];
  assert.deepEqual(orchestrator.plan(looser).notes, notes);
  assert.deepEqual((await orchestrator.start(looser)).notes, notes);
  assert.deepEqual(inForce(), [2 ** 30, 2 ** 40], 'one may raise what the other has not set');
  const strict = limited(DEMO, 'web', 2 ** 20, { max_image_size_bytes: 2 ** 30 });
  assert.equal((await orchestrator.start(strict)).notes, undefined);
  assert.deepEqual(inForce(), [2 ** 20, 2 ** 30]);
  assert.deepEqual((await orchestrator.start(limited(null, 'cron', null))).notes, [
    'project demo of /opt/demo limits [logs] keep_total of the home to 1 MiB; this config does not set it',
    'project demo of /opt/demo limits [images] max_image_size of the home to 1 GiB; this config does not set it',
  ]);
  assert.deepEqual(inForce(), [2 ** 20, 2 ** 30], 'a config that says nothing changes nothing');
});

test('registries that any project trusts are trusted', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(limited(DEMO, 'web', null, { insecure_registries: ['b:5000', 'a:5000'] }));
  await orchestrator.start(limited(SHOP, 'db', null, { insecure_registries: ['c:5000', 'a:5000'] }));
  assert.deepEqual(context.imageSettings?.insecure_registries, ['a:5000', 'b:5000', 'c:5000']);
  await orchestrator.start(limited(DEMO, 'web', null));
  assert.deepEqual(context.imageSettings?.insecure_registries, ['a:5000', 'c:5000']);
});

test('the settings of a project end with its last service, wherever that goes', async () => {
  const { context, orchestrator } = orchestrate();
  const demo = limited(DEMO, 'web', 100);
  await orchestrator.start({ ...demo, services: [service('web'), service('api')] });
  await orchestrator.start(limited(SHOP, 'db', 200));
  await orchestrator.stop();
  await orchestrator.remove({ names: ['api'], group: null });
  assert.deepEqual(context.logLimits, { keep_total_bytes: 100 }, 'one that is stopped counts');
  await orchestrator.remove({ names: ['web'], group: null });
  assert.deepEqual(context.logLimits, { keep_total_bytes: 200 });
  await orchestrator.start(demo);
  await orchestrator.start(limited(SHOP, 'web', 200), ALL, { takeOver: true });
  assert.deepEqual(context.logLimits, { keep_total_bytes: 200 }, 'nothing of the other project is left');
  await orchestrator.start({ ...demo, services: [] });
  assert.deepEqual(context.logLimits, { keep_total_bytes: 200 }, 'it has no service');
  await orchestrator.remove();
  assert.deepEqual([context.logLimits, context.savedSettings], [{ keep_total_bytes: null }, []]);
});

test('the next daemon applies the settings of all projects before any start', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(limited(DEMO, 'web', 100));
  await orchestrator.start(limited(SHOP, 'db', 200, { insecure_registries: ['a:5000'] }));
  const next = Object.assign(new FakeContext({ obedient: true }), { savedSettings: context.savedSettings });
  const later = await Orchestrator.open(Object.assign(next, { left: [], lost: [], ended: [...context.disk.values()] }));
  assert.deepEqual(next.logLimits, { keep_total_bytes: 100 });
  assert.deepEqual(next.imageSettings?.insecure_registries, ['a:5000']);
  await later.remove({ ...ALL, project: DEMO });
  assert.deepEqual(next.logLimits, { keep_total_bytes: 200 });
});
