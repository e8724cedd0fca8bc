import assert from 'node:assert/strict';
import test from 'node:test';
import * as v from 'valibot';
import { type SavedState, SavedStateSchema } from '../../src/protocol/state.ts';
import { markGone, renderSavedState, restoreState } from '../../src/supervisor/saved-state.ts';
import type { VmState } from '../../src/supervisor/states.ts';
import { CREATED_AT_MS, FAILED, NOW_MS, STOPPED, snapshot } from '../helpers/fakes/snapshots.ts';
import { serviceState, started, stopping } from '../helpers/fakes/states.ts';

test('a state file has the fields of the original monocore', () => {
  const state = started({ startedAtMs: CREATED_AT_MS + 1000 });
  const { pid, created_at, modified_at, service, group, rootfs_path, status, metrics, group_ip } = renderSavedState(
    snapshot(state),
    NOW_MS,
  );
  assert.deepEqual(
    { pid, created_at, modified_at, group, rootfs_path, status, metrics, group_ip },
    {
      pid: 7,
      created_at: '2026-11-23T08:00:00.123Z',
      modified_at: '2026-11-23T08:01:00.123Z',
      group: { name: 'blue', address: null, local_only: true },
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
  const statusOf = (state: VmState) => renderSavedState(snapshot(state), NOW_MS).status;
  assert.equal(statusOf({ status: 'Unstarted' }), 'Unstarted');
  assert.equal(statusOf({ status: 'Starting', phase: 'booting', pid: 7 }), 'Starting');
  assert.deepEqual(statusOf(STOPPED), { Stopped: { exit_code: 143 } });
  assert.deepEqual(statusOf(FAILED), { Failed: { error: 'no kernel' } });
});

test('the end of a service survives its state file, with `desired` and the restarts', () => {
  for (const actual of [STOPPED, FAILED]) {
    const state = serviceState(actual, {
      desired: 'down',
      restarts: { total: 7, inRow: 2, lastReason: 'exit code 3' },
      image: 'sha256:abc',
    });
    const stored: unknown = JSON.parse(JSON.stringify(renderSavedState({ ...snapshot(actual), state }, NOW_MS)));
    assert.deepEqual(restoreState(v.parse(SavedStateSchema, stored)), state);
  }
});

test('a state file of a version that wrote `base` for `image` is read', () => {
  const stored = JSON.parse(JSON.stringify(renderSavedState(snapshot(STOPPED), NOW_MS))) as SavedState;
  const { image: _, ...service } = stored.service;
  const { image, ...others } = v.parse(SavedStateSchema, {
    ...stored,
    service: { ...service, base: 'alpine:3' },
  }).service;
  assert.deepEqual([image, 'base' in others], ['alpine:3', false]);
});

test('a state file of a running service has no end', () => {
  const saved = renderSavedState(snapshot(started({ startedAtMs: CREATED_AT_MS })), NOW_MS);
  assert.deepEqual(restoreState(saved).actual, { status: 'Unstarted' });
});

test('a process that is gone keeps its exit; without one it is lost, or was killed for lack of memory', () => {
  const saved = renderSavedState(snapshot(started({ startedAtMs: CREATED_AT_MS })), NOW_MS);
  const exit = { code: 3, signal: null };
  const exited = markGone(saved, { exit }, NOW_MS);
  assert.deepEqual(
    [exited.status, exited.reason, exited.ended_by],
    [{ Stopped: { exit_code: 3 } }, 'exited', 'command'],
  );
  assert.equal(
    markGone(saved, { exit: { code: 137, signal: 'SIGKILL' }, oomKilled: true }, NOW_MS).reason,
    'out-of-memory',
  );
  const lost = markGone(saved, { exit: null }, NOW_MS);
  assert.deepEqual([typeof lost.status, lost.reason, lost.exit], ['object', 'lost', null]);
  const stoppingDocument = renderSavedState(snapshot(stopping('asking')), NOW_MS);
  const wasStopped = markGone(stoppingDocument, { exit }, NOW_MS);
  assert.deepEqual([wasStopped.reason, wasStopped.ended_by], ['stopped', null]);
});

test('a guest that flooded its exit port while no daemon ran has failed by that name', () => {
  const saved = renderSavedState(snapshot(started({ startedAtMs: CREATED_AT_MS })), NOW_MS);
  const { status, reason, exit } = markGone(saved, { exit: null, offence: 'flooded its exit port' }, NOW_MS);
  assert.deepEqual(status, { Failed: { error: 'the guest flooded its exit port' } });
  assert.deepEqual([reason, exit], ['guest-flood', null]);
});
