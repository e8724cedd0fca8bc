/** Conditions that starts wait for, and services that a new daemon starts by itself. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { CommandReply } from '../../src/protocol/api.ts';
import type { Service } from '../../src/protocol/service.ts';
import type { SavedState } from '../../src/protocol/state.ts';
import { type Condition, DEFAULT_RESTART_SETTINGS, type RestartWhen } from '../../src/protocol/supervision.ts';
import { FakeContext, settle } from '../helpers/fakes/fake-context.ts';
import { healthCheck } from '../helpers/fakes/health-check.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';

const CHECK = healthCheck({ probe: { type: 'tcp', port: 5432 }, interval_ms: 1000, start_period_ms: 5000 });

/** `web` needs `api` to have started, `api` needs `db` in that condition. */
function stack(condition: Condition, db: Partial<Service> = {}) {
  return configOf([
    scriptService('web', 'true', { depends_on: [{ service: 'api', condition: 'started' }] }),
    scriptService('api', 'true', { depends_on: [{ service: 'db', condition }] }),
    scriptService('db', 'true', db),
  ]);
}

/** An unfinished start; `db` runs. */
async function startStack(
  condition: Condition,
  db: Partial<Service> = {},
  probeResults: FakeContext['probeResults'] = [],
) {
  const context = new FakeContext({ obedient: true });
  context.probeResults.push(...probeResults);
  const orchestrator = new Orchestrator(context);
  const reply = orchestrator.start(stack(condition, db));
  await settle();
  await settle();
  const statuses = () => orchestrator.services().map(({ name, status }) => `${name} ${status}`);
  return { context, orchestrator, reply, statuses };
}

function errors({ services }: CommandReply): (string | null)[] {
  return services.map(({ error }) => error);
}

test('a service that needs a healthy one starts when that is healthy, not before', async () => {
  const bad = { ok: false, detail: 'connection refused' };
  const { context, reply, statuses } = await startStack('healthy', { healthcheck: CHECK }, [bad]);
  assert.deepEqual(statuses(), ['api Unstarted', 'db Started', 'web Unstarted']);
  context.probeResults.push({ ok: true, detail: 'connected' });
  context.clock.advance(1000);
  assert.deepEqual(errors(await reply), [null, null, null]);
  assert.deepEqual(statuses(), ['api Started', 'db Started', 'web Started']);
});

test('an unhealthy service fails those that need it healthy, each with the chain of causes', async () => {
  const bad = { ok: false, detail: 'connection refused' };
  const { context, reply, statuses } = await startStack('healthy', { healthcheck: CHECK }, [bad, bad]);
  context.clock.advance(5000);
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
  test(`a service that needs a completed one learns that it ended with exit code ${code}`, async () => {
    const { context, reply, statuses } = await startStack('completed');
    assert.deepEqual(statuses(), ['api Unstarted', 'db Started', 'web Unstarted']);
    const vm = context.vms.get('db')!;
    vm.emit({ type: 'job-exited', exit: { code, signal: null } });
    assert.deepEqual(errors(await reply), expected);
  });
}

test('a stop of one service cancels its start that waits for a condition, and no other', async () => {
  const { orchestrator, reply, statuses } = await startStack('healthy', { healthcheck: CHECK });
  await orchestrator.stop({ names: ['web', 'api'], group: null });
  const [api, , web] = errors(await reply);
  assert.match(api!, /it was stopped before its command ran/);
  assert.match(web!, /it was stopped before its command ran/);
  assert.deepEqual(statuses(), ['api Unstarted', 'db Started', 'web Unstarted']);
  await orchestrator.stop();
});

/** Saved state of a service that ran under a restart policy, and ended as told. */
async function endedDocument(when: RestartWhen, end: (orchestrator: Orchestrator) => Promise<unknown>) {
  const context = new FakeContext({ obedient: true });
  const orchestrator = new Orchestrator(context);
  const restart = { ...DEFAULT_RESTART_SETTINGS, when };
  await orchestrator.start(configOf([scriptService('web', 'true', { restart })]));
  await end(orchestrator);
  return context.saved.at(-1)!;
}

/** Services that a new daemon starts. */
async function reopen(saved: SavedState, startsAll: boolean): Promise<string> {
  const context = Object.assign(new FakeContext({ obedient: true }), { left: [], lost: [], ended: [saved] });
  const orchestrator = await Orchestrator.open(context, { startsAll });
  await settle();
  await settle();
  const [row] = orchestrator.services();
  return `${row!.status} ${row!.restarts}`;
}

test('services that ended with their daemon start with the next one, as their restart policy demands', async () => {
  const suspend = (orchestrator: Orchestrator) => orchestrator.end({ suspend: true });
  assert.equal(await reopen(await endedDocument('unless-stopped', suspend), false), 'Started 1');
  assert.equal(await reopen(await endedDocument('always', suspend), false), 'Started 1');
  assert.equal(await reopen(await endedDocument('on-failure', suspend), true), 'Stopped 0');
  assert.equal(await reopen(await endedDocument('no', suspend), true), 'Stopped 0');
});

test('services that the user stopped stay down, except those with the policy `always`', async () => {
  const stop = (orchestrator: Orchestrator) => orchestrator.stop();
  assert.equal(await reopen(await endedDocument('unless-stopped', stop), true), 'Stopped 0');
  const always = await endedDocument('always', stop);
  assert.equal(await reopen(always, false), 'Stopped 0', 'the daemon was started to answer a question');
  assert.equal(await reopen(always, true), 'Started 1');
});
