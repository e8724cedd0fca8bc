/** What the daemon's log says of a service. Pure. */
import type { Exit } from '../vm/backend.ts';
import type { ServiceState, VmState } from './states.ts';

/** A line for people, without the service's name, and its data; the message is null where there is nothing to say. */
export interface Announcement {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string | null;
  readonly data: { readonly status: VmState['status']; readonly exit?: Exit | null };
}

/** What to say when a service has come from one state to another. */
export function describeChange(before: VmState, { actual, restarts }: ServiceState, nowMs: number): Announcement {
  const isWaiting = actual.status === 'Starting' && actual.phase === 'waiting';
  const data = { status: actual.status, ...('exit' in actual ? { exit: actual.exit } : {}) };
  if (before.status === actual.status && !isWaiting) return { level: 'info', message: null, data };
  if (isWaiting) {
    const delaySeconds = ((actual.resumeAtMs - nowMs) / 1000).toFixed(1);
    const message = `restart ${restarts.total} in ${delaySeconds} s, because: ${restarts.lastReason}`;
    return { level: 'warn', message, data };
  }
  switch (actual.status) {
    case 'Failed':
      return { level: 'error', message: `failed: ${actual.error}`, data };
    case 'Stopped':
      return { level: 'info', message: `ended with exit code ${actual.exit.code ?? 'unknown'}`, data };
    default:
      return { level: 'info', message: actual.status, data };
  }
}
