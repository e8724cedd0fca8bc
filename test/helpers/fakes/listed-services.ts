/** Service states for tests of the CLI. */
import type { ServiceOutcome } from '../../../src/protocol/api.ts';
import { NO_METRICS, type ServiceStatus } from '../../../src/protocol/service.ts';

/** A running service, apart from `differences`. */
export function makeService(differences: Partial<ServiceStatus> = {}): ServiceStatus {
  return {
    name: 'web',
    replica_of: null,
    project: null,
    undeclared: false,
    group: 'demo',
    isolation: 'vm',
    status: 'Started',
    desired: 'up',
    health: null,
    health_detail: null,
    pid: 12345,
    exit_code: null,
    signal: null,
    error: null,
    reason: null,
    ended_by: null,
    last_lines: [],
    detail: null,
    log_stalled: null,
    notes: [],
    group_ip: '127.0.0.2',
    cpus: 1,
    ram_mib: 128,
    ports: [],
    addresses: [],
    started_at: '2026-11-23T08:00:00.000Z',
    stopped_at: null,
    restarts: 0,
    last_restart_reason: null,
    restarts_at: null,
    metrics: { ...NO_METRICS, cpu_usage: 1.25, memory_usage: 123 * 2 ** 20 },
    ...differences,
  };
}

/** A service that was changed, apart from `differences`. */
export function makeOutcome(service: ServiceStatus, differences: Partial<ServiceOutcome> = {}): ServiceOutcome {
  return { service, outcome: 'changed', error: null, last_lines: [], ...differences };
}
