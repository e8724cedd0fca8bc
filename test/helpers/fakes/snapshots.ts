/** Snapshot of one service, for tests of what is shown and of what is saved. */
import { NO_METRICS } from '../../../src/protocol/service.ts';
import type { ServiceState, VmState } from '../../../src/supervisor/states.ts';
import { NOT_BLOCKED, type ServiceDefinition, type Snapshot } from '../../../src/supervisor/status.ts';
import { scriptService } from './services.ts';
import { failed, serviceState, stopped } from './states.ts';

export const CREATED_AT_MS = Date.parse('2026-11-23T08:00:00.123Z');
export const NOW_MS = CREATED_AT_MS + 60_000;

export const STOPPED = stopped({
  reason: 'stopped',
  endedBy: 'stop_signal',
  exit: { code: 143, signal: 'SIGTERM' },
  startedAtMs: CREATED_AT_MS + 1000,
  stoppedAtMs: NOW_MS,
});
export const FAILED = failed({
  error: 'no kernel',
  startedAtMs: null,
  stoppedAtMs: NOW_MS,
  lastLines: ['the last words'],
});

export const DEFINITION: ServiceDefinition = {
  service: scriptService('web', 'true', {
    group: 'blue',
    rootfs: '/srv/web',
    ports: [{ host: 8080, guest: 80, protocol: 'tcp' }],
  }),
  group: { name: 'blue', address: null, local_only: true },
  groupIp: '127.0.0.2',
  kernel: null,
};

export function snapshot(actual: VmState, data: Partial<ServiceState> = {}): Snapshot {
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
