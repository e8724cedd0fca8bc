/** A service's row while a command runs on a terminal. */

import { formatDuration } from '../../lib/units.ts';
import type { ServiceStatus } from '../../protocol/service.ts';
import { progressText, statusLabel } from './status-text.ts';

/** What happens to the service right now: `booting`, or its status where the daemon says no more. */
export function rowText(service: ServiceStatus): string {
  if (service.detail !== null) return service.detail;
  return service.status === 'Started' ? progressText(service) : statusLabel(service).toLowerCase();
}

/**
 * `web  booting 1.2 s`.
 *
 * @param name padded by the caller
 * @param elapsedMs null for a service whose turn has not come
 */
export function rowTitle(name: string, text: string, elapsedMs: number | null): string {
  return elapsedMs === null ? `${name}  ${text}` : `${name}  ${text} ${formatElapsed(elapsedMs)}`;
}

function formatElapsed(elapsedMs: number): string {
  return elapsedMs < 60_000 ? `${(elapsedMs / 1000).toFixed(1)} s` : formatDuration(elapsedMs);
}
