/** What is to be said of a service beyond its row. */

import { maskControls } from '../../lib/control-characters.ts';
import { formatDuration } from '../../lib/units.ts';
import type { ServiceStatus } from '../../protocol/service.ts';

/** Of what its VM said last; `--json` has all that is known. */
const LAST_LINES = 5;

/**
 * Sentences about a service, the gravest first; none where the row says all.
 *
 * @param nowMs milliseconds since the epoch, for what is still to come
 */
export function renderRemarks(service: ServiceStatus, nowMs: number): string[] {
  return [
    ...remarkOnEnd(service),
    ...(service.log_stalled === null ? [] : [maskControls(`what it prints cannot be written: ${service.log_stalled}`)]),
    ...(service.status === 'Started' && service.detail !== null ? [maskControls(service.detail)] : []),
    ...(service.health === 'unhealthy' ? [maskControls(`unhealthy: ${service.health_detail}`)] : []),
    ...remarkOnRestarts(service, nowMs),
    ...service.notes.map(maskControls),
  ];
}

function remarkOnEnd({ error, reason, last_lines }: ServiceStatus): string[] {
  const what = error ?? (reason === 'out-of-memory' ? 'the guest was out of memory and killed its command' : null);
  if (what === null) return [];
  const lines = last_lines.slice(-LAST_LINES).map((line) => `    ${line}`);
  return [[what, ...lines].map(maskControls).join('\n')];
}

function remarkOnRestarts({ restarts, last_restart_reason, restarts_at }: ServiceStatus, nowMs: number): string[] {
  if (restarts === 0) return [];
  const times = restarts === 1 ? 'once' : `${restarts} times`;
  const due = restarts_at === null ? '' : `, next in ${formatDuration(Date.parse(restarts_at) - nowMs)}`;
  const count = restarts_at === null ? `restarted ${times}` : `restart ${restarts} is due`;
  return [maskControls(`${count}${due}; the last end: ${last_restart_reason}`)];
}
