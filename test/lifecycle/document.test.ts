import assert from 'node:assert/strict';
import test from 'node:test';
import * as v from 'valibot';
import { endedState, renderDocument, renderStatus, type Snapshot } from '../../src/lifecycle/document.ts';
import type { VmState } from '../../src/lifecycle/state.ts';
import { NO_METRICS } from '../../src/protocol/service.ts';
import { StateDocumentSchema } from '../../src/protocol/state-document.ts';
import { scriptService } from '../helpers/services.ts';

const CREATED_AT_MS = Date.parse('2026-11-23T08:00:00.123Z');
const NOW_MS = CREATED_AT_MS + 60_000;

const STOPPED: VmState = {
  status: 'Stopped',
  exit: { code: 143, signal: 'SIGTERM' },
  startedAtMs: CREATED_AT_MS + 1000,
  stoppedAtMs: NOW_MS,
};
const FAILED: VmState = {
  status: 'Failed',
  error: 'no kernel',
  exit: null,
  startedAtMs: null,
  stoppedAtMs: NOW_MS,
};

function snapshot(state: VmState): Snapshot {
  return {
    service: scriptService('web', 'true', { group: 'blue', rootfs: '/srv/web', ports: [{ host: 8080, guest: 80 }] }),
    group: { name: 'blue', local_only: true },
    groupIp: '127.0.0.2',
    kernel: null,
    state,
    identity: null,
    metrics: NO_METRICS,
    createdAtMs: CREATED_AT_MS,
    restarts: 0,
    logStalled: null,
  };
}

test('a state file has the fields of monocore by their names', () => {
  const state: VmState = { status: 'Started', pid: 7, startedAtMs: CREATED_AT_MS + 1000 };
  const { pid, created_at, modified_at, service, group, rootfs_path, status, metrics, group_ip } = renderDocument(
    snapshot(state),
    NOW_MS,
  );
  assert.deepEqual(
    { pid, created_at, modified_at, group, rootfs_path, status, metrics, group_ip },
    {
      pid: 7,
      created_at: '2026-11-23T08:00:00.123Z',
      modified_at: '2026-11-23T08:01:00.123Z',
      group: { name: 'blue', local_only: true },
      rootfs_path: '/srv/web',
      status: 'Started',
      metrics: {
        cpu_usage: null,
        memory_usage: null,
        disk_read_bytes: null,
        disk_write_bytes: null,
        total_disk_read_bytes: null,
        total_disk_write_bytes: null,
      },
      group_ip: '127.0.0.2',
    },
  );
  assert.equal(service.name, 'web');
});

test('the status is a bare name, or an object with the data of the status', () => {
  const statusOf = (state: VmState) => renderDocument(snapshot(state), NOW_MS).status;
  assert.equal(statusOf({ status: 'Unstarted' }), 'Unstarted');
  assert.equal(statusOf({ status: 'Starting', phase: 'booting', pid: 7 }), 'Starting');
  assert.deepEqual(statusOf(STOPPED), { Stopped: { exit_code: 143 } });
  assert.deepEqual(statusOf(FAILED), { Failed: { error: 'no kernel' } });
});

test('how a service ended survives its state file', () => {
  for (const state of [STOPPED, FAILED]) {
    const stored: unknown = JSON.parse(JSON.stringify(renderDocument(snapshot(state), NOW_MS)));
    assert.deepEqual(endedState(v.parse(StateDocumentSchema, stored)), state);
  }
});

test('a state file of a service that ran says nothing of how it ended', () => {
  const document = renderDocument(snapshot({ status: 'Started', pid: 7, startedAtMs: CREATED_AT_MS }), NOW_MS);
  assert.deepEqual(endedState(document), { status: 'Unstarted' });
});

test('the row shows what a service does, where it is reached and how it ended', () => {
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

test('without a group a service is reached on 127.0.0.1', () => {
  const { addresses, group_ip } = renderStatus({ ...snapshot(FAILED), groupIp: null, group: null });
  assert.deepEqual([addresses, group_ip], [['http://127.0.0.1:8080'], null]);
});
