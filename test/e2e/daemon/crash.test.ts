/** Worker threads die; the microVMs and what they print do not. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import * as v from 'valibot';
import { SavedStateSchema } from '../../../src/protocol/state.ts';
import { eventually } from '../../helpers/eventually.ts';
import { configOf, scriptService } from '../../helpers/fakes/services.ts';
import { openTestRuntime } from '../../helpers/runtime.ts';

it('keeps a VM and captures its streams, tail and exit code when the log and metrics workers die', async (t) => {
  const host = await openTestRuntime();
  t.after(() => host.close());
  const script =
    'i=0; while [ $i -lt 60 ]; do i=$((i + 1)); echo "line $i"; sleep 0.05; done; printf "the tail"; exit 5';
  const reply = await host.orchestrator.start(configOf([scriptService('survivor', script)]));
  const { pid } = reply.services[0]!.service;

  await eventually('the first lines', () => host.lines('survivor', 'stdout').length > 5);
  await host.runtime.logs.thread.crash();
  await host.runtime.metrics.thread.crash();
  await eventually('both workers to be back', () =>
    host.runtime.parts
      .map((part) => part.status())
      .filter(({ name }) => name === 'logs' || name === 'metrics')
      .every(({ state, restarts }) => state === 'ready' && restarts === 1),
  );
  const after = host.orchestrator.services()[0]!;
  assert.equal(after.pid, pid);
  assert.equal(after.status, 'Started');
  const document = v.parse(SavedStateSchema, JSON.parse(readFileSync(join(host.home, 'run/survivor.json'), 'utf8')));
  assert.equal(document.pid, pid);

  const ended = await host.ended('survivor');
  assert.equal(ended.exit_code, 5);
  const lines = host.lines('survivor', 'stdout');
  assert.deepEqual(lines.at(-1), 'the tail');
  // One chunk, here one line, may be lost with the worker that had read it; none is doubled or torn.
  const numbers = lines.slice(0, -1).map((line) => Number(/^line (\d+)$/.exec(line)?.[1]));
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((a, b) => a - b),
  );
  assert.ok(numbers.length >= 59, `${numbers.length} of 60 lines`);
  assert.ok(host.reports.some((message) => /the logs thread ended/.test(message)));
});
