/** How services fare in a command. */

import type { ServiceOutcome } from '../protocol/api.ts';
import type { Supervisor } from '../supervisor/supervisor.ts';

/** For sorting. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

/** Why a start did not go on. */
export const CALLED_OFF = 'it was stopped before its command ran';

/** A start that a stop overtook. */
export function calledOff(supervisor: Supervisor): ServiceOutcome {
  return failed(supervisor, CALLED_OFF);
}

/** A command that did not do what it should. */
export function failed(supervisor: Supervisor, error: string, lastLines: readonly string[] = []): ServiceOutcome {
  return { service: supervisor.status(), outcome: 'failed', error, last_lines: lastLines };
}

/** A command that did what it should; `changed` where there was something to do. */
export function succeeded(supervisor: Supervisor, changed: boolean): ServiceOutcome {
  return {
    service: supervisor.status(),
    outcome: changed ? 'changed' : 'unchanged',
    error: null,
    last_lines: [],
  };
}
