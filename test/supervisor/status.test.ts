import assert from 'node:assert/strict';
import test from 'node:test';
import { NO_METRICS } from '../../src/protocol/service.ts';
import type { ServiceState, VmState } from '../../src/supervisor/states.ts';
import { NOT_BLOCKED, renderStatus, type ServiceDefinition, type Snapshot } from '../../src/supervisor/status.ts';
import { scriptService } from '../helpers/fakes/services.ts';
import { failed, serviceState, started, stopped } from '../helpers/fakes/states.ts';

const CREATED_AT_MS = Date.parse('2026-11-23T08:00:00.123Z');
const NOW_MS = CREATED_AT_MS + 60_000;

const STOPPED = stopped({
  reason: 'stopped',
  endedBy: 'stop_signal',
  exit: { code: 143, signal: 'SIGTERM' },
  startedAtMs: CREATED_AT_MS + 1000,
  stoppedAtMs: NOW_MS,
});
const FAILED = failed({ error: 'no kernel', startedAtMs: null, stoppedAtMs: NOW_MS, lastLines: ['the last words'] });

const DEFINITION: ServiceDefinition = {
  service: scriptService('web', 'true', {
    group: 'blue',
    rootfs: '/srv/web',
    ports: [{ host: 8080, guest: 80, protocol: 'tcp' }],
  }),
  group: { name: 'blue', local_only: true },
  groupIp: '127.0.0.2',
  kernel: null,
};

function snapshot(actual: VmState, data: Partial<ServiceState> = {}): Snapshot {
  return {
    definition: DEFINITION,
    blocked: NOT_BLOCKED,
    state: serviceState(actual, data),
    identity: null,
    metrics: NO_METRICS,
    createdAtMs: CREATED_AT_MS,
    launchedAtMs: null,
    notes: [],
  };
}

test('a service that waits to be restarted shows the end of its last run and the time of the next', () => {
  const resumeAtMs = NOW_MS + 4000;
  const waiting: VmState = { status: 'Starting', phase: 'waiting', pid: null, resumeAtMs, last: FAILED };
  const row = renderStatus(snapshot(waiting, { restarts: { total: 3, inRow: 3, lastReason: 'no kernel' } }));
  assert.deepEqual(
    [row.status, row.detail, row.error, row.reason, row.restarts, row.last_restart_reason, row.restarts_at],
    ['Starting', 'waiting to be restarted', 'no kernel', 'start-failed', 3, 'no kernel', '2026-11-23T08:01:04.123Z'],
  );
  assert.deepEqual(row.last_lines, ['the last words']);
});

test('the status shows the health while the command runs', () => {
  const health = { verdict: 'unhealthy', failures: 3, detail: 'connection refused' } as const;
  const row = renderStatus(snapshot(started({ health })));
  assert.deepEqual([row.health, row.health_detail], ['unhealthy', 'connection refused']);
  assert.equal(renderStatus(snapshot(STOPPED)).health, null);
});

test('the status shows the progress, the addresses and the end of a service', () => {
  const starting = renderStatus(snapshot({ status: 'Starting', phase: 'booting', pid: 7 }));
  assert.deepEqual(
    [starting.status, starting.detail, starting.pid, starting.addresses],
    ['Starting', 'booting', 7, ['http://127.0.0.2:8080']],
  );
  const stopped = renderStatus(snapshot(STOPPED));
  assert.deepEqual(
    [stopped.exit_code, stopped.signal, stopped.pid, stopped.detail, stopped.started_at, stopped.stopped_at],
    [143, 'SIGTERM', null, null, '2026-11-23T08:00:01.123Z', '2026-11-23T08:01:00.123Z'],
  );
  assert.equal(renderStatus(snapshot(FAILED)).error, 'no kernel');
});

test('a service without a group is reached on 127.0.0.1', () => {
  const { addresses, group_ip } = renderStatus({
    ...snapshot(FAILED),
    definition: { ...DEFINITION, groupIp: null, group: null },
  });
  assert.deepEqual([addresses, group_ip], [['http://127.0.0.1:8080'], null]);
});
