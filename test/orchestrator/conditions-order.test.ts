/** What services wait for before they start, and what a new daemon starts by itself. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { CommandReply } from '../../src/protocol/api.ts';
import type { Condition, Service } from '../../src/protocol/service.ts';
import type { SavedState } from '../../src/protocol/state.ts';
import { DEFAULT_RESTART_SETTINGS, type RestartWhen } from '../../src/protocol/supervision.ts';
import { FakeContext, settle } from '../helpers/fakes/fake-context.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';
import { healthCheck } from '../helpers/processes/health-check.ts';

const CHECK = healthCheck({ probe: { type: 'tcp', port: 5432 }, interval_ms: 1000, start_period_ms: 5000 });

/** `web` needs `api` to have started, `api` needs `db` in that condition. */
function stack(condition: Condition, db: Partial<Service> = {}) {
  return configOf([
    scriptService('web', 'true', { depends_on: [{ service: 'api', condition: 'started' }] }),
    scriptService('api', 'true', { depends_on: [{ service: 'db', condition }] }),
    scriptService('db', 'true', db),
  ]);
}

/** A start that is under way; `db` runs. */
async function startStack(
  condition: Condition,
  db: Partial<Service> = {},
  probeResults: FakeContext['probeResults'] = [],
) {
  const ports = new FakeContext({ obedient: true });
  ports.probeResults.push(...probeResults);
  const orchestrator = new Orchestrator(ports);
  const reply = orchestrator.start(stack(condition, db));
  await settle();
  await settle();
  const statuses = () => orchestrator.services().map(({ name, status }) => `${name} ${status}`);
  return { ports, orchestrator, reply, statuses };
}

function errors({ services }: CommandReply): (string | null)[] {
  return services.map(({ error }) => error);
}

test('who needs a healthy service starts when it is healthy, not before', async () => {
  const bad = { ok: false, detail: 'connection refused' };
  const { ports, reply, statuses } = await startStack('healthy', { healthcheck: CHECK }, [bad]);
  assert.deepEqual(statuses(), ['api Unstarted', 'db Started', 'web Unstarted']);
  ports.probeResults.push({ ok: true, detail: 'connected' });
  ports.clock.advance(1000);
  assert.deepEqual(errors(await reply), [null, null, null]);
  assert.deepEqual(statuses(), ['api Started', 'db Started', 'web Started']);
});

test('a service that is unhealthy fails those who need it healthy, each naming the way to it', async () => {
  const bad = { ok: false, detail: 'connection refused' };
  const { ports, reply, statuses } = await startStack('healthy', { healthcheck: CHECK }, [bad, bad]);
  ports.clock.advance(5000);
  assert.deepEqual(errors(await reply), [
    'it depends on db, which is unhealthy: connection refused',
    null,
    'it depends on api, which depends on db, which is unhealthy: connection refused',
  ]);
  assert.deepEqual(statuses(), ['api Unstarted', 'db Started', 'web Unstarted']);
});

for (const [code, expected] of [
  [0, [null, null, null]],
  [
    3,
    [
      'it depends on db, which ended: exit code 3',
      null,
      'it depends on api, which depends on db, which ended: exit code 3',
    ],
  ],
] as const) {
  test(`who needs a completed service learns that it ended with exit code ${code}`, async () => {
    const { ports, reply, statuses } = await startStack('completed');
    assert.deepEqual(statuses(), ['api Unstarted', 'db Started', 'web Unstarted']);
    const vm = ports.vms.get('db')!;
    vm.emit({ type: 'job-exited', exit: { code, signal: null } });
    assert.deepEqual(errors(await reply), expected);
  });
}

test('a start that waits for a condition is called off by a stop of that service alone', async () => {
  const { orchestrator, reply, statuses } = await startStack('healthy', { healthcheck: CHECK });
  await orchestrator.stop({ names: ['web', 'api'], group: null });
  const [api, , web] = errors(await reply);
  assert.match(api!, /it was stopped before its command ran/);
  assert.match(web!, /it was stopped before its command ran/);
  assert.deepEqual(statuses(), ['api Unstarted', 'db Started', 'web Unstarted']);
  await orchestrator.stop();
});

/** The document of a service that has run under a policy, ended as told. */
async function endedDocument(when: RestartWhen, end: (orchestrator: Orchestrator) => Promise<unknown>) {
  const ports = new FakeContext({ obedient: true });
  const orchestrator = new Orchestrator(ports);
  const restart = { ...DEFAULT_RESTART_SETTINGS, when };
  await orchestrator.start(configOf([scriptService('web', 'true', { restart })]));
  await end(orchestrator);
  return ports.documents.at(-1)!;
}

/** What a new daemon makes of it. */
async function reopen(document: SavedState, startsAll: boolean): Promise<string> {
  const ports = Object.assign(new FakeContext({ obedient: true }), { left: [], ended: [document] });
  const orchestrator = await Orchestrator.open(ports, { startsAll });
  await settle();
  await settle();
  const [row] = orchestrator.services();
  return `${row!.status} ${row!.restarts}`;
}

test('services that ended with their daemon come back with the next one, as their policy says', async () => {
  const suspend = (orchestrator: Orchestrator) => orchestrator.end({ suspend: true });
  assert.equal(await reopen(await endedDocument('unless-stopped', suspend), false), 'Started 1');
  assert.equal(await reopen(await endedDocument('always', suspend), false), 'Started 1');
  assert.equal(await reopen(await endedDocument('on-failure', suspend), true), 'Stopped 0');
  assert.equal(await reopen(await endedDocument('no', suspend), true), 'Stopped 0');
});

test('services that the user stopped stay down, but for those that always run', async () => {
  const stop = (orchestrator: Orchestrator) => orchestrator.stop();
  assert.equal(await reopen(await endedDocument('unless-stopped', stop), true), 'Stopped 0');
  const always = await endedDocument('always', stop);
  assert.equal(await reopen(always, false), 'Stopped 0', 'the daemon was started to answer a question');
  assert.equal(await reopen(always, true), 'Started 1');
});
