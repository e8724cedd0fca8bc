/** Outcomes of a command for its services. */
import type { ServiceOutcome } from '../protocol/api.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';

export function compareNames(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

/** Error of a start that a stop overtook. */
export const CANCELLED = 'it was stopped before its command ran';

export function failed(supervisor: Supervisor, error: string, lastLines: readonly string[] = []): ServiceOutcome {
  return { service: supervisor.status(), outcome: 'failed', error, last_lines: lastLines };
}

/** @param changed false where there was nothing to do */
export function succeeded(supervisor: Supervisor, changed: boolean): ServiceOutcome {
  const outcome = changed ? 'changed' : 'unchanged';
  return { service: supervisor.status(), outcome, error: null, last_lines: [] };
}
