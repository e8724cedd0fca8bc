/** Ports of services that are down for the moment. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { Service } from '../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS } from '../../src/protocol/supervision.ts';
import { FakeContext, gate, settle } from '../helpers/fakes/fake-context.ts';
import { afterStart, configOf, scriptService } from '../helpers/fakes/services.ts';

const claimant = (name: string, overrides: Partial<Service> = {}) =>
  scriptService(name, 'true', { ports: [{ host: 80, guest: 80, protocol: 'tcp' }], ...overrides });

function open() {
  const context = new FakeContext({ obedient: true });
  const orchestrator = new Orchestrator(context);
  const statuses = () => orchestrator.services().map(({ name, status }) => `${name} ${status}`);
  return { context, orchestrator, statuses };
}

test('a service that waits to be restarted keeps its ports until it is stopped', async () => {
  const { context, orchestrator, statuses } = open();
  const restart = { ...DEFAULT_RESTART_SETTINGS, when: 'always' } as const;
  await orchestrator.start(configOf([claimant('web', { restart })]));
  context.vms.get('web')!.emit({ type: 'job-exited', exit: { code: 3, signal: null } });
  await settle();
  context.vms.get('web')!.end();
  await settle();
  assert.equal(orchestrator.services()[0]!.detail, 'waiting to be restarted');

  context.clear();
  await assert.rejects(orchestrator.start(configOf([claimant('other')])), {
    code: 'StartFailed',
    message:
      'port 127.0.0.1:80 (tcp) of service other is taken by service web, which waits to be restarted; ' +
      'stop web or choose another host port',
  });
  assert.deepEqual([context.calls, statuses()], [[], ['web Starting']]);
  await orchestrator.stop({ names: ['web'], group: null });
  await orchestrator.start(configOf([claimant('other')]));
  assert.deepEqual(statuses(), ['other Started', 'web Stopped']);
});

test('a service that waits for its start holds its ports already', async () => {
  const { context, orchestrator } = open();
  const { opened, open: release } = gate();
  context.onPrepare = (service) => (service === 'slow' ? opened : Promise.resolve());
  const config = configOf([scriptService('slow', 'true'), claimant('web', { depends_on: afterStart('slow') })]);
  const started = orchestrator.start(config);
  await settle();
  await assert.rejects(orchestrator.start(configOf([claimant('other')])), {
    message: /is taken by service web, which is being started; stop web or/,
  });
  release();
  await started;
});

test('a service that is being restarted holds its ports while it is down', async () => {
  const { context, orchestrator, statuses } = open();
  await orchestrator.start(configOf([claimant('web'), scriptService('slow', 'true')]));
  const { opened, open: release } = gate();
  context.onCleanUp = (service) => (service === 'slow' ? opened : Promise.resolve());
  const restarted = orchestrator.restart();
  await settle();
  assert.deepEqual(statuses(), ['slow Stopped', 'web Stopped']);
  await assert.rejects(orchestrator.start(configOf([claimant('other')])), { message: /web, which is being started/ });
  release();
  await restarted;
  assert.deepEqual(statuses(), ['slow Started', 'web Started']);
});
