import assert from 'node:assert/strict';
import test from 'node:test';
import { createPlainProgress } from '../../../src/cli/progress/progress.ts';
import type { Verb } from '../../../src/cli/render/status-text.ts';
import { makeOutcome, makeService } from '../../helpers/fakes/listed-services.ts';

function record(verb: Verb) {
  const lines: string[] = [];
  return { lines, progress: createPlainProgress(verb, (text) => lines.push(text)) };
}

test('each change is one line, and the outcome is not repeated', () => {
  const { lines, progress } = record('start');
  const started = makeService({ addresses: ['http://127.0.0.2:8080'] });
  progress.update(makeService({ status: 'Starting' }));
  progress.update(makeService({ status: 'Starting', detail: 'booting' }));
  progress.update(makeService({ status: 'Starting', detail: 'booting', restarts: 1 }));
  progress.update(started);
  progress.finish(makeOutcome(started));
  assert.deepEqual(lines, ['web: starting\n', 'web: booting\n', 'web: running, http://127.0.0.2:8080\n']);
});

test('an outcome is shown even if no event preceded it', () => {
  const { lines, progress } = record('remove');
  progress.finish(makeOutcome(makeService({ status: 'Stopped' })));
  progress.finish(makeOutcome(makeService({ name: 'db' }), { outcome: 'unchanged' }));
  assert.deepEqual(lines, ['web: removed\n', 'db: running (unchanged)\n']);
});

test('a failure is shown once', () => {
  const { lines, progress } = record('start');
  const failed = makeService({ status: 'Failed', error: 'no kernel' });
  progress.update(makeService({ status: 'Starting' }));
  progress.update(failed);
  progress.finish(makeOutcome(failed, { outcome: 'failed', error: 'no kernel' }));
  assert.deepEqual(lines, ['web: starting\n', 'web: failed\n']);
});
