import assert from 'node:assert/strict';
import test from 'node:test';
import type { VmState } from '../../src/supervisor/states.ts';
import { renderStatus } from '../../src/supervisor/status.ts';
import { DEFINITION, FAILED, NOW_MS, STOPPED, snapshot } from '../helpers/fakes/snapshots.ts';
import { started, stopping } from '../helpers/fakes/states.ts';

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

test('a plain process ends where a VM powers off', () => {
  const releasing = stopping('releasing');
  const { service } = DEFINITION;
  const plain = { ...DEFINITION, service: { ...service, isolation: 'none' as const } };
  assert.equal(renderStatus(snapshot(releasing)).detail, 'powering off');
  assert.equal(renderStatus({ ...snapshot(releasing), definition: plain }).detail, 'ending');
});

test('a service without a group is reached on 127.0.0.1', () => {
  const { addresses, group_ip } = renderStatus({
    ...snapshot(FAILED),
    definition: { ...DEFINITION, groupIp: null, group: null },
  });
  assert.deepEqual([addresses, group_ip], [['http://127.0.0.1:8080'], null]);
});
