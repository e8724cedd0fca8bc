/** What a start comes to for each service. Pure. */
import { isDeepStrictEqual } from 'node:util';
import type { PlannedAction } from '../protocol/control.ts';
import type { ServiceDefinition } from './document.ts';

/** A service as it is known before a start. */
export interface KnownService {
  readonly definition: ServiceDefinition;
  /** It runs, or is on its way there. */
  readonly isUp: boolean;
  /** It has never run. */
  readonly isNew: boolean;
}

/** Names of the config for fields of a service that are called otherwise. */
const CONFIG_NAMES: Readonly<Record<string, string>> = {
  ram_mib: 'ram',
  disk_mib: 'disk',
  stop_timeout_ms: 'stop_timeout',
};

/**
 * What is to be done to have a service up as `wanted`.
 *
 * @param known null for a service that the daemon has never heard of
 */
export function planStart(known: KnownService | null, wanted: ServiceDefinition): Omit<PlannedAction, 'name'> {
  if (known === null || known.isNew) return { action: 'create', reason: null };
  const difference = describeDifference(known.definition, wanted);
  if (known.isUp) return { action: difference === null ? 'keep' : 'restart', reason: difference };
  return { action: 'start', reason: difference };
}

/** Which keys of the config make the difference, for people: `command and ram differ`; null where nothing does. */
function describeDifference(known: ServiceDefinition, wanted: ServiceDefinition): string | null {
  if (isDeepStrictEqual(known, wanted)) return null;
  const keys = differingKeys(known.service, wanted.service).map((key) => CONFIG_NAMES[key] ?? key);
  if (!keys.includes('group')) {
    if (known.group && wanted.group)
      keys.push(...differingKeys(known.group, wanted.group).map((key) => `group ${key}`));
    if (known.groupIp !== wanted.groupIp) keys.push('group address');
  }
  if (known.kernel !== wanted.kernel) keys.push('kernel');
  const last = keys.pop() ?? 'something';
  return keys.length === 0 ? `${last} differs` : `${keys.join(', ')} and ${last} differ`;
}

function differingKeys<T extends object>(a: T, b: T): string[] {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<Extract<keyof T, string>>;
  return [...keys].filter((key) => !isDeepStrictEqual(a[key], b[key]));
}
