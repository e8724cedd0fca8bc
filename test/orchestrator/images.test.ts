/** Images of services: fetched before a boot slot is taken, cancelled by a stop, reused after a failure. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Orchestrator } from '../../src/orchestrator/orchestrator.ts';
import type { CommandReply } from '../../src/protocol/api.ts';
import type { ServiceImage } from '../../src/protocol/images.ts';
import type { Service } from '../../src/protocol/service.ts';
import { DEFAULT_RESTART_SETTINGS } from '../../src/protocol/supervision.ts';
import { FakeContext, gate, imageOf, settle } from '../helpers/fakes/fake-context.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';

const service = (name: string, overrides: Partial<Service> = {}) =>
  scriptService(name, 'true', { image: 'app', ...overrides });

function orchestrate({ obedient = true, concurrentBoots = 2 } = {}) {
  const context = new FakeContext({ obedient, concurrentBoots });
  const orchestrator = new Orchestrator(context);
  const row = (name: string) => orchestrator.services().find((candidate) => candidate.name === name)!;
  return { context, orchestrator, row };
}

const outcomes = ({ services }: CommandReply) => services.map(({ outcome, error }) => [outcome, error ?? null]);

test('a service shows the progress of its image, takes no boot slot meanwhile, and saves the digest', async () => {
  const { context, orchestrator, row } = orchestrate({ concurrentBoots: 1 });
  const fetched = gate();
  context.onFetch = async ({ onProgress }) => {
    onProgress('pulling 40 %');
    await fetched.opened;
    return imageOf('sha256:1');
  };
  const started = orchestrator.start(configOf([service('web'), scriptService('db', 'true')]));
  await settle();
  assert.equal(row('db').status, 'Started');
  assert.deepEqual([row('web').status, row('web').detail], ['Starting', 'pulling 40 %']);
  context.clock.advance(600_000);
  await settle();
  assert.equal(row('web').detail, 'pulling 40 %', 'a download may take its time');
  fetched.open();
  assert.deepEqual(outcomes(await started), [
    ['changed', null],
    ['changed', null],
  ]);
  assert.equal(context.saved.findLast((state) => state.service.name === 'web')!.image_digest, 'sha256:1');
  assert.equal(row('web').detail, null);
});

test('a VM with an image waits for a boot slot, and shows it', async () => {
  const { context, orchestrator, row } = orchestrate({ obedient: false, concurrentBoots: 1 });
  const started = orchestrator.start(configOf([scriptService('db', 'true'), service('web')]));
  await settle();
  assert.deepEqual(context.callsOf('web').at(-1), 'save Starting');
  assert.match(row('web').detail!, /^waiting for a start slot/);
  context.vms.get('db')!.start();
  await settle();
  assert.equal(context.callsOf('web').at(-2), 'launch');
  context.vms.get('web')!.start();
  await started;
});

test('a stop cancels the fetch of an image or the wait for a boot slot, and the next start begins anew', async () => {
  const { context, orchestrator, row } = orchestrate({ obedient: false, concurrentBoots: 1 });
  let isCalledOff = false;
  context.onFetch = ({ signal }) =>
    new Promise<ServiceImage>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        isCalledOff = true;
        reject(new Error('cancelled'));
      });
    });
  const started = orchestrator.start(configOf([service('web')]));
  await settle();
  await orchestrator.stop();
  assert.equal(isCalledOff, true);
  assert.equal(outcomes(await started)[0]![0], 'failed');
  assert.deepEqual([row('web').status, row('web').reason], ['Stopped', 'stopped']);

  context.onFetch = async () => imageOf('sha256:1');
  const both = orchestrator.start(configOf([scriptService('db', 'true'), service('web')]));
  await settle();
  await orchestrator.stop({ names: ['web'], group: null });
  assert.equal(row('web').status, 'Stopped');
  context.vms.get('db')!.start();
  await both;
  assert.ok(!context.callsOf('web').includes('launch'));

  const again = orchestrator.start(configOf([service('web')]));
  await settle();
  context.vms.get('web')!.start();
  assert.deepEqual(outcomes(await again), [['changed', null]]);
});

test('an image that cannot be fetched is a failed start with the reason', async () => {
  const { context, orchestrator, row } = orchestrate();
  context.onFetch = async () => {
    throw new Error('the registry does not have it');
  };
  const reply = await orchestrator.start(configOf([service('web')]));
  assert.deepEqual(outcomes(reply), [['failed', 'the registry does not have it']]);
  assert.deepEqual([row('web').status, row('web').error], ['Failed', 'the registry does not have it']);
});

test('an automatic restart uses the image that ran, a start by a user resolves the name again', async () => {
  const { context, orchestrator } = orchestrate();
  const restart = { ...DEFAULT_RESTART_SETTINGS, when: 'always' } as const;
  await orchestrator.start(configOf([service('web', { restart })]));
  context.vms.get('web')!.emit({ type: 'job-exited', exit: { code: 1, signal: null } });
  context.vms.get('web')!.end();
  await settle();
  context.clock.advance(60_000);
  await settle();
  await orchestrator.restart();
  const fetches = context.calls.filter((call) => call.startsWith('fetch'));
  assert.deepEqual(fetches, ['fetch app anew', 'fetch app sha256:app', 'fetch app anew']);
});

test('the saved end of a run keeps its image, which counts as used', async () => {
  const { context, orchestrator } = orchestrate();
  await orchestrator.start(configOf([service('web')]));
  await orchestrator.stop();
  const ended = context.saved.at(-1)!;
  assert.deepEqual([ended.status, ended.image_digest], [{ Stopped: { exit_code: 0 } }, 'sha256:app']);

  const next = new FakeContext({ obedient: true });
  const restored = await Orchestrator.open(
    Object.assign(next, { lost: [], left: [], ended: [{ ...ended, desired: 'up' as const }] }),
  );
  await restored.stop();
  assert.equal(next.saved.at(-1)!.image_digest, 'sha256:app');
});
