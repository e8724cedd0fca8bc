/** What a start comes to for each service. Pure. */

import type { PlannedAction } from '../protocol/api.ts';
import type { ServiceDefinition } from '../supervisor/status.ts';
import { describeDifferences } from './service-diff.ts';

/** A service as it is known before a start. */
export interface KnownService {
  readonly definition: ServiceDefinition;
  /** It runs, or is on its way there. */
  readonly isUp: boolean;
  /** It has never run. */
  readonly isNew: boolean;
}

/**
 * What is to be done to have a service up as `wanted`.
 *
 * @param known null for a service that the daemon has never heard of
 */
export function planStart(known: KnownService | null, wanted: ServiceDefinition): Omit<PlannedAction, 'name'> {
  if (known === null || known.isNew) return { action: 'create', reason: null };
  const reason = describeDifferences(known.definition, wanted).join('; ') || null;
  if (known.isUp) return { action: reason === null ? 'keep' : 'restart', reason };
  return { action: 'start', reason };
}
