import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../helpers/eventually.ts';
import { configOf, scriptService } from '../helpers/fakes/services.ts';
import { openTestRuntime } from '../helpers/runtime.ts';

const LAST_LINES = 300;

test('output printed during a restart of the log worker is read even if its process has ended', async () => {
  const host = await openTestRuntime();
  try {
    const last = `i=0; while [ $i -lt ${LAST_LINES} ]; do i=$((i + 1)); echo "last $i"; done; exit 7`;
    const script = `trap '${last}' TERM; echo up; while :; do sleep 0.05; done`;
    await host.orchestrator.start(configOf([scriptService('web', script, { isolation: 'none' })]));
    await eventually('its first line', () => host.lines('web', 'stdout').length > 0);
    await host.runtime.logs.thread.crash();
    const { services } = await host.orchestrator.stop();
    assert.equal(services[0]?.service.exit_code, 7);
    assert.equal(host.lines('web', 'stdout').length, 1 + LAST_LINES);
  } finally {
    await host.close();
  }
});
