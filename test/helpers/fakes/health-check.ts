import type { HealthCheck } from '../../../src/protocol/supervision.ts';

/** A check of a port every 10 s whose first failure counts, with the fields that a test cares about. */
export function healthCheck(overrides: Partial<HealthCheck> = {}): HealthCheck {
  return {
    probe: { type: 'tcp', port: 80 },
    interval_ms: 10_000,
    timeout_ms: 1000,
    retries: 1,
    start_period_ms: 0,
    ...overrides,
  };
}
